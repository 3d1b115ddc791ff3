"""Evaluate a checkpoint: python evaluate.py runs/RUN/checkpoints/last.ckpt --data PHOTOS --weights DIR."""

import sys
from pathlib import Path

from gancolor import arguments
from gancolor.errors import InputError


def main(given: list[str]) -> None:
    """Parse, evaluate, show and write."""
    command_line = arguments.parser(
        "evaluate.py", "PSNR, SSIM, LPIPS, FID and colorfulness of a checkpoint, beside the gray baseline."
    )
    option = command_line.add_argument
    option("checkpoint", type=Path, help="written by train.py")
    option("--data", type=Path | None, help="folder or list of photographs; by default the run's validation images")
    option("--output", type=Path, default=Path("results"), help="folder for table.json and samples.png")
    option("--weights", type=Path | None, help="folder of the networks behind LPIPS and FID; or set GANCOLOR_WEIGHTS")
    option("--size", type=int | None, help="side of the pictures in pixels; by default that of the training")
    option("--images", type=int | None, help="evaluate on the first so many only")
    option("--batch_size", type=int, default=32, help="pictures at a time")
    option("--workers", type=int, default=2, help="processes that decode")
    option("--device", type=str | None, help="cpu, cuda, cuda:1 …; by default a GPU if there is one")
    try:
        asked = arguments.parse(command_line, given)
        from gancolor import benchmark  # only now: a wrong option is answered without waiting for torch

        report = benchmark.run(
            asked.checkpoint,
            asked.data,
            asked.weights,
            benchmark.Settings(asked.size, asked.images, asked.batch_size, asked.workers, asked.device),
        )
    except (InputError, FileNotFoundError, NotADirectoryError) as error:
        sys.exit(f"evaluate.py: {error}")
    report.write(asked.output)
    report.show()
    print(f"\nTable    {asked.output}/table.json\nSamples  {asked.output}/samples.png")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
