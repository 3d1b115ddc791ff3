"""Which photographs an evaluation is over, and how they are cut: against Pillow and by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pictures import SIZE, checkpoint, held, save, scenes
from PIL import Image
from torch import Tensor

from gancolor.benchmark.photographs import Cut, photographs_at, select, validated_on
from gancolor.benchmark.protocol import Images
from gancolor.data import Scenes
from gancolor.errors import InputError

WIDE = scenes(1, size=96)[0][:, :64]  # 64 high, 96 wide
PICTURES = {"wide": WIDE, "tall": WIDE.mT.contiguous(), "square": WIDE[:, :, :64], "small": WIDE[:, :20, :30]}
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def pillow(rgb: Tensor, size: tuple[int, int], interpolation: str) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb.movedim(0, 2).numpy()).resize(size, FILTERS[interpolation]), dtype=float)


def assert_close(square: Tensor, expected: np.ndarray) -> None:
    """To the step of 255 that rounding between the two axes may cost."""
    difference = np.abs(square.movedim(0, 2).numpy() - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.1


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("kind", PICTURES)
def test_a_crop_is_the_middle_square_as_pillow_resizes_it(kind: str, interpolation: str) -> None:
    """Cut first, as in CT2's loader: nothing outside of the square may shine in at its edge."""
    rgb = PICTURES[kind]
    side = min(rgb.shape[1:])
    top, left = (rgb.shape[1] - side) // 2, (rgb.shape[2] - side) // 2
    expected = pillow(rgb[:, top : top + side, left : left + side], (32, 32), interpolation)
    assert_close(Cut(32, "crop", interpolation)(rgb), expected)


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("kind", PICTURES)
def test_a_squash_is_what_pillow_resizes(kind: str, interpolation: str) -> None:
    assert_close(Cut(32, "squash", interpolation)(PICTURES[kind]), pillow(PICTURES[kind], (32, 32), interpolation))


def test_without_antialiasing_only_neighbors_of_the_sample_count() -> None:
    """At a quarter of the size bilinear samples lie at 4i + 1.5: between the second and the third of four pixels."""
    rgb = WIDE[:, :64, :64]
    middle = rgb.float().reshape(3, 16, 4, 16, 4)[:, :, 1:3, :, 1:3].mean(dim=(2, 4))
    plain = Cut(16, interpolation="bilinear", antialias=False)(rgb).float()
    assert (plain - middle).abs().max() <= 1
    assert (Cut(16, interpolation="bilinear")(rgb).float() - middle).abs().max() > 10


@pytest.mark.parametrize("cut", [Cut(64), Cut(64, "squash", "bilinear", antialias=False)])
def test_what_has_the_size_is_untouched(cut: Cut) -> None:
    rgb = WIDE[:, :64, :64]
    assert cut(rgb) is rgb


def test_every_image_of_a_folder_is_taken_at_any_depth(tmp_path: Path) -> None:
    save(tmp_path, dict.fromkeys(["a.png", "deep/b.png", "deep/er/c.png"], WIDE))
    found = photographs_at(tmp_path)
    assert found.names == ["a.png", "deep/b.png", "deep/er/c.png"]
    assert found.source.read("deep/b.png").equal(WIDE)


def test_of_a_data_set_with_train_and_val_the_latter_is_taken(tmp_path: Path) -> None:
    save(tmp_path, dict.fromkeys(["train/class/a.png", "val/class/b.png", "train/class/c.png"], WIDE))
    found = photographs_at(tmp_path)
    assert found.names == ["class/b.png"]
    assert found.description == f"all images under {tmp_path / 'val'}"


def test_the_images_of_a_list_are_taken_in_its_order(tmp_path: Path) -> None:
    save(tmp_path, dict.fromkeys(["0.png", "1.png", "2.png"], WIDE))
    (tmp_path / "chosen.txt").write_text("2.png\n# not this one\n0.png\n")
    found = photographs_at(tmp_path / "chosen.txt")
    assert found.names == ["2.png", "0.png"]
    assert found.description == f"the images listed in {tmp_path / 'chosen.txt'}"


