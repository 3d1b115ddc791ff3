"""The game: against a step written out in plain PyTorch, against itself in chunks, and against recorded losses."""

import json
from collections.abc import Iterable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Adam

from gancolor.adversarial import Hinge, LeastSquares, Vanilla
from gancolor.color import Lab, lab_to_rgb, rgb_to_lab
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.discriminators import PatchGAN
from gancolor.errors import InputError
from gancolor.generators import BinHead, UNet
from gancolor.interfaces import Batch, Generator, Guide, Objective, Prediction
from gancolor.layers import Norm
from gancolor.losses import L1, BinCrossEntropy, RarityL1
from gancolor.penalties import R1

GOLDEN = Path(__file__).parent / "golden" / "five_steps.json"
BATCH = 8

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),  # the generator's average, rightly
]


def colorizer(
    norm: Norm = "group", dropout: float = 0.0, adversarial: Objective | None = None, **arguments: object
) -> Colorizer:
    torch.manual_seed(0)
    result = Colorizer(
        UNet(depth=5, width=8, norm=norm, dropout=dropout),
        PatchGAN(layers=2, width=8, norm=norm),
        adversarial or Vanilla(),
        {"l1": L1(50.0), "rarity": RarityL1(50.0)},
        **{"images": 10 * BATCH, **arguments},  # type: ignore[arg-type]
    )
    result.measure(lambda: data().sample(32))
    return result


def sgd(parameters: Iterable[nn.Parameter]) -> torch.optim.SGD:
    """Moves in proportion to the gradient, where Adam would blow rounding up to the size of its learning rate."""
    return torch.optim.SGD(parameters, lr=1e-3)


SGD = {"generator_optimizer": sgd, "discriminator_optimizer": sgd, "decay_from": 1.0}


def data() -> ColorData:
    return ColorData(Scenes(train=64, val=8, size=36), size=32, load_size=36, batch_size=BATCH, workers=0)


class Record(pl.Callback):
    def __init__(self) -> None:
        self.losses: list[dict[str, float]] = []
        self.rates: list[list[float]] = []
        self.generators: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        terms = {k.removeprefix("train/"): v.item() for k, v in trainer.callback_metrics.items() if "train/" in k}
        self.losses.append(terms)
        self.rates.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])
        assert isinstance(pl_module, Colorizer)
        self.generators.append(copy_of(pl_module.generator))


def fit(model: Colorizer, steps: int = 5, **arguments: object) -> Record:
    record = Record()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=-1,
        max_steps=2 * steps,  # Lightning counts each optimizer's
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        callbacks=[record],
        **arguments,  # type: ignore[arg-type]
    )
    trainer.fit(model, data().train_loader())
    return record


def copy_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def batches(steps: int) -> list[Batch]:
    loader = data().train_loader()
    return [batch for _ in range(2) for batch in loader][:steps]


def largest_difference(a: nn.Module, b: nn.Module) -> float:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return max((x.float() - y.float()).abs().max().item() for x, y in pairs)


def reference_steps(model: Colorizer, steps: int) -> None:
    """pix2pix's step as its paper has it, in the plainest PyTorch; D first, then G under the improved D."""
    generator, discriminator = model.generator, model.discriminator
    g, d = sgd(generator.parameters()), sgd(discriminator.parameters())
    bce = binary_cross_entropy_with_logits
    for batch in batches(steps):
        real = rgb_to_lab(batch.rgb)
        ab = generator(real.light).ab
        d.zero_grad()
        on_real = discriminator(torch.cat([real.light, real.ab], 1))[0]
        on_fake = discriminator(torch.cat([real.light, ab.detach()], 1))[0]
        ((bce(on_real, torch.ones_like(on_real)) + bce(on_fake, torch.zeros_like(on_fake))) / 2).backward()
        d.step()
        g.zero_grad()
        on_fake = discriminator(torch.cat([real.light, ab], 1))[0]
        rarity = model.losses["rarity"]
        a, b = (real.ab * 11).round().long().unbind(1)
        weight = rarity.weights.table[a + 11, b + 11].unsqueeze(1)  # type: ignore[index]
        error = (ab - real.ab).abs()
        (bce(on_fake, torch.ones_like(on_fake)) + 50 * error.mean() + 50 * (weight * error).mean()).backward()
        g.step()


