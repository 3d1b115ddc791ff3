"""``gancolor colorize PHOTOS --checkpoint runs/RUN/checkpoints/best.ckpt``."""

import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jsonargparse import ArgumentParser
from PIL import Image
from tqdm import tqdm

from gancolor import arguments, atomic
from gancolor.errors import INTERRUPTED, InputError

# Whatever needs torch is imported inside the functions, so that --help and a mistake are answered at once.
if TYPE_CHECKING:
    from torch import Tensor

    from gancolor.checkpoint import Trained

_OWN, _MIXED, _ALL = "own", "mixed", "all"
_PROFILE = (
    "profile to color by, of a colorizer that learned profiles: its name, such as warm, or its number from 1; writes "
    "NAME-warm.png. 'all': by each, and by the one that the colorizer predicts, as it does by default. 'mixed': by all "
    "at once, each as much as it is likely. 'own': by the one that the photograph's own colors belong to"
)


class _Way(NamedTuple):
    """A way to color each photograph.

    Attributes:
        profile: its name, _OWN or _MIXED; with none, the colorizer predicts it if it knows profiles.
        sample: number of one of many plausible results.
    """

    profile: str | None
    sample: int | None

    def name(self, place: Path) -> Path:
        """Where its result goes, if place is where a photograph's only result goes."""
        words = [] if self.profile is None else [re.sub(r"[^\w-]+", "_", self.profile)]
        words += [] if self.sample is None else [str(self.sample + 1)]
        return place.with_name("-".join([place.stem, *words]) + place.suffix)


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
    option("--profile", type=str, help=_PROFILE)
    option("--samples", type=int, help="write that many different results of each photograph, NAME-1.png and so on")
    option("--sheet", action="store_true", help="write all results of a photograph side by side, too: NAME-sheet.png")
    option("--device", type=str, help="cpu, cuda, cuda:1 …; by default a GPU if there is one")
    option("--resume", action="store_true", help="go on with a folder: leave out photographs with all results there")
    option("--overwrite", action="store_true", help="replace results of an earlier run")
    return result


def run(given: list[str]) -> int:
    """Colorize what a command line asks for; the exit code is 1 if one could not be read, 130 if interrupted."""
    asked = arguments.parse(parser(), given)
    inputs, checkpoint, output = [Path(name) for name in asked.inputs], Path(asked.checkpoint), Path(asked.output)
    for path in (*inputs, checkpoint):
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
    if asked.samples is not None and asked.samples < 1:
        raise InputError(f"--samples is {asked.samples}: it must be at least 1")
    plan = _plan(inputs, output)
    from gancolor.checkpoint import load
    from gancolor.devices import device

    trained = load(checkpoint).to(device(asked.device))
    size = trained.size if asked.size is None else asked.size
    ways = _ways(trained.profiles, asked.profile, asked.samples)
    if asked.resume:
        plan = {place: photograph for place, photograph in plan.items() if not _done(place, ways, asked.sheet)}
    _refuse_loss(_results(plan, ways, asked.sheet), asked.overwrite or asked.resume)
    try:
        unreadable = _carry_out(plan, trained, size, ways, asked.sheet)
    except KeyboardInterrupt:
        tqdm.write("gancolor: interrupted; the same command with --resume goes on", file=sys.stderr)
        return INTERRUPTED
    tqdm.write(f"{len(plan) - unreadable} colorized, {unreadable} could not be read; see {output}")
    return 1 if unreadable else 0


def _ways(known: Sequence[str], profile: str | None, samples: int | None) -> list[_Way]:
    """The ways that are asked for: each profile with each sample.

    Raises:
        InputError: the colorizer does not know the profile.
    """
    numbers = [None] if samples is None else range(samples)
    return [_Way(name, number) for name in _names(known, profile) for number in numbers]


def _names(known: Sequence[str], asked: str | None) -> Sequence[str | None]:
    """The profiles that are asked for; None is the predicted one."""
    if asked is None:
        return [None]
    if not known:
        raise InputError("--profile: this colorizer knows none: train one with configs/generator/profiles.yaml")
    numbered = {str(i + 1): [name] for i, name in enumerate(known)}
    meant = numbered | {_OWN: [_OWN], _MIXED: [_MIXED], _ALL: [None, *known]} | {name: [name] for name in known}
    if asked not in meant:
        raise InputError(
            f"--profile {asked}: this colorizer knows {', '.join(known)} (or 1 to {len(known)}), {_MIXED}, {_OWN} and "
            f"{_ALL}"
        )
    return meant[asked]


