"""Numbers about generated pictures, each as its paper defines it.

One number an image, on 8-bit sRGB; Lab is :mod:`gancolor.color`'s, in units of L from 0 to 100:

=================  ======  ==================================================================================
number             better  what it is
=================  ======  ==================================================================================
mse                lower   mean squared error over the image's 3·H·W values, which go from 0 to 255
psnr               higher  10·log₁₀(255² / MSE) in dB, at most 60
ssim               higher  Wang 2004: Gaussian 11×11 window of σ 1.5, K = (0.01, 0.03), range 255, each channel
                           by itself, only windows that lie wholly inside the image
ssim_uniform       higher  the same with scikit-image's defaults: uniform 7×7 window, sample covariance
colorfulness       –       Hasler & Süsstrunk 2003 on a picture itself; signed (the paper's) or absolute (the
                           colorization literature's, about 3 lower)
delta_e            lower   CIEDE2000 (Sharma 2005), mean over the pixels
auc                higher  Zhang 2016: share of pixels with an ab error below t, mean over t from 0 to 150
auc_cells          –       auc, split by the cell of the ab plane that the real color is in: 529 numbers
ab_histogram       –       share of a picture's pixels in each of those cells: 529 numbers
lightness_error    lower   mean abs(ΔL): does the output keep the lightness that it was given
=================  ======  ==================================================================================

:mod:`~gancolor.metrics.pixels` and :mod:`~gancolor.metrics.lab` are these functions, of pictures or of a batch of fake
and a batch of real ones; :mod:`~gancolor.metrics.running` makes running means of some for a training, and
:mod:`~gancolor.metrics.health` has what only a set of pictures has: are its colors as vivid, as many and as rare.
"""

from gancolor.metrics.health import AbDistance, ColorfulnessRatio, RareRecall
from gancolor.metrics.lab import ab_histogram, lab_pairs, total_variation
from gancolor.metrics.pixels import colorfulness, mse, psnr, ssim, ssim_uniform
from gancolor.metrics.running import PSNR, SSIM, Colorfulness, ImageMean

__all__ = [
    "PSNR",
    "SSIM",
    "AbDistance",
    "Colorfulness",
    "ColorfulnessRatio",
    "ImageMean",
    "RareRecall",
    "ab_histogram",
    "colorfulness",
    "lab_pairs",
    "mse",
    "psnr",
    "ssim",
    "ssim_uniform",
    "total_variation",
]
