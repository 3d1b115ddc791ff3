"""Coloring photographs of any size: the lightness stays, the color lies where it belongs, strips leave no seams."""

import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import profiled
import pytest
import torch
from jaxtyping import Float, UInt8
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor

from gancolor import inference
from gancolor.data import Scenes
from gancolor.data.decoding import decode
from gancolor.errors import InputError
from gancolor.generators import Profiled, ProfilePredictor, UNet
from gancolor.inference import colorize, own_profile, predict_profile
from gancolor.interfaces import Generator, Prediction

SHARED = Path(__file__).parents[2] / "shared"


class Constant(Generator):
    """The same color everywhere, in units of Lab."""

    def __init__(self, a: float, b: float, stride: int = 1):
        super().__init__()
        self.a, self.b, self.stride = a, b, stride
        self.seen: list[tuple[int, int]] = []

    def forward(self, x: Float[Tensor, "B C H W"]) -> Prediction:
        assert x.shape[2] % self.stride == x.shape[3] % self.stride == 0
        assert x.abs().max() <= 1
        self.seen.append((x.shape[2], x.shape[3]))
        color = torch.tensor([self.a, self.b]) / 110
        return Prediction(color[:, None, None].expand(len(x), 2, *x.shape[2:]))


class FromLight(Generator):
    """A color that follows lightness, a = b = 40 (light + 0.2), so that it shows where it was put."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Float[Tensor, "B C H W"]) -> Prediction:
        return Prediction((x + 0.2).expand(-1, 2, -1, -1) * 40 / 110)


class Spy(Generator):
    """No color; keeps what it was given."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride
        self.seen = torch.empty(0)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Prediction:
        self.seen = x
        return Prediction(x.expand(-1, 2, -1, -1) * 0)


class Ramp(Generator):
    """The color's a grows from left to right, its b from top to bottom."""

    stride = 1

    def forward(self, x: Float[Tensor, "B C H W"]) -> Prediction:
        height, width = x.shape[2:]
        a, b = ramp(width).expand(height, width), ramp(height)[:, None].expand(height, width)
        return Prediction(torch.stack([a, b]).unsqueeze(0) / 110)


def ramp(pixels: int) -> Float[Tensor, " pixels"]:
    """Values at the centers of pixels that share the way from −20 to 20."""
    return ((torch.arange(pixels) + 0.5) / pixels - 0.5) * 40


def lightness(rgb: UInt8[Tensor, "3 H W"]) -> np.ndarray:
    """CIE L in 0…100, by scikit-image."""
    return rgb2lab(rgb.permute(1, 2, 0).numpy())[..., 0]


def mean_error(before: UInt8[Tensor, "3 H W"], after: UInt8[Tensor, "3 H W"]) -> float:
    return float(np.abs(lightness(before) - lightness(after)).mean())


def noise(height: int, width: int) -> UInt8[Tensor, "3 H W"]:
    return torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("color", [(0, 0), (110, 110), (-110, 110), (110, -110), (-110, -110), (20, -30)])
@pytest.mark.parametrize("picture", [noise(40, 40), Scenes(size=64).read("val/000003")], ids=["noise", "scene"])
def test_lightness_stays_however_saturated_the_prediction(color: tuple[float, float], picture: Tensor):
    assert mean_error(picture, colorize(Constant(*color), picture, 32)) < 0.5


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_gray_photograph_without_predicted_color_is_unchanged(level: int):
    picture = torch.full((3, 9, 7), level, dtype=torch.uint8)
    assert torch.equal(colorize(Constant(0, 0), picture, 8), picture)


def test_color_that_the_photograph_has_is_ignored():
    gray = torch.full((3, 12, 12), 119, dtype=torch.uint8)
    colored = colorize(Constant(30, 20), gray, 8)
    expected = lab2rgb(np.array([float(lightness(gray)[0, 0]), 30.0, 20.0])) * 255
    assert np.abs(colored.permute(1, 2, 0).numpy() - expected).max() <= 0.51
    again = colorize(Constant(0, 0), colored, 8)
    assert (again.int() - gray.int()).abs().max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3), (17, 31), (50, 1000), (33, 90), (64, 64)])
