"""``gancolor measure PHOTOGRAPHS --output colors``."""

import sys
from pathlib import Path

from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt, PositiveInt
from tqdm import tqdm

from gancolor import arguments
from gancolor.apps.processors import processors
from gancolor.errors import INTERRUPTED

# Whatever needs torch is imported inside the functions, so that --help and a mistake are answered at once.


def parser() -> ArgumentParser:
    """The command line."""
    result = arguments.parser(
        "gancolor measure",
        "Measure the colors of the photographs that training will see, in one pass: how often each color occurs in all "
        "of them, and what colors each one has. Writes colors.npz, from which other commands work, and colors.png, to "
        "look at. What cannot be read is named and left out. No photograph is changed.",
    )
    option = result.add_argument
    option("data", type=str, metavar="DATA", help="a folder of photographs in any layout, or of shards, or a list")
    option("--output", type=str, default="colors", metavar="FOLDER", help="folder for the results")
    option("--size", type=PositiveInt, default=256, help="each photograph's middle, scaled to that many pixels a side")
    option("--describe", type=PositiveInt, default=20000, help="photographs, evenly spread, whose own colors are kept")
    option("--holdout", type=float, help="data.source.holdout of the training, if DATA is one folder: by default 0.05")
    option("--workers", type=NonNegativeInt, default=processors(), help="processes that read; 0 reads in one")
    option("--overwrite", action="store_true", help="replace results of an earlier run")
    return result


def run(given: list[str]) -> int:
    """Measure what a command line asks for; the exit code is 0 also if some cannot be read, 130 if interrupted."""
    asked = arguments.parse(parser(), given)

    from rich.console import Console

    from gancolor.census.measure import Asked, measure, show

    output = Path(asked.output).expanduser()
    wanted = Asked(
        data=Path(asked.data).expanduser(),
        output=output,
        size=asked.size,
        describe=asked.describe,
        holdout=asked.holdout,
        workers=asked.workers,
        overwrite=asked.overwrite,
    )
    try:
        result = measure(wanted)
    except KeyboardInterrupt:
        tqdm.write("gancolor: interrupted; nothing is written", file=sys.stderr)
        return INTERRUPTED
    show(result, output, Console())
    return 0
