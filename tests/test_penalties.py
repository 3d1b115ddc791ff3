"""Penalties: closed forms, finite differences, and trainings with them against plain PyTorch and against themselves."""

from functools import partial
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from processes import together
from test_colorizer import BATCH, SGD, batches, colorizer, fit, largest_difference, sgd
from torch import Tensor
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.func import functional_call, grad, vmap
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d

from gancolor.adversarial import Hinge, Vanilla, Wasserstein
from gancolor.color import Lab, rgb_to_lab
from gancolor.colorizer import Colorizer
from gancolor.discriminators import PatchGAN
from gancolor.errors import InputError
from gancolor.interfaces import Judge, Penalty
from gancolor.layers import Norm
from gancolor.losses import L1
from gancolor.penalties import R1, GradientPenalty
from gancolor.training.strategy import PerNetworkDDP

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:Starting from v1.9.0, `tensorboardX` has been removed"),
]
BOTH = [R1, GradientPenalty]


def picture(seed: int, size: int = 8, dtype: torch.dtype = torch.float32) -> Lab:
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return Lab(draw(3, 1, size, size), draw(3, 2, size, size))


REAL, FAKE = picture(1), picture(2)
CHANCE = torch.tensor([0.0, 0.25, 0.9])
BETWEEN = REAL.ab * CHANCE.view(-1, 1, 1, 1) + FAKE.ab * (1 - CHANCE.view(-1, 1, 1, 1))


def squared(lab: Tensor) -> list[Tensor]:
    """½ ‖L ‖ ab‖² + Σ L a: the gradient in ab is (a + L, b)."""
    light, a, _ = lab.unbind(1)
    return [(lab.square().sum((1, 2, 3)) / 2 + (light * a).sum((1, 2))).view(-1, 1, 1, 1)]


def slope(light: Tensor, ab: Tensor) -> Tensor:
    """‖∇ squared‖ of each picture, by hand."""
    return torch.cat([ab[:, :1] + light, ab[:, 1:]], 1).flatten(1).norm(dim=1)


def patches(*weights: float) -> Judge:
    """A scale each: means over patches of 4×4 pixels that do not overlap, times a number; steepness is in ab alone."""
    kernels = [torch.cat([torch.full((1, 1, 4, 4), 7.0), torch.full((1, 2, 4, 4), w / 32**0.5)], 1) for w in weights]
    return lambda lab: [conv2d(lab, kernel, stride=4) for kernel in kernels]


def test_closed_form_of_a_quadratic_judge():
    r1, penalty = R1()(squared, REAL, FAKE, CHANCE), GradientPenalty()(squared, REAL, FAKE, CHANCE)
    assert r1.item() == pytest.approx(slope(REAL.light, REAL.ab).square().mean().item() / 2)
    assert penalty.item() == pytest.approx((slope(REAL.light, BETWEEN) - 1).square().mean().item())


@pytest.mark.parametrize("size", [4, 8, 16])
def test_slope_is_a_patch_s_whatever_the_picture_s_size(size):
    real, fake = picture(1, size), picture(2, size)
    assert R1()(patches(3.0), real, fake, CHANCE).item() == pytest.approx(3.0**2 / 2, rel=1e-5)
    assert GradientPenalty()(patches(3.0), real, fake, CHANCE).item() == pytest.approx((3.0 - 1) ** 2, rel=1e-5)


def test_scales_count_alike():
    assert R1()(patches(3.0, 5.0), REAL, FAKE, CHANCE).item() == pytest.approx((9 + 25) / 4, rel=1e-5)
    penalty = GradientPenalty()(patches(3.0, 0.5), REAL, FAKE, CHANCE)
    assert penalty.item() == pytest.approx((4 + 0.25) / 2, rel=1e-5)  # too flat counts as well: two-sided


def test_a_flat_judge_has_a_finite_gradient():
    weight = torch.zeros(1, 3, 4, 4, requires_grad=True)
    for penalty in BOTH:
        value = penalty()(lambda lab: [conv2d(lab, weight)], REAL, FAKE, CHANCE)
        assert torch.autograd.grad(value, weight)[0].isfinite().all()
        assert value.item() == (0 if penalty is R1 else 1)


def test_real_judge_against_one_picture_at_a_time():
    torch.manual_seed(0)
    judge = PatchGAN(layers=1, width=4, norm="instance")
    norms = []
    for ab in REAL.ab, BETWEEN:
        slopes = vmap(grad(lambda ab, light: judge(torch.cat([light, ab])[None])[0].sum()))(ab, REAL.light)
        norms.append(slopes.flatten(1).norm(dim=1) / judge(REAL.stack())[0][0].numel() ** 0.5)
    assert R1()(judge, REAL, FAKE, CHANCE).item() == pytest.approx(norms[0].square().mean().item() / 2)
    expected = (norms[1] - 1).square().mean().item()
    assert GradientPenalty()(judge, REAL, FAKE, CHANCE).item() == pytest.approx(expected)


