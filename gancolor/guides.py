"""What a generator is told of a picture, beside its lightness."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from gancolor.color import Lab
from gancolor.interfaces import Guide
from gancolor.palette import Profiles, histograms, nearest


class ProfileGuide(Guide):
    """The profile that the picture's own colors belong to: for each profile a plane, of ones for it and of zeros else.

    Args:
        profiles: the profiles; a file of them by ``gancolor.palette.Profiles.read``.
    """

    centers: Float[Tensor, "K cells"]

    def __init__(self, profiles: Profiles):
        super().__init__()
        self.profiles = profiles
        self.channels = len(profiles)
        self.register_buffer("centers", profiles.table(), persistent=False)  # the constructor knows them

    @property
    def names(self) -> tuple[str, ...]:
        """What each plane is called."""
        return self.profiles.names

    def forward(self, real: Lab) -> Float[Tensor, "B K H W"]:
        """The planes, from the real colors."""
        with torch.autocast(real.ab.device.type, enabled=False):  # half of the digits would find other neighbors
            own = nearest(histograms(real.ab), self.centers)
        share = one_hot(own, self.channels).to(real.light)
        return share[:, :, None, None].expand(-1, -1, *torch.Size(real.light.shape[2:]))