@pytest.mark.parametrize("stride", [1, 8, 64])
def test_any_size_and_aspect_ratio(shape: tuple[int, int], stride: int):
    generator = Constant(10, -10, stride)
    colored = colorize(generator, noise(*shape), 32)
    assert colored.shape == (3, *shape)
    assert colored.dtype == torch.uint8
    assert max(generator.seen[0]) <= 16 * 32 + stride


def test_working_size_is_of_the_short_side_also_for_small_photographs():
    for shape, seen in {(60, 120): (32, 64), (120, 60): (64, 32), (16, 24): (32, 48), (10, 1000): (5, 512)}.items():
        generator = Constant(0, 0)
        colorize(generator, noise(*shape), 32)
        assert generator.seen == [seen]


@pytest.mark.parametrize(("height", "width", "stride"), [(96, 128, 1), (192, 256, 64), (83, 211, 16), (30, 21, 32)])
def test_color_lies_where_its_lightness_does(height: int, width: int, stride: int):
    """Shifted by half a working pixel, the steepest ramp here would be wrong by more than the tolerance."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    wave = 127.5 + 60 * torch.sin(6 * x) * torch.cos(5 * y)
    picture = wave.round().byte().expand(3, -1, -1)
    found = rgb2lab(colorize(FromLight(stride), picture, 24).permute(1, 2, 0).numpy())
    expected = 40 * (lightness(picture) / 50 - 1 + 0.2)
    inner = np.s_[height // 12 : -height // 12, width // 12 : -width // 12]  # at the border, the filter ends
    error = (found[..., 1] - expected)[inner]
    assert abs(error.mean()) < 0.05
    assert np.abs(error).max() < 1
    shift = 0.5 * min(height, width) / 24
    steepest = np.abs(np.gradient(expected)).max() * shift
    assert steepest > 1.2


@pytest.mark.parametrize("strip", [1, 53, 1000, 4096])
def test_strips_leave_no_seams(strip: int, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    generator = UNet(depth=3, width=4).eval()
    picture = noise(61, 53)
    monkeypatch.setattr(inference, "_STRIP", 10**9)
    whole = colorize(generator, picture, 40)
    monkeypatch.setattr(inference, "_STRIP", strip)
    assert (colorize(generator, picture, 40).int() - whole.int()).abs().max() <= 1


def test_padding_mirrors_where_it_can_and_repeats_the_edge_where_it_cannot():
    generator = Spy(stride=8)
    colorize(generator, noise(6, 9), 6)
    mirrored = generator.seen[0, 0]
    assert mirrored.shape == (8, 16)
    torch.testing.assert_close(mirrored[0], mirrored[2])
    torch.testing.assert_close(mirrored[:, 2], mirrored[:, 4])
    for height, above in ((2, 3), (3, 2)):
        colorize(generator, noise(height, 9), height)
        repeated = generator.seen[0, 0]
        assert repeated.shape == (8, 16)
        torch.testing.assert_close(repeated[:above], repeated[above].expand(above, -1))


def test_fine_stripes_do_not_alias_where_the_photograph_shrinks():
    stripes = torch.zeros(3, 90, 90, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    generator = Spy(stride=1)
    colorize(generator, stripes, 20)
    assert generator.seen.std() < 0.05  # of stripes between −1 and 1


@pytest.mark.parametrize(("height", "width"), [(48, 64), (200, 300), (257, 161), (13, 10)])
def test_enlarged_color_has_the_position_of_the_predicted(height: int, width: int):
    """A ramp of color over the picture is the same ramp at every size, pixel centers being at (x + 1/2) / width."""
    gray = torch.full((3, height, width), 119, dtype=torch.uint8)
    found = rgb2lab(colorize(Ramp(), gray, 32).permute(1, 2, 0).numpy())
    a = np.broadcast_to(ramp(width).numpy(), (height, width))
    b = np.broadcast_to(ramp(height).numpy()[:, None], (height, width))
    inner = np.s_[height // 10 : -height // 10, width // 10 : -width // 10]  # at the border, the filter ends
    for channel, expected in ((1, a), (2, b)):
        error = (found[..., channel] - expected)[inner]
        assert np.abs(error).max() < 0.8  # 8-bit rounding
        assert abs(error.mean()) < 0.1  # half of a pixel of 32 is 0.625


def test_neither_gradients_nor_training_noise():
    generator = UNet(depth=3, width=4).eval()
    picture = noise(20, 20)
    assert torch.equal(colorize(generator, picture, 16), colorize(generator, picture, 16))
    assert all(parameter.grad is None for parameter in generator.parameters())


@pytest.mark.parametrize("size", [0, -3])
def test_impossible_sizes_are_refused(size: int):
    with pytest.raises(InputError, match=f"size is {size}: it must be at least 1"):
        colorize(Constant(0, 0), noise(4, 4), size)


def test_a_diverged_generator_is_not_taken_for_a_gray_one():
    with pytest.raises(InputError, match="diverged"):
        colorize(Constant(float("nan"), 0), noise(4, 4), 4)


def test_out_of_memory_is_never_an_uncolored_picture():
    class Greedy(Generator):
        stride = 1

        def forward(self, x: Float[Tensor, "B C H W"]) -> Prediction:
            raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        colorize(Greedy(), noise(4, 4), 4)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_lightness_of_photographs_stays(tmp_path: Path):
    with tarfile.open(SHARED / "data" / "imagenette224-subset.tar") as archive:
        members = [member for member in archive if member.name.lower().endswith((".jpeg", ".jpg"))][:600:60]
        archive.extractall(tmp_path, members, filter="data")
    photographs = [decode(tmp_path / member.name) for member in members]
    assert len(photographs) == 10
    torch.manual_seed(0)
    for generator in (UNet(depth=5, width=8).eval(), Constant(-110, 60), Constant(90, 90)):
        for photograph in photographs:
            assert mean_error(photograph, colorize(generator, photograph, 64)) < 0.5


_TWELVE_MEGAPIXELS = """
import resource, sys, torch
torch.set_num_threads(2)
from gancolor.generators import Profiled, ProfilePredictor, UNet
from gancolor.inference import colorize, own_profile, predict_profile
colorize(UNet().eval(), torch.randint(0, 256, (3, 3000, 4000), dtype=torch.uint8), 256)
assert not {"pytorch_lightning", "torchmetrics", "wandb"} & sys.modules.keys()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_twelve_megapixels_fit_into_four_gigabytes():
    done = subprocess.run([sys.executable, "-c", _TWELVE_MEGAPIXELS], check=True, capture_output=True, text=True)
    assert int(done.stdout) * 1024 < 4e9