def _results(plan: dict[Path, Path], ways: Sequence[_Way], sheet: bool) -> list[tuple[Path, Path]]:
    """Each file that will be written, and its photograph."""
    names = [way.name for way in ways] + ([_sheet] if sheet else [])
    return [(name(place), photograph) for place, photograph in plan.items() for name in names]


def _sheet(place: Path) -> Path:
    return place.with_name(f"{place.stem}-sheet{place.suffix}")


def _done(place: Path, ways: Sequence[_Way], sheet: bool) -> bool:
    """Whether a photograph has all its results."""
    return all(path.exists() for path, _ in _results({place: place}, ways, sheet))


def _carry_out(plan: dict[Path, Path], trained: "Trained", size: int, ways: Sequence[_Way], sheet: bool) -> int:
    """Colorize each photograph into its place; returns how many were unreadable, which are named and left out."""
    from gancolor.data.decoding import decode
    from gancolor.interfaces import Unreadable

    unreadable = 0
    for place, photograph in tqdm(plan.items(), disable=len(plan) == 1, unit="image"):
        try:
            rgb = decode(photograph)
        except Unreadable as error:
            tqdm.write(str(error), file=sys.stderr)
            unreadable += 1
            continue
        _color(rgb, place, trained, size, ways, sheet)
    return unreadable


def _color(rgb: "Tensor", place: Path, trained: "Trained", size: int, ways: Sequence[_Way], sheet: bool) -> None:
    """Write each result of a photograph, and the sheet."""
    from gancolor.apps.sheet import Tile, draw, gray, reduced
    from gancolor.inference import colorize, predict_profile

    rgb = rgb.to(trained.device)
    tiles: list[Tile] = []
    for way in ways:
        profile = _told(way, trained, rgb, size)
        colored = colorize(trained.generator, rgb, size, way.sample, profile).cpu()
        _save(Image.fromarray(colored.permute(1, 2, 0).numpy()), way.name(place))
        if sheet:
            likely = predict_profile(trained.generator, rgb, size) if way.profile is None and trained.profiles else None
            tiles.append(Tile(_label(way, trained.profiles, likely or profile), reduced(colored)))
    if sheet:
        samples = len({way.sample for way in ways})
        _save(draw(Tile("gray", gray(rgb.cpu())), tiles, samples if 1 < samples < len(ways) else None), _sheet(place))


def _save(picture: Image.Image, path: Path) -> None:
    """As PNG, whole or not at all."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    atomic.write(path, file.getvalue())


def _told(way: _Way, trained: "Trained", rgb: "Tensor", size: int) -> int | list[float] | None:
    """The profile that a photograph is to be colored by; None has the generator predict it."""
    from gancolor.inference import own_profile, predict_profile

    if way.profile in trained.profiles:
        return trained.profiles.index(way.profile)
    if way.profile == _MIXED:
        return predict_profile(trained.generator, rgb, size)
    return own_profile(trained.guide, rgb, size) if way.profile == _OWN and trained.guide else None


def _label(way: _Way, known: Sequence[str], shares: int | Sequence[float] | None) -> str:
    """What a sheet calls a result; where the photograph decides on the profile, its name is said, too."""
    said = [way.profile or ("predicted" if known else "colorized")]
    if not isinstance(shares, int | None):
        share, name = max(zip(shares, known, strict=True))
        said[0] += f": {name}" + (f" ({share:.0%})" if share < 1 else "")
    return ", ".join(said + ([] if way.sample is None else [f"sample {way.sample + 1}"]))


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


def _refuse_loss(results: Sequence[tuple[Path, Path]], overwrite: bool) -> None:
    """Raise if results would take the place of photographs or of each other, or, unless wanted, of any other file.

    Args:
        results: each with its photograph.
        overwrite: whether other files may be lost.

    Raises:
        InputError: names the first of them, and says what to do.
    """
    photographs = {photograph.resolve() for _, photograph in results}
    taken: dict[Path, Path] = {}
    for result, photograph in results:
        if result.resolve() in photographs:
            raise InputError(f"{result} would overwrite a photograph: choose another --output")
        if result in taken:
            raise InputError(
                f"{result} would be a result of {taken[result]} and another of {photograph}: ask for them one after "
                "the other, each with its own --output"
            )
        taken[result] = photograph
    existing = [result for result in taken if result.exists()]
    if existing and not overwrite:
        others = f" and {len(existing) - 1} more exist" if len(existing) > 1 else " exists"
        raise InputError(f"{existing[0]}{others} already: choose another --output, or add --overwrite")
