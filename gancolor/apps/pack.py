"""``gancolor pack PHOTOGRAPHS SHARDS``."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt, restricted_number_type
from tqdm import tqdm

from gancolor import arguments
from gancolor.apps.processors import processors
from gancolor.errors import InputError

if TYPE_CHECKING:
    from gancolor.data import Folder, ImageFolder, ListFile

_Quality = restricted_number_type("Quality", int, [(">=", 1), ("<=", 100)])
_Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

# Whatever needs torch is imported inside the functions, so that --help and a mistake are answered at once.


def parser() -> ArgumentParser:
    """The command line."""
    result = arguments.parser(
        "gancolor pack",
        "Put photographs into tar shards at working size (WebDataset's layout), which train several times as fast as "
        "large originals and are kind to network disks. Cut off at any moment, the same command goes on where it "
        "stood. Train with configs/data/shards.yaml; `gancolor verify` checks the shards.",
    )
    option = result.add_argument
    option(
        "source",
        type=str,
        metavar="PHOTOGRAPHS",
        help="a folder; if it holds train/ and val/, as ImageNet does, these are the splits; or a text file with one "
        "path a line",
    )
    option("output", type=str, metavar="SHARDS", help="a new folder, or one that this command began to fill")
    option("--val", type=str, help="a folder of validation images, or for a text file another one")
    option("--holdout", type=float, help="without validation images, the share to hold out: by default 0.05")
    option("--size", type=PositiveInt, default=286, help="short side in pixels, the data.load_size of the training")
    option("--quality", type=_Quality, default=90, help="of the JPEG files")
    option(
        "--subsampling",
        type=_Subsampling,
        default="4:2:2",
        help="of color: 4:4:4 keeps all of it, 4:2:2 half and 4:2:0, as most photographs have it, a quarter",
    )
    option("--per_shard", type=PositiveInt, default=4096, help="photographs in a shard")
    option("--workers", type=NonNegativeInt, default=processors(), help="processes; 0 does it in one")
    return result


def run(given: list[str]) -> int:
    """Pack what a command line asks for; the exit code is 1 if a photograph could not be read."""
    asked = arguments.parse(parser(), given)
    if not Path(asked.source).expanduser().exists():
        raise InputError(f"{asked.source}: there is no such file or folder")
    from gancolor.data.packing import Packing, pack

    packing = Packing(asked.size, asked.quality, asked.subsampling, asked.per_shard)
    output = Path(asked.output).expanduser()
    try:
        unreadable = pack(_source(asked), output, packing, asked.workers)
    except (InputError, FileNotFoundError) as error:
        raise InputError(str(error).removeprefix("data.source.")) from error
    left_out = f"; {len(unreadable)} could not be read and are listed in its JSON files" if unreadable else ""
    tqdm.write(f"{output}: all photographs are packed{left_out}")
    return 1 if unreadable else 0


def _source(asked: Namespace) -> "Folder | ImageFolder | ListFile":
    """The photographs that are meant."""
    from gancolor.data import ListFile, Shards
    from gancolor.data.layout import found_at

    source = found_at(asked.source, asked.val, asked.holdout)
    if isinstance(source, Shards):
        raise InputError(f"{asked.source} holds shards already: name the photographs that they were packed from")
    if isinstance(source, ListFile) and asked.val is None:
        raise InputError(f"{asked.source} lists the training images: give the list of validation images with --val")
    return source
