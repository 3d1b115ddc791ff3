"""What a checkpoint says of its networks, so that it can rebuild them without the YAML file they came from.

A part is described by its class and its constructor's arguments, which every part keeps as attributes of the same
names; an argument that is a part itself is described likewise. The description is plain data, so
``torch.load(weights_only=True)`` reads it.
"""

import importlib
import inspect
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from types import UnionType
from typing import Any, TypeGuard, TypeVar, get_type_hints
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor, nn

from gancolor.errors import InputError
from gancolor.interfaces import Generator, Guide
from gancolor.layers import adopt

# A bit of an entry's attributes that no checksum covers; torch does not read the content of such an entry.
_FOLDER = 0x10
KEY = "gancolor"  # where a Lightning checkpoint keeps the description

_PLAIN = bool | int | float | str | list | tuple | dict | None  # what a checkpoint is allowed to hold
_LONG = 200  # characters that a message has for two values that differ; the centers of bins have thousands

Part = TypeVar("Part")
Description = dict[str, Any]


def describe(part: object) -> Description:
    """A part as plain data: ``{"class_path": …, "init_args": {…}}``.

    Raises:
        InputError: the part does not keep an argument, or one that a checkpoint cannot hold.
    """
    cls = type(part)
    path = f"{cls.__module__}.{cls.__qualname__}"
    arguments: dict[str, Any] = {}
    for name in inspect.signature(cls).parameters:
        value = getattr(part, name, ...)
        if type(value).__module__ == "builtins" and not isinstance(value, _PLAIN):
            raise InputError(f"{path} must keep its argument {name!r} as an attribute of that name and of a plain type")
        arguments[name] = value if isinstance(value, _PLAIN) else describe(value)
    return {"class_path": path, "init_args": arguments}


def build(interface: type[Part] | UnionType, description: Mapping[str, Any]) -> Part:
    """The part that :func:`describe` described, freshly constructed.

    Raises:
        InputError: no such class is installed, it is not of this interface, or its arguments are others here.
    """
    path = str(description["class_path"])
    module, _, name = path.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: no such class is installed here ({error})") from error
    if not (isinstance(cls, type) and issubclass(cls, interface)):
        raise InputError(f"{path} is not a {getattr(interface, '__name__', interface)}")
    wanted, arguments = get_type_hints(cls.__init__), dict(description.get("init_args", {}))
    for name in arguments.keys() & wanted.keys():
        if _is_description(arguments[name]):
            arguments[name] = build(wanted[name], arguments[name])
    try:
        return cls(**arguments)
    except TypeError as error:
        raise InputError(f"{path} is not built as it was when this was written: {error}") from error


def _is_description(value: object) -> TypeGuard[Description]:
    return isinstance(value, dict) and value.keys() == {"class_path", "init_args"}


@dataclass(frozen=True)
class Trained:
    """What a checkpoint holds for those who only want to use it.

    Attributes:
        generator: in evaluation mode, without gradients; the average of the weights if the run kept one.
        size: side of the pictures it was trained on, in pixels.
        images: how many images it had seen.
        guide: what told the generator of a picture's colors in training, if it can be told.
    """

    generator: Generator
    size: int
    images: int
    guide: Guide | None = None

    @property
    def profiles(self) -> tuple[str, ...]:
        """What the colors are called that the generator can be told; in the order of its input's channels."""
        return () if self.guide is None else self.guide.names

    @property
    def device(self) -> torch.device:
        """Where both are; photographs must be there, too."""
        return next(self.generator.parameters()).device

    def to(self, device: torch.device) -> "Trained":
        """The same, once both have moved."""
        for part in (self.generator, self.guide):
            if part is not None:
                part.to(device)
        return self


