"""Networks that judge whether colors are real."""

from jaxtyping import Float
from torch import Tensor, nn

from gancolor.errors import InputError
from gancolor.interfaces import Discriminator
from gancolor.layers import NORMS, Norm, initialize, needs_bias


class PatchGAN(Discriminator):
    """pix2pix's patch discriminator (Isola et al. 2017, §6.1.2): each logit judges one patch of the picture.

    With three layers a logit sees 70×70 pixels; with its defaults the network has 2,765,633 parameters.

    Args:
        layers: number of strided convolutions, at least 1: 1, 2, 3, 4 give patches of 16, 34, 70, 142 pixels.
        width: channels after the first convolution; doubled by each further one, up to eight times.
        norm: normalization between the convolutions.
    """

    def __init__(self, layers: int = 3, width: int = 64, norm: Norm = "batch"):
        super().__init__()
        if layers < 1:
            raise InputError(f"PatchGAN: layers is {layers}, must be at least 1")
        self.layers, self.width = layers, width
        self.norm: Norm = norm
        widths = [width * min(2**layer, 8) for layer in range(layers + 1)]
        blocks: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for layer in range(1, layers + 1):
            stride = 2 if layer < layers else 1
            bias = needs_bias(norm)
            blocks += [
                nn.Conv2d(widths[layer - 1], widths[layer], 4, stride=stride, padding=1, bias=bias),
                NORMS[norm](widths[layer]),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.net = nn.Sequential(*blocks, nn.Conv2d(widths[-1], 1, 4, padding=1))
        initialize(self)

    def forward(self, lab: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B 1 h w"]]:
        """One map of logits, in float32 also under autocast."""
        return [self.net(lab).float()]
