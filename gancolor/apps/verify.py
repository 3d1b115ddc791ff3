"""``gancolor verify SHARDS``."""

import sys
from hashlib import file_digest
from pathlib import Path

from jsonargparse import ArgumentParser
from tqdm import tqdm

from gancolor import arguments

# Whatever needs torch is imported inside the functions, so that --help and a mistake are answered at once.


def parser() -> ArgumentParser:
    """The command line."""
    result = arguments.parser(
        "gancolor verify",
        "Check that the shards that `gancolor pack` wrote are the same to the last byte. The exit code is 1 if not.",
    )
    result.add_argument("shards", type=str, metavar="SHARDS", help="their folder")
    return result


def run(given: list[str]) -> int:
    """Verify what a command line asks for; the exit code is 1 if a file is damaged or missing, which is named."""
    folder = Path(arguments.parse(parser(), given).shards).expanduser()
    checksums = _checksums(folder)
    damaged = [line for name, md5 in tqdm(checksums.items(), unit="file") for line in _damage(folder / name, md5)]
    for line in damaged:
        tqdm.write(line, file=sys.stderr)
    tqdm.write(f"{folder}: {len(checksums)} files, {len(damaged)} damaged or missing")
    return 1 if damaged else 0


def _checksums(folder: Path) -> dict[str, str]:
    """Of every file that the indices name, the MD5."""
    from gancolor.data.shard_index import SPLITS, ShardIndex

    checksums: dict[str, str] = {}
    for index in (ShardIndex(folder, split) for split in SPLITS):
        checksums |= {shard["url"]: shard["md5sum"] for shard in index.shards} | index.content["gancolor"]["md5sum"]
    return checksums


def _damage(path: Path, md5: str) -> list[str]:
    """What is wrong with a file, in one line; nothing if it is sound."""
    if not path.is_file():
        return [f"{path} is missing: run the same `gancolor pack` again, which writes it anew"]
    with path.open("rb") as file:
        sound = file_digest(file, "md5").hexdigest() == md5
    return [] if sound else [f"{path} is damaged: delete it and run the same `gancolor pack` again"]
