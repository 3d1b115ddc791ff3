import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torch import nn

from gancolor.errors import InputError
from gancolor.metrics import colorfulness, mse, psnr, ssim, ssim_uniform

GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
SSIM = pytest.mark.parametrize(("function", "options"), [(ssim, GAUSSIAN), (ssim_uniform, {})])
PAIRED = [mse, psnr, ssim, ssim_uniform]


def pictures(seed, size=(40, 32)):
    """Smooth random pictures with some noise."""
    generator = torch.Generator().manual_seed(seed)
    smooth = nn.functional.interpolate(torch.rand(4, 3, 5, 4, generator=generator), size=size, mode="bicubic")
    return (smooth.clamp(0, 1) * 230 + 25 * torch.rand(smooth.shape, generator=generator)).to(torch.uint8)


def noise(seed, size=(24, 31)):
    return torch.randint(256, (4, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def near(images):
    """The same, but for the last bit of some values."""
    return images ^ (noise(9, images.shape[2:]) % 2)


def flat(value):
    return torch.full((4, 3, 24, 31), value, dtype=torch.uint8)


def gray(images):
    return images[:, :1].expand(-1, 3, -1, -1)


PAIRS = {
    "pictures": (pictures(2), pictures(3)),
    "as small as the window": (pictures(2, (11, 64)), pictures(3, (11, 64))),
    "noise": (noise(0), noise(1)),
    "similar": (near(pictures(2)), pictures(2)),
    "gray": (gray(pictures(2)), pictures(2)),
    "nearly white": (near(flat(255)), flat(254)),
    "nearly black": (near(flat(1)), flat(0)),
    "nearly black beside white": (near(torch.cat([flat(0), flat(255)], 3)), torch.cat([flat(0), flat(255)], 3)),
    "darker": (pictures(2) // 2, pictures(2)),
}
every_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


def reference(function, fake, real, **options):
    pairs = zip(fake.movedim(1, 3).numpy(), real.movedim(1, 3).numpy(), strict=True)
    return [function(r, f, **options) for f, r in pairs]


@every_pair
def test_mse_and_psnr_are_scikit_image_s(pair):
    assert mse(*pair).tolist() == pytest.approx(reference(mean_squared_error, *pair), rel=1e-5)
    expected = np.minimum(reference(peak_signal_noise_ratio, *pair, data_range=255), 60)
    assert psnr(*pair).tolist() == pytest.approx(expected, abs=1e-4)


def test_psnr_of_identical_images_is_the_cap():
    assert psnr(flat(7), flat(7)).tolist() == [60] * 4
    assert psnr(flat(0), flat(255)).tolist() == [0] * 4


@every_pair
@SSIM
def test_ssim_is_scikit_image_s(function, options, pair):
    expected = reference(structural_similarity, *pair, channel_axis=2, data_range=255, **options)
    assert function(*pair).tolist() == pytest.approx(expected, abs=1e-5)


@SSIM
def test_ssim_of_flat_images_is_their_luminance_s(function, options):
    constant = (0.01 * 255) ** 2
    assert function(flat(0), flat(255)).tolist() == pytest.approx([constant / (255**2 + constant)] * 4, rel=1e-5)
    assert function(flat(93), flat(93)).tolist() == [1] * 4


@SSIM
def test_ssim_of_identical_images_is_one(function, options):
    assert function(pictures(2), pictures(2)).tolist() == pytest.approx([1] * 4, abs=1e-6)


@pytest.mark.parametrize(("function", "smallest"), [(ssim, 11), (ssim_uniform, 7)])
def test_ssim_of_an_image_smaller_than_the_window_is_an_error(function, smallest):
    assert function(flat(1)[..., :smallest], flat(1)[..., :smallest]).tolist() == [1] * 4
    with pytest.raises(InputError, match=rf"{smallest}×{smallest} pixels; images of 24×{smallest - 1}"):
        function(flat(1)[..., : smallest - 1], flat(1)[..., : smallest - 1])


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("images", [pair[0] for pair in PAIRS.values()], ids=PAIRS)
def test_colorfulness_is_the_formula(images, absolute):
    expected = []
    for image in images.numpy().astype(np.float64):
        red, green, blue = image
        rg, yb = red - green, (red + green) / 2 - blue
        if absolute:
            rg, yb = np.abs(rg), np.abs(yb)
        expected.append(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))
    assert colorfulness(images, absolute).tolist() == pytest.approx(expected, abs=1e-4)


def test_colorfulness_of_half_red_half_blue():
    # Red is (rg, yb) = (255, 127.5) and blue (0, −255): half a difference is a deviation, half a sum a mean.
    image = torch.zeros(1, 3, 4, 6, dtype=torch.uint8)
    image[:, 0, :, :3] = 255
    image[:, 2, :, 3:] = 255
    signed = np.hypot(127.5, 191.25) + 0.3 * np.hypot(127.5, 63.75)
    absolute = np.hypot(127.5, 63.75) + 0.3 * np.hypot(127.5, 191.25)
    assert colorfulness(image).item() == pytest.approx(signed, abs=1e-3)
    assert colorfulness(image, absolute=True).item() == pytest.approx(absolute, abs=1e-3)


def test_gray_has_no_colorfulness():
    assert colorfulness(gray(pictures(2))).tolist() == [0] * 4


@pytest.mark.parametrize("function", [*PAIRED, lambda fake, _: colorfulness(fake)])
def test_autocast_changes_nothing(function):
    expected = function(*PAIRS["pictures"])
    assert expected.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(function(*PAIRS["pictures"]), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("function", [*PAIRED, lambda fake, _: colorfulness(fake)])
def test_a_gpu_finds_the_same(function):
    fake, real = PAIRS["pictures"]
    found = function(fake.cuda(), real.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), function(fake, real), rtol=1e-5, atol=1e-5)
