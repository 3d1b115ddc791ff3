import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, hinge_embedding_loss, mse_loss

from gancolor.adversarial import Hinge, LeastSquares, Vanilla, Wasserstein

REAL, FAKE = (3 * torch.randn(2, 1, 5, 5, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
ONE, ZERO = torch.ones_like(REAL), torch.zeros_like(REAL)


def below_margin(logits):
    """Mean of max(0, 1 − logits)."""
    return hinge_embedding_loss(logits, -ONE, margin=1.0)


GAMES = [
    pytest.param(
        Vanilla(),
        lambda fake: binary_cross_entropy_with_logits(fake, ONE),
        lambda real, fake: (
            (binary_cross_entropy_with_logits(real, ONE) + binary_cross_entropy_with_logits(fake, ZERO)) / 2
        ),
        id="vanilla",
    ),
    pytest.param(
        LeastSquares(),
        lambda fake: mse_loss(fake, ONE),
        lambda real, fake: (mse_loss(real, ONE) + mse_loss(fake, ZERO)) / 2,
        id="least squares",
    ),
    pytest.param(
        Hinge(),
        lambda fake: -fake.mean(),
        lambda real, fake: below_margin(real) + below_margin(-fake),
        id="hinge",
    ),
    pytest.param(
        Wasserstein(),
        lambda fake: -fake.mean(),
        lambda real, fake: fake.mean() - real.mean(),
        id="wasserstein",
    ),
]


@pytest.mark.parametrize(("game", "generator", "discriminator"), GAMES)
def test_losses_are_the_textbooks(game, generator, discriminator):
    assert torch.allclose(game.generator([FAKE]), generator(FAKE))
    assert torch.allclose(game.discriminator([REAL], [FAKE]), discriminator(REAL, FAKE))


@pytest.mark.parametrize(("game", "generator", "discriminator"), GAMES)
def test_scales_count_alike_whatever_their_size(game, generator, discriminator):
    real, fake = [REAL, REAL[:, :, :2, :3]], [FAKE, FAKE[:, :, :2, :3]]
    alone = [game.discriminator([r], [f]) for r, f in zip(real, fake, strict=True)]
    assert torch.allclose(game.discriminator(real, fake), torch.stack(alone).mean())
    assert torch.allclose(game.generator(fake), (game.generator(fake[:1]) + game.generator(fake[1:])) / 2)


@pytest.mark.parametrize(
    ("game", "undecided", "value"),
    [(Vanilla(), 0.0, math.log(2)), (LeastSquares(), 0.5, 0.25), (Hinge(), 0.0, 2.0), (Wasserstein(), 5.0, 0.0)],
)
def test_an_undecided_discriminator_pays_the_equilibrium(game, undecided, value):
    logits = [torch.full((2, 1, 4, 4), undecided)]
    assert game.discriminator(logits, logits).item() == pytest.approx(value)


@pytest.mark.parametrize("game", [Vanilla(), LeastSquares(), Hinge(), Wasserstein()])
def test_descent_moves_logits_the_right_way(game):
    real, fake = (torch.full((1, 1, 2, 2), 0.3, requires_grad=True) for _ in range(2))
    for_real, for_fake = torch.autograd.grad(game.discriminator([real], [fake]), [real, fake])
    assert (for_real < 0).all()
    assert (for_fake > 0).all()
    (for_generator,) = torch.autograd.grad(game.generator([fake]), fake)
    assert (for_generator < 0).all()


def test_vanilla_stays_finite_and_alive_when_the_discriminator_is_sure():
    fake = torch.full((1, 1, 2, 2), -1e4, requires_grad=True)
    loss = Vanilla().generator([fake])
    assert loss.item() == 1e4
    assert torch.autograd.grad(loss, fake)[0].sum().item() == pytest.approx(-1)  # non-saturating


def test_weight_is_kept_and_not_applied():
    for game in (Vanilla, LeastSquares, Hinge, Wasserstein):
        assert game(weight=0.5).weight == 0.5
        assert torch.equal(game(weight=0.5).generator([FAKE]), game().generator([FAKE]))
