"""Evaluate colorizers by a named protocol: python evaluate.py --protocol NAME --data PHOTOS --candidate NAME=PATH."""

import sys
from pathlib import Path

from gancolor import arguments
from gancolor.errors import InputError

PROTOCOLS = Path(__file__).parent / "configs" / "benchmark"
ABOUT = """Numbers of colorizers with 95 % intervals, beside gray, half-saturated and published rows. An evaluation that
was cut off goes on where it stood. Several processes: torchrun --nproc_per_node N evaluate.py …"""


def main(given: list[str]) -> None:
    """Parse, evaluate, show and write."""
    command_line = arguments.parser("evaluate.py", ABOUT)
    option = command_line.add_argument
    option("checkpoint", type=Path | None, nargs="?", help="short for --candidate ours=CHECKPOINT")
    names = ", ".join(sorted(path.stem for path in PROTOCOLS.glob("*.yaml")))
    option("--protocol", default="folder", help=f"{names}, or a file like those in configs/benchmark")
    option("--candidate", action="append", default=[], help="NAME=CHECKPOINT, or NAME=FOLDER of pictures; repeatable")
    option("--data", type=Path | None, help="folder or list of photographs; by default the run's validation images")
    option(
        "--reference", type=Path | None, help="FID's real images, where the protocol has others than those colorized"
    )
    option("--against", type=str | None, help="the candidate that all others are compared with, image by image")
    option("--output", type=Path, default=Path("results"), help="folder for the tables and report.html")
    option("--weights", type=Path | None, help="folder of the networks behind LPIPS and FID; or set GANCOLOR_WEIGHTS")
    option("--cache", type=Path | None, help="folder that keeps what was measured; by default the user's cache")
    option("--size", type=int | None, help="side in pixels, if the protocol leaves it open; by default the training's")
    option("--images", type=int | None, help="evaluate on the first so many only")
    option("--batch_size", type=int, default=32, help="pictures at a time")
    option("--workers", type=int, default=2, help="processes that read")
    option("--device", type=str | None, help="cpu, cuda, cuda:1 …; by default a GPU if there is one")
    try:
        asked = arguments.parse(command_line, given)
        from gancolor.benchmark import command  # only now: a wrong option is answered without waiting for torch

        command.run(asked, PROTOCOLS)
    except (InputError, OSError) as error:
        sys.exit(f"evaluate.py: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
