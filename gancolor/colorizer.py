"""The game of generator and discriminator as a LightningModule. Sees interfaces only, never a part."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from gancolor.checkpoint import KEY, describe, refuse_another_run
from gancolor.color import Lab, lab_to_rgb, rgb_to_lab
from gancolor.errors import InputError
from gancolor.interfaces import (
    Batch,
    ColorLoss,
    Discriminator,
    Generator,
    Guide,
    Measured,
    Objective,
    Penalty,
    Prediction,
    Validated,
)
from gancolor.layers import batch_norms
from gancolor.optimization import OptimizerFactory, adam, clip, follow, lay_out

TERMS = {"discriminator", "penalty", "adversarial"}  # that the log has besides the losses
Terms = dict[str, tuple[float, Float[Tensor, ""]]]  # of a player's loss: weight and unweighted value


class Colorizer(pl.LightningModule):
    """Generator against discriminator, with any sum of color losses beside.

    Args:
        generator: predicts ab from light.
        discriminator: judges L ‖ ab.
        adversarial: the game the two play; its ``weight`` is the generator's factor, and with 0 nobody plays: the
            generator learns from ``losses`` alone, the discriminator nothing.
        losses: further terms of the generator's loss, by the names under which they are logged.
        penalty: a further term of the discriminator's loss, logged as ``train/penalty``: its latest value, unweighted.
        guide: what the generator is told in training beside lightness; none tells it nothing.
        generator_optimizer: builds the generator's optimizer from its parameters.
        discriminator_optimizer: builds the discriminator's.
        images: length of the training, in images seen.
        decay_from: share of the training after which the learning rates fall linearly to zero.
        accumulate: number of chunks in which a batch goes through the networks, to save memory; the result is that
            of the whole batch, except that batch norm sees a chunk at a time.
        clip_norm: largest norm of each network's gradient; none leaves gradients as they are.
        ema_decay: share of the generator's moving average that a step keeps, 0.999 in BigColor (Kim et al. 2022); with
            0 there is none. It colors in the generator's place wherever nothing is learned: in validation and in use.
        seed: of drop-out's noise, which is a function of (seed, images seen, process) only.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        adversarial: Objective,
        losses: dict[str, ColorLoss],
        penalty: Penalty | None = None,
        guide: Guide | None = None,
        generator_optimizer: OptimizerFactory = adam,
        discriminator_optimizer: OptimizerFactory = adam,
        images: int = 1_000_000,
        decay_from: float = 0.5,
        accumulate: int = 1,
        clip_norm: float | None = None,
        ema_decay: float = 0.0,
        seed: int = 0,
    ):
        super().__init__()
        if images < 1 or accumulate < 1 or not 0 <= decay_from <= 1 or (clip_norm is not None and clip_norm <= 0):
            raise InputError(
                "colorizer.images and colorizer.accumulate must be at least 1, colorizer.decay_from between 0 and 1, "
                f"colorizer.clip_norm above 0 or none; they are {images}, {accumulate}, {decay_from} and {clip_norm}"
            )
        if not 0 <= ema_decay < 1:
            raise InputError(f"colorizer.ema_decay is {ema_decay}: it must be at least 0 and below 1")
        if not (adversarial.weight or losses):
            raise InputError("colorizer: adversarial has weight 0 and there are no losses, so nothing is learned")
        if taken := TERMS & losses.keys():
            raise InputError(f"colorizer.losses: {taken.pop()} is a term of its own: call the loss something else")
        told = guide.channels if guide else 0
        if generator.in_channels != 1 + told:
            raise InputError(
                f"colorizer.generator takes {generator.in_channels - 1} channels beside lightness, but colorizer.guide "
                f"gives {told}: change the number in the generator's in_channels, profiles or experts, or the guide"
            )
        if penalty is not None:
            _refuse_unfit(penalty, discriminator, adversarial)
        self.automatic_optimization = False
        self.generator, self.discriminator = generator, discriminator
        self.adversarial, self.losses, self.penalty = adversarial, nn.ModuleDict(losses), penalty
        self.guide = guide
        self.generator_optimizer, self.discriminator_optimizer = generator_optimizer, discriminator_optimizer
        self.images, self.decay_from, self.accumulate = images, decay_from, accumulate
        self.clip_norm, self.ema_decay, self.seed = clip_norm, ema_decay, seed
        self.images_seen = 0
        self.size = 0  # side of the training pictures, learned from the first batch
        # No player and in no optimizer: every process has the same generator after a step, hence the same average.
        self.average = deepcopy(generator).eval().requires_grad_(False) if ema_decay else None
        # The networks as the moves call them: a distributed strategy puts its wrappers here, outside the registry.
        self.players: dict[str, nn.Module] = {"generator": generator, "discriminator": discriminator}

    @property
    def differentiates_twice(self) -> bool:
        """Whether the discriminator's gradient is differentiated too, which a compiled network does not allow."""
        return self.penalty is not None

    # One step reads like the paper.

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The discriminator's move, then the generator's, on the same pictures and the same prediction.

        Returns:
            Each term of both losses, unweighted, by the name under which it is logged.
        """
        chunks = self._chunks(batch.rgb)
        # With one chunk both moves share one pass of the generator; with more, keeping every graph would save nothing.
        shared = [self._predict(chunks[0], 0)] if len(chunks) == 1 else None
        self._set_learning_rates()
        judged = self._discriminator_move(chunks, shared) if self.adversarial.weight else {}
        terms = judged | self._generator_move(chunks, shared)
        images = len(batch.rgb) * self.trainer.world_size
        if self.average is not None:
            follow(self.average, self.generator, self.ema_decay, steps=self.images_seen // images)
        self.size = batch.rgb.shape[-1]
        self.images_seen += images
        self._log(terms)
        if self.images_seen >= self.images:
            self.trainer.should_stop = True
        return terms

    def _discriminator_move(self, chunks: list[Lab], shared: list[Prediction] | None) -> dict[str, Tensor]:
        """Descend on the discriminator's loss; it sees the prediction, cut from the generator's graph."""
        judge, totals = self.players["discriminator"], {}
        self.discriminator.requires_grad_(True)
        optimizer = self._optimizer("discriminator")
        for i, real in enumerate(chunks):
            with torch.no_grad():
                prediction = shared[i] if shared else self._predict(real, i)
            fake = Lab(real.light, prediction.ab.detach())
            with self._sync("discriminator", last=i == len(chunks) - 1):
                loss = self.adversarial.discriminator(judge(real.stack()), judge(fake.stack()))
                self._backward({"discriminator": (1.0, loss)} | self._penalty_term(real, fake, i), totals)
        optimizer.step()
        return totals

    def _penalty_term(self, real: Lab, fake: Lab, chunk: int) -> Terms:
        """The penalty, if there is one and this step, which the images seen decide, computes it."""
        step = self.images_seen // (len(real.ab) * self.accumulate * self.trainer.world_size)
        if self.penalty is None or step % self.penalty.every:
            return {}
        # The bare network: its wrapper reduces the gradient of the game and of this together, once.
        with torch.autocast(self.device.type, enabled=False):
            value = self.penalty(self.discriminator, real, fake, self._chance(len(real.ab), chunk))
        return {"penalty": (self.penalty.weight * self.penalty.every, value)}

    def _generator_move(self, chunks: list[Lab], shared: list[Prediction] | None) -> dict[str, Tensor]:
        """Descend on the adversarial term plus every color loss, under the judge just improved."""
        totals: dict[str, Tensor] = {}
        self.discriminator.requires_grad_(False)
        optimizer = self._optimizer("generator")
        for i, real in enumerate(chunks):
            with self._sync("generator", last=i == len(chunks) - 1):
                prediction = shared[i] if shared else self._predict(real, i)
                self._backward(self._generator_terms(prediction, real), totals)
        optimizer.step()
        return totals

    def _generator_terms(self, prediction: Prediction, real: Lab) -> Terms:
        """Each term of the generator's loss."""
        fake = Lab(real.light, prediction.ab)
        # The bare network: the judge only passes gradients on here, so there is nothing of its own to reduce.
        weight, terms = self.adversarial.weight, {}
        if weight:
            terms["adversarial"] = (weight, self.adversarial.generator(self.discriminator(fake.stack())))
        for name, loss in self.losses.items():
            assert isinstance(loss, ColorLoss)
            terms[name] = (loss.weight, loss(prediction, real))
        return terms

    # What makes a step correct on clusters.

    def _chunks(self, rgb: UInt8[Tensor, "B 3 H W"]) -> list[Lab]:
        """The batch in equal chunks, so that the mean of their means is the mean of the whole."""
        if len(rgb) % self.accumulate:
            raise InputError(
                f"colorizer.accumulate is {self.accumulate}, but a process has {len(rgb)} images a step: choose "
                "data.batch_size divisible by the processes times colorizer.accumulate"
            )
        return [rgb_to_lab(chunk) for chunk in rgb.chunk(self.accumulate)]

    def _predict(self, real: Lab, chunk: int) -> Prediction:
        """The generator's pass; its noise depends on the step, the process and the chunk, not on what ran before."""
        entropy = [self.seed, self.images_seen, self.global_rank, chunk]
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        told = real.light if self.guide is None else torch.cat([real.light, self.guide(real)], dim=1)
        return self.players["generator"](told)

    def _chance(self, images: int, chunk: int) -> Float[Tensor, " B"]:
        """Numbers from [0, 1) for a chunk's pictures: cut out of the whole batch's, so however that is shared out."""
        entropy = [self.seed, self.images_seen]
        generator = torch.Generator(self.device).manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        chunks = torch.rand(self.trainer.world_size, self.accumulate, images, generator=generator, device=self.device)
        return chunks[self.global_rank, chunk]

    def _backward(self, terms: Terms, totals: dict[str, Tensor]) -> None:
        """Add a chunk's share to the gradient, and its terms' shares to the totals, unweighted."""
        loss = torch.stack([weight * term for weight, term in terms.values()]).sum()
        self.manual_backward(loss / self.accumulate)
        for name, (_, term) in terms.items():
            totals[name] = totals.get(name, 0) + term.detach() / self.accumulate

    def _sync(self, role: str, last: bool) -> AbstractContextManager[Any]:
        """Reduce gradients over the processes with the last chunk only."""
        player = self.players[role]
        return player.no_sync() if isinstance(player, DistributedDataParallel) and not last else nullcontext()

    def _optimizer(self, role: str) -> Any:
        """The optimizer of a network, with gradients cleared."""
        generator, discriminator = self.optimizers()  # type: ignore[misc]  # a list, as configured
        optimizer = {"generator": generator, "discriminator": discriminator}[role]
        optimizer.zero_grad()
        return optimizer

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip here, where a gradient scaler may have unscaled, and not beside the backward passes."""
        if self.clip_norm is not None:
            clip(optimizer, self.clip_norm, getattr(self.trainer.precision_plugin, "scaler", None))

    def configure_optimizers(self) -> list[Optimizer]:
        """The generator's optimizer and the discriminator's."""
        optimizers = [
            self.generator_optimizer(self.generator.parameters()),
            self.discriminator_optimizer(self.discriminator.parameters()),
        ]
        self._rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
        return optimizers

    def on_train_start(self) -> None:
        """Fit the optimizers' memory, by now restored from a checkpoint, to the weights as they lie."""
        lay_out(self.trainer.optimizers)

    def _set_learning_rates(self) -> None:
        """Flat, then linear to zero: a function of the images seen, so there is no schedule to save or to resume."""
        left = 1 - self.images_seen / self.images
        factor = min(1.0, left / (1 - self.decay_from)) if self.decay_from < 1 else 1.0
        for optimizer, rates in zip(self.optimizers(), self._rates, strict=True):  # type: ignore[arg-type]
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor

    def train(self, mode: bool = True) -> "Colorizer":
        """Set the mode of everything but the average, which never learns."""
        super().train(mode)
        if self.average is not None:
            self.average.eval()
        return self

    # The losses that look at the training data, and the log.

    def measure(self, colors: Callable[[], Iterable[UInt8[Tensor, "B 3 H W"]]]) -> dict[str, float]:
        """Show the training data's pictures to all that must see their colors before a fresh run; what it found."""
        parts = {name: part for name, part in self.named_modules() if isinstance(part, Measured)}
        found = {name: part.measure(rgb_to_lab(rgb).ab for rgb in colors()) for name, part in parts.items()}
        return {f"{name}/{key}": value for name, values in found.items() for key, value in values.items()}

    def on_fit_start(self) -> None:
        """Refuse a training that is over, one whose checkpoints could not be read, and losses without a prior.

        Then, in a fresh run, begin the average where the generator begins, which by now is the same on every process.
        """
        if self.images_seen >= self.images:
            raise InputError(f"this run has seen its {self.images} images: raise colorizer.images to train it longer")
        for network in self.generator, self.discriminator:
            describe(network)
        for name, part in self.named_modules():
            if isinstance(part, Measured) and not part.measured:
                raise RuntimeError(f"{name} has not seen the data's colors: call Colorizer.measure() first")
        if self.average is not None and self.images_seen == 0:
            self.average.load_state_dict(self.generator.state_dict())

    def _log(self, terms: dict[str, Tensor]) -> None:
        """Hand over what a row of the log will read; numbers as tensors, or Lightning sends each to a GPU and waits."""
        rates = {
            f"learning_rate/{role}": torch.tensor(optimizer.param_groups[0]["lr"])
            for role, optimizer in zip(self.players, self.optimizers(), strict=True)  # type: ignore[arg-type]
        }
        self.log_dict({f"train/{name}": value for name, value in terms.items()} | rates)
        self.log("step", torch.tensor(float(self.images_seen)))  # every logger's x-axis: images seen

    # Using what was trained, and keeping it.

    def validation_step(self, batch: Batch, batch_idx: int) -> Validated:  # type: ignore[override]
        """Color the pictures by the generator, or its average, from lightness alone; callbacks make something of it."""
        network, light = self.generator if self.average is None else self.average, rgb_to_lab(batch.rgb).light
        # Not compiled: each number of pictures would be compiled anew, and there are few of each.
        prediction = network.forward(light)
        return Validated(lab_to_rgb(Lab(light, prediction.ab)), prediction)

    def about(self) -> dict[str, Any]:
        """What rebuilds the networks, and where the training stands, as plain data."""
        return {
            "generator": describe(self.generator),
            "discriminator": describe(self.discriminator),
            "guide": describe(self.guide) if self.guide else None,
            "losses": list(self.losses),
            "ema_decay": self.ema_decay,
            "size": self.size,
            "images": self.images_seen,
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what this is about."""
        checkpoint[KEY] = self.about()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse other networks' weights; take up where the training stood."""
        about = checkpoint[KEY]
        refuse_another_run(about, self.about())
        self.images_seen, self.size = about["images"], about["size"]


def _refuse_unfit(penalty: Penalty, discriminator: Discriminator, adversarial: Objective) -> None:
    if not adversarial.weight:
        raise InputError("colorizer.penalty: adversarial has weight 0, so nobody plays: add --colorizer.penalty null")
    if penalty.every < 1:
        raise InputError(f"colorizer.penalty: every is {penalty.every}: it must be at least 1")
    if mixing := batch_norms(discriminator):  # Gulrajani et al. 2017, §4
        raise InputError(
            f"colorizer.penalty: {type(penalty).__name__} needs a discriminator that judges each picture alone, but "
            f"its {mixing[0]} is batch norm: add --colorizer.discriminator.init_args.norm instance (or group)"
        )
