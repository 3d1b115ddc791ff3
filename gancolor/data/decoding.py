"""A photograph's file → upright 8-bit sRGB, whatever its format and mode."""

import io
import os
import struct
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from gancolor.interfaces import Unreadable

# What Pillow raises on damaged files: at opening (OSError and its UnidentifiedImageError) and while decoding.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,  # AVIF; and NotImplementedError of rare formats
    AssertionError,  # Apple icons with a palette
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # raised where warnings are errors
)
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_OPAQUE = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK"}  # the mode without alpha and palette; RGB for all others


def decode(path: str | os.PathLike[str], min_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
    """Decode an image file to upright 8-bit sRGB.

    EXIF rotation is applied, an embedded ICC profile converted to sRGB, transparency laid over white and 16-bit gray
    rounded to 8 bits. Of an animation this is the first frame.

    Args:
        path: a file in any format that Pillow decodes.
        min_side: the caller will shrink the image so that its short side is this many pixels. A JPEG is then decoded
            at the smallest of the scales 1, 1/2, 1/4, 1/8 whose short side is no smaller; other formats at full size.

    Raises:
        Unreadable: the file is missing, damaged, no image, larger than ``PIL.Image.MAX_IMAGE_PIXELS`` (89 megapixels)
            or of numbers without an agreed white (floating point, 32-bit integers).
    """
    try:
        with Image.open(path) as image:
            _refuse_bomb(image)
            if min_side is not None:
                image.draft(None, (min_side, min_side))  # a square: right before and after EXIF swaps the sides
            ImageOps.exif_transpose(image, in_place=True)
            rgb = _to_srgb(image)
    except _DAMAGED as error:
        raise Unreadable(f"{os.fspath(path)}: {str(error) or type(error).__name__}") from error
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)


def _refuse_bomb(image: Image.Image) -> None:
    """Raise where Pillow only warns: between one and two times its limit."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError(f"{image.width} × {image.height} pixels exceed the limit of {limit} pixels")


def _to_srgb(image: Image.Image) -> Image.Image:
    """Any mode → RGB in sRGB, over white."""
    profile = image.info.get("icc_profile")
    if image.mode == "F" or image.mode.startswith("I"):
        image = _to_8_bit(image)
    image.apply_transparency()  # moves the transparent colors of a palette into the palette itself
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    image = image.convert(_OPAQUE.get(image.mode, "RGB"))
    transform = _transform(profile, image.mode) if profile else None
    rgb = transform.apply(image) if transform else image.convert("RGB")
    return Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha) if alpha else rgb


def _to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit gray → 8-bit gray by v/257, which maps 65535 to 255; Pillow's own conversion clips instead."""
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ValueError(f"pixels of type {values.dtype} have no agreed white; save it with 8 or 16 bits a channel")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


@lru_cache(maxsize=16)  # a camera writes the same profile into every file, and building a transform takes 2 ms
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from an embedded ICC profile to sRGB; the identity, at most one step off, if it is sRGB itself.

    None for a profile that is broken or not made for the pixels' mode (gray with an RGB profile is common): the
    pixels themselves are whole, and an image without a usable profile is sRGB by convention, as in browsers.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.ImageCmsTransform(source, _SRGB, mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
    except (OSError, ValueError):
        return None
