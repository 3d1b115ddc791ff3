"""From a photograph of any size to the square that a network sees."""

from math import ceil, cos, radians, sin

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from gancolor.interfaces import Unreadable

_HUE = 0.1  # turns of the color circle that a jitter of 1 may shift: more makes grass and skin implausible


def center(rgb: UInt8[Tensor, "3 H W"], size: int) -> UInt8[Tensor, "3 {size} {size}"]:
    """The largest square in the middle, scaled to ``size``; how validation pictures are cut.

    Raises:
        Unreadable: the short side is under half of ``size``.
    """
    _check(rgb, size)
    return F.center_crop(resize(rgb, size), [size, size])


class Augment:
    """Resize, random crop, flip and, if asked for, rotation and color jitter.

    The defaults are pix2pix's (Isola et al. 2017, section 6.2) without its squash: the aspect ratio is kept.

    Args:
        size: side of the square crop, in pixels.
        load_size: short side that the picture is resized to before the crop (bicubic, antialiased); pix2pix: 286 for
            a crop of 256. Only what the crop keeps is resized, which is faster, and the same up to its borders and
            to whole pixels of the picture.
        flip: whether every second picture, by chance, is mirrored left to right.
        rotation: the largest angle, in degrees either way. The corners are filled by what lies there in the picture;
            where it would have to be larger for that, it is resized to just enough.
        jitter: how far brightness, contrast and saturation may vary, as a share of themselves: 0.2 is a factor between
            0.8 and 1.2; hue turns by up to a tenth of it. At most 1.
    """

    def __init__(
        self, size: int, load_size: int, flip: bool = True, rotation: float = 0.0, jitter: float = 0.0
    ) -> None:
        self.size = size
        self.load_size = load_size
        self.flip = flip
        self.rotation = rotation
        self.jitter = jitter

    @property
    def min_side(self) -> int:
        """The largest short side that a picture may be resized to; a source need not decode more than that."""
        return max(self.load_size, _enclosing(self.size, min(self.rotation, 45.0)))

    def __call__(self, rgb: UInt8[Tensor, "3 H W"], generator: torch.Generator) -> UInt8[Tensor, "3 size size"]:
        """Cut a random square, by the generator's next numbers and nothing else.

        Raises:
            Unreadable: the short side is under half of ``size``.
        """
        _check(rgb, self.size)
        turn, top, left, mirror, *color = torch.rand(8, generator=generator).tolist()
        angle = self.rotation * (2 * turn - 1)
        side = _enclosing(self.size, angle) if angle else self.size
        rgb = resize(_crop(rgb, side / max(self.load_size, side), top, left), side)
        if angle:
            rgb = F.center_crop(F.rotate(rgb, angle, InterpolationMode.BILINEAR), [self.size, self.size])
        if self.flip and mirror < 0.5:
            rgb = rgb.flip(2)
        return self._change_color(rgb, color) if self.jitter else rgb

    def _change_color(self, rgb: UInt8[Tensor, "3 size size"], color: list[float]) -> UInt8[Tensor, "3 size size"]:
        brightness, contrast, saturation, hue = (self.jitter * (2 * u - 1) for u in color)
        rgb = F.adjust_brightness(rgb, 1 + brightness)
        rgb = F.adjust_contrast(rgb, 1 + contrast)
        rgb = F.adjust_saturation(rgb, 1 + saturation)
        return F.adjust_hue(rgb, _HUE * hue)


def _check(rgb: UInt8[Tensor, "3 H W"], size: int) -> None:
    """Refuse to blow a picture up to more than twice its size."""
    height, width = rgb.shape[1:]
    if 2 * min(height, width) < size:
        raise Unreadable(f"{width}×{height} pixels, too small for size {size}: the short side must be {ceil(size / 2)}")


def resize(rgb: UInt8[Tensor, "3 H W"], side: int) -> UInt8[Tensor, "3 h w"]:
    """Scale so that the short side is ``side``: bicubic, antialiased; the picture itself if it is that already."""
    if min(rgb.shape[1:]) == side:
        return rgb
    # Whole and interleaved, as decoders deliver it: of a part or of planes it takes a third longer.
    whole = rgb.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    return F.resize(whole, [side], InterpolationMode.BICUBIC, antialias=True)


def _crop(rgb: UInt8[Tensor, "3 H W"], share: float, top: float, left: float) -> UInt8[Tensor, "3 s s"]:
    """A square of a share of the short side, at a place given by two numbers in [0, 1)."""
    height, width = rgb.shape[1:]
    side = max(1, round(share * min(height, width)))
    row, column = int(top * (height - side + 1)), int(left * (width - side + 1))
    return rgb[:, row : row + side, column : column + side]


def _enclosing(size: int, degrees: float) -> int:
    """Side of the upright square that holds a turned square of side ``size`` and a pixel around for interpolation.

    Its parity is that of ``size``, so that both share their center.
    """
    angle = radians(abs(degrees))
    return size + 2 * ceil((abs(cos(angle)) + abs(sin(angle)) - 1) * size / 2 + 1)
