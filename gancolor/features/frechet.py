"""InceptionV3 as three definitions of FID have it: uint8 images of any size to 2048 features.

A network is what prepares the images, then the layers up to the last average pool ("pool3").
"""

import io
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d as FidelityBlock
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torchvision.models import inception_v3
from torchvision.models.inception import BasicConv2d as TorchvisionBlock

from gancolor.features.weights import Published, load

_SIZE = (299, 299)
FID_INCEPTION = Published(
    of="FID's InceptionV3 of 2015-12-05",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    megabytes=91,
    sha256={
        "weights-inception-2015-12-05-6726825d.pth": "6726825d",
        "pt_inception-2015-12-05-6726825d.pth": "6726825d",  # the same, as pytorch-fid publishes it
        # Without the classifier, which FID does not use.
        "fid_inception_v3_2015-12-05_nofc.pth": "ff51832a13773fe122c6afd3ff3c996cb6aeefd6c22ff83fd74ce60818a9c970",
    },
)
IMAGENET_INCEPTION = Published(
    of="torchvision's InceptionV3",
    url="https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
    megabytes=104,
    sha256={"inception_v3_google-0cc3c7bd.pth": "0cc3c7bd"},
)


class PytorchFID(nn.Module):
    """Images as pytorch-fid prepares them: bilinear between pixel centers, without antialiasing, then to −1…1."""

    def forward(self, images: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 299 299"]:
        """What the network sees."""
        return 2 * interpolate(images.float() / 255, _SIZE, mode="bilinear") - 1


class TensorFlow1(nn.Module):
    """Images as the original FID code and torch-fidelity prepare them: bilinear between pixel *corners*, to −1…127/128.

    TensorFlow 1 samples at i·H/299, half a pixel off the center.
    """

    def forward(self, images: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 299 299"]:
        """What the network sees."""
        resized = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=_SIZE, align_corners=False)
        return (resized - 128) / 128


class DDColor(nn.Module):
    """Images as DDColor's released code prepares them for FID (basicsr/metrics/custom_fid.py, INCEPTION_V3_FID).

    Resized as by :class:`PytorchFID`; then from 0…1 to ½…1, as if they were −1…1; then scaled by x ↦ 2σx + 2μ − 1 with
    ImageNet's mean μ and deviation σ, as if they had been normalized. So the network sees them pale, and dark ones
    lighter than in its training: to be repeated if numbers are to compare. CT2's code (segm/metrics.py), which has the
    same lines, does hand them −1…1: there they span 0…1 before the scaling, and its FID is yet another number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, images: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 299 299"]:
        """What the network sees."""
        pale = interpolate(images.float() / 255, _SIZE, mode="bilinear") / 2 + 0.5
        return 2 * self.get_buffer("deviation") * pale + 2 * self.get_buffer("mean") - 1


def inception(weights: Path | None = None) -> nn.Module:
    """FID's InceptionV3, with images prepared as by pytorch-fid: what papers mean by FID unless they say otherwise.

    Args:
        weights: folder to look in first.

    Raises:
        MissingWeights: not found and not downloaded.
        DamagedWeights: found, but with another SHA-256.
        NotADirectoryError: no such folder.
    """
    return _pool3(PytorchFID(), _fid_layers(weights))


def inception_tf1(weights: Path | None = None) -> nn.Module:
    """The same network, with images prepared as by TensorFlow 1 and torch-fidelity.

    Args:
        weights: folder to look in first.

    Raises:
        MissingWeights: not found and not downloaded.
        DamagedWeights: found, but with another SHA-256.
        NotADirectoryError: no such folder.
    """
    return _pool3(TensorFlow1(), _fid_layers(weights))


@torch.random.fork_rng(devices=[])  # initial weights are drawn and overwritten: leave the caller's numbers alone
def inception_imagenet(weights: Path | None = None) -> nn.Module:
    """InceptionV3 of torchvision for ImageNet, with images prepared as by DDColor: see :class:`DDColor`.

    Args:
        weights: folder to look in first.

    Raises:
        MissingWeights: not found and not downloaded.
        DamagedWeights: found, but with another SHA-256.
        NotADirectoryError: no such folder.
    """
    state = load(IMAGENET_INCEPTION, weights)
    network = inception_v3(weights=None, init_weights=False)
    network.load_state_dict(state)
    return _pool3(DDColor(), network)


@torch.random.fork_rng(devices=[])
def _fid_layers(weights: Path | None) -> nn.Module:
    """torch-fidelity's network; pytorch-fid's has the same layers."""
    state = load(FID_INCEPTION, weights)
    state.setdefault("fc.weight", torch.zeros(1008, 2048))
    state.setdefault("fc.bias", torch.zeros(1008))
    file = io.BytesIO()  # torch-fidelity loads by itself, strictly and from a file
    torch.save(state, file)
    file.seek(0)
    return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=file)


def _pool3(prepare: nn.Module, network: nn.Module) -> nn.Module:
    """What prepares images, and a network's layers up to pool3; both packages define them in the order of their use."""
    for block in network.eval().modules():
        if isinstance(block, FidelityBlock | TorchvisionBlock):
            block.conv = fuse_conv_bn_eval(block.conv, block.bn)
            block.add_module("bn", nn.Identity())
    layers = [layer for name, layer in network.named_children() if name not in ("AuxLogits", "dropout", "fc")]
    whole = nn.Sequential(prepare, *layers, nn.Flatten())
    return whole.to(memory_format=torch.channels_last).eval().requires_grad_(False)
