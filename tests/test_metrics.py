import copy

import pytest
import torch
from torch import nn

from gancolor.metrics import PSNR, SSIM, Colorfulness, colorfulness, psnr, ssim


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
every_metric = pytest.mark.parametrize("make", [make for make, _ in NUMBERS.values()], ids=NUMBERS)


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
