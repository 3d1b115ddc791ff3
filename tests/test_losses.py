import pytest
import torch
from torch.nn.functional import l1_loss

from gancolor.color import Lab
from gancolor.interfaces import Prediction
from gancolor.losses import L1, RarityL1


def colors(count=24, side=16):
    """ab of which most is dull, like that of photographs."""
    generator = torch.Generator().manual_seed(0)
    return (0.08 * torch.randn(count, 2, side, side, generator=generator) ** 3).clamp(-0.9, 0.9)


def lab(ab):
    return Lab(torch.zeros_like(ab[:, :1]), ab)


def measured(**options):
    loss = RarityL1(**options)
    loss.measure(iter(colors().split(5)))
    return loss


def test_l1_is_the_mean_absolute_error():
    real, fake = colors(), colors().flip(0)
    assert torch.equal(L1()(Prediction(fake), lab(real)), l1_loss(fake, real))


@pytest.mark.parametrize("loss", [L1(), measured()], ids=["L1", "RarityL1"])
def test_mean_over_chunks_is_the_whole(loss):
    real, fake = colors(), colors().flip(0)
    chunks = [loss(Prediction(f), lab(r)) for f, r in zip(fake.split(6), real.split(6), strict=True)]
    assert torch.allclose(torch.stack(chunks).mean(), loss(Prediction(fake), lab(real)))


@pytest.mark.parametrize("uniform", [0.05, 0.5, 0.9])
def test_mean_weight_of_the_training_pixels_is_one(uniform):
    off_by = 0.25
    loss = measured(uniform=uniform)(Prediction(colors() + off_by), lab(colors()))
    assert loss.item() == pytest.approx(off_by, rel=1e-5)


def test_rare_colors_weigh_more_and_by_the_real_color():
    def weight(real, fake):
        shape = torch.ones(1, 2, 4, 4)
        return (measured()(Prediction(fake * shape), lab(real * shape)) / abs(fake - real)).item()

    assert weight(real=0.0, fake=0.8) < 1 < weight(real=0.8, fake=0.0)
    assert weight(real=0.8, fake=0.0) == pytest.approx(weight(real=0.8, fake=0.7), rel=1e-5)


def test_less_uniform_weighs_rare_colors_more():
    vivid = torch.full((1, 2, 4, 4), 0.8)
    mild, strong = (measured(uniform=u)(Prediction(0 * vivid), lab(vivid)) for u in (0.8, 0.2))
    assert strong > 1.5 * mild


def test_a_uniform_prior_is_plain_l1():
    real, fake = colors(), colors().flip(0)
    assert torch.equal(measured(uniform=1.0)(Prediction(fake), lab(real)), L1()(Prediction(fake), lab(real)))


def test_measured_survives_a_state_dict_and_is_nan_before():
    fresh, real = RarityL1(), colors()
    assert not fresh.measured
    assert fresh(Prediction(0 * real), lab(real)).isnan()
    known = measured()
    fresh.load_state_dict(known.state_dict())
    assert fresh.measured
    assert torch.equal(fresh(Prediction(0 * real), lab(real)), known(Prediction(0 * real), lab(real)))


@pytest.mark.parametrize("loss", [L1(), measured()], ids=["L1", "RarityL1"])
def test_gradient_pulls_towards_the_real_color(loss):
    real, fake = colors(2), (colors(2) + 0.1).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(Prediction(fake), lab(real)), fake)
    assert (gradient > 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"uniform": 0.0}, "uniform is 0.0"),
        ({"uniform": -0.5}, "uniform is -0.5"),
        ({"uniform": 1.5}, "uniform is 1.5"),
        ({"sigma": 0.0}, "sigma is 0.0"),
    ],
)
def test_impossible_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RarityL1(**options)
