"""Train a colorizer: python train.py --config configs/pix2pix.yaml --data.source.root PHOTOS."""

import sys

from gancolor.config import parse
from gancolor.errors import InputError


def main(arguments: list[str]) -> None:
    """Parse, build, fit or resume."""
    try:
        parse(arguments).train()
    except (InputError, FileNotFoundError, NotADirectoryError) as error:
        sys.exit(f"train.py: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