@pytest.mark.parametrize("penalty", BOTH)
@pytest.mark.parametrize("norm", ["instance", "group"])
def test_gradient_against_finite_differences(penalty: type[Penalty], norm: Norm):
    torch.manual_seed(1)
    judge = PatchGAN(layers=1, width=2, norm=norm).double()
    names, weights = zip(*judge.named_parameters(), strict=True)
    real, fake = picture(1, dtype=torch.float64), picture(2, dtype=torch.float64)

    def value(*weights: Tensor) -> Tensor:
        of_these = lambda lab: [functional_call(judge.net, net, lab)]  # noqa: E731  (forward would cast to float32)
        net = {name.removeprefix("net."): weight for name, weight in zip(names, weights, strict=True)}
        return penalty()(of_these, real, fake, CHANCE.double())

    large = tuple((20 * weight).detach().requires_grad_() for weight in weights)  # or all is nearly flat
    assert torch.autograd.gradcheck(value, large)
    assert any(
        slope.abs().max() > 1e-2
        for slope in torch.autograd.grad(value(*large), large, allow_unused=True)
        if slope is not None
    )


# In a training.


def test_step_equals_plain_pytorch():
    ours, reference = (colorizer("instance", penalty=R1(weight=5.0), **SGD) for _ in range(2))
    [record] = fit(ours, 1).losses
    real, judge = rgb_to_lab(batches(1)[0].rgb), reference.discriminator
    on_real, on_fake = (
        judge(lab.stack())[0] for lab in (real, Lab(real.light, reference.generator(real.light).ab.detach()))
    )
    bce = binary_cross_entropy_with_logits
    game = (bce(on_real, torch.ones_like(on_real)) + bce(on_fake, torch.zeros_like(on_fake))) / 2
    pictures = real.stack().requires_grad_()
    logits = judge(pictures)[0]
    (slopes,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    penalty = slopes[:, 1:].square().sum((1, 2, 3)).mean() / (2 * logits[0].numel())
    (game + 5 * penalty).backward()
    sgd(judge.parameters()).step()
    assert largest_difference(ours.discriminator, judge) < 1e-7
    assert record["penalty"] == pytest.approx(penalty.item(), rel=1e-4)
    assert record["discriminator"] == pytest.approx(game.item(), rel=1e-5)


@pytest.mark.parametrize("penalty", BOTH)
def test_weight_zero_changes_nothing_else(penalty: type[Penalty]):
    without, idle = colorizer(dropout=0.5), colorizer(dropout=0.5, penalty=penalty(weight=0.0))
    fit(without, 2)
    fit(idle, 2)
    assert largest_difference(without, idle) == 0


@pytest.mark.parametrize(("adversarial", "penalty"), [(Hinge(), R1(3.0)), (Wasserstein(), GradientPenalty(3.0))])
def test_chunks_equal_the_whole_batch(adversarial, penalty):
    whole = colorizer(adversarial=adversarial, penalty=penalty, **SGD)
    chunked = colorizer(adversarial=adversarial, penalty=penalty, accumulate=4, **SGD)
    losses, losses_in_chunks = fit(whole, 3).losses, fit(chunked, 3).losses
    assert largest_difference(whole, chunked) < 1e-6
    assert largest_difference(whole, colorizer(adversarial=adversarial)) > 1e-4
    for a, b in zip(losses, losses_in_chunks, strict=True):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-7)


