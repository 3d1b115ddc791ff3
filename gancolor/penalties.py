"""Penalties on how steeply a discriminator's logits change with the colors it is shown, one class each.

D is a logit, x the real ab of a picture, x̂ the generated one. E is the mean over pictures, scales and patches, so
∇D, the gradient with respect to ab, is that of a patch: ``docs/decisions/penalties.md`` says why, and why ab alone.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gancolor.color import Lab
from gancolor.interfaces import Judge, Penalty


class R1(Penalty):
    """The zero-centered penalty on real pictures of Mescheder et al. 2018, eq. 9: γ/2 · E ‖∇D(x)‖².

    Args:
        weight: γ; the paper's 10 is for a picture's one logit, and leaves a patch's discriminator undecided.
        every: steps from one computation to the next; the weight is multiplied by it (StyleGAN2's is 16).
    """

    def __init__(self, weight: float = 0.1, every: int = 1):
        self.weight, self.every = weight, every

    def __call__(self, judge: Judge, real: Lab, fake: Lab, chance: Float[Tensor, " B"]) -> Float[Tensor, ""]:
        """½ E ‖∇D(x)‖²."""
        return _steepness(judge, real).square().mean() / 2


class GradientPenalty(Penalty):
    """WGAN-GP's penalty, Gulrajani et al. 2017, eq. 3: λ · E (‖∇D(ε x + (1 − ε) x̂)‖ − 1)², with ε uniform in [0, 1].

    Args:
        weight: λ.
        every: steps from one computation to the next; the weight is multiplied by it.
    """

    def __init__(self, weight: float = 10.0, every: int = 1):
        self.weight, self.every = weight, every

    def __call__(self, judge: Judge, real: Lab, fake: Lab, chance: Float[Tensor, " B"]) -> Float[Tensor, ""]:
        """E (‖∇D(ε x + (1 − ε) x̂)‖ − 1)²; ε is ``chance``."""
        between = torch.lerp(fake.ab, real.ab, chance.view(-1, 1, 1, 1))
        return (_steepness(judge, Lab(real.light, between)) - 1).square().mean()


def _steepness(judge: Judge, lab: Lab) -> Float[Tensor, "scales B"]:
    """‖∇D‖ of each picture in each scale, the root mean square over patches: as if no two of them overlapped.

    Differentiable in the judge's weights.
    """
    ab = lab.ab.detach().requires_grad_()
    rows = []
    for logits in judge(Lab(lab.light, ab).stack()):
        # No picture's logits depend on another picture, so the gradient of the sum holds each one's own.
        (gradient,) = torch.autograd.grad(logits.sum(), ab, create_graph=True)
        rows.append(gradient.flatten(1).norm(dim=1) / math.sqrt(logits[0].numel()))
    return torch.stack(rows)
