from colorsys import rgb_to_hsv

import numpy as np
import pytest
import torch
from PIL import Image

from gancolor.data.augment import Augment, center
from gancolor.interfaces import Unreadable


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def coordinates(height: int, width: int) -> torch.Tensor:
    """A picture whose red is the row and whose green is the column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns, torch.zeros_like(rows)]).to(torch.uint8)


@pytest.mark.parametrize(("height", "width"), [(90, 140), (201, 77), (40, 60), (64, 64)])
def test_center_is_pillows_antialiased_bicubic(height: int, width: int) -> None:
    picture = np.random.default_rng(0).integers(60, 196, (height, width, 3), dtype=np.uint8)  # nothing to clip between
    scale = 64 / min(height, width)
    wide, high = (64 if side == min(height, width) else int(side * scale) for side in (width, height))
    resized = np.asarray(Image.fromarray(picture).resize((wide, high), Image.Resampling.BICUBIC)).astype(int)
    top, left = round((high - 64) / 2), round((wide - 64) / 2)
    ours = center(torch.from_numpy(picture).permute(2, 0, 1), 64).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(ours - resized[top : top + 64, left : left + 64]).max() <= 2  # two passes of 8 bits


@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 40)])
def test_crop_is_a_window_of_the_picture_and_every_window_occurs(height: int, width: int) -> None:
    picture = coordinates(height, width)
    augment = Augment(size=32, load_size=40, flip=False)
    found = set()
    for seed in range(2000):
        crop = augment(picture, rng(seed))
        top, left = crop[0, 0, 0].item(), crop[1, 0, 0].item()
        assert torch.equal(crop, picture[:, top : top + 32, left : left + 32])
        found.add((top, left))
    assert len(found) == (height - 31) * (width - 31)


def test_resizes_the_short_side_to_load_size() -> None:
    ramp = torch.arange(200).repeat(100, 1).expand(3, 100, 200).to(torch.uint8)  # slope 1; 100 → 40: slope 2.5
    crop = Augment(size=32, load_size=40)(ramp, rng(0))[0].float()
    slopes = crop[:, 1:] - crop[:, :-1]
    assert slopes.mean().abs().item() == pytest.approx(2.5, abs=0.05)
    assert (crop == crop[0]).all()


def test_flips_every_second_picture() -> None:
    picture = coordinates(32, 32)
    flipped = [torch.equal(Augment(32, 32)(picture, rng(seed)), picture.flip(2)) for seed in range(400)]
    assert 160 < sum(flipped) < 240  # ±4 standard deviations
    assert all(torch.equal(Augment(32, 32, flip=False)(picture, rng(seed)), picture) for seed in range(20))


@pytest.mark.parametrize("rotation", [5.0, 30.0, 45.0, 180.0])
@pytest.mark.parametrize(("height", "width"), [(33, 33), (36, 120), (20, 50), (300, 70)])
def test_rotation_fills_the_corners(rotation: float, height: int, width: int) -> None:
    augment = Augment(size=33, load_size=36, rotation=rotation)
    color = torch.tensor([255, 255, 200], dtype=torch.uint8)[:, None, None]
    for seed in range(50):
        assert (augment(color.expand(3, height, width), rng(seed)) == color).all()


def test_rotation_turns_what_lies_there() -> None:
    size = 48
    augment = Augment(size, load_size=100, flip=False, rotation=20.0)
    grid = coordinates(size, size)[:2].flatten(1).double()
    design = torch.stack([grid[0], grid[1], torch.ones(size * size)], dim=1)
    angles = []
    for seed in range(200):
        crop = augment(coordinates(100, 150), rng(seed))[:2].flatten(1).double()
        plane = torch.linalg.lstsq(design, crop.T).solution
        assert (design @ plane - crop.T).abs().max() <= 1  # planes stay planes: nothing bent, nothing black
        (cosine, sine), (minus_sine, again) = plane[:2].tolist()
        assert (cosine, sine) == pytest.approx((again, -minus_sine), abs=0.01)
        assert cosine**2 + sine**2 == pytest.approx(1, abs=0.01)
        angles.append(np.degrees(np.arctan2(sine, cosine)))
    assert -20.5 < min(angles) < -18
    assert 18 < max(angles) < 20.5
    assert abs(np.mean(angles)) < 3.3  # 4 standard deviations of a uniform angle's mean


def test_jitter_of_gray_is_brightness() -> None:
    gray = torch.full((3, 20, 20), 100, dtype=torch.uint8)
    values = []
    for seed in range(200):
        crop = Augment(16, 16, jitter=0.2)(gray, rng(seed))
        assert (crop == crop[0, 0, 0]).all()
        values.append(crop[0, 0, 0].item())
    assert 77 <= min(values) <= 83  # each of three steps cuts decimals off
    assert 114 <= max(values) <= 120


def test_jitter_of_a_color_moves_hue_a_little() -> None:
    color = torch.tensor([60, 140, 90], dtype=torch.uint8)[:, None, None].expand(3, 16, 16)
    hue = rgb_to_hsv(60 / 255, 140 / 255, 90 / 255)[0]
    pixels = [Augment(16, 16, jitter=0.2)(color, rng(seed))[:, 0, 0] / 255 for seed in range(100)]
    hues, saturations, values = zip(*(rgb_to_hsv(*pixel.tolist()) for pixel in pixels), strict=True)
    assert max(abs(h - hue) for h in hues) == pytest.approx(0.02, abs=0.008)
    assert max(saturations) - min(saturations) > 0.1
    assert max(values) - min(values) > 0.1


def test_is_a_function_of_picture_and_generator() -> None:
    picture = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8, generator=rng(0))
    augment = Augment(32, 40, rotation=10.0, jitter=0.3)
    before, untouched = torch.get_rng_state(), picture.clone()
    first = augment(picture, rng(7))
    torch.rand(3)
    torch.set_rng_state(before)
    augment(picture, rng(8))
    assert torch.equal(augment(picture, rng(7)), first)
    assert not torch.equal(augment(picture, rng(8)), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(picture, untouched)


def test_refuses_to_blow_up() -> None:
    tiny = torch.zeros(3, 31, 400, dtype=torch.uint8)
    with pytest.raises(Unreadable, match=r"400×31 pixels, too small for size 64.* 32"):
        center(tiny, 64)
    with pytest.raises(Unreadable, match="too small for size 64"):
        Augment(64, 72)(tiny, rng(0))
    just = torch.zeros(3, 32, 400, dtype=torch.uint8)
    assert center(just, 64).shape == Augment(64, 72)(just, rng(0)).shape == (3, 64, 64)


def test_min_side_is_what_the_largest_angle_needs() -> None:
    assert Augment(256, 286).min_side == 286
    assert Augment(256, 286, rotation=3.0).min_side == 286  # 256 (cos 3° + sin 3°) = 269
    for rotation in (45.0, 180.0):
        assert 256 * 2**0.5 + 2 <= Augment(256, 286, rotation=rotation).min_side <= 256 * 2**0.5 + 4
