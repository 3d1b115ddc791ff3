"""What generators and discriminators are both made of: normalization by name, and the weights they begin with."""

import math
from collections.abc import Callable, Mapping
from typing import Literal

from torch import Tensor, nn

from gancolor.interfaces import Adopting

Norm = Literal["batch", "instance", "group"]

NORMS: dict[Norm, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": nn.InstanceNorm2d,
    "group": lambda channels: nn.GroupNorm(math.gcd(32, channels), channels),
}


def needs_bias(norm: Norm) -> bool:
    """Whether a convolution before this norm keeps its bias: instance norm, as in pix2pix, has none of its own."""
    return not any(True for _ in NORMS[norm](32).parameters())


def batch_norms(network: nn.Module) -> list[str]:
    """The names of the modules by which the pictures of a batch influence one another."""
    return [name for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d | nn.SyncBatchNorm)]


def initialize(network: nn.Module) -> None:
    """Draw convolutions from N(0, 0.02), batch-norm gains from N(1, 0.02), and set biases to zero (pix2pix §6.2)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def adopt(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Begin with the weights of a network of the same architecture, or of one that this one can make use of.

    Raises:
        RuntimeError: they are of another.
    """
    shapes = {name: value.shape for name, value in weights.items()}
    if isinstance(network, Adopting) and shapes != {name: value.shape for name, value in network.state_dict().items()}:
        network.adopt(weights)
    else:
        network.load_state_dict(weights)
