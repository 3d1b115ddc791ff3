"""Photographs → tar shards at working size, in WebDataset's layout; the same bytes from any number of workers."""

import errno
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import simplejpeg
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from gancolor import atomic
from gancolor.data.augment import resize
from gancolor.data.decoding import decode, is_plain
from gancolor.data.photographs import Folder, ImageFolder, ListFile
from gancolor.data.shard_index import SPLITS, Place, save_index
from gancolor.errors import InputError
from gancolor.interfaces import Split, Unreadable


@dataclass(frozen=True)
class Packing:
    """How photographs are put into shards.

    Attributes:
        size: short side in pixels; larger photographs are shrunk to it, smaller ones are never enlarged.
        quality: of the JPEG files, up to 100.
        subsampling: how coarsely they hold color: ``4:4:4``, ``4:2:2`` or ``4:2:0``.
        per_shard: photographs in a shard.
    """

    size: int
    quality: int
    subsampling: str
    per_shard: int


def pack(source: Folder | ImageFolder | ListFile, folder: Path, packing: Packing, workers: int) -> dict[str, str]:
    """Pack both splits into a folder. Shards that an earlier call has finished there are kept.

    Args:
        source: the photographs.
        folder: where the shards go; made if need be.
        packing: how.
        workers: processes that decode and encode; 0 does it in the calling one.

    Returns:
        The photographs that could not be read, which are left out, with the reason.

    Raises:
        FileNotFoundError: the source does not exist.
        InputError: the disk of the photographs fails, not one of them can be read, or something else lies in the
            folder.
    """
    names = {split: source.names(split) for split in SPLITS}
    _begin(folder, {**asdict(packing), **{split: _digest(names[split]) for split in SPLITS}})
    unreadable: dict[str, str] = {}
    for split in SPLITS:
        records = _write_shards(_Jpegs(source, split, names[split], packing), folder, workers)
        unreadable |= _finish(folder, split, names[split], records)
    if len(unreadable) == len(set().union(*names.values())):
        name, reason = next(iter(unreadable.items()))
        raise InputError(f"none of the {len(unreadable)} photographs can be read; the first is {name}: {reason}")
    return unreadable


class _Jpeg(NamedTuple):
    """What becomes of one photograph: a JPEG file, or None and the reason, which may be the disk's."""

    number: int
    data: bytes | None
    reason: str
    disk: bool = False


class _Jpegs(Dataset[_Jpeg]):
    """The photographs of a split, ready to be packed."""

    def __init__(
        self, source: Folder | ImageFolder | ListFile, split: Split, names: Sequence[str], packing: Packing
    ) -> None:
        self.source = source
        self.split: Split = split
        self.names = names
        self.packing = packing

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> _Jpeg:
        name = self.names[index]
        if "\n" in name:
            return _Jpeg(index, None, "its name has a line break")
        try:
            file = io.BytesIO(self.source.path(name).read_bytes())
        except OSError as error:  # returned, as raising it in a worker would lose all but a traceback
            return _Jpeg(index, None, error.strerror or str(error), error.errno != errno.ENOENT)
        try:
            return _Jpeg(index, _encode(file, self.packing), "")
        except (Unreadable, ValueError) as error:  # ValueError: a side is too long for the JPEG format
            return _Jpeg(index, None, str(error).removeprefix(": ").replace(f" {file!r}", ""))


def _encode(file: io.BytesIO, packing: Packing) -> bytes:
    """A photograph's JPEG file; its own bytes, if it is one that needs neither shrinking nor conversion."""
    rgb = decode(file, packing.size, name="")
    with Image.open(file) as image:
        if is_plain(image) and min(image.size) <= packing.size:
            return file.getvalue()
    if min(rgb.shape[1:]) > packing.size:
        rgb = resize(rgb, packing.size)
    pixels = rgb.permute(1, 2, 0).contiguous().numpy()
    subsampling = packing.subsampling.replace(":", "")
    return simplejpeg.encode_jpeg(pixels, packing.quality, colorsubsampling=subsampling, fastdct=False)


def _begin(folder: Path, plan: dict[str, Any]) -> None:
    """Note down what is about to be made, or see that it is what an earlier call began."""
    file = folder / "plan.json"
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists() and any(path.suffix != ".part" for path in folder.iterdir()):
        raise InputError(f"{folder} holds other files: choose a new folder for the shards")
    if not file.exists():
        atomic.write(file, json.dumps(plan, indent=1).encode())
    earlier = json.loads(file.read_bytes())
    changed = [key for key in plan if plan[key] != earlier.get(key)]
    if changed:
        key = changed[0]
        was = "of other photographs" if key in SPLITS else f"with {key} {earlier.get(key)}, not {plan[key]}"
        raise InputError(f"{folder} holds shards {was}: choose a new folder")


