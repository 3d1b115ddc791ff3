import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import nn

from gancolor.color import gray, rgb_to_lab
from gancolor.metrics import ab_histogram, lab_pairs
from gancolor.metrics.lab import auc, auc_cells, ciede2000, delta_e, lightness_error

CELLS = 529

# Sharma, Wu & Dalal 2005, table 1: L a b, L a b, ΔE.
PUBLISHED = """
50.0000   2.6772 -79.7751  50.0000   0.0000 -82.7485   2.0425
50.0000   3.1571 -77.2803  50.0000   0.0000 -82.7485   2.8615
50.0000   2.8361 -74.0200  50.0000   0.0000 -82.7485   3.4412
50.0000  -1.3802 -84.2814  50.0000   0.0000 -82.7485   1.0000
50.0000  -1.1848 -84.8006  50.0000   0.0000 -82.7485   1.0000
50.0000  -0.9009 -85.5211  50.0000   0.0000 -82.7485   1.0000
50.0000   0.0000   0.0000  50.0000  -1.0000   2.0000   2.3669
50.0000  -1.0000   2.0000  50.0000   0.0000   0.0000   2.3669
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0009   7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0010   7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0011   7.2195
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0012   7.2195
50.0000  -0.0010   2.4900  50.0000   0.0009  -2.4900   4.8045
50.0000  -0.0010   2.4900  50.0000   0.0010  -2.4900   4.8045
50.0000  -0.0010   2.4900  50.0000   0.0011  -2.4900   4.7461
50.0000   2.5000   0.0000  50.0000   0.0000  -2.5000   4.3065
50.0000   2.5000   0.0000  73.0000  25.0000 -18.0000  27.1492
50.0000   2.5000   0.0000  61.0000  -5.0000  29.0000  22.8977
50.0000   2.5000   0.0000  56.0000 -27.0000  -3.0000  31.9030
50.0000   2.5000   0.0000  58.0000  24.0000  15.0000  19.4535
50.0000   2.5000   0.0000  50.0000   3.1736   0.5854   1.0000
50.0000   2.5000   0.0000  50.0000   3.2972   0.0000   1.0000
50.0000   2.5000   0.0000  50.0000   1.8634   0.5757   1.0000
50.0000   2.5000   0.0000  50.0000   3.2592   0.3350   1.0000
60.2574 -34.0099  36.2677  60.4626 -34.1751  39.4387   1.2644
63.0109 -31.0961  -5.8663  62.8187 -29.7946  -4.0864   1.2630
61.2901   3.7196  -5.3901  61.4292   2.2480  -4.9620   1.8731
35.0831 -44.1164   3.7933  35.0232 -40.0716   1.5901   1.8645
22.7233  20.0904 -46.6940  23.0331  14.9730 -42.5619   2.0373
36.4612  47.8580  18.3852  36.2715  50.5065  21.2231   1.4146
90.8027  -2.0831   1.4410  91.1528  -1.6435   0.0447   1.4441
90.9257  -0.5406  -0.9208  88.6381  -0.8985  -0.7239   1.5381
 6.7747  -0.2908  -2.4247   5.8714  -0.0985  -2.2286   0.6377
 2.0776   0.0795  -1.1350   0.9033  -0.0636  -0.5514   0.9082
"""


def pictures(seed, size=(40, 32)):
    """Smooth random pictures with some noise."""
    generator = torch.Generator().manual_seed(seed)
    smooth = nn.functional.interpolate(torch.rand(4, 3, 5, 4, generator=generator), size=size, mode="bicubic")
    return (smooth.clamp(0, 1) * 230 + 25 * torch.rand(smooth.shape, generator=generator)).to(torch.uint8)