def read(path: Path) -> dict[str, Any]:
    """A checkpoint's content, of plain types and tensors only.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file is damaged, or no checkpoint of gancolor.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such checkpoint")
    if not _undamaged(path):
        raise InputError(f"{path}: not a checkpoint, or one that was cut off or damaged")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read as a checkpoint; is it damaged? ({reason})") from error
    if not (isinstance(content, dict) and KEY in content):
        raise InputError(f"{path}: not a checkpoint written by gancolor's train.py")
    return content


def _undamaged(path: Path) -> bool:
    """Whether a file is what ``torch.save`` writes, a zip archive, and every checksum in it is right.

    ``torch.load`` compares none: of a file with a flipped bit it returns other weights without a word.
    """
    try:
        with ZipFile(path) as archive:
            folders = [entry for entry in archive.infolist() if entry.external_attr & _FOLDER]
            return not folders and archive.testzip() is None
    except (BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError, IndexError):
        return False  # what zipfile may raise of nonsense in an archive's directory


def load(path: Path) -> Trained:
    """Rebuild the generator that a checkpoint holds, with the average of its weights if there is one; on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file is damaged, is no checkpoint of gancolor, or its weights do not fit its description.
    """
    content = read(path)
    about = content[KEY]
    generator = build(Generator, about["generator"])
    try:
        generator.load_state_dict(_weights(content, "generator"))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()  # of a mismatch, torch names each key on a line
        raise InputError(f"{path}: the weights do not fit {about['generator']['class_path']} ({reason})") from error
    told = about.get("guide")  # the first checkpoints do not say: they had none
    guide = None if told is None else build(Guide, told)
    return Trained(generator.eval().requires_grad_(False), about["size"], about["images"], guide)


def _weights(content: Mapping[str, Any], role: str) -> dict[str, Tensor]:
    """Those of a network; of the generator, their average if the run kept one."""
    prefix = "average." if role == "generator" and content[KEY].get("ema_decay") else f"{role}."
    return {k.removeprefix(prefix): v for k, v in content["state_dict"].items() if k.startswith(prefix)}


def start_from(path: Path, networks: Mapping[str, nn.Module]) -> None:
    """Let the networks of a fresh run begin with another run's weights; of its generator, the average if it kept one.

    Args:
        path: the other run's checkpoint.
        networks: those of the fresh run, by their role in the checkpoint.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file is damaged or no checkpoint of gancolor, or these networks can make nothing of its weights.
    """
    content = read(path)
    for role, network in networks.items():
        try:
            adopt(network, _weights(content, role))
        except RuntimeError as error:
            there, here = content[KEY][role], describe(network)
            alike = there["class_path"] == here["class_path"]
            reasons = list(_differences(role, there, here)) if alike else []
            reasons = reasons or [str(error).splitlines()[-1].strip()[:_LONG]]  # of a mismatch, a key on a line
            raise InputError(
                f"--start_from {path}: its {role} does not fit this run's: {'; '.join(reasons)}"
            ) from error


def refuse_another_run(there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Make sure that a checkpoint is of these very networks and losses before its weights are loaded into them.

    Args:
        there: the checkpoint's description.
        here: that of the run to go on.

    Raises:
        InputError: they differ; names each key that does.
    """
    differences = [
        line
        for role in ("generator", "discriminator", "guide")  # the first checkpoints have no guide
        for line in _differences(role, there.get(role), here.get(role))
    ]
    if differences:
        raise InputError(f"the checkpoint is of other networks: {'; '.join(differences)}")
    if there["losses"] != here["losses"]:
        raise InputError(f"the checkpoint was trained with the losses {there['losses']}, not {here['losses']}")
    decay = there.get("ema_decay", 0.0)  # the first checkpoints do not say: they had none
    if bool(decay) != bool(here["ema_decay"]):
        raise InputError(
            f"the checkpoint was trained with colorizer.ema_decay {decay}, here it is {here['ema_decay']}: an average "
            f"cannot begin or end within a run; add --colorizer.ema_decay {decay}, or begin a new run"
        )


def _differences(key: str, there: object, here: object) -> Iterator[str]:
    """What is different in the description of a part, and of the parts it is made of, by dotted names."""
    if not (_is_description(there) and _is_description(here)):
        if there != here:
            values = [value["class_path"] if _is_description(value) else str(value) for value in (there, here)]
            says = "is {} in the checkpoint, {} here".format(*values)
            yield f"{key} {says if len(says) < _LONG else 'differs'}"
    elif there["class_path"] != here["class_path"]:
        yield f"{key}.class_path is {there['class_path']} in the checkpoint, {here['class_path']} here"
    else:
        arguments = there["init_args"], here["init_args"]
        for name in sorted(set().union(*arguments)):
            yield from _differences(f"{key}.{name}", *(of.get(name) for of in arguments))
