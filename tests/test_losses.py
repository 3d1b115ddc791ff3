import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch.nn.functional import cross_entropy, l1_loss, mse_loss

from gancolor.bins import AbBins
from gancolor.color import Lab, rgb_to_lab
from gancolor.interfaces import Measured, Prediction
from gancolor.losses import L1, MSE, BinCrossEntropy, ProfileCrossEntropy, RarityL1, RarityMSE
from gancolor.weightings import InverseRoot, SmoothedPrior

CENTERS = np.array(AbBins.srgb().centers)
PLAIN = {"L1": (L1, l1_loss), "MSE": (MSE, mse_loss)}
RARITY = {"L1": (RarityL1, L1), "MSE": (RarityMSE, MSE)}
by_distance = pytest.mark.parametrize("rarity", [*RARITY])


def colors(count=24, side=16):
    """ab of which most is dull, like that of photographs."""
    generator = torch.Generator().manual_seed(0)
    return (0.08 * torch.randn(count, 2, side, side, generator=generator) ** 3).clamp(-0.9, 0.9)


def photographs(count=24, side=16):
    """ab of colors that sRGB has."""
    noise = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    return rgb_to_lab((0.5 + 0.15 * noise).clamp(0, 1)).ab


def lab(ab):
    return Lab(torch.zeros_like(ab[:, :1]), ab)


def measured(cls, **options):
    loss = cls(**options)
    for part in loss.modules():
        if isinstance(part, Measured):
            part.measure(iter(colors().split(5)))
    return loss


def logits(count=24, side=4, bins=261):
    return torch.randn(count, bins, side, side, generator=torch.Generator().manual_seed(1))


def predicted(ab, z=None, centers=CENTERS):
    return Prediction(ab, logits(len(ab)) if z is None else z, torch.tensor(centers / 110, dtype=torch.float32))


ALL = [L1(), MSE(), *(measured(cls) for cls in (RarityL1, RarityMSE, BinCrossEntropy))]
each = pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)


@pytest.mark.parametrize("name", [*PLAIN])
def test_plain_losses_are_torchs(name):
    cls, expected = PLAIN[name]
    real, fake = colors(), colors().flip(0)
    assert torch.allclose(cls()(Prediction(fake), lab(real)), expected(fake, real))


@each
def test_mean_over_chunks_is_the_whole(loss):
    real, fake, likely = colors(), colors().flip(0), logits()
    parts = zip(fake.split(6), likely.split(6), real.split(6), strict=True)
    chunks = [loss(predicted(f, z), lab(r)) for f, z, r in parts]
    assert torch.allclose(torch.stack(chunks).mean(), loss(predicted(fake, likely), lab(real)))


@pytest.mark.parametrize("uniform", [0.05, 0.5, 0.9])
def test_mean_weight_of_the_training_pixels_is_one(uniform):
    loss = measured(RarityL1, weighting=SmoothedPrior(uniform))
    assert loss(Prediction(colors() + 0.25), lab(colors())).item() == pytest.approx(0.25, rel=1e-5)
    loss = measured(RarityMSE, weighting=SmoothedPrior(uniform))
    assert loss(Prediction(colors() + 0.25), lab(colors())).item() == pytest.approx(0.25**2, rel=1e-5)


@by_distance
@pytest.mark.parametrize("index", ["real", "predicted"])
def test_rare_colors_weigh_more_by_the_color_that_was_asked_for(rarity, index):
    cls, plain = RARITY[rarity]

    def weight(real, fake):
        pair = Prediction(torch.full((1, 2, 4, 4), fake)), lab(torch.full((1, 2, 4, 4), real))
        return (measured(cls, index=index)(*pair) / plain()(*pair)).item()

    vivid, dull = (weight(0.8, 0.0), weight(0.0, 0.8))[:: 1 if index == "real" else -1]
    assert dull < 1 < vivid
    assert weight(0.8, 0.7) == pytest.approx(vivid if index == "real" else weight(0.0, 0.7), rel=1e-5)


