"""Files of pretrained weights.

A file is looked for in the folder given or else in ``$GANCOLOR_WEIGHTS``, then in torch's cache
(``$TORCH_HOME/hub/checkpoints``), and is downloaded into that cache when it is in neither. Its SHA-256 is checked
before it is read: a number from other weights would not be FID or LPIPS.
"""

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gancolor.errors import InputError

_PATIENCE = 10.0  # seconds; clusters drop packets rather than refuse, and the default is to wait forever


class MissingWeights(RuntimeError):
    """Pretrained weights that are neither here nor to be had; the message says which file goes where."""


class DamagedWeights(InputError):
    """A file of the right name and the wrong content; the message says which."""


@dataclass(frozen=True)
class Published:
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


def load(published: Published, weights: Path | None) -> dict[str, Tensor]:
    """The weights on the CPU, as a plain dictionary.

    Args:
        published: which.
        weights: folder to look in first.

    Raises:
        MissingWeights: not found and not downloaded.
        DamagedWeights: found, but with another SHA-256.
        NotADirectoryError: no such folder.
    """
    return dict(torch.load(_find(published, weights), map_location="cpu", weights_only=True))


def fingerprint(network: nn.Module) -> str:
    """SHA-256, in hexadecimal, of what a network computes: its layers and all their tensors with their names.

    Two that share weights but prepare images differently have different ones. The order of the values in memory, as
    channels last, makes no difference.
    """
    sha256 = hashlib.sha256(repr(network).encode())
    for name, tensor in network.state_dict().items():
        values = tensor.cpu().contiguous()
        sha256.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        sha256.update(values.reshape(-1).view(torch.uint8).numpy())
    return sha256.hexdigest()


def _find(published: Published, weights: Path | None) -> Path:
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


def _download(published: Published, folders: list[Path]) -> Path:
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