class Undecided(Generator):
    """Red or blue, as likely as each other, at half the resolution; by itself it says neither."""

    stride = 8

    def forward(self, x: Float[Tensor, "B C H W"]) -> Prediction:
        height, width = x.shape[2:]
        logits = torch.zeros(len(x), 2, height // 2, width // 2)
        return Prediction(torch.zeros(len(x), 2, height, width), logits, torch.tensor([[0.45, 0.35], [0.1, -0.4]]))


def test_samples_are_of_what_the_generator_holds_for_likely() -> None:
    photograph = torch.full((3, 37, 23), 119, dtype=torch.uint8)
    colored = [colorize(Undecided(), photograph, 16, sample).float().mean((1, 2)) for sample in range(1, 21)]
    red = [bool(r > g and r > b) for r, g, b in colored]
    assert 4 < sum(red) < 16
    assert all(b > r or r > g for r, g, b in colored)
    assert torch.equal(colorize(Undecided(), photograph, 16), photograph)


def test_a_sample_of_a_generator_that_knows_of_one_color_only_is_refused() -> None:
    with pytest.raises(InputError, match="this colorizer knows of one result only"):
        colorize(Constant(10, 10), torch.zeros(3, 8, 8, dtype=torch.uint8), 8, 1)


@pytest.mark.parametrize("shape", [(1, 1), (20, 30), (31, 17), (4, 400), (200, 2)])
def test_a_profile_decides_on_the_color(shape: tuple[int, int]) -> None:
    generator, photograph = profiled.generator(predicts="cool"), torch.full((3, *shape), 119, dtype=torch.uint8)
    for number, (name, ab) in enumerate(profiled.PAINT.items()):
        colored = colorize(generator, photograph, 16, profile=number)
        assert profiled.painted(colored) == name
        found = rgb2lab(colored.permute(1, 2, 0).numpy())[..., 1:]
        assert np.abs(found - 110 * np.array(ab)).max() < 1  # everywhere, to the border
        assert mean_error(photograph, colored) < 0.5
    assert profiled.painted(colorize(generator, photograph, 16)) == "cool"
    assert profiled.painted(colorize(profiled.generator(predicts="warm"), photograph, 16)) == "warm"


def test_a_mixture_of_profiles_lies_between_them() -> None:
    generator, gray = profiled.generator(), torch.full((3, 8, 8), 119, dtype=torch.uint8)
    only, half = (colorize(generator, gray, 8, profile=shares) for shares in ([1.0, 0.0], [0.5, 0.5]))
    assert torch.equal(only, colorize(generator, gray, 8, profile=0))
    a, b = rgb2lab(half.permute(1, 2, 0).numpy())[0, 0, 1:]
    assert (a, b) == pytest.approx((110 * np.tanh(np.arctanh(0.3) / 2), -110 * 0.051), abs=1)


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (2, "profile is 2: this colorizer knows 2, numbered from 0"),
        (-1, "profile is -1: this colorizer knows 2"),
        ([1.0], r"profile is \[1.0\]: it must be 2 shares of at least 0 that sum to 1"),
        ([0.5, 0.2], "sum to 1"),
        ([1.5, -0.5], "at least 0"),
        ([float("nan"), 1.0], "sum to 1"),
    ],
)
def test_profiles_that_a_generator_does_not_know_are_refused(profile: int | list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        colorize(profiled.generator(), noise(8, 8), 8, profile=profile)


def test_a_generator_without_profiles_says_so() -> None:
    with pytest.raises(InputError, match="this colorizer knows no profiles: train one with"):
        colorize(Constant(0, 0), noise(8, 8), 8, profile=0)
    with pytest.raises(InputError, match="this colorizer knows no profiles: train one with"):
        predict_profile(Constant(0, 0), noise(8, 8), 8)


@pytest.mark.parametrize("shape", [(20, 30), (3, 300)])
def test_the_predicted_profile_is_the_one_that_the_generator_colors_by(shape: tuple[int, int]) -> None:
    """With weights at random, its answer depends on every pixel that it is shown, those of the padding too."""
    torch.manual_seed(0)
    generator = Profiled(UNet(in_channels=4, depth=3, width=4), ProfilePredictor(3, width=4, layers=2), "soft").eval()
    photograph = noise(*shape)
    likely = predict_profile(generator, photograph, 13)
    assert sum(likely) == pytest.approx(1)
    assert max(likely) - min(likely) > 0.01
    assert torch.equal(colorize(generator, photograph, 13), colorize(generator, photograph, 13, profile=likely))
    assert predict_profile(profiled.generator("warm"), photograph, 13) == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("name", ["warm", "cool"])
def test_the_own_profile_is_that_of_the_colors(name: str) -> None:
    photograph = profiled.plain(name, 50, 200)
    shares = own_profile(profiled.guide(), photograph, 16)
    assert shares == [float(name == known) for known in profiled.PAINT]
    assert profiled.painted(colorize(profiled.generator(), photograph, 16, profile=shares)) == name
    with pytest.raises(InputError, match="size is 0"):
        own_profile(profiled.guide(), photograph, 0)


def test_the_own_profile_is_seen_at_the_working_size() -> None:
    """As in training, where the guide sees the very pictures that the generator does."""
    reddish, bluish = profiled.plain("warm", 64, 64), profiled.plain("cool", 64, 64)
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 8 == 0  # an eighth warm, the rest cool
    seen: list[tuple[int, ...]] = []
    guide = profiled.guide()
    guide.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].ab.shape)))
    assert own_profile(guide, torch.where(board, reddish, bluish), 8) == [0.0, 1.0]
    assert seen == [(1, 2, 8, 8)]
