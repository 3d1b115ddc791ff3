"""A photograph's file → upright 8-bit sRGB, whatever its format and mode."""

import io
import os
import struct
from functools import lru_cache
from pathlib import Path
from typing import TypeGuard

import numpy as np
import simplejpeg
import torch
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageCms, ImageFile, ImageOps
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
_SCAN = b"\xff\xda"
_PIXELS_ONLY = {
    b"\xff" + bytes([m]) for m in (0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xE0, 0xEE, 0xFE)
}  # JFIF, Adobe, tables
_ORIENTATION = 0x0112  # EXIF 2.3: 1 is upright
_TURNED = range(2, 9)
_OPAQUE = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK"}  # the mode without alpha and palette; RGB for all others


def decode(
    file: str | os.PathLike[str] | io.BytesIO, min_side: int | None = None, name: str | None = None
) -> UInt8[Tensor, "3 H W"]:
    """Decode an image file to upright 8-bit sRGB.

    EXIF rotation is applied, an embedded ICC profile converted to sRGB, transparency laid over white and 16-bit gray
    rounded to 8 bits. Of an animation this is the first frame.

    Args:
        file: a file in any format that Pillow decodes, by its path, or its bytes.
        min_side: the caller will shrink the image so that its short side is this many pixels. A JPEG is then decoded
            at the smallest of the scales 1, 1/2, 1/4, 1/8 whose short side is no smaller; other formats at full size.
        name: what errors call the file; by default its path.

    Raises:
        Unreadable: the file is missing, damaged, no image, larger than ``PIL.Image.MAX_IMAGE_PIXELS`` (89 megapixels)
            or of numbers without an agreed white (floating point, 32-bit integers).
    """
    try:
        data = file.getvalue() if isinstance(file, io.BytesIO) else Path(file).read_bytes()
        pixels = _decode_plain(data) if _is_simple(data, min_side) else None
        if pixels is None:
            pixels = _decode_any(data, min_side)
    except _DAMAGED as error:
        called, reason = str(file) if name is None else name, str(error).partition(" <_io.BytesIO")[0]
        raise Unreadable(f"{called}: {reason or type(error).__name__}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _is_simple(data: bytes, min_side: int | None) -> bool:
    """Whether a file is, at a glance, a plain JPEG to be decoded at full size; Pillow's own look takes 0.2 ms.

    At a glance: no segment of it holds more than pixels need; EXIF, XMP, profiles and thumbnails are for Pillow.
    """
    place = 2
    while (marker := data[place : place + 2]) != _SCAN:
        if marker not in _PIXELS_ONLY:
            return False
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return False
    if Image.MAX_IMAGE_PIXELS is not None and int(height) * int(width) > Image.MAX_IMAGE_PIXELS:
        return False
    return space in {"YCbCr", "Gray"} and (min_side is None or min(int(height), int(width)) < 2 * min_side)


def _decode_any(data: bytes, min_side: int | None) -> UInt8[ndarray, "H W 3"]:
    with Image.open(io.BytesIO(data)) as image:
        _refuse_bomb(image)
        full = image.size
        if min_side is not None:
            image.draft(None, (min_side, min_side))  # a square: right before and after EXIF swaps the sides
        if image.size == full and is_plain(image) and (pixels := _decode_plain(data)) is not None:
            return pixels
        ImageOps.exif_transpose(image, in_place=True)
        return np.array(_to_srgb(image))


def is_plain(image: Image.Image) -> TypeGuard[ImageFile.ImageFile]:
    """Whether an opened file is a JPEG that is upright sRGB as it stands: most photographs are."""
    if image.format != "JPEG" or image.mode not in {"L", "RGB"} or image.getexif().get(_ORIENTATION) in _TURNED:
        return False
    profile = image.info.get("icc_profile")
    return not profile or _transform(profile, image.mode) is None


def _decode_plain(data: bytes) -> UInt8[ndarray, "H W 3"] | None:
    """The very pixels that Pillow delivers, a quarter sooner: both are libjpeg-turbo, but Pillow copies them.

    None for a file that is not entirely sound: whether it can be used is for Pillow to say.
    """
    try:
        return simplejpeg.decode_jpeg(data)
    except ValueError:
        return None


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
    """The transform from an embedded ICC profile to sRGB; None where the pixels are to stay as they are.

    That is so for a profile of sRGB itself, whose transform would only round (one color in 250, by one step) and takes
    longer than the decoding; and for one that is broken or not made for the pixels' mode (gray with an RGB profile is
    common): the pixels themselves are whole, and an image without a usable profile is sRGB by convention, as in
    browsers.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.ImageCmsTransform(source, _SRGB, mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
    except (OSError, ValueError):
        return None
    return None if mode == "RGB" and _changes_nothing(transform) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform of RGB moves no color of a fine grid by more than one step."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(len(levels), -1, 3)
    return bool((np.abs(np.asarray(transform.apply(Image.fromarray(grid))).astype(int) - grid) <= 1).all())
