"""``gancolor profiles COLORS``."""

import re
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser

from gancolor import arguments
from gancolor.errors import InputError

# Whatever needs torch is imported inside the functions, so that --help and a mistake are answered at once.

_NAME = re.compile(r"\w[\w-]*")  # it is part of a file's name, and of a command


def parser() -> ArgumentParser:
    """The command line."""
    result = arguments.parser(
        "gancolor profiles",
        "Find kinds of photographs by their colors, such as warm, cool and muted ones, in what `gancolor measure` "
        "wrote. Writes profiles.json, which training takes; profiles.png and profile-NAME.png, which show what each "
        "profile is; and quality.png: how well the photographs fall into how many profiles.",
    )
    option = result.add_argument
    option("colors", type=str, metavar="COLORS", help="the folder that gancolor measure wrote, with colors.npz in it")
    option("--output", type=str, metavar="FOLDER", help="folder for the results; by default COLORS")
    option(
        "--count",
        type=int,
        metavar="K",
        help="number of profiles; by default as many as names, or 2 to 10, chosen by quality",
    )
    option(
        "--names",
        type=str,
        metavar="A,B,…",
        help="of the profiles, the most frequent first; by default words for their colors",
    )
    option(
        "--by",
        type=Literal["histogram", "dominant"],
        default="histogram",
        help="what is clustered: histograms of the ab plane, or the dominant colors of MPEG-7",
    )
    option("--seed", type=int, default=0, help="of the clustering; another one may find other profiles")
    option("--overwrite", action="store_true", help="replace profiles.json and the pictures of an earlier run")
    return result


def run(given: list[str]) -> int:
    """Find the profiles that a command line asks for."""
    asked = arguments.parse(parser(), given)
    names = None if asked.names is None else _names(asked.names)
    count = asked.count if names is None or asked.count is not None else len(names)
    if count is not None and count < 2:
        raise InputError(f"--count is {count}: it must be at least 2")
    if names is not None and len(names) != count:
        raise InputError(f"--names {asked.names}: these are {len(names)} names, and --count is {count}")
    if asked.seed < 0:
        raise InputError(f"--seed is {asked.seed}: it must be at least 0")

    from rich.console import Console

    from gancolor.profiling.find import Asked, find, show

    colors = Path(asked.colors).expanduser()
    output = Path(asked.output).expanduser() if asked.output else colors
    found, missing = find(Asked(colors, output, asked.by, count, names, asked.seed, asked.overwrite))
    show(found, missing, output, Console())
    return 0


def _names(given: str) -> list[str]:
    from gancolor.palette import refuse_name

    names = [name.strip() for name in given.split(",")]
    for name in names:
        if not _NAME.fullmatch(name):
            raise InputError(f"--names: {name!r} cannot be a name: take letters, digits, - and _")
        refuse_name(name)
    if len(set(names)) < len(names):
        raise InputError(f"--names {given}: each profile must have a name of its own")
    return names
