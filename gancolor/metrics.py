"""Numbers about generated pictures, each as its paper defines it.

==================  ========  ===============================================================================
metric              better    what it is, on 8-bit sRGB
==================  ========  ===============================================================================
PSNR                higher    10·log₁₀(255² / MSE) in dB, MSE over the image's 3·H·W values, at most 60 dB
SSIM                higher    Wang 2004: Gaussian 11×11 window of σ 1.5, K = (0.01, 0.03), range 255, each
                              channel by itself, only windows that lie wholly inside the image
Colorfulness        –         Hasler & Süsstrunk 2003 on the generated image; signed (the paper's) or absolute
                              (the colorization literature's, about 3 lower)
LPIPS               lower     Zhang 2018, with the network it is given, input scaled to −1…1
FID                 lower     Heusel 2017, *paired*: the generated images against their own N photographs
==================  ========  ===============================================================================

All but FID are the mean over images of one number an image: :func:`psnr`, :func:`ssim` and :func:`colorfulness` give
that number. Images of several batches or processes count once each; memory does not grow with their number.

The work is done on the device of the images, the sums stay where ``metric.to(device)`` put them, as with every
torchmetrics metric (NCCL wants them on the GPU; FID's float64 cannot live on Apple's). A metric's state dict is empty.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from kornia.metrics import ssim as ssim_map
from torch import Tensor, nn
from torchmetrics import Metric

from gancolor.interfaces import ImageMetric

_CAP = 60.0  # dB; identical images would be infinite and drown the mean


class Frozen:
    """A pretrained network as metrics use it: without gradients, outside autocast, on the device of its input.

    It is deliberately no ``nn.Module``, so a metric that keeps one does not register the network: nothing of it
    reaches a checkpoint. One object serves any number of metrics.

    Args:
        network: put into evaluation mode and frozen.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval().requires_grad_(False)
        self._last: tuple[Tensor, Tensor] | None = None

    def __call__(self, *images: UInt8[Tensor, "B 3 H W"] | Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B ..."]:
        """The network's output."""
        device = images[0].device
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # the same number on every GPU
        with torch.no_grad(), torch.autocast(device.type, enabled=False), exact:
            return self.network.to(device)(*images)

    def once(self, images: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B ..."]:
        """The same, but not computed again while ``images`` is the very tensor of the last call.

        Several candidates are compared with the same photographs: their metrics share this object, and a batch of
        photographs passes through the network once. The tensor must not be changed in place between the calls.
        """
        if self._last is None or self._last[0] is not images:
            self._last = images, self(images)
        return self._last[1]


def psnr(fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
    """Peak signal-to-noise ratio of each image in dB, ``10·log₁₀(255² / MSE)``, at most 60."""
    error = (fake.float() - real.float()).square().mean(dim=(1, 2, 3))
    return (10 * torch.log10(255**2 / error)).clamp(max=_CAP)


def ssim(fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
    """Structural similarity of each image (Wang et al. 2004, section III.C), at most 1; H and W at least 11.

    kornia's, not torchmetrics': the latter also averages windows that hang over the border, filled by reflection,
    which moves a 64×64 image's SSIM by up to 0.05.
    """
    with torch.autocast(fake.device.type, enabled=False):
        return ssim_map(fake.float(), real.float(), window_size=11, max_val=255.0, padding="valid").mean(dim=(1, 2, 3))


def colorfulness(rgb: UInt8[Tensor, "B 3 H W"], absolute: bool = False) -> Float[Tensor, " B"]:
    """Colorfulness M̂⁽³⁾ of each image (Hasler & Süsstrunk 2003): 0 is gray, 109 "extremely colorful".

    With rg = R − G and yb = (R + G)/2 − B it is ``√(var rg + var yb) + 0.3·√(mean² rg + mean² yb)``.

    Args:
        rgb: the images.
        absolute: take the magnitudes of rg and yb first, as the colorization literature does.
    """
    red, green, blue = rgb.float().unbind(dim=1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue], dim=1)
    if absolute:
        opponents = opponents.abs()
    variance, mean = torch.var_mean(opponents, dim=(2, 3), correction=0)
    return variance.sum(dim=1).sqrt() + 0.3 * mean.norm(dim=1)


class ImageMean(Metric, ImageMetric):
    """The mean over images of a number that each image has by itself.

    Args:
        number: generated and real images to one value an image.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, number: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.number = number
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> None:
        """Take in a batch."""
        self.total = self.total + self.number(fake, real).sum().to(self.total.device)
        self.count = self.count + len(fake)

    def compute(self) -> Float[Tensor, ""]:
        """The mean."""
        return self.total / self.count


def PSNR() -> ImageMean:
    """Peak signal-to-noise ratio in dB, the mean over images of :func:`psnr`."""
    return ImageMean(psnr)


def SSIM() -> ImageMean:
    """Structural similarity, the mean over images of :func:`ssim`."""
    return ImageMean(ssim)


def Colorfulness(absolute: bool = False) -> ImageMean:
    """How colorful the generated images are, the mean over images of :func:`colorfulness`."""
    return ImageMean(lambda fake, _: colorfulness(fake, absolute))


def LPIPS(network: Frozen) -> ImageMean:
    """Learned perceptual distance (Zhang et al. 2018), the mean over images.

    Args:
        network: of the lpips package: two batches in −1…1 to one distance an image.
    """
    return ImageMean(lambda fake, real: network(fake.float() / 127.5 - 1, real.float() / 127.5 - 1).flatten())


class FID(Metric, ImageMetric):
    """Fréchet distance between Gaussians fitted to the features of generated and real images (Heusel et al. 2017).

    ``‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½)``, with Σ the unbiased covariance. The number is *paired*: both sets are the
    same N pictures. It depends on N, and with N ≤ ``features`` the covariances are singular: say N wherever it is told.

    Args:
        network: uint8 images to their features; share one among the candidates of a comparison.
        features: how many features an image has.
    """

    higher_is_better = False
    full_state_update = False
    count: Tensor
    fake_sum: Tensor
    real_sum: Tensor
    fake_products: Tensor
    real_products: Tensor

    def __init__(self, network: Frozen, features: int = 2048) -> None:
        super().__init__()
        self.network = network
        self.features = features
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")
        for side in ("fake", "real"):
            self.add_state(f"{side}_sum", torch.zeros(features, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(
                f"{side}_products", torch.zeros(features, features, dtype=torch.float64), dist_reduce_fx="sum"
            )

    def update(self, fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> None:
        """Take in a batch."""
        x = self.network(fake).to(self.fake_sum.device, torch.float64)
        y = self.network.once(real).to(self.real_sum.device, torch.float64)
        self.count = self.count + len(fake)
        self.fake_sum, self.fake_products = self.fake_sum + x.sum(dim=0), self.fake_products + x.T @ x
        self.real_sum, self.real_products = self.real_sum + y.sum(dim=0), self.real_products + y.T @ y

    def compute(self) -> Float[Tensor, ""]:
        """The distance; NaN for fewer than two images, which have no covariance."""
        if self.count < 2:
            return torch.tensor(torch.nan)
        fake_mean, real_mean = self.fake_sum / self.count, self.real_sum / self.count
        fake = (self.fake_products - self.count * fake_mean.outer(fake_mean)) / (self.count - 1)
        real = (self.real_products - self.count * real_mean.outer(real_mean)) / (self.count - 1)
        return (_frechet(fake, real) + (fake_mean - real_mean).square().sum()).float()


def _frechet(a: Float[Tensor, "D D"], b: Float[Tensor, "D D"]) -> Float[Tensor, ""]:
    """``tr(a + b − 2·(a·b)^½)`` of two covariances.

    With a = f·fᵀ and b = g·gᵀ the eigenvalues of (a·b)^½ are the singular values of fᵀ·g. That stays exact for singular
    covariances, where each zero among the eigenvalues of a·b is rounded to 1e-16 and its root to 1e-8.
    """
    return a.trace() + b.trace() - 2 * torch.linalg.svdvals(_factor(a).T @ _factor(b)).sum()


def _factor(covariance: Float[Tensor, "D D"]) -> Float[Tensor, "D R"]:
    """The f of covariance = f·fᵀ, with as many columns as the covariance has rank."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values[-1].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps
    return vectors[:, kept] * values[kept].sqrt()