def _write_shards(jpegs: _Jpegs, folder: Path, workers: int) -> list[dict[str, Any]]:
    """Write what is missing of a split; returns what is to be known of each shard."""
    step = jpegs.packing.per_shard
    parts = [range(start, min(start + step, len(jpegs))) for start in range(0, len(jpegs), step)]
    paths = [folder / f"{jpegs.split}-{number:06d}.tar" for number in range(len(parts))]
    finished = [_finished(path) for path in paths]
    missing = [index for part, record in zip(parts, finished, strict=True) if record is None for index in part]
    loader = DataLoader(jpegs, batch_size=None, sampler=missing, num_workers=workers, collate_fn=_as_it_is)  # pyright: ignore[reportArgumentType]
    with tqdm(total=len(jpegs), initial=len(jpegs) - len(missing), unit="image", desc=jpegs.split) as bar:
        stream = _watched(loader, jpegs.names, bar)
        return [
            record or _write_shard(path, islice(stream, len(part)), jpegs.names)
            for path, part, record in zip(paths, parts, finished, strict=True)
        ]


def _as_it_is(jpeg: _Jpeg) -> _Jpeg:
    """In place of torch's collation, which makes a list of it."""
    return jpeg


def _watched(jpegs: Iterable[_Jpeg], names: Sequence[str], bar: "tqdm[NoReturn]") -> Iterator[_Jpeg]:
    """The same, counted, and those named that are left out; a failing disk leaves none out, but ends it."""
    for jpeg in jpegs:
        if jpeg.disk:
            raise InputError(
                f"{names[jpeg.number]}: {jpeg.reason}; once it can be read, the same command goes on where it stood"
            )
        bar.update()
        if jpeg.data is None:
            bar.write(f"{names[jpeg.number]} is left out: {jpeg.reason}", file=sys.stderr)
        yield jpeg


def _finished(path: Path) -> dict[str, Any] | None:
    """What is to be known of a shard that has been written to its end; None if it has not."""
    record = path.with_suffix(".json")
    if not (record.is_file() and path.is_file()):
        return None
    known = json.loads(record.read_bytes())
    return known if known["filesize"] == path.stat().st_size else None


def _write_shard(path: Path, jpegs: Iterator[_Jpeg], names: Sequence[str]) -> dict[str, Any]:
    """Write a shard so that it is never there in part, and beside it what is to be known of it."""
    places, unreadable = [], {}
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("w+b") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for index, data, reason, _ in jpegs:
                if data is None:
                    unreadable[names[index]] = reason
                    continue
                _add(tar, f"{index:08d}.json", json.dumps({"path": names[index]}).encode())
                places.append((index, _add(tar, f"{index:08d}.jpg", data), len(data)))
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
        file.seek(0)
        checksum = file_digest(file, "md5").hexdigest()
    temporary.replace(path)
    shard = {"url": path.name, "nsamples": len(places), "filesize": size, "md5sum": checksum}
    record = {**shard, "places": places, "unreadable": unreadable}
    atomic.write(path.with_suffix(".json"), json.dumps(record).encode())
    return record


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Add a file whose header says nothing of when and by whom; returns where its data begin."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    begin = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(member, io.BytesIO(data))
    return begin


def _finish(folder: Path, split: Split, names: Sequence[str], records: list[dict[str, Any]]) -> dict[str, str]:
    """Write a split's index; returns what could not be read."""
    packed = [(number, *place) for number, record in enumerate(records) for place in record["places"]]
    unreadable = {name: reason for record in records for name, reason in record["unreadable"].items()}
    save_index(
        folder,
        split,
        names=[names[int(number)] for _, number, _, _ in packed],
        places=[Place(number, offset, size) for number, _, offset, size in packed],
        shards=[{key: record[key] for key in ("url", "nsamples", "filesize", "md5sum")} for record in records],
        unreadable=unreadable,
    )
    return unreadable


def _digest(names: Sequence[str]) -> str:
    """Which photographs, in which order."""
    return sha256(b"\0".join(map(os.fsencode, names))).hexdigest()