class Seen(Penalty):
    """Remembers when it is asked, and what chance it is given."""

    def __init__(self, every: int = 1):
        self.weight, self.every = 1.0, every
        self.steps: list[int] = []
        self.chances: list[Float[Tensor, " B"]] = []
        self.model: Colorizer | None = None

    def __call__(self, judge: Judge, real: Lab, fake: Lab, chance: Float[Tensor, " B"]) -> Float[Tensor, ""]:
        assert self.model is not None
        assert not fake.ab.requires_grad
        self.steps.append(self.model.images_seen // BATCH)
        self.chances.append(chance)
        return judge(real.stack())[0].square().mean()


def asked(steps: int, begin: int = 0, every: int = 1, **arguments: object) -> Seen:
    seen = Seen(every)
    seen.model = colorizer(penalty=seen, **arguments)
    seen.model.images_seen = begin * BATCH
    fit(seen.model, steps)
    return seen


def test_lazy_steps_are_a_function_of_the_images_seen():
    assert asked(8, every=3).steps == [0, 3, 6]
    assert asked(4, begin=4, every=3).steps == [6]  # as a run that is resumed after four steps
    assert asked(4, every=3, accumulate=2).steps == [0, 0, 3, 3]


def test_chance_is_a_function_of_seed_images_seen_and_place():
    chances = torch.stack(asked(3).chances)
    assert chances.shape == (3, BATCH)
    assert chances.unique().numel() == 3 * BATCH
    assert 0 <= chances.min() < 0.2 < 0.8 < chances.max() < 1
    torch.manual_seed(12345)  # whatever ran before
    assert torch.equal(torch.stack(asked(1, begin=2).chances), chances[2:])
    assert torch.equal(torch.cat(asked(1, accumulate=4).chances), chances[0])
    assert not torch.equal(torch.stack(asked(1, seed=1).chances), chances[:1])


@pytest.mark.parametrize("penalty", BOTH)
def test_lazy_weight_makes_up_for_the_steps_between(penalty: type[Penalty]):
    lazy, heavy = (colorizer(penalty=p, **SGD) for p in (penalty(weight=2.0, every=3), penalty(weight=6.0)))
    shown = [fit(model, 1).losses[0]["penalty"] for model in (lazy, heavy)]
    assert largest_difference(lazy, heavy) == 0
    assert shown[0] == shown[1]  # unweighted


def test_log_shows_a_lazy_penalty_s_latest_value():
    shown = [terms["penalty"] for terms in fit(colorizer(penalty=R1(every=2)), 4).losses]
    assert shown[0] == shown[1] != shown[2] == shown[3]


@pytest.mark.parametrize(("penalty", "rel"), [(R1(), 1e-6), (GradientPenalty(), 1e-2)])
def test_bf16_leaves_the_penalty_in_float32(penalty, rel):
    """The same weights in the first step; WGAN-GP's also sees a prediction that was rounded."""
    dtypes: list[torch.dtype] = []
    exact, rounded = (colorizer("instance", penalty=penalty) for _ in range(2))
    with torch.no_grad():
        for model in exact, rounded:
            for p in model.discriminator.parameters():
                p.mul_(10)  # as steep as after a training
    rounded.discriminator.net[0].register_forward_hook(lambda _m, _x, y: dtypes.append(y.dtype))
    [a], [b] = fit(exact, 1).losses, fit(rounded, 1, precision="bf16-mixed").losses
    assert b["penalty"] == pytest.approx(a["penalty"], rel=rel)
    assert dtypes.count(torch.float32) == 1
    assert dtypes.count(torch.bfloat16) == 3  # the game


def test_batch_norm_is_refused_with_the_option_that_helps():
    arguments = (PatchGAN(width=4, norm="batch"), Hinge(), {"l1": L1()})
    generator = colorizer().generator
    Colorizer(generator, *arguments)
    message = (
        r"colorizer\.penalty: R1 needs .*net\.3 is batch norm: .*--colorizer\.discriminator\.init_args\.norm instance"
    )
    with pytest.raises(InputError, match=message):
        Colorizer(generator, *arguments, penalty=R1())


def test_every_below_one_is_refused():
    with pytest.raises(InputError, match=r"colorizer\.penalty: every is 0: it must be at least 1"):
        colorizer(penalty=R1(every=0))


def test_training_can_ask_whether_the_discriminator_may_be_compiled():
    assert colorizer(penalty=R1()).differentiates_twice
    assert not colorizer().differentiates_twice


# On two processes.


def count_reductions(model: Colorizer) -> dict[str, int]:
    """How many buckets each network's wrapper has reduced, from the training's start."""
    buckets = {"generator": 0, "discriminator": 0}

    def reduce(role, bucket):
        buckets[role] += 1
        return allreduce_hook(None, bucket)

    def hook() -> None:
        for role, player in model.players.items():
            player.register_comm_hook(role, reduce)  # type: ignore[operator]

    model.on_train_start = hook  # type: ignore[method-assign]
    return buckets


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(
    ("adversarial", "penalty"),
    [(Vanilla(), R1(3.0)), (Hinge(), R1(3.0, every=2)), (Wasserstein(), GradientPenalty(3.0)), (Wasserstein(), None)],
    ids=["vanilla, R1", "hinge, lazy R1", "WGAN-GP", "Wasserstein alone"],
)
def test_two_processes_equal_one(adversarial, penalty, accumulate: int, tmp_path: Path):
    arguments = {"adversarial": adversarial, "penalty": penalty, **SGD}
    one = colorizer(**arguments)
    alone = fit(one, 3)  # steps: later the kinks of L1 turn rounding into more than 1e-6

    def train() -> tuple[dict[str, Tensor], list[dict[str, float]], dict[str, int]]:
        model = colorizer(accumulate=accumulate, **arguments)
        buckets = count_reductions(model)
        record = fit(model, 3, devices=2, strategy=PerNetworkDDP(), use_distributed_sampler=False)
        return model.state_dict(), record.losses, buckets

    (weights, first, buckets), (weights_there, second, _) = together(2, tmp_path, lambda _rank: train())
    assert buckets == {"generator": 3, "discriminator": 3}  # small networks, one bucket each: once a step
    for name, weight in one.state_dict().items():
        torch.testing.assert_close(weights[name], weight, rtol=0, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")
        assert torch.equal(weights[name], weights_there[name])
    for whole, *halves in zip(alone.losses, first, second, strict=True):
        for name, value in whole.items():
            assert sum(half[name] for half in halves) / 2 == pytest.approx(value, rel=1e-5, abs=1e-6), name
