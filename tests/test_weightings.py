import logging

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from gancolor.palette import CELL, CELLS, cell_of, prior
from gancolor.weightings import InverseRoot, SmoothedPrior, WeightTable

ALL = [
    SmoothedPrior(),
    SmoothedPrior(0.1, 20.0),
    InverseRoot(),
    InverseRoot("product"),
]


def colors(count=24, side=16):
    """ab of which most is dull, like that of photographs."""
    generator = torch.Generator().manual_seed(0)
    return (0.08 * torch.randn(count, 2, side, side, generator=generator) ** 3).clamp(-0.9, 0.9)


def measured(weighting):
    table = WeightTable(weighting)
    found = table.measure(iter(colors().split(5)))
    return table, found


@pytest.mark.parametrize("weighting", ALL, ids=lambda w: str(vars(w)))
def test_mean_weight_of_the_training_pixels_is_one(weighting):
    table, found = measured(weighting)
    weights = table(colors())
    assert weights.mean().item() == pytest.approx(1, rel=1e-5)
    assert found["mean"] == pytest.approx(1)
    assert (found["least"], found["most"]) == pytest.approx((weights.min().item(), weights.max().item()))


@pytest.mark.parametrize("weighting", ALL, ids=lambda w: str(vars(w)))
def test_rare_colors_weigh_more(weighting):
    dull, vivid = torch.zeros(1, 2, 1, 1), torch.full((1, 2, 1, 1), 0.8)
    table, _ = measured(weighting)
    assert table(dull) < 1 < table(vivid)


@pytest.mark.parametrize("uniform", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("sigma", [2.0, 5.0, 20.0])
@pytest.mark.parametrize("mean1", ["measured", "smoothed"])
def test_smoothed_prior_is_zhangs_equation(uniform, sigma, mean1):
    p = prior([colors()]).numpy()
    smooth = gaussian_filter(p, sigma / CELL, mode="constant", truncate=10)
    smooth /= smooth.sum()
    weight = 1 / ((1 - uniform) * smooth + uniform / 261)
    expected = weight / ({"measured": p, "smoothed": smooth}[mean1] * weight).sum()
    assert np.allclose(SmoothedPrior(uniform, sigma, mean1).weights(torch.tensor(p)).numpy(), expected, rtol=1e-3)


def test_all_uniform_weighs_all_alike():
    assert torch.equal(measured(SmoothedPrior(1.0))[0].table, torch.ones(CELLS, CELLS))


def test_smoothed_prior_has_the_cells_of_the_palette():
    table, _ = measured(SmoothedPrior())
    assert torch.equal(table(colors())[:, 0], table.table.flatten()[cell_of(colors())])


def robles_and_budach(combine):
    """Straight from the description, with NumPy's histograms: the weights of every pixel."""
    total = {"sum": np.add, "product": np.multiply}[combine]
    weights = []
    for channel in colors().movedim(1, 0).flatten(1).numpy() * 110:
        count, edges = np.histogram(channel, bins=64, range=(-128, 127))
        weight = 1 / np.sqrt(count / count.sum() + 1e-7)
        weights.append((weight / weight.sum())[np.digitize(channel, edges) - 1])
    return total(*weights)


@pytest.mark.parametrize("combine", ["sum", "product"])
def test_inverse_root_is_as_published(combine, caplog):
    table, found = measured(InverseRoot(combine, "sum1"))
    expected = robles_and_budach(combine)
    assert np.allclose(table(colors()).flatten(), expected, rtol=1e-4)
    assert found["mean"] == pytest.approx(expected.mean())


@pytest.mark.parametrize("combine", ["sum", "product"])
def test_mean1_is_as_published_but_for_a_factor(combine):
    a, b = (measured(InverseRoot(combine, normalize))[0](colors()) for normalize in ("sum1", "mean1"))
    assert torch.allclose(a / a.mean(), b, rtol=1e-4)


def test_colors_beyond_the_cells_fall_into_their_edge():
    far = torch.tensor([[-3.0, 3.0]]).view(1, 2, 1, 1)
    assert InverseRoot().cell_of(far).item() == 63
    assert SmoothedPrior().cell_of(far).item() == CELLS - 1


@pytest.mark.parametrize("combine", ["sum", "product"])
def test_weights_that_vanish_are_told_of_once(combine, caplog):
    measured(InverseRoot(combine, "sum1"))
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "InverseRoot: the mean weight of a training pixel is" in record.message
    assert "does next to nothing" in record.message


@pytest.mark.parametrize("weighting", ALL, ids=lambda w: str(vars(w)))
def test_weights_that_count_are_not_complained_of(weighting, caplog):
    measured(weighting)
    assert caplog.records == []


def test_a_table_survives_a_state_dict_and_is_nan_before():
    fresh, known = WeightTable(InverseRoot()), measured(InverseRoot())[0]
    assert not fresh.measured
    assert fresh(colors()).isnan().all()
    fresh.load_state_dict(known.state_dict())
    assert fresh.measured
    assert torch.equal(fresh(colors()), known(colors()))


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
        SmoothedPrior(**options)
