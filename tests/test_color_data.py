import inspect
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import gancolor.data
from gancolor.data import ColorData
from gancolor.data.augment import center
from gancolor.interfaces import Source, Split, Unreadable

# Python 3.12 and later say so of every fork beside native threads, as torch's workers are.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


class Noise(Source):
    """Pictures of noise; those of the first names may be damaged or tiny. Counts what is read."""

    def __init__(self, train: int = 12, val: int = 5, damaged: int = 0, tiny: int = 0) -> None:
        self.counts: dict[Split, int] = {"train": train, "val": val}
        self.damaged = damaged
        self.tiny = tiny
        self.listed = 0
        self.sides: list[int | None] = []

    def names(self, split: Split) -> list[str]:
        self.listed += 1
        return [f"{split}{index}" for index in range(self.counts[split])]

    def read(self, name: str, min_side: int | None = None) -> Tensor:
        self.sides.append(min_side)
        index = int(name.lstrip("trainvl"))
        if index < self.damaged:
            raise Unreadable(f"{name}: truncated")
        side = 7 if index < self.tiny else 40
        generator = torch.Generator().manual_seed(index)
        return torch.randint(0, 256, (3, side, side + 8), dtype=torch.uint8, generator=generator)


def data(source: Source, **changes: Any) -> ColorData:
    arguments: dict[str, Any] = {"size": 16, "batch_size": 4, "workers": 0} | changes
    return ColorData(source, **arguments)


def test_keeps_its_arguments_and_touches_nothing() -> None:
    source = Noise()
    made = data(source, val_images=3)
    assert made.load_size is None
    assert all(hasattr(made, name) for name in inspect.signature(ColorData).parameters)
    assert source.listed == 0
    assert source.sides == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 15}, r"data\.size is 15: it must be at least 16"),
        ({"size": 64, "load_size": 63}, r"data\.load_size is 63: it must be at least 64"),
        ({"batch_size": 0}, r"data\.batch_size is 0"),
        ({"workers": -1}, r"data\.workers is -1"),
        ({"prefetch": 0}, r"data\.prefetch is 0"),
        ({"val_images": 0}, r"data\.val_images is 0"),
        ({"rotation": -1.0}, r"data\.rotation is -1.0: it must lie between 0 and 180"),
        ({"jitter": 1.5}, r"data\.jitter is 1.5: it must lie between 0 and 1"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data(Noise(), **changes)


def test_training_batches() -> None:
    source = Noise(train=14)
    loader = data(source).train_loader()
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert all(batch.rgb.shape == (4, 3, 16, 16) and batch.rgb.dtype == torch.uint8 for batch in batches)
    assert set(source.sides[1:]) == {18}  # 16 · 286/256


def test_augmentation_is_passed_on() -> None:
    augment = data(Noise(), load_size=20, flip=False, rotation=5.0, jitter=0.1).train_loader().images.augment
    assert vars(augment) == {"size": 16, "load_size": 20, "flip": False, "rotation": 5.0, "jitter": 0.1}


def test_the_seed_decides() -> None:
    first, again, other = (list(data(Noise(), seed=seed).train_loader()) for seed in (1, 1, 2))
    assert all(torch.equal(a.rgb, b.rgb) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a.rgb, b.rgb) for a, b in zip(first, other, strict=True))


def test_validation_batches() -> None:
    assert [batch.indices.tolist() for batch in data(Noise()).val_loader()] == [[0, 1, 2, 3], [4]]
    assert [batch.indices.tolist() for batch in data(Noise(), val_images=2).val_loader()] == [[0, 1]]


@pytest.mark.parametrize(("workers", "factor"), [(0, None), (2, 5)])
def test_workers_read_in_advance(workers: int, factor: int | None) -> None:
    loader = data(Noise(train=12), workers=workers, prefetch=5).train_loader()
    assert loader._reader._loader.prefetch_factor == factor


@pytest.mark.parametrize("workers", [0, 1])
def test_sample(workers: int) -> None:
    source = Noise(train=12)
    batches = list(data(source, workers=workers).sample(6))
    assert [len(batch) for batch in batches] == [4, 2]
    crops = [center(source.read(name), 16) for name in source.names("train")]
    chosen = [[torch.equal(rgb, crop) for crop in crops].index(True) for rgb in torch.cat(batches)]
    assert len(set(chosen)) == 6
    assert chosen != sorted(chosen)
    assert all(torch.equal(a, b) for a, b in zip(data(source).sample(6), batches, strict=True))
    assert sum(len(batch) for batch in data(source).sample(100)) == 12


def test_no_images_of_a_split() -> None:
    without = data(Noise(val=0))
    without.train_loader()
    with pytest.raises(ValueError, match=r"data\.source has no validation images"):
        without.val_loader()
    with pytest.raises(ValueError, match=r"data\.source has no training images"):
        data(Noise(train=0)).train_loader()


