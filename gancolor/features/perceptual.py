"""LPIPS (Zhang et al. 2018), taken apart so that a photograph is looked at once for all its colorizations."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import lpips
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gancolor.features.weights import Published, load

ALEXNET = Published(
    of="LPIPS's AlexNet",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    megabytes=233,
    sha256={
        "alexnet-owt-7be5be79.pth": "7be5be79",
        # Only the convolutions, which are all that LPIPS uses.
        "torchvision_alexnet_features.pth": "66c22db6d0c537816aff668d003d1f047eb70f967fedc80e877ac9997fa84716",
    },
)
VGG16 = Published(
    of="LPIPS's VGG16",
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
    megabytes=528,
    sha256={
        "vgg16-397923af.pth": "397923af",
        "torchvision_vgg16_features.pth": "9380c08b32949dee436a9531ffc2c1742ed888098f2310349187ca78234c1687",
    },
)


class LPIPS(nn.Module):
    """Learned perceptual distance of two images, as the squared distance of two vectors.

    ``Σ_l 1/(H_l·W_l) Σ_hw Σ_c w_lc·(ŷ_lhwc − ŷ′_lhwc)²`` (Zhang et al. 2018, equation 1): ŷ are the activations
    of layer l, of unit length along the channels. The learned weights w are not negative, so √(w/HW) can be multiplied
    into ŷ, once an image.

    Args:
        network: of the lpips package, version 0.1.
    """

    def __init__(self, network: lpips.LPIPS) -> None:
        super().__init__()
        self.network = network

    def activations(self, images: UInt8[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """√(w/HW)·ŷ of each layer."""
        scaled = self.network.scaling_layer(images.float() / 127.5 - 1)
        layers = self.network.net(scaled.contiguous(memory_format=torch.channels_last))
        weights = [linear.get_parameter("model.1.weight") for linear in self.network.lins]
        return [_weighted(layer, weight) for layer, weight in zip(layers, weights, strict=True)]

    def distance(
        self, fake: Sequence[Float[Tensor, "B _ _ _"]], real: Sequence[Float[Tensor, "B _ _ _"]]
    ) -> Float[Tensor, " B"]:
        """LPIPS of each pair of images, from their activations."""
        layers = [(x - y).square().sum(dim=(1, 2, 3)) for x, y in zip(fake, real, strict=True)]
        return torch.stack(layers).sum(dim=0)

    def forward(self, fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
        """LPIPS of each pair of images."""
        return self.distance(self.activations(fake), self.activations(real))


def _weighted(layer: Float[Tensor, "B C h w"], weight: Float[Tensor, "1 C 1 1"]) -> Float[Tensor, "B C h w"]:
    height, width = layer.shape[2:]
    length = layer.norm(dim=1, keepdim=True) + 1e-10  # as the lpips package guards against a division by zero
    return layer * (weight / (height * width)).sqrt() / length


def lpips_alex(weights: Path | None = None) -> LPIPS:
    """LPIPS 0.1 on AlexNet.

    Args:
        weights: folder to look in first.

    Raises:
        MissingWeights: not found and not downloaded.
        DamagedWeights: found, but with another SHA-256.
        NotADirectoryError: no such folder.
    """
    return _lpips("alex", load(ALEXNET, weights))


def lpips_vgg(weights: Path | None = None) -> LPIPS:
    """LPIPS 0.1 on VGG16.

    Args:
        weights: folder to look in first.

    Raises:
        MissingWeights: not found and not downloaded.
        DamagedWeights: found, but with another SHA-256.
        NotADirectoryError: no such folder.
    """
    return _lpips("vgg", load(VGG16, weights))


@torch.random.fork_rng(devices=[])  # initial weights are drawn and overwritten: leave the caller's numbers alone
def _lpips(net: Literal["alex", "vgg"], state: dict[str, Tensor]) -> LPIPS:
    """The lpips package's network on a backbone of torchvision's."""
    with warnings.catch_warnings():  # lpips still calls torchvision by its old arguments
        warnings.filterwarnings("ignore", "The parameter 'pretrained'|Arguments other than a weight enum", UserWarning)
        network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    # lpips cuts the backbone's features into slices and keeps their numbers: slice2.3.weight is features.3.weight.
    network.net.load_state_dict({key: state["features." + key.split(".", 1)[1]] for key in network.net.state_dict()})
    return LPIPS(network).to(memory_format=torch.channels_last).eval().requires_grad_(False)
