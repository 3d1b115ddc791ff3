"""All images of a source, in worker processes; what was found is kept, so that a survey that was cut off goes on."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from gancolor.data.workers import death_told
from gancolor.doctor.examine import Examined, examine
from gancolor.interfaces import Files

_VERSION = 1  # of what is found out; another one examines everything again
_AT_ONCE = 16  # images a worker hands over together
_BYTES = ("sha256", "thumbnail", "pixels")


class _Images(Dataset[Examined | None]):
    """Every image examined; None where what is known of it still holds."""

    def __init__(self, source: Files, names: Sequence[str], size: int, known: Mapping[str, str]) -> None:
        self.source, self.names, self.size, self.known = source, names, size, known

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Examined | None:
        name = self.names[index]
        try:
            stamp = f"{_VERSION} {self.size} {self.source.stamp(name)}"
        except OSError as error:
            return Examined(name, "", {"unreadable": str(error)})
        return None if self.known.get(name) == stamp else examine(self.source, name, stamp, self.size)


def survey(source: Files, names: Sequence[str], size: int, workers: int, kept: Path, title: str) -> list[Examined]:
    """Examine images, in their order.

    Args:
        source: where they come from.
        names: which.
        size: side of the square that training cuts.
        workers: processes; 0 examines in this one.
        kept: file with one finding a line, read first and added to.
        title: of the progress bar.

    Raises:
        InputError: a worker was killed, mostly for want of memory.
    """
    wanted = set(names)
    with kept.open("a+b") as file:
        found = {known.name: known for known in _whole_lines(file) if known and known.name in wanted}
        images = _Images(source, names, size, {name: known.stamp for name, known in found.items()})
        loader = DataLoader(images, _AT_ONCE, num_workers=workers, collate_fn=list)
        with death_told(title), tqdm(total=len(names), desc=title, unit="image", smoothing=0.02) as progress:
            for examined in loader:
                new = [one for one in examined if one is not None]
                found |= {one.name: one for one in new}
                file.write(b"".join(map(_to_line, new)))
                file.flush()
                progress.update(len(examined))
    return [found[name] for name in names]


def _whole_lines(file: BinaryIO) -> Iterator[Examined | None]:
    """What is kept, None for what is not legible; a line that was being written when the machine stopped is cut off."""
    file.seek(0)
    whole = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        whole += len(line)
        yield _from_line(line)
    file.truncate(whole)


def _to_line(examined: Examined) -> bytes:
    record = {key: getattr(examined, key) for key in Examined.__slots__}
    record |= {key: base64.b64encode(record[key]).decode() for key in _BYTES}
    return json.dumps(record).encode() + b"\n"


def _from_line(line: bytes) -> Examined | None:
    """What a line says of an image; None if it is damaged or another version wrote it, so that it is examined again."""
    try:
        record: dict[str, Any] = json.loads(line)
        record |= {key: base64.b64decode(record[key]) for key in _BYTES}
        return Examined(**record)
    except (ValueError, KeyError, TypeError):
        return None
