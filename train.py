"""Train a colorizer: python train.py --config configs/pix2pix.yaml --data.source.root PHOTOS."""

import sys

from gancolor.config import parse
from gancolor.errors import InputError, Stopped


def main(arguments: list[str]) -> None:
    """Parse, build, fit or resume."""
    try:
        parse(arguments).train()
    except (InputError, FileNotFoundError, NotADirectoryError) as error:
        sys.exit(f"train.py: {error}")
    except (
        Stopped
    ) as stopped:  # 75: what was done is saved, run the same again; 130: the same, by Ctrl-C; 1: look first
        sys.stderr.write(f"train.py: {stopped}\n" if str(stopped) else "")
        sys.exit(stopped.code)


if __name__ == "__main__":
    main(sys.argv[1:])
