"""Command lines and YAML files, parsed by jsonargparse; a mistake is answered with the nearest valid name."""

import difflib
import importlib
import inspect
import re
from collections.abc import Sequence

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from gancolor.errors import InputError


def parser(prog: str, description: str) -> ArgumentParser:
    """An empty parser that takes no abbreviations: a typing mistake must never be another option."""
    return ArgumentParser(prog=prog, description=description, exit_on_error=False, allow_abbrev=False)


def parse(command_line: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """The options that were given.

    Raises:
        InputError: a key, a value or a file that cannot be used; one line that names it.
    """
    try:
        return command_line.parse_args(list(arguments))
    except ArgumentError as error:
        raise InputError(_explain(str(error), command_line)) from error


def _explain(message: str, command_line: ArgumentParser) -> str:
    """The parser's message on one line, with the nearest valid name where a name is unknown."""
    line = " ".join(message.split())
    unknown = re.search(
        r"arguments: (?:\S+ )*?--([\w.]+)|Option '([\w.]+)'|option '(\w+)'|has no attribute '(\w+)'", message
    )
    if unknown is None:
        return line
    name = next(group for group in unknown.groups() if group)
    nearest = difflib.get_close_matches(name, _valid_names(message, command_line), n=1, cutoff=0)
    return f"{line}: did you mean {nearest[0]!r}?" if nearest else line


def _valid_names(message: str, command_line: ArgumentParser) -> list[str]:
    """The names that could have stood where the parser found one it does not know."""
    if module := re.search(r"module '([\w.]+)' has no attribute", message):
        return [name for name in vars(importlib.import_module(module.group(1))) if name[0].isupper()]
    if class_path := re.search(r"class_path '([\w.]+)'", message):
        module, _, name = class_path.group(1).rpartition(".")
        return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    keys = list(command_line.get_defaults().keys())
    if group := re.search(r"Group '([\w.]+)'", message):
        return [key.removeprefix(f"{group.group(1)}.") for key in keys if key.startswith(f"{group.group(1)}.")]
    return keys