@by_distance
def test_a_uniform_prior_is_the_plain_loss(rarity):
    cls, plain = RARITY[rarity]
    real, fake = colors(), colors().flip(0)
    loss = measured(cls, weighting=SmoothedPrior(1.0))
    assert torch.allclose(loss(Prediction(fake), lab(real)), plain()(Prediction(fake), lab(real)))


@by_distance
def test_as_published_a_weighted_loss_is_next_to_nothing(rarity, caplog):
    cls, plain = RARITY[rarity]
    real, fake = colors(), colors().flip(0)
    loss = measured(cls, weighting=InverseRoot("product", "sum1"), index="predicted")
    assert 0 < loss(Prediction(fake), lab(real)) < 1e-2 * plain()(Prediction(fake), lab(real))
    assert "does next to nothing" in caplog.text


def zhang(z, real, uniform, neighbors):
    """Eq. 2 and 4, pixel by pixel, with SciPy's distances and no table but the bins themselves."""

    def encode(ab, count):
        distance = cdist(ab, CENTERS)
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :count]
        weight = np.exp(-(np.take_along_axis(distance, nearest, 1) ** 2) / 50)
        return nearest, weight / weight.sum(1, keepdims=True)

    pixels = photographs().movedim(1, 3).reshape(-1, 2).double().numpy() * 110
    p = np.bincount(encode(pixels, 1)[0][:, 0], minlength=len(CENTERS)) / len(pixels)
    smooth = np.exp(-(cdist(CENTERS, CENTERS) ** 2) / 50) @ p
    smooth /= smooth.sum()
    weight = 1 / ((1 - uniform) * smooth + uniform / len(CENTERS))
    weight /= (smooth * weight).sum()

    small = real.view(len(real), 2, 4, 4, 4, 4).mean((3, 5))
    bins, share = encode(small.movedim(1, 3).reshape(-1, 2).double().numpy() * 110, neighbors)
    log = torch.log_softmax(z.double(), 1).movedim(1, 3).reshape(-1, len(CENTERS)).numpy()
    entropy = -(share * np.take_along_axis(log, bins, 1)).sum(1)
    return (weight[bins[:, 0]] * entropy).mean()


