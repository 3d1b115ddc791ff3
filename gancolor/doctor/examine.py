"""One image: can training read it, what is peculiar about its file, and what it looks like in a few hundred bytes."""

import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageCms, ImageFile

from gancolor.interfaces import Files, Unreadable
from gancolor.metrics import colorfulness

THUMBNAIL = 16  # side, in pixels, of the lightness that duplicates are told by
SAMPLED = 8  # pixels along either side whose colors stand for the image's in the color prior
_SRGB = ImageCms.createProfile("sRGB")
_CHART = np.stack(np.meshgrid(*[[0, 51, 102, 153, 204, 255]] * 3), axis=-1).reshape(1, -1, 3).astype(np.uint8)
_ALMOST = 3  # of 255: profiles of sRGB itself differ from one another by less
_DEEP = re.compile(r"\b(?:I|L|LA|RGB|RGBA|RGBX|CMYK);16")  # not BGR;16: that is 16 bits for all three


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of an image.

    Attributes:
        name: as its source has it.
        stamp: what the file was when this was found out; see :meth:`~gancolor.interfaces.Files.stamp`.
        found: what is peculiar whatever the options say: a kind of :mod:`~gancolor.doctor.findings`, and a detail.
        width: in pixels, upright; 0 if it cannot be read. So is everything that follows.
        height: in pixels.
        colorfulness: Hasler & Süsstrunk 2003, at the scale that training decodes it at.
        sha256: of the file's bytes.
        thumbnail: lightness (Rec. 601 luma) of the picture squashed to ``THUMBNAIL``², row by row.
        pixels: RGB of the pixels on a grid of ``SAMPLED``².
    """

    name: str
    stamp: str
    found: dict[str, str]
    width: int = 0
    height: int = 0
    colorfulness: float = 0.0
    sha256: bytes = b""
    thumbnail: bytes = b""
    pixels: bytes = b""


def examine(source: Files, name: str, stamp: str, size: int) -> Examined:
    """Look at one image.

    Args:
        source: where it comes from.
        name: which it is.
        stamp: kept with what is found.
        size: side of the square that training cuts; the image is decoded at the scale that training decodes it at.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about one file among millions; the findings say what matters
        try:
            rgb = source.read(name, size)
            file = source.stored(name)
        except (Unreadable, OSError) as error:
            return Examined(name, stamp, {_problem(str(error)): str(error)})
        with Image.open(io.BytesIO(file)) as image:
            found, (width, height) = _peculiar(image), image.size
            if "rotated" in found and image.getexif()[ExifTags.Base.Orientation] >= 5:  # lies on its side
                width, height = height, width
    pixels, (red, green, blue) = rgb.permute(1, 2, 0).numpy(), rgb
    if torch.equal(red, green) and torch.equal(green, blue):
        found["gray"] = "R = G = B everywhere"
    return Examined(
        name,
        stamp,
        found,
        width,
        height,
        round(float(colorfulness(rgb[None])), 2),
        hashlib.sha256(file).digest(),
        _thumbnail(pixels),
        _grid(pixels).tobytes(),
    )


def _problem(reason: str) -> str:
    """The kind of finding that a decoder's message stands for; WebP, AVIF and LZW do not tell truncated from broken."""
    if "exceed" in reason and "limit" in reason:
        return "huge"
    return "truncated" if "truncat" in reason.lower() else "unreadable"


def _peculiar(image: ImageFile.ImageFile) -> dict[str, str]:
    """What the decoder has to put right, with what it is."""
    found = {}
    if image.mode == "CMYK":
        found["cmyk"] = "four inks"
    if image.mode.startswith("I") or _DEEP.search(str(image.tile)):
        found["deep"] = "16 bits a channel"
    profile = image.info.get("icc_profile")
    if profile and (other := _not_srgb(profile)):
        found["profile"] = other
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation in range(2, 9):
        found["rotated"] = f"EXIF orientation {orientation}"
    return found


@lru_cache(maxsize=64)  # a camera writes the same one into every file
def _not_srgb(profile: bytes) -> str:
    """What an embedded ICC profile is called if it changes colors; empty for sRGB by whatever name."""
    try:
        embedded = ImageCms.getOpenProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(embedded).strip() or "without a name"
    except (OSError, ImageCms.PyCMSError):
        return "broken"
    try:
        transform = ImageCms.buildTransform(embedded, _SRGB, "RGB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
    except ImageCms.PyCMSError:  # of gray or of inks
        return name
    changed = np.asarray(transform.apply(Image.fromarray(_CHART))).astype(int) - _CHART
    return name if abs(changed).max() > _ALMOST else ""


def _thumbnail(pixels: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """Every pixel counts (box filter), so that a copy of another size or compression has almost the same."""
    luma = Image.fromarray(pixels).convert("L")
    return luma.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes()


def _grid(pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The middles of ``SAMPLED``² equal parts: true colors, where means would be grayer."""
    rows, columns = ((np.arange(SAMPLED) * 2 + 1) * side // (2 * SAMPLED) for side in pixels.shape[:2])
    return pixels[rows[:, None], columns]
