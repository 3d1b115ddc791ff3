import copy

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from gancolor.metrics import FID, LPIPS, PSNR, SSIM, Colorfulness, Frozen, colorfulness


class SmallFeatures(nn.Module):
    """uint8 images to 64 features; counts the images it has seen."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 16, 5, stride=3)
        self.seen = 0

    def forward(self, images):
        assert not torch.is_grad_enabled()
        self.seen += len(images)
        x = self.conv(images.float() / 255).tanh()
        assert x.dtype == torch.float32
        return nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


class SmallDistance(nn.Module):
    """Two batches in −1…1 to one distance an image, shaped like lpips's."""

    def forward(self, fake, real):
        assert fake.min() >= -1
        assert fake.max() <= 1
        return (fake - real).square().mean(dim=(1, 2, 3), keepdim=True)


def pictures(count, seed, size=(40, 32)):
    """Smooth random pictures with some noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    return (smooth * 230 + 25 * torch.rand(smooth.shape, generator=generator)).to(torch.uint8)


FAKE, REAL = pictures(12, seed=2), pictures(12, seed=3)


def metrics():
    features = Frozen(SmallFeatures())
    return [PSNR(), SSIM(), Colorfulness(), Colorfulness(True), LPIPS(Frozen(SmallDistance())), FID(features, 64)]


def measure(metric, fake, real, batch=5):
    for f, r in zip(fake.split(batch), real.split(batch), strict=True):
        metric.update(f, r)
    return metric.compute().item()


def channels_last(images):
    return images.permute(0, 2, 3, 1).numpy()


def test_psnr_is_the_mean_of_scikit_image_over_images():
    expected = [
        peak_signal_noise_ratio(r, f, data_range=255)
        for f, r in zip(channels_last(FAKE), channels_last(REAL), strict=True)
    ]
    assert measure(PSNR(), FAKE, REAL) == pytest.approx(np.mean(expected), abs=1e-4)


def test_psnr_of_identical_images_is_the_cap():
    mixed = torch.cat([REAL[:1], 255 - torch.zeros_like(REAL[:1])])
    black = torch.cat([REAL[:1], torch.zeros_like(REAL[:1])])
    assert measure(PSNR(), mixed, black) == pytest.approx((60 + 0) / 2)


@pytest.mark.parametrize("size", [(40, 32), (11, 64)])
def test_ssim_is_scikit_image_s_with_the_paper_s_window(size):
    fake, real = pictures(6, 4, size), pictures(6, 5, size)
    fake[:3] = (fake[:3].float() * 0.1 + real[:3].float() * 0.9).to(torch.uint8)
    expected = [
        structural_similarity(
            r, f, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=2, data_range=255
        )
        for f, r in zip(channels_last(fake), channels_last(real), strict=True)
    ]
    assert measure(SSIM(), fake, real) == pytest.approx(np.mean(expected), abs=1e-5)


@pytest.mark.parametrize("absolute", [False, True])
def test_colorfulness_is_the_formula(absolute):
    values = []
    for image in channels_last(FAKE).astype(np.float64):
        r, g, b = np.moveaxis(image, 2, 0)
        rg, yb = r - g, (r + g) / 2 - b
        if absolute:
            rg, yb = np.abs(rg), np.abs(yb)
        values.append(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))
    assert measure(Colorfulness(absolute), FAKE, REAL) == pytest.approx(np.mean(values), abs=1e-3)


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
    assert measure(Colorfulness(), REAL[:, :1].expand(-1, 3, -1, -1), REAL) == 0


def test_lpips_scales_its_input_and_averages_over_images():
    expected = ((FAKE.double() - REAL.double()) / 127.5).square().mean()
    assert measure(LPIPS(Frozen(SmallDistance())), FAKE, REAL) == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("count", "tolerance"), [(200, 1e-5), (12, 1e-3)])  # the reference is inexact if singular
def test_fid_is_torch_fidelity_s_on_the_same_features(count, tolerance):
    fake, real = pictures(count, 6), pictures(count, 7)
    network = Frozen(SmallFeatures())
    statistics = [fid_features_to_statistics(network(images).double()) for images in (fake, real)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert measure(FID(network, 64), fake, real) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("count", [100, 5])
def test_fid_of_identical_sets_is_zero(count):
    images = pictures(count, 8)
    assert measure(FID(Frozen(SmallFeatures()), 64), images, images.flip(0)) == pytest.approx(0, abs=1e-12)


def test_fid_of_sets_without_variance_is_the_distance_of_their_means():
    network = Frozen(SmallFeatures())
    fake, real = FAKE[:1].expand(4, -1, -1, -1), REAL[:1].expand(4, -1, -1, -1)
    expected = (network(fake[:1]) - network(real[:1])).square().sum()
    assert measure(FID(network, 64), fake, real) == pytest.approx(expected.item(), rel=1e-4)


def test_fid_of_one_image_is_not_a_number():
    assert np.isnan(measure(FID(Frozen(SmallFeatures()), 64), FAKE[:1], REAL[:1]))


@pytest.mark.parametrize("index", range(6))
def test_batches_do_not_matter(index):
    whole, split = (measure(metrics()[index], FAKE, REAL, batch) for batch in (12, 5))
    assert split == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("index", range(6))
def test_two_processes_are_one(index):
    metric = metrics()[index]
    whole = measure(copy.deepcopy(metric), FAKE, REAL)
    first, second = copy.deepcopy(metric), copy.deepcopy(metric)
    first.update(FAKE[:7], REAL[:7])
    second.update(FAKE[7:], REAL[7:])
    first.merge_state(second)  # with the reductions that a synchronisation uses
    assert first.compute().item() == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("metric", metrics(), ids=lambda metric: type(metric).__name__)
def test_nothing_is_saved_trained_or_registered(metric):
    metric.update(FAKE, REAL)
    assert not metric.state_dict()
    assert not list(metric.parameters())
    assert not list(metric.children())


@pytest.mark.parametrize("index", range(6))
def test_autocast_and_gradients_change_nothing(index):
    expected = measure(metrics()[index], FAKE, REAL, batch=12)
    with torch.autocast("cpu", torch.bfloat16), torch.enable_grad():
        batch = metrics()[index](FAKE, REAL)  # torchmetrics' forward switches gradients on
    assert batch.item() == expected
    assert not batch.requires_grad


@pytest.mark.parametrize("index", range(6))
def test_works_across_inference_mode(index):
    metric = metrics()[index]
    with torch.inference_mode():
        metric.reset()
        metric.update(FAKE.clone(), REAL.clone())
    metric.update(FAKE, REAL)
    assert metric.compute().isfinite()


def test_reset_forgets():
    metric = PSNR()
    measure(metric, REAL, REAL)
    metric.reset()
    assert measure(metric, FAKE, REAL) < 30


def test_photographs_pass_the_network_once_for_all_candidates():
    network = SmallFeatures()
    shared = Frozen(network)
    candidates = [FID(shared, 64), FID(shared, 64)]
    for real in REAL.split(4):
        for fid in candidates:
            fid.update(255 - real, real)
    assert network.seen == 12 + 2 * 12
    alone = measure(FID(Frozen(SmallFeatures()), 64), 255 - REAL, REAL, batch=4)
    assert [fid.compute().item() for fid in candidates] == [alone, alone]


def test_frozen_network_is_in_evaluation_mode():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Dropout()).train()
    Frozen(network)
    assert not network[1].training
    assert not any(parameter.requires_grad for parameter in network.parameters())