@pytest.mark.parametrize("uniform", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("neighbors", [5, 10])
def test_bin_cross_entropy_is_zhangs_equation(uniform, neighbors):
    weighting = SmoothedPrior(uniform, mean1="smoothed")
    loss = BinCrossEntropy(weighting=weighting, neighbors=neighbors)
    loss.weights.measure([photographs()])
    found = loss(predicted(photographs()[:6]), lab(photographs()[:6])).item()
    # At the gamut's rim the prior is smoothed a little otherwise: over the grid's cells here, over the bins there.
    assert found == pytest.approx(zhang(logits(6), photographs()[:6], uniform, neighbors), rel=1e-3)


def test_hard_unweighted_cross_entropy_is_torchs():
    real = torch.tensor(CENTERS[[7, 130, 200]] / 110, dtype=torch.float32).view(3, 2, 1, 1).expand(3, 2, 8, 8)
    loss = measured(BinCrossEntropy, neighbors=1, weighting=SmoothedPrior(1.0))
    target = torch.tensor([7, 130, 200]).view(3, 1, 1).expand(3, 4, 4)
    assert torch.allclose(loss(predicted(real), lab(real)), cross_entropy(logits(3), target))


def test_bin_cross_entropy_by_default_has_a_mean_weight_of_one_under_the_smoothed_prior():
    table = measured(BinCrossEntropy).weights.table
    assert torch.equal(table, measured(BinCrossEntropy, weighting=SmoothedPrior(mean1="smoothed")).weights.table)


def test_bin_cross_entropy_is_least_for_the_truth():
    real, loss = colors(2), measured(BinCrossEntropy)
    truth = torch.full((2, 261, 16, 16), -20.0)
    near = torch.tensor(cdist(colors(2).movedim(1, 3).reshape(-1, 2).numpy() * 110, CENTERS) ** 2 / -50)
    truth = near.float().view(2, 16, 16, 261).movedim(3, 1)
    best = loss(predicted(real, truth), lab(real))
    assert best < loss(predicted(real, truth + 0.5 * logits(2, 16)), lab(real))
    assert best < loss(predicted(real, 0 * truth), lab(real))


def test_a_generator_that_does_not_classify_is_refused():
    with pytest.raises(ValueError, match="the generator does not classify"):
        measured(BinCrossEntropy)(Prediction(colors(2)), lab(colors(2)))


def test_bins_of_ones_own():
    vivid, centers = torch.full((1, 2, 8, 8), 50 / 110), np.array([[0.0, 0.0], [50.0, 50.0]])
    right, wrong = (torch.tensor(z).view(1, 2, 1, 1).expand(1, 2, 2, 2) for z in ([0.0, 9.0], [9.0, 0.0]))
    loss = measured(BinCrossEntropy, neighbors=2, weighting=SmoothedPrior(1.0))
    assert loss(predicted(vivid, right, centers), lab(vivid)) < 0.1 < loss(predicted(vivid, wrong, centers), lab(vivid))
    with pytest.raises(ValueError, match="neighbors is 5, but there are 2 bins"):
        measured(BinCrossEntropy)(predicted(vivid, right, centers), lab(vivid))


@each
def test_gradient_pulls_towards_the_real_color(loss):
    real, fake = colors(2), (colors(2) + 0.1).requires_grad_()
    likely = logits(2).requires_grad_()
    value = loss(predicted(fake, likely), lab(real))
    gradients = torch.autograd.grad(value, [fake, likely], allow_unused=True)
    if isinstance(loss, BinCrossEntropy):
        assert gradients[0] is None
        assert loss(predicted(fake, likely - gradients[1]), lab(real)) < value
    else:
        assert (gradients[0] > 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"neighbors": 0}, "neighbors is 0"), ({"sigma": 0.0}, "sigma is 0.0")],
)
def test_impossible_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BinCrossEntropy(**options)


def profiled(logits, share):
    return Prediction(colors(len(share)), profile=share, profile_logits=logits)


def test_profile_cross_entropy_is_torchs_and_its_formula():
    z = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    hard, soft = torch.eye(3)[[0, 2]], torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]])
    loss = ProfileCrossEntropy()
    assert torch.allclose(loss(profiled(z, hard), lab(colors(2))), cross_entropy(z, torch.tensor([0, 2])))
    p = np.exp(z.numpy()) / np.exp(z.numpy()).sum(1, keepdims=True)
    expected = -(soft.numpy() * np.log(p)).sum(1).mean()
    assert loss(profiled(z, soft), lab(colors(2))).item() == pytest.approx(expected, rel=1e-5)
    assert loss(profiled(0 * z, hard), lab(colors(2))).item() == pytest.approx(np.log(3))


def test_profile_cross_entropy_of_chunks_is_the_wholes():
    z, share = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.eye(3)[[0, 1, 2, 0]]
    loss, real = ProfileCrossEntropy(), lab(colors(4))
    halves = [loss(profiled(z[part], share[part]), real).item() for part in (slice(2), slice(2, 4))]
    assert loss(profiled(z, share), real).item() == pytest.approx(np.mean(halves))


@pytest.mark.parametrize("lacking", ["profile", "profile_logits"])
def test_a_generator_without_profiles_is_refused(lacking):
    known = {"profile": torch.eye(2), "profile_logits": torch.eye(2)} | {lacking: None}
    with pytest.raises(ValueError, match="the generator knows no profiles; it must be a Profiled"):
        ProfileCrossEntropy()(Prediction(colors(2), **known), lab(colors(2)))
