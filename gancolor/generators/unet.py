"""pix2pix's U-Net."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from gancolor.errors import InputError
from gancolor.generators.heads import RegressionHead
from gancolor.interfaces import Adopting, Generator, Head, Prediction
from gancolor.layers import NORMS, Norm, initialize, needs_bias


class UNet(Generator, Adopting):
    """The U-Net of pix2pix (Isola et al. 2017, §6.1.1): strided convolutions down, transposed ones up, skips between.

    Each level halves the picture and doubles the width up to eight times ``width``; the innermost sees
    1×1 when H = W = 2**depth. With its defaults it has 54,409,858 parameters.

    Args:
        in_channels: channels of the input, light first.
        depth: number of times the picture is halved, at least 3; pictures of 256 pixels want 8, of 64 pixels 6.
        width: channels after the first level.
        norm: normalization between the convolutions.
        dropout: drop-out probability on the way up, from the fifth level down to the last but one: at three levels of
            eight, at none of five (as in pix2pix's PyTorch code).
        head: what makes a prediction of the last maps; by default a RegressionHead, as in pix2pix. A head that reads
            maps at half or a quarter of the resolution spares the last levels on the way up.
    """

    def __init__(
        self,
        in_channels: int = 1,
        depth: int = 8,
        width: int = 64,
        norm: Norm = "batch",
        dropout: float = 0.5,
        head: Head | None = None,
    ):
        super().__init__()
        if depth < 3:
            raise InputError(f"UNet: depth is {depth}, must be at least 3")
        self.in_channels, self.depth, self.width, self.dropout = in_channels, depth, width, dropout
        self.norm: Norm = norm
        self.head = head
        self.predict = RegressionHead() if head is None else head
        self.stride = 2**depth
        widths = [width * min(2**level, 8) for level in range(depth)]
        self.down = nn.ModuleList(self._down(level, widths) for level in range(depth))
        last = self.predict.reduction.bit_length() - 1  # the level at whose resolution the head reads
        self.up = nn.ModuleList(self._up(level, widths, last) for level in reversed(range(last, depth)))
        initialize(self)

    def _down(self, level: int, widths: list[int]) -> nn.Sequential:
        outermost, innermost = level == 0, level == self.depth - 1
        below = self.in_channels if outermost else widths[level - 1]
        return nn.Sequential(
            *([] if outermost else [nn.LeakyReLU(0.2, inplace=True)]),
            nn.Conv2d(below, widths[level], 4, stride=2, padding=1, bias=needs_bias(self.norm)),
            *([] if outermost or innermost else [NORMS[self.norm](widths[level])]),
        )

    def _up(self, level: int, widths: list[int], last: int) -> nn.Sequential:
        innermost = level == self.depth - 1
        below = widths[level] if innermost else 2 * widths[level]
        if level == last:
            return nn.Sequential(
                nn.ReLU(inplace=True), nn.ConvTranspose2d(below, self.predict.channels, 4, stride=2, padding=1)
            )
        return nn.Sequential(
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(below, widths[level - 1], 4, stride=2, padding=1, bias=needs_bias(self.norm)),
            NORMS[self.norm](widths[level - 1]),
            *([nn.Dropout(self.dropout)] if 4 <= level < self.depth - 1 else []),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Prediction:
        """Predict as the head does.

        Raises:
            InputError: the input has other channels than ``in_channels``.
        """
        if x.shape[1] != self.in_channels:
            raise InputError(
                f"UNet: in_channels is {self.in_channels}, but the input has {x.shape[1]}: a generator that learns "
                "with a guide must color without it, too, as gancolor.generators.Profiled does"
            )
        skips: list[Tensor] = []  # a level's activation works in place on the skip, where ReLU(LeakyReLU(x)) = ReLU(x)
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.up[0](skips.pop())
        for up in self.up[1:]:
            x = up(torch.cat([skips.pop(), x], dim=1))
        return self.predict(x)

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Take over those of one with fewer ``in_channels``: further ones count for nothing until it learns of them."""
        first = "down.0.0.weight"
        more = max(0, self.in_channels - weights[first].shape[1]) if first in weights else 0
        self.load_state_dict(
            {name: pad(w, (0, 0, 0, 0, 0, more)) if name == first else w for name, w in weights.items()}
        )
