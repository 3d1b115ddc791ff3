"""How a published table was measured, as a small YAML file: which images, cut how, and which numbers."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from unicodedata import normalize

from gancolor import arguments
from gancolor.benchmark.numbers import METRICS
from gancolor.errors import InputError


@dataclass(frozen=True)
class Images:
    """Which images, in words a machine can check.

    Attributes:
        description: in words a person reads.
        count: how many there must be; None for any number.
        names: names of the files, without folders and extensions: a Python format of the running number as
            ``ILSVRC2012_val_{:08d}``; None where they follow no rule.
        first: the first running number.
        sha256: of the sorted names, each followed by a line feed (:func:`hash_of`); None where nobody published the
            list.
    """

    description: str
    count: int | None = None
    names: str | None = None
    first: int = 1
    sha256: str | None = None

    def rule(self) -> list[str]:
        """The names that the rule makes, in order; none where there is no rule."""
        if self.names is None or self.count is None:
            return []
        return [self.names.format(self.first + i) for i in range(self.count)]


@dataclass(frozen=True)
class Protocol:
    """By which rules a table was measured, as far as they are known.

    Attributes:
        name: that of its file.
        description: in a few words, for a heading.
        images: which are colorized.
        geometry: how a photograph becomes a square: ``crop`` takes the largest square in its middle, ``squash``
            changes the aspect ratio.
        size: side of the square in pixels; None is the size that the checkpoint was trained at.
        interpolation: of the resizing.
        antialias: whether it averages over what lies between the pixels it keeps, as Pillow does and OpenCV does not.
            The latter's pictures are more colorful, by 0.4 on ImageNet at 256 pixels.
        lightness: whether the candidates' pictures are measured as they are (``output``), or after their lightness was
            replaced by the photograph's (``input``).
        metrics: what the table prints, in its order and each in its exact variant, then what is measured besides.
        reference: the real images of FID and KID, where they are not the colorized ones.
        fingerprint: mean colorfulness (abs) of the photographs themselves, as cut here: a run that does not find it
            is over other images or another cut.
        source: who published it, and where the facts are from.
        doubt: what of it could not be verified; empty if all was.
        tolerance: how far the fingerprint may be missed for reasons that the doubt names; 0 is sampling error only.
        shipped: whether it is one of ours, as it is: only beside such a run may published numbers stand. Set by
            :func:`find`, whatever a file says.
    """

    name: str
    description: str
    images: Images
    geometry: Literal["crop", "squash"] = "crop"
    size: int | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    antialias: bool = True
    lightness: Literal["output", "input"] = "output"
    metrics: Sequence[str] = ()
    reference: Images | None = None
    fingerprint: float | None = None
    source: str = ""
    doubt: str = ""
    tolerance: float = 0.0
    shipped: bool = False


def stem(name: str) -> str:
    """A file's name without folders and extension, in Unicode's composed form, which macOS takes apart."""
    return normalize("NFC", PurePosixPath(name).stem)


def stems(names: Iterable[str]) -> list[str]:
    """Names of files without folders and extensions, sorted: how a list of images is told from another."""
    return sorted(map(stem, names))


def hash_of(names: Iterable[str]) -> str:
    """SHA-256 in hexadecimal digits of the sorted stems, each followed by a line feed; the order does not matter."""
    return sha256("".join(f"{stem}\n" for stem in stems(names)).encode(errors="surrogateescape")).hexdigest()


def find(name: str, folder: Path) -> Protocol:
    """The protocol of a name, or of a YAML file.

    Args:
        name: one of the folder's, without ``.yaml``, or the path of a file.
        folder: where the protocols lie.

    Raises:
        InputError: no such name or file, or a file that cannot be used.
    """
    for path in (folder / f"{name}.yaml", Path(name)):
        if path.is_file():  # the first is elsewhere too, if the name is a path
            return replace(read(path), shipped=path.resolve().parent == folder.resolve())
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    raise InputError(
        f"--protocol {name}: there is none of this name, and no such file{_nearest(name, known)} "
        f"There are {', '.join(known)}."
    )


def read(path: Path) -> Protocol:
    """A protocol from its file.

    Raises:
        InputError: a key, a value or a metric that cannot be used; names it and the nearest valid one.
    """
    keys = arguments.parser("protocol", "")
    keys.add_argument("--config", action="config")
    keys.add_class_arguments(Protocol)
    try:
        asked = arguments.parse(keys, ["--config", str(path)])
    except InputError as error:
        reason = str(error).removeprefix(f"--config {path}: ").removeprefix("--config: ")
        raise InputError(f"--protocol {path}: {reason}") from error
    asked.pop("config")
    built: Any = keys.instantiate(asked)
    protocol = replace(Protocol(**vars(built)), shipped=False)
    _check(protocol, path)
    return protocol


def _check(protocol: Protocol, path: Path) -> None:
    """Raise for values of the right type that mean nothing."""
    if protocol.name != path.stem:
        raise InputError(f"--protocol {path}: name is {protocol.name!r}: it must be the file's, {path.stem!r}")
    for metric in protocol.metrics:
        if metric not in METRICS:
            raise InputError(f"--protocol {path}: metrics: there is no {metric!r}{_nearest(metric, list(METRICS))}")
    if protocol.size is not None and protocol.size < 1:
        raise InputError(f"--protocol {path}: size is {protocol.size}: it must be at least 1")
    for key, images in (("images", protocol.images), ("reference", protocol.reference)):
        if images is not None and images.names is not None:
            _check_rule(f"--protocol {path}: {key}", images)


def _check_rule(where: str, images: Images) -> None:
    """Raise for a rule that makes no names, or the same one again and again."""
    if images.count is None:
        raise InputError(f"{where}.count is missing: names is a rule, and it must be known how many to make")
    try:
        distinct = len({*images.rule()[:2]})
    except (ValueError, LookupError) as error:
        raise InputError(f"{where}.names is {images.names!r}: {error}; write it like val_{{:08d}}") from error
    if distinct < min(images.count, 2):
        raise InputError(
            f"{where}.names is {images.names!r}, without a place for the number; write it like val_{{:08d}}"
        )


def _nearest(name: str, known: Sequence[str]) -> str:
    """The question that ends a message about an unknown name, if one of those known is like it."""
    nearest = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {nearest[0]!r}?" if nearest else "."
