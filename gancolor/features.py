"""The pretrained networks behind FID and LPIPS: found, checked and loaded, in an explicit step of their own.

A file is looked for in the folder given or else in ``$GANCOLOR_WEIGHTS``, then in torch's cache
(``$TORCH_HOME/hub/checkpoints``), and is downloaded into that cache when it is in neither. Its SHA-256 is checked
before it is read: a number from other weights would not be FID or LPIPS.
"""

import hashlib
import io
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lpips
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from gancolor.errors import InputError

_PATIENCE = 10.0  # seconds; clusters drop packets rather than refuse, and the default is to wait forever


class MissingWeights(RuntimeError):
    """Pretrained weights that are neither here nor to be had; the message says which file goes where."""


class DamagedWeights(InputError):
    """A file of the right name and the wrong content; the message says which."""


@dataclass(frozen=True)
class _Published:
    """Published weights.

    Attributes:
        of: what they belong to.
        url: the official address; its last part is the file's name.
        megabytes: size of that file.
        sha256: file names under which they are accepted, and how each one's SHA-256 begins (8 digits are all that the
            official names tell).
    """

    of: str
    url: str
    megabytes: int
    sha256: dict[str, str]


_INCEPTION = _Published(
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
_ALEXNET = _Published(
    of="LPIPS's AlexNet",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    megabytes=233,
    sha256={
        "alexnet-owt-7be5be79.pth": "7be5be79",
        # Only the convolutions, which are all that LPIPS uses.
        "torchvision_alexnet_features.pth": "66c22db6d0c537816aff668d003d1f047eb70f967fedc80e877ac9997fa84716",
    },
)


class _Pool3(nn.Module):
    """torch-fidelity's network with its one output taken out of the tuple."""

    def __init__(self, network: FeatureExtractorInceptionV3) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 2048"]:
        return self.network(images)[0]


@torch.random.fork_rng(devices=[])  # initial weights are drawn and overwritten: leave the caller's numbers alone
def inception(weights: Path | None = None) -> nn.Module:
    """FID's InceptionV3: uint8 images of any size to 2048 features, resized to 299×299 as TensorFlow 1 did.

    Args:
        weights: folder to look in first.

    Raises:
        MissingWeights: not found and not downloaded.
        DamagedWeights: found, but with another SHA-256.
        NotADirectoryError: no such folder.
    """
    state = _load(_INCEPTION, weights)
    state.setdefault("fc.weight", torch.zeros(1008, 2048))
    state.setdefault("fc.bias", torch.zeros(1008))
    file = io.BytesIO()  # torch-fidelity loads by itself, strictly and from a file
    torch.save(state, file)
    file.seek(0)
    network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=file)
    return _Pool3(network).eval().requires_grad_(False)


@torch.random.fork_rng(devices=[])
def lpips_alex(weights: Path | None = None) -> nn.Module:
    """LPIPS 0.1 on AlexNet: two batches of images in −1…1 to distances of shape (B, 1, 1, 1).

    Args:
        weights: folder to look in first.

    Raises:
        MissingWeights: not found and not downloaded.
        DamagedWeights: found, but with another SHA-256.
        NotADirectoryError: no such folder.
    """
    state = _load(_ALEXNET, weights)
    with warnings.catch_warnings():  # lpips still calls torchvision by its old arguments
        warnings.filterwarnings("ignore", "The parameter 'pretrained'|Arguments other than a weight enum", UserWarning)
        network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    # lpips cuts AlexNet's features into slices and keeps their numbers: slice2.3.weight is features.3.weight.
    network.net.load_state_dict({key: state["features." + key.split(".", 1)[1]] for key in network.net.state_dict()})
    return network.eval().requires_grad_(False)


def _load(published: _Published, weights: Path | None) -> dict[str, Tensor]:
    """The weights on the CPU, as a plain dictionary."""
    return dict(torch.load(_find(published, weights), map_location="cpu", weights_only=True))


def _find(published: _Published, weights: Path | None) -> Path:
    """The checked file, downloaded if need be."""
    folders = _folders(weights)
    for path in (folder / name for folder in folders for name in published.sha256):
        if path.is_file():
            _check(path, published.sha256[path.name])
            return path
    return _download(published, folders)


def _folders(weights: Path | None) -> list[Path]:
    """Where to look, in order; torch's cache is last and need not exist."""
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    folder = weights or os.environ.get("GANCOLOR_WEIGHTS")
    if not folder:
        return [cache]
    if not Path(folder).is_dir():
        raise NotADirectoryError(f"{folder}: no such folder. Name the one that holds the pretrained weights.")
    return [Path(folder), cache]


def _check(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256):
        raise DamagedWeights(
            f"{path} is damaged or another file of that name: its SHA-256 begins {found[: len(sha256)]}, not {sha256}. "
            "Delete it and fetch it again."
        )


def _download(published: _Published, folders: list[Path]) -> Path:
    """Fetch the official file into torch's cache, with a progress bar; one attempt."""
    path = folders[-1] / published.url.rsplit("/", 1)[1]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _impatient():
            torch.hub.download_url_to_file(published.url, str(path), hash_prefix=published.sha256[path.name])
    except (OSError, RuntimeError) as error:  # RuntimeError is torch's word for a wrong hash
        raise MissingWeights(
            f"{published.of}: no weights. Looked for {', '.join(published.sha256)} in "
            f"{', '.join(map(str, folders))}; the download failed: {error}. Fetch {published.url} "
            f"({published.megabytes} MB) where there is internet, keep its name {path.name}, and name its folder: "
            "--weights FOLDER or GANCOLOR_WEIGHTS=FOLDER."
        ) from error
    return path


@contextmanager
def _impatient() -> Iterator[None]:
    """Let connections fail after some seconds of silence; torch.hub has no argument for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
