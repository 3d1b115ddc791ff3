import copy

import numpy as np
import pytest
import torch
from processes import together
from skimage.color import rgb2lab
from torch import nn
from torch.distributed import init_process_group

from gancolor.color import AB_SCALE, Lab, gray, lab_to_rgb
from gancolor.metrics import (
    PSNR,
    SSIM,
    AbDistance,
    Colorfulness,
    ColorfulnessRatio,
    RareRecall,
    colorfulness,
    psnr,
    ssim,
)


def pictures(count, seed, size=(40, 32)):
    """Smooth random pictures with some noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    return (smooth * 230 + 25 * torch.rand(smooth.shape, generator=generator)).to(torch.uint8)


FAKE, REAL = pictures(12, seed=2), pictures(12, seed=3)
NUMBERS = {
    "psnr": (PSNR, psnr),
    "ssim": (SSIM, ssim),
    "signed": (Colorfulness, lambda fake, _: colorfulness(fake)),
    "absolute": (lambda: Colorfulness(True), lambda fake, _: colorfulness(fake, absolute=True)),
}
OF_SETS = (RareRecall, AbDistance, ColorfulnessRatio)
MAKES = {name: make for name, (make, _) in NUMBERS.items()} | {make.__name__: make for make in OF_SETS}
every_metric = pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)


def measure(metric, fake, real, batch=5):
    for f, r in zip(fake.split(batch), real.split(batch), strict=True):
        metric.update(f, r)
    return metric.compute().item()


@pytest.mark.parametrize("name", NUMBERS)
def test_metric_is_the_mean_over_images(name):
    make, number = NUMBERS[name]
    assert measure(make(), FAKE, REAL) == pytest.approx(number(FAKE, REAL).mean().item(), rel=1e-5)


@every_metric
def test_two_processes_are_one(make):
    whole = measure(make(), FAKE, REAL)
    first, second = make(), make()
    first.update(FAKE[:7], REAL[:7])
    second.update(FAKE[7:], REAL[7:])
    first.merge_state(second)  # with the reductions that a synchronisation uses
    assert first.compute().item() == pytest.approx(whole, rel=1e-5)


@every_metric
def test_nothing_is_saved_trained_or_registered(make):
    metric = make()
    metric.update(FAKE, REAL)
    assert not metric.state_dict()
    assert not list(metric.parameters())
    assert not list(metric.children())


@every_metric
def test_autocast_and_gradients_change_nothing(make):
    expected = measure(make(), FAKE, REAL, batch=12)
    with torch.autocast("cpu", torch.bfloat16), torch.enable_grad():
        batch = make()(FAKE, REAL)  # torchmetrics' forward switches gradients on
    assert batch.item() == expected
    assert not batch.requires_grad


@every_metric
def test_works_across_inference_mode(make):
    metric = make()
    with torch.inference_mode():
        metric.reset()
        metric.update(FAKE.clone(), REAL.clone())
    metric.update(FAKE, REAL)
    assert metric.compute().item() == pytest.approx(measure(make(), FAKE, REAL), rel=1e-5)


def test_reset_forgets():
    metric = PSNR()
    measure(metric, REAL, REAL)
    metric.reset()
    assert measure(metric, FAKE, REAL) < 30


def test_metric_can_be_copied():
    metric = SSIM()
    metric.update(FAKE[:7], REAL[:7])
    other = copy.deepcopy(metric)
    other.update(FAKE[7:], REAL[7:])
    assert other.compute().item() == pytest.approx(measure(SSIM(), FAKE, REAL), rel=1e-5)


def test_two_real_processes_are_one(tmp_path):
    def work(rank):
        init_process_group("gloo")
        share = slice(None, 7) if rank == 0 else slice(7, None)
        return [measure(make(), FAKE[share], REAL[share]) for make in OF_SETS]

    whole = [measure(make(), FAKE, REAL) for make in OF_SETS]
    assert together(2, tmp_path, work) == [pytest.approx(whole, rel=1e-5)] * 2


def painted(*colors):
    """A picture of one row, of (a, b) at L* 60, each so many times."""
    ab = [color for color, times in colors for _ in range(times)]
    points = torch.tensor(ab, dtype=torch.float32).T.reshape(1, 2, 1, -1) / AB_SCALE
    return lab_to_rgb(Lab(torch.full_like(points[:, :1], 0.2), points))


def lab_of(rgb):
    return rgb2lab(rgb.movedim(1, 3).numpy())


GRAY, GREEN, RED, BLUE = (0, 0), (-40, 40), (40, 20), (10, -40)
FEW = painted((GRAY, 70), (GREEN, 20), (RED, 6), (BLUE, 4))


class TestRareRecall:
    @pytest.mark.parametrize(
        ("fake", "expected"),
        [
            (((GRAY, 70), (GREEN, 20), (RED, 6), (BLUE, 4)), 1.0),
            (((GREEN, 90), (RED, 6), (BLUE, 4)), 1.0),  # what is common does not count
            (((GRAY, 70), (GREEN, 20), (RED, 10)), 0.6),
            (((GRAY, 90), (RED, 3), (GRAY, 3), (BLUE, 4)), 0.7),
            (((GRAY, 100),), 0.0),
        ],
    )
    def test_red_and_blue_together_are_a_tenth(self, fake, expected):
        assert measure(RareRecall(), painted(*fake), FEW) == pytest.approx(expected)

    @pytest.mark.parametrize(("share", "expected"), [(0.099, 0.0), (0.1, 0.6), (0.3, 0.2), (0.001, 0.0)])
    def test_rare_are_whole_cells_of_at_most_the_share(self, share, expected):
        fake = painted((GRAY, 90), (RED, 6), (GRAY, 4))  # right of red only
        assert measure(RareRecall(share), fake, FEW) == pytest.approx(expected)

    def test_one_color_alone_is_the_rarest(self):
        one = painted((GREEN, 9))
        assert measure(RareRecall(), one, one) == 1
        assert measure(RareRecall(), painted((GRAY, 9)), one) == 0

    @pytest.mark.parametrize(("off", "expected"), [((12, 0), 1), ((0, -14), 1), ((11, 11), 0), ((16, 0), 0)])
    def test_near_is_a_distance_in_ab(self, off, expected):
        fake = painted(((RED[0] + off[0], RED[1] + off[1]), 5))
        assert measure(RareRecall(), fake, painted((RED, 5))) == expected
        darker = lab_to_rgb(Lab(torch.full((1, 1, 1, 5), -0.1), torch.full((1, 2, 1, 5), 0.2)))
        lighter = lab_to_rgb(Lab(torch.full((1, 1, 1, 5), 0.1), torch.full((1, 2, 1, 5), 0.2)))
        assert measure(RareRecall(), darker, lighter) == 1

    def test_as_numpy_counts(self):
        """Cell by cell, from scikit-image's Lab."""
        ours, own = lab_of(FAKE)[..., 1:].reshape(-1, 2), lab_of(REAL)[..., 1:].reshape(-1, 2)
        hit = np.hypot(*(ours - own).T) <= 15
        cells, where, pixels = np.unique(np.round(own / 10), axis=0, return_inverse=True, return_counts=True)
        rare, taken = [], 0
        for cell in sorted(range(len(cells)), key=lambda i: (pixels[i], *cells[i])):
            taken += pixels[cell]
            if taken > len(own) / 10:
                break
            rare.append(cell)
        assert len(rare) > 10
        expected = hit[np.isin(where.ravel(), rare)].mean()
        assert 0 < expected < 1
        assert measure(RareRecall(), FAKE, REAL) == pytest.approx(expected, abs=2e-3)