def test_step_equals_plain_pytorch() -> None:
    ours, reference = colorizer(norm="batch", **SGD), colorizer(norm="batch", **SGD)
    fit(ours, steps=3)
    reference_steps(reference, steps=3)
    assert largest_difference(ours, reference) < 1e-6 < 1e-4 < largest_difference(ours, colorizer(norm="batch"))


def test_one_generator_pass_a_step() -> None:
    model, passes = colorizer(), {"generator": 0, "discriminator": 0}
    for role in passes:
        count = lambda *_, role=role: passes.update({role: passes[role] + 1})  # noqa: E731
        getattr(model, role).register_forward_hook(count)
    fit(model, steps=2)
    assert passes == {"generator": 2, "discriminator": 6}


@pytest.mark.parametrize("adversarial", [Vanilla(), LeastSquares(), Hinge()], ids=lambda o: type(o).__name__)
def test_chunks_equal_the_whole_batch(adversarial: Objective) -> None:
    whole = colorizer(adversarial=adversarial, **SGD)
    chunked = colorizer(adversarial=adversarial, accumulate=4, **SGD)
    losses, losses_in_chunks = fit(whole, 3).losses, fit(chunked, 3).losses
    assert largest_difference(whole, chunked) < 1e-6 < 1e-4 < largest_difference(whole, colorizer())
    for a, b in zip(losses, losses_in_chunks, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_batch_that_chunks_do_not_divide() -> None:
    with pytest.raises(ValueError, match=r"colorizer\.accumulate is 3, but a process has 8 images"):
        fit(colorizer(accumulate=3), 1)


def test_clipping_bounds_each_network() -> None:
    model, before = colorizer(clip_norm=0.1, **SGD), colorizer()
    fit(model, 1)
    for role in ("generator", "discriminator"):
        pairs = zip(getattr(model, role).parameters(), getattr(before, role).parameters(), strict=True)
        moved = torch.stack([(p - q).square().sum() for p, q in pairs]).sum().sqrt()
        assert moved.item() == pytest.approx(1e-3 * 0.1, rel=1e-2)


@pytest.mark.parametrize("fused", [True, False])
def test_clipping_is_of_unscaled_gradients(fused: bool) -> None:
    """A scaler multiplies gradients; a fused optimizer divides them inside its step, where it is too late to clip."""
    sgd = partial(torch.optim.SGD, lr=1e-3, fused=fused)
    model = colorizer(clip_norm=0.1, generator_optimizer=sgd, discriminator_optimizer=sgd, decay_from=1.0)
    before = copy_of(model)
    fit(model, 1, plugins=[MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=16.0))])
    for role in ("generator", "discriminator"):
        parameters = getattr(model, role).named_parameters(prefix=role)
        moved = torch.stack([(p - before[name]).square().sum() for name, p in parameters]).sum().sqrt()
        assert moved.item() == pytest.approx(1e-3 * 0.1, rel=1e-2)


def test_bf16_is_close() -> None:
    exact, rounded = fit(colorizer(**SGD), 3).losses, fit(colorizer(**SGD), 3, precision="bf16-mixed").losses
    for a, b in zip(exact, rounded, strict=True):
        assert a == pytest.approx(b, rel=0.02)
    assert exact != rounded


def test_default_optimizers_are_fused() -> None:
    """Dominant on a CPU at small batches; and with a gradient scaler, the only ones that do not wait for a GPU."""
    assert all(o.param_groups[0]["fused"] for o in colorizer().configure_optimizers())


