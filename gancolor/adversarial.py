"""The games that generator and discriminator play, one class each.

D is a logit, x a real picture, x̂ a generated one; E is the mean over patches, pictures and scales.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import relu, softplus

from gancolor.interfaces import Objective

Logits = list[Float[Tensor, "B 1 _ _"]]  # scales differ in h and w


def _mean(maps: Logits, score: Callable[[Tensor], Tensor]) -> Float[Tensor, ""]:
    """Mean over patches and pictures of each scale, then over scales."""
    return torch.stack([score(logits).mean() for logits in maps]).mean()


class Vanilla(Objective):
    """The non-saturating game of Goodfellow et al. 2014, as pix2pix plays it.

    G: −E log σ(D(x̂)).  D: ½ (−E log σ(D(x)) − E log(1 − σ(D(x̂)))).

    Args:
        weight: factor of the generator's adversarial term.
    """

    def __init__(self, weight: float = 1.0):
        self.weight = weight

    def generator(self, fake: Logits) -> Float[Tensor, ""]:
        """−E log σ(D(x̂))."""
        return _mean(fake, lambda d: softplus(-d))

    def discriminator(self, real: Logits, fake: Logits) -> Float[Tensor, ""]:
        """½ (−E log σ(D(x)) − E log(1 − σ(D(x̂))))."""
        return (_mean(real, lambda d: softplus(-d)) + _mean(fake, softplus)) / 2


class LeastSquares(Objective):
    """The least-squares game of Mao et al. 2017 (LSGAN, eq. 9: a = 0, b = c = 1).

    G: E (D(x̂) − 1)².  D: ½ (E (D(x) − 1)² + E D(x̂)²).

    Args:
        weight: factor of the generator's adversarial term.
    """

    def __init__(self, weight: float = 1.0):
        self.weight = weight

    def generator(self, fake: Logits) -> Float[Tensor, ""]:
        """E (D(x̂) − 1)²."""
        return _mean(fake, lambda d: (d - 1) ** 2)

    def discriminator(self, real: Logits, fake: Logits) -> Float[Tensor, ""]:
        """½ (E (D(x) − 1)² + E D(x̂)²)."""
        return (_mean(real, lambda d: (d - 1) ** 2) + _mean(fake, torch.square)) / 2


class Hinge(Objective):
    """The hinge game of Lim & Ye 2017 (Geometric GAN), on unbounded logits.

    G: −E D(x̂).  D: E max(0, 1 − D(x)) + E max(0, 1 + D(x̂)).

    Args:
        weight: factor of the generator's adversarial term.
    """

    def __init__(self, weight: float = 1.0):
        self.weight = weight

    def generator(self, fake: Logits) -> Float[Tensor, ""]:
        """−E D(x̂)."""
        return -_mean(fake, lambda d: d)

    def discriminator(self, real: Logits, fake: Logits) -> Float[Tensor, ""]:
        """E max(0, 1 − D(x)) + E max(0, 1 + D(x̂))."""
        return _mean(real, lambda d: relu(1 - d)) + _mean(fake, lambda d: relu(1 + d))


class Wasserstein(Objective):
    """The critics' game of Arjovsky et al. 2017 (WGAN, eq. 2); it needs a penalty that bounds the critic's slope.

    G: −E D(x̂).  D: E D(x̂) − E D(x).

    Args:
        weight: factor of the generator's adversarial term.
    """

    def __init__(self, weight: float = 1.0):
        self.weight = weight

    def generator(self, fake: Logits) -> Float[Tensor, ""]:
        """−E D(x̂)."""
        return -_mean(fake, lambda d: d)

    def discriminator(self, real: Logits, fake: Logits) -> Float[Tensor, ""]:
        """E D(x̂) − E D(x)."""
        return _mean(fake, lambda d: d) - _mean(real, lambda d: d)
