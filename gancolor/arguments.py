"""Command lines and YAML files, parsed by jsonargparse; a mistake is answered with the nearest valid name."""

import argparse
import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from gancolor.errors import InputError

_UNKNOWN = re.compile(
    r"arguments: (?:[^-]\S* )*?-+([\w.]+)|option '([\w.]+)'"
    r"|module '[\w.]+' has no attribute '(\w+)'|No module named '(?:\w+\.)+(\w+)'",
    re.IGNORECASE,
)
_ALIKE = 0.5  # difflib's ratio from which a name counts as a slip of another: L2 and L1 have it, lr and betas do not


def parser(prog: str, description: str) -> ArgumentParser:
    """An empty parser that takes no abbreviations: a typing mistake must never be another option."""
    return ArgumentParser(prog=prog, description=description, exit_on_error=False, allow_abbrev=False)


def parse(command_line: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """The options that were given.

    Raises:
        InputError: a key, a value or a file that cannot be used; one line that names it.
    """
    for file in peek(arguments, "config").config:
        _refuse_broken(Path(file))
    try:
        return command_line.parse_args(list(arguments))
    except ArgumentError as error:
        raise InputError(_explain(str(error), command_line)) from error


def instantiate(command_line: ArgumentParser, asked: Namespace) -> Any:
    """Build the parts that were asked for.

    Raises:
        InputError: a part cannot be built like that; the part's own words.
        FileNotFoundError: a file that a part is read from does not exist.
    """
    try:
        return command_line.instantiate(asked)
    except ValueError as error:  # of an argument that may be None, the parser tells a story about types; within is why
        cause: BaseException = error
        while cause.__cause__ is not None and not isinstance(cause, InputError | FileNotFoundError):
            cause = cause.__cause__
        raise cause from None


def peek(arguments: Sequence[str], *options: str) -> argparse.Namespace:
    """Some options before all are parsed: of each, the values in the order given.

    Raises:
        InputError: one of them has no value.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for option in options:
        first.add_argument(f"--{option}", action="append", default=[])
    try:
        return first.parse_known_args(arguments)[0]
    except argparse.ArgumentError as error:
        raise InputError(str(error)) from error


def _refuse_broken(path: Path) -> None:
    """The parser knows only the text of a file, so what is wrong with the whole of it is said here, by name."""
    if not path.is_file():
        raise InputError(f"--config {path}: there is no such file")
    try:
        with path.open("rb") as file:
            content = yaml.safe_load(file)
    except yaml.YAMLError as error:
        raise InputError(f"--config: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"--config {path}: no key in it; a line is KEY: VALUE")


def _explain(message: str, command_line: ArgumentParser) -> str:
    """The parser's message on one line, with the nearest valid name where a name is unknown."""
    line = _one_line(message)
    unknown = _UNKNOWN.search(message)
    if unknown is None:
        return line
    name = next(group for group in unknown.groups() if group)
    names = _valid_names(message, command_line)
    # What it begins comes first: an abbreviation is nearer to what it stands for than letters can tell.
    nearest = [n for n in names if n.startswith(name)] or difflib.get_close_matches(name, names, n=1, cutoff=_ALIKE)
    return f"{line}: did you mean {nearest[0]!r}?" if nearest else line


def _one_line(message: str) -> str:
    """Without line breaks and Python's way of writing types; of an optional value, without why it is not None."""
    line = re.sub(r"a <class '([\w.]+)'>|a typing\.(?=Literal)", r"\1", " ".join(message.split()))
    line = line.replace("Expected a dot import path string:", "Expected a class with its module, module.Class, not")
    line = re.sub(r"Does not validate .*? Errors: - (.*?) - Expected NoneType .*(Given value:)", r"\1. \2", line)
    return re.sub(
        r"\.? (?:Got|Given) value: (?:Namespace|NestedArg)\(.*|Type \S*Callable\[.*? callable class: ", "", line
    )


def _valid_names(message: str, command_line: ArgumentParser) -> list[str]:
    """The names that could have stood where the parser found one it does not know."""
    if module := re.search(r"module '([\w.]+)' has no attribute|No module named '([\w.]+)\.\w+'", message):
        return _public(importlib.import_module(module.group(1) or module.group(2)))
    if class_path := re.search(r"class_path[ =]'([\w.]+)'", message):
        module, _, name = class_path.group(1).rpartition(".")
        return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    keys = [*command_line.get_defaults().keys(), "help"]
    if group := re.search(r"Group '([\w.]+)'", message):
        return [key.removeprefix(f"{group.group(1)}.") for key in keys if key.startswith(f"{group.group(1)}.")]
    return keys


def _public(module: ModuleType) -> list[str]:
    """A module's own classes, or, of a package that has none, its modules."""
    own = module.__name__
    classes = [name for name, cls in vars(module).items() if inspect.isclass(cls) and cls.__module__.startswith(own)]
    return classes or [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))]