def run(folder: Path, **data: object) -> Path:
    """A checkpoint beside the configuration of its run."""
    source = {"class_path": "gancolor.data.Scenes", "init_args": {"train": 9, "val": 4, "size": SIZE}}
    path = checkpoint(folder / "checkpoints" / "last.ckpt")
    (folder / "config.yaml").write_text(yaml.dump({"data": {"source": source, **data}}))
    return path


@pytest.mark.parametrize(("data", "count"), [({}, 4), ({"val_images": None}, 4), ({"val_images": 3}, 3)])
def test_a_checkpoint_s_validation_images_are_its_run_s(tmp_path: Path, data: dict[str, object], count: int) -> None:
    found = validated_on(run(tmp_path, **data))
    assert found.names == [f"val/{index:06d}" for index in range(count)]
    assert found.source.read("val/000001").equal(Scenes(val=4, size=SIZE).read("val/000001"))


def test_a_checkpoint_without_its_configuration_asks_for_data(tmp_path: Path) -> None:
    path = run(tmp_path)
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"config\.yaml .*; give --data$"):
        validated_on(path)


def test_a_list_that_has_an_image_twice_is_refused(tmp_path: Path) -> None:
    save(tmp_path, dict.fromkeys(["0.png", "1.png"], WIDE))
    (tmp_path / "chosen.txt").write_text("0.png\n1.png\n0.png\n")
    with pytest.raises(InputError, match=r"^--data: .*chosen\.txt lists 1 images more than once: 0\.png$"):
        photographs_at(tmp_path / "chosen.txt")


def test_a_message_has_the_option_that_was_typed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--reference: "):
        photographs_at(tmp_path / "nowhere", "--reference")


def test_a_checkpoint_that_is_not_there_is_not_asked_for_its_configuration(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such checkpoint"):
        validated_on(tmp_path / "run" / "checkpoints" / "typo.ckpt")


THREE = Images("three", count=3, names="val_{:02d}", first=4)


def test_a_protocol_takes_its_own_in_its_order() -> None:
    there = held(dict.fromkeys(["b/val_06.JPEG", "c/val_04.png", "a/val_05.JPEG", "val_07.JPEG"], WIDE))
    chosen = select(there, THREE)
    assert chosen.names == ["c/val_04.png", "a/val_05.JPEG", "b/val_06.JPEG"]
    assert chosen.source is there.source
    assert chosen.description == "3 of pictures in memory"


def test_a_protocol_takes_those_of_its_own_that_are_there() -> None:
    assert select(held(dict.fromkeys(["x.png", "val_06.png"], WIDE)), THREE).names == ["val_06.png"]


def test_outputs_beside_the_photographs_are_not_taken_for_them() -> None:
    """The name is the protocol's, but two files have it."""
    there = held(dict.fromkeys(["photos/val_04.JPEG", "theirs/val_04.png", "photos/val_05.JPEG"], WIDE))
    with pytest.raises(InputError, match=r"photos/val_04\.JPEG, theirs/val_04\.png have one name"):
        select(there, THREE)


# Where no name is the protocol's, its numbers count places, from 1; a rule may count from 0.
PLACES = [
    (Images("any"), "abcde"),
    (Images("counted", count=2), "ab"),
    (Images("others", first=4, count=9), "de"),
    (Images("from zero", first=0, count=3, names="val_{}"), "abc"),
    (Images("many", first=0, count=10, names="val_{}"), "abcde"),
]


@pytest.mark.parametrize(("images", "places"), PLACES)
def test_of_other_photographs_the_protocol_takes_those_in_the_same_places(images: Images, places: str) -> None:
    assert select(held(dict.fromkeys("abcde", WIDE)), images).names == list(places)


def test_a_square_of_an_odd_photograph_has_the_size() -> None:
    rgb = torch.zeros(3, 333, 500, dtype=torch.uint8)
    assert Cut(256)(rgb).shape == Cut(256, "squash")(rgb).shape == (3, 256, 256)
