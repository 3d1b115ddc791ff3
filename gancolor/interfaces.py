"""Read first: what the parts of gancolor are, on one page.

A part is a final class that implements one of these interfaces; no part imports another, and
:class:`~gancolor.colorizer.Colorizer` sees only what stands here. Every part keeps its constructor's arguments as
attributes of the same names (scikit-learn's convention): that is how a checkpoint rebuilds it without a YAML file.

Shapes, everywhere: ``B`` images in the batch, ``H W`` height and width in pixels, ``C`` channels,
``h w`` height and width of a feature map. ``light`` is L/50 − 1, ``ab`` is (a, b)/110.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from gancolor.color import Lab

Split = Literal["train", "val"]


class Batch(NamedTuple):
    """What a loader delivers.

    Attributes:
        rgb: the pictures, 8-bit sRGB.
        indices: each picture's place in its split's list of names.
    """

    rgb: UInt8[Tensor, "B 3 H W"]
    indices: Int[Tensor, " B"]


class Source(ABC):
    """Where photographs come from. Listing is lazy: constructing a source touches no disk."""

    @abstractmethod
    def names(self, split: Split) -> Sequence[str]:
        """The images of a split, in an order that is the same everywhere and always.

        Raises:
            FileNotFoundError: a folder or a list that does not exist.
        """

    @abstractmethod
    def read(self, name: str, min_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
        """One image as 8-bit sRGB, upright.

        Args:
            name: one of :meth:`names`.
            min_side: the caller will shrink the image so that its short side is this many pixels; a source may then
                deliver a smaller scale whose short side is no smaller, where that is faster. None is full size.

        Raises:
            Unreadable: the image cannot be decoded.
        """


class Files(Source):
    """A source whose images are files, on disk or inside archives."""

    @abstractmethod
    def stored(self, name: str) -> bytes:
        """The whole file of an image, as it is stored.

        Raises:
            OSError: it cannot be read.
        """

    @abstractmethod
    def stamp(self, name: str) -> str:
        """What changes when the file does, found without reading it; such as its size and the time of its change.

        Raises:
            OSError: it is not there.
        """


class Unreadable(Exception):
    """An image that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Prediction:
    """What a generator says of a batch.

    Attributes:
        ab: predicted color, scaled as in :class:`~gancolor.color.Lab`.
        logits: of each of Q bins of the ab plane, if the generator classifies; possibly at a lower resolution.
        centers: the color that each bin stands for, in the scale of ``ab``.
        profile: the share of each of K profiles in what the picture was colored by, if the generator knows profiles.
        profile_logits: how likely it holds each profile by the lightness alone.
    """

    ab: Float[Tensor, "B 2 H W"]
    logits: Float[Tensor, "B Q h w"] | None = None
    centers: Float[Tensor, "Q 2"] | None = None
    profile: Float[Tensor, "B K"] | None = None
    profile_logits: Float[Tensor, "B K"] | None = None


class Validated(NamedTuple):
    """What a validation step makes of a batch.

    Attributes:
        rgb: the pictures in predicted colors.
        prediction: what the generator said of them.
    """

    rgb: UInt8[Tensor, "B 3 H W"]
    prediction: Prediction


class Head(nn.Module, ABC):
    """What turns a generator's last maps into a prediction. It learns nothing: the maps are what is learned.

    Attributes:
        channels: of the maps that it reads.
        reduction: H / h, a power of two: 1 reads maps at the picture's own resolution.
    """

    channels: int
    reduction: int

    @abstractmethod
    def forward(self, maps: Float[Tensor, "B C h w"]) -> Prediction:
        """The prediction, in float32 also under autocast."""


class Generator(nn.Module, ABC):
    """A network that predicts color from lightness.

    Attributes:
        stride: H and W of the input must be multiples of it.
        in_channels: of the input in training: 1 is light alone, those after it are a guide's.
    """

    stride: int
    in_channels: int = 1

    @abstractmethod
    def forward(self, x: Float[Tensor, "B C H W"]) -> Prediction:
        """Predict ab from ``x``, whose first channel is light."""


