"""Whose pictures: matched by name, never by order; the trivial ones; a trained network's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import SIZE, checkpoint, held, save, scenes
from skimage.color import rgb2lab
from torch import Tensor, nn

from gancolor.benchmark.candidates import Colorizer, Gray, HalfSaturated, Real, stored, trained
from gancolor.benchmark.photographs import Photographs
from gancolor.errors import InputError
from gancolor.interfaces import Generator, Prediction

FLAT = torch.zeros(3, 2, 2, dtype=torch.uint8)
CPU = torch.device("cpu")


def photographs(*names: str) -> Photographs:
    return held(dict.fromkeys(names, FLAT))


def files(folder: Path, *names: str) -> Path:
    """Only names matter to matching: nothing is read."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


MATCHES = {
    "the same paths": (["a/1.png", "b/1.png"], ["b/1.png", "a/1.png"], ["a/1.png", "b/1.png"]),
    "bare names in another order": (["a/2.png", "b/1.png"], ["1.png", "2.png"], ["2.png", "1.png"]),
    "deeper than the photographs": (["1.png"], ["fake/images/1.png"], ["fake/images/1.png"]),
    "another extension": (["a/1.JPEG", "a/2.JPEG"], ["a/1.png", "2.webp"], ["a/1.png", "2.webp"]),
    "points in the name": (["x.1.png", "x.2.png"], ["x.2.jpg", "x.1.jpg"], ["x.1.jpg", "x.2.jpg"]),
    "the path before the name": (["1.png"], ["1.jpg", "old/1.jpg"], ["1.jpg"]),
}


@pytest.mark.parametrize("kind", MATCHES)
def test_pictures_are_matched_by_name(tmp_path: Path, kind: str) -> None:
    names, there, expected = MATCHES[kind]
    found, _ = stored("x", files(tmp_path, *there), photographs(*names))
    assert found.files == dict(zip(names, expected, strict=True))


def test_a_picture_is_read_from_the_folder_of_its_candidate(tmp_path: Path) -> None:
    one, other = scenes(2)
    found, _ = stored("x", save(tmp_path, {"2.png": one, "1.png": other}), photographs("a/1.jpg", "b/2.jpg"))
    assert found.source.read(found.files["a/1.jpg"]).equal(other)
    assert found.source.read(found.files["b/2.jpg"]).equal(one)


def test_files_of_no_photograph_are_told(tmp_path: Path) -> None:
    _, extra = stored("x", files(tmp_path, "1.png", "grid.png", "old/1.png"), photographs("1.jpg"))
    assert extra == ["grid.png", "old/1.png"]


def test_missing_pictures_are_counted_and_named(tmp_path: Path) -> None:
    names = [f"{i:03d}.jpg" for i in range(100)]
    files(tmp_path, *(f"{i:03d}.png" for i in range(100) if i not in (7, 8, 99)))
    with pytest.raises(InputError) as error:
        stored("x", tmp_path, photographs(*names))
    text = str(error.value)
    assert text.startswith(f"--candidate x: 3 of 100 photographs have no picture in {tmp_path}: ")
    assert "007.jpg, 008.jpg, 099.jpg." in text


def test_a_picture_of_another_folder_is_not_the_missing_one(tmp_path: Path) -> None:
    files(tmp_path, "a/1.png", "b/2.png")
    with pytest.raises(
        InputError, match=r"^--candidate x: 2 of 4 photographs have no picture .*: a/2\.jpg, b/1\.jpg\."
    ):
        stored("x", tmp_path, photographs("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"))


def test_of_many_missing_pictures_some_are_named(tmp_path: Path) -> None:
    files(tmp_path, "other.png")
    with pytest.raises(InputError, match=r"9 of 9 .*: 0\.jpg, 1\.jpg, 2\.jpg, 3\.jpg, 4\.jpg and 4 more\."):
        stored("x", tmp_path, photographs(*(f"{i}.jpg" for i in range(9))))


def test_a_photograph_with_two_pictures_is_named_with_both(tmp_path: Path) -> None:
    files(tmp_path, "1.png", "1.jpg", "2.png")
    with pytest.raises(InputError, match=r"^--candidate x: 1\.jpg has several pictures: 1\.jpg, 1\.png; keep one$"):
        stored("x", tmp_path, photographs("1.jpg", "2.jpg"))


def test_a_picture_that_two_photographs_could_own_is_named_with_both(tmp_path: Path) -> None:
    files(tmp_path, "1.png")
    with pytest.raises(InputError, match=r"^--candidate x: 1\.png could be of a/1\.jpg or of b/1\.jpg: "):
        stored("x", tmp_path, photographs("a/1.jpg", "b/1.jpg"))


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^--candidate x: {tmp_path} holds no image"):
        stored("x", tmp_path, photographs("1.jpg"))


def lab(pictures: Tensor) -> np.ndarray:
    """By scikit-image, which shares no code with ours."""
    return rgb2lab(pictures.movedim(1, 3).numpy())


def test_gray_has_the_lightness_and_no_color() -> None:
    real = torch.stack(scenes(2))
    fake = Gray()(real)
    red, green, blue = fake.unbind(dim=1)
    assert max((red.int() - green).abs().max(), (red.int() - blue).abs().max()) <= 1
    assert np.abs(lab(fake)[..., 0] - lab(real)[..., 0]).max() < 0.3  # half a step of 255


def test_half_saturated_has_half_the_chroma() -> None:
    real = torch.stack(scenes(2))
    difference = np.abs(lab(HalfSaturated()(real)) - lab(real) * (1, 0.5, 0.5))
    assert difference.mean() < 0.3
    assert difference.max() < 3  # 8 bits are coarse where it is dark


def test_real_is_the_photograph() -> None:
    real = torch.stack(scenes(2))
    assert Real()(real) is real


def test_a_checkpoint_colors_the_photograph_s_lightness(tmp_path: Path) -> None:
    real = torch.stack(scenes(2))
    colorizer, size = trained(checkpoint(tmp_path / "last.ckpt"), None, CPU)
    fake = colorizer(real)
    assert size == SIZE
    assert np.abs(lab(fake)[..., 0] - lab(real)[..., 0]).mean() < 0.3
    assert np.abs(lab(fake)[..., 1:]).mean() > 2  # it paints
    assert colorizer(Gray()(real)).float().sub(fake.float()).abs().max() <= 2  # and has not seen the color


def test_a_checkpoint_is_evaluated_at_another_size_if_it_is_told(tmp_path: Path) -> None:
    candidate, size = trained(checkpoint(tmp_path / "last.ckpt"), 64, CPU)
    assert size == 32  # of the training, for the remark
    assert candidate(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape == (1, 3, 64, 64)


@pytest.mark.parametrize("size", [48, 33, 16])
def test_a_size_that_the_network_cannot_take_is_refused(tmp_path: Path, size: int) -> None:
    path = checkpoint(tmp_path / "last.ckpt")
    with pytest.raises(InputError, match=f"^size is {size}: the network of {path} needs a multiple of 32$"):
        trained(path, size, CPU)


class Scaled(Generator):
    """Weights alone do not say what it paints."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.stride = 1
        self.ab = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Prediction:
        raise NotImplementedError


def test_identities_tell_weights_and_arguments_apart() -> None:
    one, same, scaled, moved = Scaled(1.0), Scaled(1.0), Scaled(2.0), Scaled(1.0)
    nn.init.ones_(moved.ab)
    assert Colorizer(one).identity == Colorizer(same).identity
    assert len({Colorizer(it).identity for it in (one, scaled, moved)} | {Gray.identity, Real.identity}) == 5
