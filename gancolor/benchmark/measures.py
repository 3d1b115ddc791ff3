"""From names of records to what measures them: functions of pictures, some with a pretrained network inside."""

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from inspect import getsource
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gancolor import color, features
from gancolor.benchmark.records import digest
from gancolor.features import MissingWeights, frechet, perceptual
from gancolor.metrics import ab_histogram, colorfulness, lab, lab_pairs, mse, pixels, psnr, ssim, ssim_uniform
from gancolor.palette import cell_of

Pictures = UInt8[Tensor, "B 3 H W"]
Values = Mapping[str, Float[Tensor, "B ..."]]


@dataclass(frozen=True)
class Measure:
    """One way to measure pictures.

    Attributes:
        records: what it finds.
        identity: what the numbers depend on besides the pictures: the code and the weights.
        of_itself: whether the photograph that a picture belongs to does not matter.
        function: pictures and the photographs they belong to → record → a number or a vector a picture.
    """

    records: tuple[str, ...]
    identity: str
    of_itself: bool
    function: Callable[[Pictures, Pictures], Values]


def measures(
    records: Collection[str], weights: Path | None, device: torch.device, size: int
) -> tuple[list[Measure], dict[str, str]]:
    """What finds these records, and which of them cannot be found here, with the reason.

    Args:
        records: names.
        weights: folder to look in first for pretrained networks.
        device: where the networks go.
        size: side of the pictures, in pixels.

    Raises:
        NotADirectoryError: no such folder.
        InputError: a file of weights is damaged.
    """
    possible = [_PAIRED, _OF_ITSELF]
    missing = {}
    for record, (pretrained, wrap) in _NETWORKS.items():
        if record in records and record.startswith("lpips") and size < _SMALLEST:
            missing[record] = f"pictures of {size} pixels are too small for its network, which needs {_SMALLEST}."
        elif record in records:
            try:
                network = pretrained(weights).to(device)
            except MissingWeights as error:
                missing[record] = str(error)
            else:
                possible.append(wrap(record, network))
    return [measure for measure in possible if set(measure.records) & set(records)], missing


def _compare(fake: Pictures, real: Pictures) -> Values:
    numbers = {"mse": mse, "psnr": psnr, "ssim": ssim, "ssim_uniform": ssim_uniform}
    return {name: number(fake, real) for name, number in numbers.items()} | lab_pairs(fake, real)


def _describe(fake: Pictures, _: Pictures) -> Values:
    return {
        "colorfulness": colorfulness(fake),
        "colorfulness_abs": colorfulness(fake, absolute=True),
        "ab_histogram": ab_histogram(fake),
    }


def _features(record: str, network: nn.Module) -> Measure:
    """A network that describes a picture."""
    identity = digest(_CODE, record, features.fingerprint(network))
    return Measure((record,), identity, True, lambda fake, _: {record: network(fake)})


def _distance(record: str, network: features.LPIPS) -> Measure:
    """A network that compares a picture with its photograph, which is looked at once for all candidates."""
    last: list[tuple[Pictures, list[Tensor]]] = []

    def compare(fake: Pictures, real: Pictures) -> Values:
        if not last or last[0][0] is not real:
            last[:] = [(real, network.activations(real))]
        return {record: network.distance(network.activations(fake), last[0][1])}

    return Measure((record,), digest(_CODE, record, features.fingerprint(network)), False, compare)


_SMALLEST = 32  # pixels: AlexNet's layers have nothing left of 30
_CODE = digest(*map(getsource, (sys.modules[__name__], color, cell_of, pixels, lab, frechet, perceptual)))
_PAIRED = Measure(
    ("mse", "psnr", "ssim", "ssim_uniform", "delta_e", "auc", "auc_cells", "lightness_error"),
    digest(_CODE, "compare"),
    False,
    _compare,
)
_OF_ITSELF = Measure(("colorfulness", "colorfulness_abs", "ab_histogram"), digest(_CODE, "describe"), True, _describe)
_NETWORKS = {
    "inception": (features.inception, _features),
    "inception_tf1": (features.inception_tf1, _features),
    "inception_imagenet": (features.inception_imagenet, _features),
    "lpips": (features.lpips_alex, _distance),
    "lpips_vgg": (features.lpips_vgg, _distance),
}
