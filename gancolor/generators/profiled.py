"""A generator that colors by a profile: one that it is given, or else one that it predicts from the lightness."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot

from gancolor.errors import InputError
from gancolor.interfaces import Adopting, Generator, Prediction
from gancolor.layers import adopt

Routing = Literal["hard", "soft"]


class ProfilePredictor(nn.Module):
    """How likely each profile is, by the lightness alone: strided convolutions, then the mean over the picture.

    Args:
        profiles: how many there are.
        width: channels after the first convolution; doubled by each further one.
        layers: number of convolutions, each of which halves the picture.
    """

    def __init__(self, profiles: int = 4, width: int = 32, layers: int = 4):
        super().__init__()
        self.profiles, self.width, self.layers = profiles, width, layers
        widths = [1, *(width * 2**layer for layer in range(layers))]
        blocks: list[nn.Module] = []
        for below, above in pairwise(widths):
            norm = nn.GroupNorm(1, above)
            blocks += [nn.Conv2d(below, above, 3, stride=2, padding=1), norm, nn.LeakyReLU(0.2, inplace=True)]
        self.net = nn.Sequential(*blocks)
        self.last = nn.Linear(widths[-1], profiles)

    def forward(self, light: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B K"]:
        """Logits, in float32 also under autocast."""
        return self.last(self.net(light).mean((2, 3))).float()


class Profiled(Generator, Adopting):
    """Colors by a profile: by the one given as further channels of the input, else by the one it predicts itself.

    In training a ProfileGuide gives the real one, and a ProfileCrossEntropy teaches the predictor.

    Args:
        generator: colors light ‖ a plane for each profile, which holds the profile's share: a UNet with
            ``in_channels`` of 1 + the number of profiles, or Experts.
        predictor: predicts the profile from light.
        routing: color by the most likely profile, or by all, each with its likelihood as share.

    Raises:
        InputError: the two know different numbers of profiles.
    """

    def __init__(self, generator: Generator, predictor: ProfilePredictor, routing: Routing = "hard"):
        super().__init__()
        if generator.in_channels != 1 + predictor.profiles:
            raise InputError(
                f"Profiled: predictor.profiles is {predictor.profiles}, but the generator takes light and "
                f"{generator.in_channels - 1} profiles: change generator.in_channels of a UNet to "
                f"{1 + predictor.profiles}, generator.experts of Experts to {predictor.profiles}, or the predictor"
            )
        self.generator, self.predictor = generator, predictor
        self.routing: Routing = routing
        self.stride, self.in_channels = generator.stride, generator.in_channels

    def forward(self, x: Float[Tensor, "B C H W"]) -> Prediction:
        """Predict ab from light, or from light ‖ planes, which are the same all over a picture and sum to 1.

        Raises:
            InputError: there are not as many planes as profiles.
        """
        light, given = x[:, :1], x[:, 1:, 0, 0]
        if given.shape[1] not in (0, self.predictor.profiles):
            raise InputError(
                f"Profiled: predictor.profiles is {self.predictor.profiles}, but {given.shape[1]} profiles are given"
            )
        logits = self.predictor(light)
        share = given if given.shape[1] else self._share(logits)
        planes = share[:, :, None, None].expand(-1, -1, *x.shape[2:])
        colored = self.generator(torch.cat([light, planes], dim=1))
        return Prediction(colored.ab, colored.logits, colored.centers, share, logits)

    def _share(self, logits: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        soft = logits.softmax(1)
        return {"soft": soft, "hard": one_hot(soft.argmax(1), soft.shape[1]).to(soft)}[self.routing]

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Color as a generator that knows no profiles does, whatever the profile."""
        adopt(self.generator, weights)
