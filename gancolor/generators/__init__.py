"""Networks that predict color from lightness."""

from gancolor.generators.experts import Experts
from gancolor.generators.heads import BinHead, RegressionHead
from gancolor.generators.profiled import Profiled, ProfilePredictor
from gancolor.generators.unet import UNet

__all__ = ["BinHead", "Experts", "ProfilePredictor", "Profiled", "RegressionHead", "UNet"]
