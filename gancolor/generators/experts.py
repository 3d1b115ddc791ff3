"""A generator for each profile, side by side."""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gancolor.errors import InputError
from gancolor.interfaces import Adopting, Generator, Prediction
from gancolor.layers import adopt


class Experts(Generator, Adopting):
    """A generator for each profile (Robles & Budach): a picture is colored by those whose profile has a share in it.

    Colors are summed by share, and so are logits: the mixture of probabilities is a geometric mean. An expert whose
    share is all is alone. Each sees only the pictures that it has a share in; batch norm's
    statistics, too, are of those.

    Args:
        expert: colors light alone. The others begin as copies of it, and each goes its own way.
        experts: how many. The input is light ‖ a plane for each, which holds its profile's share of the picture.

    Raises:
        InputError: there are none, or the expert takes more than light.
    """

    def __init__(self, expert: Generator, experts: int = 4):
        super().__init__()
        if experts < 1:
            raise InputError(f"Experts: experts is {experts}, must be at least 1")
        if expert.in_channels != 1:
            raise InputError(
                f"Experts: an expert sees light alone, but expert.in_channels is {expert.in_channels}, not 1"
            )
        self.experts, self.in_channels, self.stride = experts, 1 + experts, expert.stride
        self.networks = nn.ModuleList([expert, *(deepcopy(expert) for _ in range(experts - 1))])

    @property
    def expert(self) -> nn.Module:
        """The first: all are built alike."""
        return self.networks[0]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Prediction:
        """Predict ab from light ‖ shares, which are the same all over a picture and sum to 1."""
        if x.shape[1] != self.in_channels:
            raise InputError(
                f"Experts: experts is {self.experts}, but the input has shares of {x.shape[1] - 1} profiles"
            )
        light, shares = x[:, :1], x[:, 1:, 0, 0]
        rows = self._rows(shares)
        busy = [k for k in range(self.experts) if len(rows[k])]
        said: list[Prediction] = [self.networks[k](light[rows[k]]) for k in busy]
        where = [(rows[k], shares[rows[k], k]) for k in busy]
        idle = self._nothing(set(range(self.experts)) - set(busy))
        ab = _mix([one.ab for one in said], where, len(x)) + idle
        logits = [one.logits for one in said if one.logits is not None]
        return Prediction(ab, _mix(logits, where, len(x)) + idle if logits else None, said[0].centers)

    def _rows(self, shares: Float[Tensor, "B K"]) -> list[Int[Tensor, " _"]]:
        """The pictures that each expert has a share in.

        It waits for the device: the alternative, all experts on all pictures, takes K times as long.
        """
        if shares.is_meta:  # operations are counted, and there are no values: the first expert does all
            every = torch.arange(len(shares), device=shares.device)
            return [every, *[every[:0]] * (self.experts - 1)]
        return [share.nonzero()[:, 0] for share in shares.unbind(1)]

    def _nothing(self, idle: set[int]) -> Float[Tensor, ""] | float:
        """0, as a function of the weights of experts that rest: they get a gradient of 0, as DDP needs one of each."""
        if not torch.is_grad_enabled():
            return 0.0
        return 0.0 * sum((p.sum() for k in sorted(idle) for p in self.networks[k].parameters()), 0.0)

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Give each expert the weights of a common generator."""
        for network in self.networks:
            adopt(network, weights)


def _mix(
    parts: Sequence[Float[Tensor, "_ C h w"]],
    where: Sequence[tuple[Int[Tensor, " _"], Float[Tensor, " _"]]],
    images: int,
) -> Float[Tensor, "B C h w"]:
    """What experts say of some pictures each, summed over the experts by share."""
    total = parts[0].new_zeros(images, *parts[0].shape[1:])
    for part, (rows, share) in zip(parts, where, strict=True):
        total = total.index_add(0, rows, share[:, None, None, None] * part)
    return total