def noise(seed):
    return torch.randint(256, (4, 3, 24, 31), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def flat(*rgb):
    return torch.tensor(rgb, dtype=torch.uint8).view(1, 3, 1, 1).expand(4, 3, 24, 31)


PAIRS = {
    "pictures": (pictures(2), pictures(3)),
    "noise": (noise(0), noise(1)),
    "gray": (gray(pictures(2)), pictures(2)),
    "both gray": (gray(pictures(2)), gray(pictures(3))),
    "identical": (pictures(2), pictures(2)),
    "green for blue": (flat(0, 255, 0), flat(0, 0, 255)),
    "black for white": (flat(0, 0, 0), flat(255, 255, 255)),
}
every_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


def in_units(images):
    return rgb2lab(images.movedim(1, 3).numpy())


def ab_errors(pair):
    fake, real = map(in_units, pair)
    return np.linalg.norm((fake - real)[..., 1:], axis=-1)


def cells_of(images):
    """The place of each pixel's nearest multiple of 10 from −110 to 110, a by b."""
    place = np.rint(in_units(images)[..., 1:] / 10).astype(int) + 11
    return place[..., 0] * 23 + place[..., 1]


@every_pair
def test_delta_e_is_scikit_image_s(pair):
    expected = deltaE_ciede2000(*map(in_units, pair)).mean(axis=(1, 2))
    assert lab_pairs(*pair)["delta_e"].tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("swapped", [False, True])
def test_ciede2000_is_the_published_table(swapped):
    table = torch.tensor([float(word) for word in PUBLISHED.split()], dtype=torch.float64).view(34, 7, 1, 1)
    one, other, expected = table[:, :3], table[:, 3:6], table[:, 6]
    found = ciede2000(other, one) if swapped else ciede2000(one, other)
    torch.testing.assert_close(found, expected, rtol=0, atol=6e-5)  # published to four decimals


def test_ciede2000_is_scikit_image_s_to_the_last_digits():
    generator = torch.Generator().manual_seed(0)
    box = torch.rand(2, 3, 200, 200, dtype=torch.float64, generator=generator)
    one, other = box * torch.tensor([100, 256, 256]).view(3, 1, 1) - torch.tensor([0, 128, 128]).view(3, 1, 1)
    expected = torch.from_numpy(deltaE_ciede2000(one.movedim(0, 2).numpy(), other.movedim(0, 2).numpy()))
    torch.testing.assert_close(ciede2000(one[None], other[None])[0], expected, rtol=0, atol=1e-9)


@every_pair
def test_auc_is_the_integral_over_thresholds(pair):
    errors, thresholds = ab_errors(pair), np.linspace(0, 150, 3001)
    shares = [(errors < t).mean(axis=(1, 2)) for t in thresholds]
    expected = np.trapezoid(shares, thresholds, axis=0) / 150
    assert lab_pairs(*pair)["auc"].tolist() == pytest.approx(expected, abs=2e-4)  # half a step


@every_pair
def test_auc_is_its_closed_form(pair):
    expected = (1 - np.minimum(ab_errors(pair), 150) / 150).mean(axis=(1, 2))
    assert lab_pairs(*pair)["auc"].tolist() == pytest.approx(expected, abs=1e-6)


@every_pair
def test_auc_cells_are_the_closeness_by_real_color(pair):
    scores, cells = 1 - np.minimum(ab_errors(pair), 150) / 150, cells_of(pair[1])
    expected = [np.bincount(c.ravel(), s.ravel(), CELLS) / c.size for c, s in zip(cells, scores, strict=True)]
    found = lab_pairs(*pair)["auc_cells"]
    torch.testing.assert_close(found.double(), torch.tensor(np.array(expected)), rtol=0, atol=1e-6)


def test_auc_cells_of_many_equal_pixels_still_sum_to_auc():
    # Added one by one in float32, a million equal numbers are off by a thousandth.
    fake, real = (flat(*rgb)[:1, :, :1, :1].expand(1, 3, 1000, 1000) for rgb in ((60, 60, 60), (90, 20, 200)))
    numbers = lab_pairs(fake, real)
    assert numbers["auc_cells"].sum().item() == pytest.approx(numbers["auc"].item(), rel=1e-6)


@every_pair
def test_ab_histogram_counts_the_pixels_of_each_cell(pair):
    cells = cells_of(pair[0])
    expected = torch.tensor(np.array([np.bincount(c.ravel(), minlength=CELLS) / c.size for c in cells]))
    torch.testing.assert_close(ab_histogram(pair[0]).double(), expected, rtol=0, atol=1e-6)


def test_ab_histogram_of_a_third_red_and_two_thirds_blue():
    # Red is (a, b) = (80.1, 67.2), in the cell (8, 7); blue is (79.2, −107.9), in the cell (8, −11).
    image = torch.cat([flat(255, 0, 0), flat(0, 0, 255), flat(0, 0, 255)], dim=3)[:1]
    histogram = ab_histogram(image).view(23, 23)
    assert histogram[8 + 11, 7 + 11].item() == pytest.approx(1 / 3)
    assert histogram[8 + 11, -11 + 11].item() == pytest.approx(2 / 3)
    assert histogram.sum().item() == pytest.approx(1)


@every_pair
def test_lightness_error_is_in_units_of_l(pair):
    fake, real = map(in_units, pair)
    expected = np.abs(fake - real)[..., 0].mean(axis=(1, 2))
    assert lab_pairs(*pair)["lightness_error"].tolist() == pytest.approx(expected, abs=1e-4)


def test_white_for_black_is_a_hundred_units_of_light():
    numbers = lab_pairs(*PAIRS["black for white"])
    assert numbers["lightness_error"].tolist() == pytest.approx([100] * 4, abs=1e-3)
    assert numbers["delta_e"].tolist() == pytest.approx([100] * 4, abs=1e-3)
    assert numbers["auc"].tolist() == pytest.approx([1] * 4, abs=1e-4)


def test_lab_pairs_are_the_functions():
    fake, real = map(rgb_to_lab, PAIRS["pictures"])
    expected = {f.__name__: f(fake, real) for f in (delta_e, auc, auc_cells, lightness_error)}
    torch.testing.assert_close(lab_pairs(*PAIRS["pictures"]), expected, rtol=1e-5, atol=1e-6)


@every_pair
def test_autocast_changes_nothing(pair):
    expected = {**lab_pairs(*pair), "ab_histogram": ab_histogram(pair[0])}
    assert {number.dtype for number in expected.values()} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        found = {**lab_pairs(*pair), "ab_histogram": ab_histogram(pair[0])}
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.gpu
def test_a_gpu_finds_the_same():
    fake, real = PAIRS["pictures"]
    found = lab_pairs(fake.cuda(), real.cuda())
    assert all(number.is_cuda for number in found.values())
    found = {name: number.cpu() for name, number in found.items()}
    torch.testing.assert_close(found, lab_pairs(fake, real), rtol=1e-4, atol=1e-3)  # a pixel may change its cell