def test_fewer_images_than_a_batch() -> None:
    with pytest.raises(ValueError, match=r"data\.batch_size is 13, but there are only 12 training images"):
        data(Noise(), batch_size=13).train_loader()


def test_looks_for_one_readable_image_before_training() -> None:
    source = Noise()
    data(source).train_loader()
    assert len(source.sides) == 1
    assert len(data(Noise(damaged=11)).train_loader()) == 3
    for split in ("train_loader", "val_loader"):
        with pytest.raises(ValueError, match=r"none of the .* images can be used; the first is .*0: truncated"):
            getattr(data(Noise(damaged=12)), split)()


def test_tiny_images_are_reported_by_name() -> None:
    loader = data(Noise(tiny=2)).val_loader()
    assert [batch.indices.tolist() for batch in loader] == [[2, 3], [4]]
    reason = "15×7 pixels, too small for size 16: the short side must be 8"
    assert loader.unreadable == {"val0": reason, "val1": reason}


def test_yaml_names() -> None:
    for name in ("ColorData", "Folder", "ImageFolder", "TinyImageNet", "ListFile", "Scenes"):
        assert inspect.isclass(getattr(gancolor.data, name))


def test_unreadable_image_is_named_once_whoever_meets_it(caplog: pytest.LogCaptureFixture) -> None:
    data = ColorData(Noise(train=12, damaged=2), size=16, batch_size=4, workers=0)
    list(data.sample(12))
    for _ in range(2):
        list(data.train_loader())
    list(data.val_loader())
    assert sorted(data.unreadable) == ["train0", "train1", "val0", "val1"]
    assert sorted(record.getMessage().split()[0] for record in caplog.records) == sorted(data.unreadable)


def exclude(folder: Path, *lines: str) -> str:
    path = folder / "exclude.txt"
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
    return str(path)


def test_what_a_list_names_is_left_out_of_training_and_of_nothing_else(tmp_path: Path) -> None:
    given = exclude(tmp_path, "# gray", "train3", "", "  ./train7  ", "#train5", "val1")
    made = data(Noise(), exclude=given)
    kept = [f"train{index}" for index in range(12) if index not in (3, 7)]
    assert list(made.train_loader().images.names) == kept
    assert len(list(made.train_loader())) == 2
    assert sum(len(batch) for batch in made.sample(100)) == 10
    assert sum(len(batch.indices) for batch in made.val_loader()) == 5


def test_order_and_crops_are_those_of_a_source_without_the_excluded(tmp_path: Path) -> None:
    """So a run resumes exactly: its places are in the filtered list."""
    without = data(Noise(train=8)).train_loader()
    loader = data(Noise(), exclude=exclude(tmp_path, *(f"train{index}" for index in range(8, 12)))).train_loader()
    next(iter(loader))
    place = loader.state_dict()
    again = data(Noise(), exclude=exclude(tmp_path, *(f"train{index}" for index in range(8, 12)))).train_loader()
    again.load_state_dict(place)
    whole, rest = list(without), list(again)
    assert len(rest) == 1
    assert torch.equal(whole[1].rgb, rest[0].rgb)
    assert torch.equal(whole[1].indices, rest[0].indices)


def test_an_empty_list_excludes_nothing(tmp_path: Path) -> None:
    assert len(data(Noise(), exclude=exclude(tmp_path, "# nothing found")).train_loader().images.names) == 12


def test_names_that_are_not_there_are_counted_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = data(Noise(), exclude=exclude(tmp_path, "train1", "gone1", "gone2", "val0"))
    made.train_loader()
    list(made.sample(4))
    assert [record.getMessage().split(" in ")[0] for record in caplog.records] == ["data.exclude: 2 names"]


def test_a_name_that_is_not_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")

    class Odd(Noise):
        def names(self, split: Split) -> list[str]:
            return [*super().names(split), name] if split == "train" else super().names(split)

    assert name not in data(Odd(), exclude=exclude(tmp_path, name)).train_loader().images.names


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["photos/train1", "photos/train2"], r"none of the 2 names in .*, such as photos/train1, .* like train0"),
        ([f"train{index}" for index in range(12)], r"exclude\.txt names all 12 training images"),
        ([f"train{index}" for index in range(9)], r"data\.batch_size is 4, but there are only 3 training images"),
    ],
)
def test_lists_that_leave_nothing_to_train_on(lines: list[str], message: str, tmp_path: Path) -> None:
    made = data(Noise(), exclude=exclude(tmp_path, *lines))
    with pytest.raises(ValueError, match=message):
        made.train_loader()


def test_a_list_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"data\.exclude: nowhere\.txt does not exist"):
        data(Noise(), exclude="nowhere.txt").train_loader()
