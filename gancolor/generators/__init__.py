"""Networks that predict colour from lightness."""

from gancolor.generators.unet import UNet

__all__ = ["UNet"]
