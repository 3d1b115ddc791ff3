import pytest
import torch
from torch.nn import functional as F

from gancolor.bins import AbBins, annealed_mean
from gancolor.generators import BinHead, RegressionHead, UNet

REDUCTIONS = [1, 2, 4]
TWO = AbBins([[0.0, 0.0], [55.0, -55.0]])


def maps(channels, side=4):
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0))


def test_regression_is_tanh():
    prediction = RegressionHead()(maps(2))
    assert torch.equal(prediction.ab, torch.tanh(maps(2)))
    assert prediction.logits is None
    assert prediction.centers is None


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_bins_say_their_annealed_mean_at_the_picture_s_size(reduction):
    head = BinHead(temperature=0.5, reduction=reduction)
    prediction = head(maps(261))
    assert torch.equal(prediction.logits, maps(261))
    assert torch.equal(prediction.centers, AbBins.srgb().scaled())
    small = annealed_mean(maps(261), AbBins.srgb().scaled(), 0.5)
    large = F.interpolate(small, size=(4 * reduction, 4 * reduction), mode="bilinear", align_corners=False)
    assert torch.allclose(prediction.ab, large, atol=1e-6)


def test_bins_of_ones_own():
    head = BinHead(TWO)
    assert head.channels == 2
    z = torch.tensor([0.0, 50.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    assert torch.allclose(head(z).ab, torch.tensor([0.5, -0.5]).view(1, 2, 1, 1).expand(1, 2, 12, 12))


def test_the_gradient_reaches_the_maps():
    z = maps(261).requires_grad_()
    (gradient,) = torch.autograd.grad(BinHead()(z).ab.square().sum(), z)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("head", [RegressionHead(), BinHead(TWO)], ids=["regression", "bins"])
def test_predictions_are_float32_under_autocast(head):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        prediction = head(maps(2).bfloat16())
    assert prediction.ab.dtype == torch.float32
    assert prediction.logits is None or prediction.logits.dtype == torch.float32


@pytest.mark.parametrize("head", [RegressionHead(), BinHead()], ids=["regression", "bins"])
def test_a_head_learns_nothing_and_leaves_nothing_in_a_checkpoint(head):
    assert list(head.parameters()) == []
    assert head.state_dict() == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"reduction": 3}, "reduction is 3"),
        ({"reduction": 8}, "reduction is 8"),
    ],
)
def test_impossible_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BinHead(**options)


@pytest.mark.parametrize("depth", [3, 5])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_unet_has_maps_where_the_head_reads_them(depth, reduction):
    network = UNet(depth=depth, width=4, head=BinHead(reduction=reduction))
    prediction = network(torch.rand(2, 1, 32, 64))
    assert prediction.ab.shape == (2, 2, 32, 64)
    assert prediction.logits.shape == (2, 261, 32 // reduction, 64 // reduction)
    prediction.ab.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_unet_without_a_head_is_pix2pixs():
    states = [UNet(depth=4, width=4, head=head).state_dict() for head in (None, RegressionHead())]
    assert states[0].keys() == states[1].keys()
    assert all(key.startswith(("down.", "up.")) for key in states[0])
