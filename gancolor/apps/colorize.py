"""``gancolor colorize PHOTOS --checkpoint runs/RUN/checkpoints/best.ckpt``."""

import sys
from collections.abc import Iterator
from pathlib import Path

from jsonargparse import ArgumentParser
from PIL import Image
from tqdm import tqdm

from gancolor import arguments
from gancolor.errors import InputError

# Whatever needs torch is imported inside the functions, so that --help and a mistake are answered at once.


def parser() -> ArgumentParser:
    """The command line."""
    result = arguments.parser(
        "gancolor colorize",
        "Color photographs of any size. Each keeps its own lightness; color that it already has is ignored. Results "
        "have the photographs' names and are PNG, because JPEG would change the lightness. No photograph is ever "
        "overwritten.",
    )
    option = result.add_argument
    option("inputs", nargs="+", type=str, metavar="INPUT", help="a photograph, or a folder of them at any depth")
    option("--checkpoint", type=str, required=True, help="a colorizer that train.py wrote, such as best.ckpt")
    option("--output", type=str, default="colorized", help="folder for the results")
    option("--size", type=int, help="short side the colorizer sees, in pixels; by default that of its training")
    option("--samples", type=int, help="write that many different results of each photograph, NAME-1.png and so on")
    option("--overwrite", action="store_true", help="replace results of an earlier run")
    return result


def run(given: list[str]) -> int:
    """Colorize what a command line asks for; the exit code is 1 if a photograph could not be read."""
    asked = arguments.parse(parser(), given)
    inputs, checkpoint, output = [Path(name) for name in asked.inputs], Path(asked.checkpoint), Path(asked.output)
    for path in (*inputs, checkpoint):
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
    if asked.samples is not None and asked.samples < 1:
        raise InputError(f"--samples is {asked.samples}: it must be at least 1")
    plan = _plan(inputs, output)
    _refuse_loss({name: plan[place] for place in plan for name, _ in _results(place, asked.samples)}, asked.overwrite)
    unreadable = _carry_out(plan, checkpoint, asked.size, asked.samples)
    tqdm.write(f"{len(plan) - unreadable} colorized, {unreadable} could not be read; see {output}")
    return 1 if unreadable else 0


def _results(place: Path, samples: int | None) -> list[tuple[Path, int | None]]:
    """The name of each result of a photograph, and the number of its sample: one result and none, or NAME-1.png …."""
    if samples is None:
        return [(place, None)]
    return [(place.with_name(f"{place.stem}-{i + 1}{place.suffix}"), i) for i in range(samples)]


def _carry_out(plan: dict[Path, Path], checkpoint: Path, size: int | None, samples: int | None) -> int:
    """Colorize each photograph into its place; returns how many were unreadable, which are named and left out."""
    from gancolor.checkpoint import load
    from gancolor.data.decoding import decode
    from gancolor.inference import colorize
    from gancolor.interfaces import Unreadable

    trained = load(checkpoint)
    unreadable = 0
    for place, photograph in tqdm(plan.items(), disable=len(plan) == 1, unit="image"):
        try:
            rgb = decode(photograph)
        except Unreadable as error:
            tqdm.write(str(error), file=sys.stderr)
            unreadable += 1
            continue
        for result, sample in _results(place, samples):
            colored = colorize(trained.generator, rgb, trained.size if size is None else size, sample)
            result.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(colored.permute(1, 2, 0).numpy()).save(result)
    return unreadable


def _plan(inputs: list[Path], output: Path) -> dict[Path, Path]:
    """Where each result goes, and the photograph that it is made from.

    Raises:
        InputError: an input folder that holds no image, or two photographs with one place to go.
    """
    plan: dict[Path, Path] = {}
    for photograph, name in dict(_photographs(inputs, output)).items():
        place = output / name.with_suffix(".png")
        if place in plan and plan[place].suffix != photograph.suffix:  # a.tif beside a.jpg
            place = output / name.with_name(f"{name.name}.png")
        if place in plan:
            raise InputError(
                f"{plan[place]} and {photograph} would both become {place}: colorize them one after the other, each "
                "with its own --output"
            )
        plan[place] = photograph
    return plan


def _photographs(inputs: list[Path], output: Path) -> Iterator[tuple[Path, Path]]:
    """Each photograph, and its path below the output folder: as below its input folder, whose name leads if needed."""
    for given in inputs:
        if given.is_dir():
            leading = given.resolve().name if len(inputs) > 1 else ""
            yield from ((given / name, Path(leading, name)) for name in _images(given, output))
        else:
            yield given, Path(given.name)


def _images(folder: Path, output: Path) -> list[Path]:
    """The images below a folder, relative to it, without the results that may lie in it."""
    from gancolor.data import Folder

    here, results = folder.resolve(), output.resolve()
    if here == results:
        raise InputError(f"--output {output} is the folder of the photographs: choose another one")
    try:
        names = [Path(name) for name in Folder(str(folder), holdout=0.0).names("train")]
    except FileNotFoundError as error:
        raise InputError(str(error).removeprefix("data.source.root: ")) from error
    if results.is_relative_to(here):
        names = [name for name in names if not (here / name).is_relative_to(results)]
    if not names:
        raise InputError(f"{folder} holds no image but the results in {output}")
    return names


def _refuse_loss(plan: dict[Path, Path], overwrite: bool) -> None:
    """Raise if results would take the place of photographs, or, unless that is wanted, of any other file.

    Raises:
        InputError: names the first of them, and says what to do.
    """
    photographs = {photograph.resolve() for photograph in plan.values()}
    for result in plan:
        if result.resolve() in photographs:
            raise InputError(f"{result} would overwrite a photograph: choose another --output")
    existing = [result for result in plan if result.exists()]
    if existing and not overwrite:
        others = f" and {len(existing) - 1} more exist" if len(existing) > 1 else " exists"
        raise InputError(f"{existing[0]}{others} already: choose another --output, or add --overwrite")
