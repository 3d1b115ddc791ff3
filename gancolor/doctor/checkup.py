"""A whole checkup: find the images, examine them, compare them, and write down what was found."""

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from gancolor.data import Folder, ImageFolder, ListFile, Shards
from gancolor.data.layout import found_at, named
from gancolor.doctor import findings, report
from gancolor.doctor.findings import KINDS, Set
from gancolor.doctor.report import EXCLUDE, PAGE, Checkup
from gancolor.doctor.survey import survey
from gancolor.interfaces import Files


@dataclass(frozen=True)
class Asked:
    """What to check and how; see ``gancolor doctor --help``."""

    data: Path
    output: Path
    against: Path | None = None
    size: int = 256
    colorfulness: float = 5.0
    holdout: float | None = None
    keep: Collection[str] = ()
    workers: int = 2


@dataclass(frozen=True)
class Photographs:
    """Images as a training sees them.

    Attributes:
        source: where they come from.
        train: names of the training images.
        val: names of the validation images.
        options: what tells train.py of them.
    """

    source: Files
    train: Sequence[str]
    val: Sequence[str]
    options: Sequence[str]


def checkup(asked: Asked) -> Checkup:
    """Check, and write the report.

    Raises:
        InputError: an option, a folder or a list that cannot be used.
        OSError: the report cannot be written.
    """
    data = photographs_at(asked.data, "DATA", asked.holdout)
    against = photographs_at(asked.against, "--against") if asked.against else None
    asked.output.mkdir(parents=True, exist_ok=True)  # a mistake in its name is found now, not after hours

    def look(photographs: Photographs, names: Sequence[str], file: str, title: Path | None):
        kept = asked.output / file
        return survey(photographs.source, names, asked.size, asked.workers, kept, str(title))

    examined = look(data, [*data.train, *data.val], "examined.jsonl", asked.data)
    others = look(against, against.val or against.train, "examined-against.jsonl", asked.against) if against else []
    images = Set(examined[: len(data.train)], examined[len(data.train) :], others)
    found = findings.find(images, asked.size, asked.colorfulness)
    result = Checkup(
        title=str(asked.data),
        facts=_facts(asked, images),
        images=images,
        found=found,
        excluded=findings.excluded(found, data.train, asked.keep),
        command=_command(asked, data),
        size=asked.size,
        least_colorful=asked.colorfulness,
        source=data.source,
        evaluation=against.source if against else data.source,
    )
    report.write(result, asked.output)
    return result


def photographs_at(path: Path, option: str, holdout: float | None = 0.0) -> Photographs:
    """The images of a folder in any layout, of shards, or of a list, split as the source that fits it splits them.

    Args:
        path: the folder or the text file.
        option: what it was given by, for messages.
        holdout: of a folder without ``train`` and ``val``; by default nothing is held out, None is the default of
            :class:`~gancolor.data.Folder`.

    Raises:
        InputError: nothing there, or no images.
    """
    with named(option, path):
        source = found_at(str(path), holdout=holdout)
        val = [] if isinstance(source, ListFile) else source.names("val")
        return Photographs(source, source.names("train"), val, _options(source))


def _options(source: Folder | ImageFolder | ListFile | Shards) -> list[str]:
    """What tells train.py of a source."""
    if isinstance(source, ListFile):
        return ["--config", "configs/data/list.yaml", "--data.source.train", source.train]
    overlay = f"configs/data/{type(source).__name__.lower()}.yaml"
    options = ["--config", overlay, "--data.source.root", source.root]
    if isinstance(source, Folder) and source.holdout != Folder(source.root).holdout:
        options += ["--data.source.holdout", str(source.holdout)]
    return options


def show(result: Checkup, output: Path, console: Console) -> None:
    """What was found, where the report is, and what to type next."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{len(result.images.train):,} training images of {result.title}")
    for header in ("finding", "images", "share", "to be left out"):
        table.add_column(header, justify="left" if header == "finding" else "right")
    for line in report.lines(result):
        table.add_row(KINDS[line.kind].title, f"{line.count:,}", line.percent, f"{line.excluded:,}")
    if not result.found:
        table.add_row("nothing", "0", "", "")
    console.print(table)
    for line in (
        f"Report  {output / PAGE}",
        f"List    {output / EXCLUDE}: {len(result.excluded):,} training images to leave out",
        f"\nNext, train without them:\n  {result.command}",
    ):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _facts(asked: Asked, images: Set) -> dict[str, str]:
    facts = {
        "Training images": f"{len(images.train):,}",
        "Validation images": f"{len(images.val):,}",
        "Evaluation images": f"{len(images.against):,}: {asked.against}" if asked.against else "",
        "Training size": f"{asked.size} pixels",
        "Nearly gray": f"colorfulness (Hasler & Süsstrunk 2003) below {asked.colorfulness:g}",
        "Kept in training": ", ".join(KINDS[kind].title.lower() for kind in asked.keep),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _command(asked: Asked, data: Photographs) -> str:
    """Training with the list; quoted for a shell."""
    size = [] if asked.size == 256 else ["--data.size", str(asked.size)]
    halvings = (asked.size & -asked.size).bit_length() - 1
    if halvings < 8:  # the baseline's U-Net halves 256 pixels eight times
        size += ["--colorizer.generator.init_args.depth", str(halvings)]
    words = ["python", "train.py", "--config", "configs/pix2pix.yaml", *data.options, *size]
    return shlex.join([*words, "--data.exclude", str(asked.output / EXCLUDE)])
