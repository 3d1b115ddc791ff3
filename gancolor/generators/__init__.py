"""Networks that predict color from lightness."""

from gancolor.generators.unet import UNet

__all__ = ["UNet"]
