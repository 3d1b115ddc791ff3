"""``gancolor doctor PHOTOGRAPHS --output REPORT``."""

import sys
from pathlib import Path

from jsonargparse import ArgumentParser
from tqdm import tqdm

from gancolor import arguments
from gancolor.apps.processors import processors
from gancolor.errors import InputError

# Whatever needs torch is imported inside the functions, so that --help and a mistake are answered at once.

_HARMFUL = ["unreadable", "truncated", "huge", "tiny", "gray", "nearly_gray", "duplicate", "near_duplicate", "leaked"]


def parser() -> ArgumentParser:
    """The command line."""
    result = arguments.parser(
        "gancolor doctor",
        "Look at every photograph before training does: what cannot be read, what has no color, what is there twice, "
        "what is in the evaluation set. Writes report.html, report.json and exclude.txt, a list of what to leave out, "
        "which training takes as --data.exclude. No photograph is changed. Interrupted, the same command goes on where "
        "it stood. The exit code is 0 whatever is found, and 2 if the photographs cannot be looked at.",
    )
    option = result.add_argument
    option("data", type=str, metavar="DATA", help="a folder of photographs in any layout, or of shards, or a list")
    option("--output", type=str, required=True, metavar="FOLDER", help="folder for the report")
    option("--against", type=str, metavar="EVALUATION", help="folder or list that training must not have seen")
    option("--size", type=int, default=256, help="data.size of the training to come, in pixels")
    option("--colorfulness", type=float, default=5.0, help="an image with less is nearly gray")
    option("--holdout", type=float, help="data.source.holdout of the training, if DATA is one folder: by default 0.05")
    option("--keep", nargs="+", type=str, default=[], metavar="KIND", help=f"not on the list: {', '.join(_HARMFUL)}")
    option("--workers", type=int, default=processors(), help="processes that look")
    return result


def run(given: list[str]) -> int:
    """Check what a command line asks for; the exit code is 0 whatever is found, 130 if it was interrupted."""
    asked = arguments.parse(parser(), given)
    for kind in asked.keep:
        if kind not in _HARMFUL:
            raise InputError(f"--keep {kind}: there is no such kind on the list; choose from {', '.join(_HARMFUL)}")
    for name, least in {"size": 16, "workers": 0, "colorfulness": 0}.items():
        if getattr(asked, name) < least:
            raise InputError(f"--{name} is {getattr(asked, name)}: it must be at least {least}")

    from rich.console import Console

    from gancolor.doctor.checkup import Asked, checkup, show

    output = Path(asked.output).expanduser()
    wanted = Asked(
        data=Path(asked.data).expanduser(),
        output=output,
        against=Path(asked.against).expanduser() if asked.against else None,
        size=asked.size,
        colorfulness=asked.colorfulness,
        holdout=asked.holdout,
        keep=asked.keep,
        workers=asked.workers,
    )
    try:
        result = checkup(wanted)
    except KeyboardInterrupt:
        tqdm.write("gancolor: interrupted; the same command goes on where it stood", file=sys.stderr)
        return 130  # as shells have it
    show(result, output, Console())
    return 0