class TestAbDistance:
    def test_as_numpy_counts(self):
        edges = np.arange(-115, 116, 10)
        p, q = (np.histogram2d(*lab_of(rgb)[..., 1:].reshape(-1, 2).T, [edges, edges])[0] for rgb in (FAKE, REAL))
        expected = np.abs(p / p.sum() - q / q.sum()).sum() / 2
        assert 0.05 < expected < 1
        assert measure(AbDistance(), FAKE, REAL) == pytest.approx(expected, abs=2e-3)

    def test_it_does_not_matter_where_a_color_is(self):
        assert measure(AbDistance(), FEW.flip(3), FEW) == 0

    def test_nothing_in_common_is_one(self):
        assert measure(AbDistance(), painted((RED, 10)), painted((BLUE, 10))) == pytest.approx(1)

    def test_hedging_is_half_of_the_way(self):
        assert measure(AbDistance(), painted((RED, 10)), painted((RED, 5), (BLUE, 5))) == pytest.approx(0.5)


class TestColorfulnessRatio:
    def test_as_numpy_has_it(self):
        def mean(rgb):
            red, green, blue = rgb.double().numpy().transpose(1, 0, 2, 3)
            rg, yb = (x.reshape(len(rgb), -1) for x in (red - green, (red + green) / 2 - blue))
            return np.mean(np.hypot(rg.std(1), yb.std(1)) + 0.3 * np.hypot(rg.mean(1), yb.mean(1)))

        assert measure(ColorfulnessRatio(), FAKE[:6], REAL[6:]) == pytest.approx(mean(FAKE[:6]) / mean(REAL[6:]), 1e-5)

    def test_gray_is_none_and_real_is_one(self):
        assert measure(ColorfulnessRatio(), gray(REAL), REAL) < 0.01
        assert measure(ColorfulnessRatio(), REAL, REAL) == 1