class Adopting(ABC):
    """A network that can begin with the weights of another one, of a simpler architecture."""

    @abstractmethod
    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Take over all of them, by their names there; what the other one does not have stays as it is.

        Raises:
            RuntimeError: they are of no such network, as ``load_state_dict`` says it.
        """


class Guide(nn.Module, ABC):
    """What the generator is told of a picture beside its lightness, as further channels of its input.

    It learns nothing. In training it looks at the real colors; in use people say it, or the generator goes without.

    Attributes:
        channels: how many it gives.
    """

    channels: int

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What people call each channel."""

    @abstractmethod
    def forward(self, real: Lab) -> Float[Tensor, "B C H W"]:
        """The channels of each picture."""


class Discriminator(nn.Module, ABC):
    """A network that judges whether colors are real."""

    @abstractmethod
    def forward(self, lab: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B 1 _ _"]]:
        """Maps of logits, one a scale; higher is more real."""


class Objective(ABC):
    """The game that generator and discriminator play, as two losses to minimize.

    Attributes:
        weight: factor of the generator's adversarial term.
    """

    weight: float

    @abstractmethod
    def generator(self, fake: list[Float[Tensor, "B 1 _ _"]]) -> Float[Tensor, ""]:
        """The generator's loss, from the discriminator's logits on its pictures."""

    @abstractmethod
    def discriminator(
        self, real: list[Float[Tensor, "B 1 _ _"]], fake: list[Float[Tensor, "B 1 _ _"]]
    ) -> Float[Tensor, ""]:
        """The discriminator's loss, from its logits on real and on generated pictures."""


Judge = Callable[[Float[Tensor, "B 3 H W"]], list[Float[Tensor, "B 1 _ _"]]]


class Penalty(ABC):
    """A term of the discriminator's loss that sees the discriminator itself, whatever the game.

    Attributes:
        weight: factor of this term in the discriminator's loss.
        every: steps from one computation to the next, where the weight counts ``every`` times: lazy regularization
            (Karras et al. 2020, StyleGAN2, §3.1).
    """

    weight: float
    every: int

    @abstractmethod
    def __call__(self, judge: Judge, real: Lab, fake: Lab, chance: Float[Tensor, " B"]) -> Float[Tensor, ""]:
        """The unweighted penalty, a mean over the batch, so that chunks can be averaged; differentiable in the judge.

        Args:
            judge: the discriminator; it judges each picture alone, and computes in float32.
            real: photographs.
            fake: the same photographs in generated colors, cut from the generator's graph.
            chance: for each picture a number drawn uniformly from [0, 1), the same in every run and on any number of
                processes: a function of the seed, the images seen and the picture's place in the whole batch.
        """


class ColorLoss(nn.Module, ABC):
    """A distance between predicted and real colors; the mean over the batch, so that chunks can be averaged.

    Attributes:
        weight: factor of this term in the generator's loss.
    """

    weight: float

    @abstractmethod
    def forward(self, prediction: Prediction, real: Lab) -> Float[Tensor, ""]:
        """The unweighted loss."""


class Measured(ABC):
    """A part of a loss that must see the training data's colors once before a fresh run; a checkpoint keeps them."""

    @property
    @abstractmethod
    def measured(self) -> bool:
        """Whether it has seen them."""

    @abstractmethod
    def measure(self, colors: Iterable[Float[Tensor, "B 2 H W"]]) -> dict[str, float]:
        """See them: batches of ab, scaled as in :class:`~gancolor.color.Lab`. Returns what it found, for the log."""


class Weighting(ABC):
    """How much each color weighs in a loss, by how often it occurs in the training data; a value without state.

    Attributes:
        side: the ab plane has ``side`` × ``side`` cells.
    """

    side: int

    @abstractmethod
    def cell_of(self, ab: Float[Tensor, "B 2 H W"]) -> Int[Tensor, "B H W"]:
        """The cell of each color, as row-major number; a color beyond the cells belongs to one at the edge."""

    @abstractmethod
    def weights(self, p: Float[Tensor, "a b"]) -> Float[Tensor, "a b"]:
        """The weight of each cell, from the share of pixels in each."""


class ImageMetric(ABC):
    """A number about a set of generated pictures; the implementations are torchmetrics ``Metric`` too."""

    @abstractmethod
    def update(self, fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> None:
        """Take in a batch of generated pictures and the photographs they belong to."""

    @abstractmethod
    def compute(self) -> Float[Tensor, ""]:
        """The number, over everything taken in since the last reset, by all processes."""
