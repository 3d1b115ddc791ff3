"""Parts of a list of names, which hold no names."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from gancolor.data import ColorData, Scenes
from gancolor.data.lists import Part, exclusions
from gancolor.interfaces import Source, Split

LETTERS = "abcdef"


@pytest.mark.parametrize("places", [np.array([1, 3, 5]), range(1, 6, 2)])
def test_a_part_is_a_sequence_like_any(places) -> None:
    part = Part(LETTERS, places)
    assert (len(part), list(part), part[0], part[-1]) == (3, ["b", "d", "f"], "b", "f")
    assert list(part[1:]) == ["d", "f"]
    assert list(part[::-2]) == ["f", "b"]
    assert part.index("d") == 1
    assert "c" not in part
    with pytest.raises(IndexError):
        part[3]


def test_exclusions_are_looked_for_in_every_split(tmp_path: Path) -> None:
    (tmp_path / "exclude.txt").write_text("./a\ne\nz\n")
    assert exclusions(str(tmp_path / "exclude.txt"), "abc", "def") == ({"a", "e"}, 1)


class Counted(Sequence[str]):
    """Names that are made when they are asked for; how many are alive at once is counted."""

    alive = most = 0

    class Name(str):
        def __new__(cls, text: str) -> "Counted.Name":
            Counted.alive += 1
            Counted.most = max(Counted.most, Counted.alive)
            return super().__new__(cls, text)

        def __del__(self) -> None:
            Counted.alive -= 1

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return Counted.Name(range(1000)[index])

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(1000))


class Many(Source):
    def names(self, split: Split) -> Sequence[str]:
        return Counted()

    def read(self, name: str, min_side: int | None = None):
        return Scenes(1, 1, 16).read("train/000000")


def test_names_are_never_all_in_memory(tmp_path: Path) -> None:
    (tmp_path / "exclude.txt").write_text("3\n5\n")
    data = ColorData(Many(), size=16, workers=0, val_images=900, exclude=str(tmp_path / "exclude.txt"))
    assert len(data.train_loader().images.names) == 998
    assert len(data.val_loader().images.names) == 900
    assert Counted.most < 10