def test_autocast_rounds_networks_only() -> None:
    model, exact = colorizer(), rgb_to_lab(batches(1)[0].rgb)
    inside: list[torch.dtype] = []
    losses_saw: list[tuple[torch.dtype, Tensor]] = []
    model.generator.get_submodule("down.0").register_forward_hook(lambda _m, _x, y: inside.append(y.dtype))
    model.losses["l1"].register_forward_pre_hook(lambda _m, x: losses_saw.append((x[0].ab.dtype, x[1].ab)))
    record = fit(model, 2, precision="bf16-mixed")
    assert inside == [torch.bfloat16] * 2
    assert [dtype for dtype, _ in losses_saw] == [torch.float32] * 2
    torch.testing.assert_close(losses_saw[0][1], exact.ab, rtol=0, atol=0)
    assert all(torch.tensor(list(terms.values())).isfinite().all() for terms in record.losses)


def test_learning_rate_is_flat_then_falls_to_zero_in_images() -> None:
    rates = fit(colorizer(images=8 * BATCH, decay_from=0.5), steps=100).rates
    assert len(rates) == 8  # it stopped by itself, at `images`
    expected = [2e-4] * 5 + [1.5e-4, 1e-4, 0.5e-4]
    assert [g for g, _ in rates] == pytest.approx(expected)
    assert [d for _, d in rates] == pytest.approx(expected)


def test_noise_is_a_function_of_the_step_only() -> None:
    first, second = colorizer(dropout=0.5), colorizer(dropout=0.5)
    fit(first, 2)
    torch.manual_seed(12345)  # whatever ran before
    fit(second, 2)
    assert largest_difference(first, second) == 0


@pytest.mark.parametrize(
    "how", [{}, {"accumulate": 2}, {"precision": "bf16-mixed"}], ids=["plain", "in chunks", "bf16"]
)
def test_average_is_the_recursion_s_closed_form(how: dict[str, object]) -> None:
    chunks = {key: value for key, value in how.items() if key == "accumulate"}
    trainer = {key: value for key, value in how.items() if key == "precision"}
    strides = partial(torch.optim.Adam, lr=0.05)  # long ones, so that each share shows
    model = colorizer(norm="batch", dropout=0.5, ema_decay=0.24, generator_optimizer=strides, **chunks)
    with torch.no_grad():
        for p in model.generator.parameters():
            p.mul_(1.5)  # what is loaded after construction counts, not what was constructed
    seen = [copy_of(model.generator), *fit(model, 4, **trainer).generators]
    assert model.average is not None
    assert len(seen) == 5
    keep = [1 / 10, 2 / 11, 0.24, 0.24]  # 3 / 12 would be more
    shares = [prod(keep), *((1 - keep[i]) * prod(keep[i + 1 :]) for i in range(4))]
    learned, average = dict(model.generator.named_parameters()), model.average.state_dict()
    for name, value in average.items():
        if name in learned:
            expected = torch.stack([share * s[name].double() for share, s in zip(shares, seen, strict=True)]).sum(0)
            torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-6)
            assert not torch.equal(value, seen[-1][name])
        else:
            torch.testing.assert_close(value, seen[-1][name], rtol=0, atol=0)  # batch norm's statistics
    assert set(average) > set(learned)


def test_average_adds_its_keys_and_changes_nothing_else() -> None:
    plain, averaged = colorizer(dropout=0.5), colorizer(dropout=0.5, ema_decay=0.9)
    losses = fit(plain, 3).losses
    assert fit(averaged, 3).losses == losses
    state = averaged.state_dict()
    for name, value in plain.state_dict().items():
        assert torch.equal(state.pop(name), value), name
    assert set(state) == {f"average.{name}" for name in plain.generator.state_dict()}


def test_average_never_learns() -> None:
    model = colorizer(norm="batch", dropout=0.5, ema_decay=0.9).eval().train()
    fit(model, 2)
    assert model.average is not None
    assert all(m.training for m in model.generator.modules())
    assert not any(m.training for m in model.average.modules())
    assert not any(p.requires_grad for p in model.average.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_average_colors_and_not_the_generator(training: bool) -> None:
    model, rgb = colorizer(norm="batch", dropout=0.5, ema_decay=0.9), batches(1)[0].rgb
    fit(model, 3)
    model.train(training)
    assert model.average is not None
    alone = UNet(depth=5, width=8, norm="batch", dropout=0.5)
    light = rgb_to_lab(rgb).light
    pictures = []
    for weights in (model.average, model.generator):
        alone.load_state_dict(weights.state_dict())
        pictures.append(lab_to_rgb(Lab(light, alone.eval()(light).ab)))
    validated = model.validation_step(batches(1)[0], 0).rgb
    assert torch.equal(validated, pictures[0])
    assert not torch.equal(validated, pictures[1])


def test_training_without_the_data_s_colors_is_refused() -> None:
    model = Colorizer(UNet(depth=5, width=4), PatchGAN(width=4), Vanilla(), {"rare": RarityL1()})
    with pytest.raises(RuntimeError, match=r"losses\.rare\.weights has not seen the data's colors"):
        fit(model, 1)


def test_what_the_losses_see_of_the_data_is_told() -> None:
    found = colorizer().measure(lambda: data().sample(32))
    assert set(found) == {f"losses.rarity.weights/{key}" for key in ("mean", "least", "most")}
    assert found["losses.rarity.weights/mean"] == pytest.approx(1)


def classifier(weight: float, **arguments: Any) -> Colorizer:
    """One that learns the probabilities of bins."""
    torch.manual_seed(0)
    generator = UNet(depth=5, width=8, norm="group", head=BinHead(reduction=2))
    discriminator = PatchGAN(layers=2, width=8, norm="instance")
    model = Colorizer(
        generator, discriminator, Vanilla(weight), {"bins": BinCrossEntropy()}, images=10 * BATCH, **arguments
    )
    model.measure(lambda: data().sample(32))
    return model


def test_without_weight_nobody_plays() -> None:
    one, game = classifier(0.0), classifier(1.0)
    before = copy_of(one.discriminator)
    terms = [set(fit(model, 2).losses[-1]) for model in (one, game)]
    assert terms == [{"bins"}, {"bins", "adversarial", "discriminator"}]
    assert all(torch.equal(value, before[name]) for name, value in one.discriminator.state_dict().items())
    assert largest_difference(one.generator, classifier(0.0).generator) > 0


@pytest.mark.parametrize(
    ("losses", "penalty", "message"),
    [
        ({}, None, "adversarial has weight 0 and there are no losses"),
        ({"l1": L1()}, R1(), r"penalty: adversarial has weight 0, .*--colorizer\.penalty null"),
    ],
)
def test_without_weight_there_is_something_to_learn_and_nothing_to_penalize(losses, penalty, message) -> None:
    networks = UNet(depth=5, width=4), PatchGAN(width=4, norm="instance")
    with pytest.raises(InputError, match=message):
        Colorizer(*networks, Vanilla(0.0), losses, penalty)
    Colorizer(*networks, Vanilla(0.1), losses, penalty)


def test_a_generator_that_classifies_learns() -> None:
    model = classifier(0.01, generator_optimizer=partial(Adam, lr=5e-3))
    real = rgb_to_lab(batches(1)[0].rgb)

    def loss() -> float:
        return model.losses["bins"](model.generator(real.light), real).item()

    before = loss()
    fit(model, 9)
    assert loss() < 0.8 * before


class Reds(Guide):
    """Tells how red each pixel is, and where it is blue."""

    channels = 2
    names = ("red", "blue")

    def __init__(self, factor: float = 1.0):
        super().__init__()
        self.factor = factor

    def forward(self, real: Lab) -> Tensor:
        return self.factor * torch.cat([real.ab[:, :1], real.ab[:, 1:] < 0], dim=1)


class Told(Generator):
    """Keeps what it is told; colors by all of it."""

    stride, in_channels = 1, 3

    def __init__(self) -> None:
        super().__init__()
        self.last, self.told = nn.Conv2d(1, 2, 1), list[Tensor]()

    def forward(self, x: Tensor) -> Prediction:
        self.told.append(x)
        return Prediction(self.last(x[:, :1]))


def guided(generator: Generator | None = None, **arguments: Any) -> Colorizer:
    networks = generator or Told(), PatchGAN(layers=2, width=4, norm="group")
    return Colorizer(*networks, Vanilla(), {"l1": L1()}, images=10 * BATCH, **{"guide": Reds(), **arguments})


@pytest.mark.parametrize("accumulate", [1, 2])
def test_in_training_the_generator_is_told_of_the_real_colors_and_elsewhere_nothing(accumulate: int) -> None:
    model, [batch] = guided(accumulate=accumulate), batches(1)
    fit(model, 1)
    real = rgb_to_lab(batch.rgb)
    assert isinstance(model.generator, Told)
    passes = model.generator.told
    expected = torch.cat([real.light, real.ab[:, :1], (real.ab[:, 1:] < 0).float()], dim=1)
    torch.testing.assert_close(torch.cat(passes[:accumulate]), expected)
    torch.testing.assert_close(torch.cat(passes[-accumulate:]), expected)
    model.eval().validation_step(batch, 0)
    torch.testing.assert_close(passes[-1], real.light)


def test_a_guide_learns_nothing_and_is_no_weight() -> None:
    assert set(guided().state_dict()) == {
        name for name in guided().state_dict() if name.startswith(("generator.", "discriminator."))
    }


@pytest.mark.parametrize(
    ("generator", "guide", "message"),
    [
        (UNet(depth=3, width=4), Reds(), r"colorizer\.generator takes 0 channels beside lightness, .*guide gives 2"),
        (UNet(3, depth=3, width=4), None, r"colorizer\.generator takes 2 channels beside lightness, .*guide gives 0"),
    ],
)
def test_a_guide_that_does_not_fit_the_generator_is_refused(generator, guide, message) -> None:
    with pytest.raises(InputError, match=message):
        guided(generator, guide=guide)
    guided(UNet(3, depth=3, width=4))


def test_a_run_with_another_guide_is_not_resumed() -> None:
    kept: dict[str, Any] = {}
    guided(UNet(3, depth=3, width=4)).on_save_checkpoint(kept)
    for guide, message in (
        (None, "guide is .*Reds in the checkpoint, None here"),
        (Reds(2.0), r"guide\.factor is 1\.0"),
    ):
        model = guided(UNet(3, depth=3, width=4))
        model.guide = guide
        with pytest.raises(InputError, match=message):
            model.on_load_checkpoint(kept)
    guided(UNet(3, depth=3, width=4)).on_load_checkpoint(kept)


class Forgetful(UNet):
    def __init__(self, factor: float = 2.0):
        super().__init__(depth=5, width=4)


def test_part_that_does_not_keep_its_arguments_is_refused_before_training() -> None:
    model = Colorizer(Forgetful(), PatchGAN(width=4), Vanilla(), {"l1": L1()})
    with pytest.raises(InputError, match=r"Forgetful must keep its argument 'factor'"):
        fit(model, 1)


@pytest.mark.parametrize(
    "wrong", [{"accumulate": 0}, {"images": 0}, {"decay_from": 1.5}, {"clip_norm": -1.0}, {"ema_decay": 1.0}]
)
def test_arguments_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))} .*{next(iter(wrong.values()))}"):
        colorizer(**wrong)


def test_golden_losses() -> None:
    """Losses as recorded; a change that moves them is an entry in CHANGELOG.md. To record anew, delete the file."""
    losses = fit(colorizer(norm="batch", dropout=0.5), 5).losses
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps(losses, indent=1) + "\n")
        pytest.fail(f"recorded {GOLDEN.name}; look at it and run again")
    for now, recorded in zip(losses, json.loads(GOLDEN.read_text()), strict=True):
        assert now == pytest.approx(recorded, rel=2e-3)  # across torch versions and processors


def test_a_loss_may_not_have_the_name_of_another_term() -> None:
    with pytest.raises(InputError, match="penalty is a term of its own"):
        Colorizer(UNet(depth=4, width=4), PatchGAN(layers=1, width=4), Vanilla(), {"penalty": L1()})
