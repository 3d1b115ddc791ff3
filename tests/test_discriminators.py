from typing import get_args

import pytest
import torch
from torch import nn

from gancolor.discriminators import PatchGAN
from gancolor.layers import Norm


def small(layers=3, **options):
    torch.manual_seed(0)
    return PatchGAN(layers=layers, width=4, **options)


def test_defaults_are_pix2pixs_70_pixel_network():
    network = PatchGAN()
    assert sum(p.numel() for p in network.parameters()) == 2_765_633
    (logits,) = network(torch.zeros(1, 3, 256, 256))
    assert logits.shape == (1, 1, 30, 30)


@pytest.mark.parametrize(("layers", "patch"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_logit_sees_its_patch(layers, patch):
    network = small(layers).eval()  # batch norm in training would let every pixel reach every logit
    lab = torch.rand(1, 3, 256, 256, requires_grad=True)
    (logits,) = network(lab)
    (gradient,) = torch.autograd.grad(logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2], lab)
    for places in (gradient != 0).any(dim=1)[0].nonzero().unbind(1):
        assert places.max() - places.min() + 1 == patch


def test_gradients_reach_the_colors():
    lab = torch.rand(2, 3, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(small()(lab)[0].square().sum(), lab)
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean(dim=(0, 2, 3)).min() > 0.9


@pytest.mark.parametrize("norm", get_args(Norm))
def test_every_norm_learns_to_tell_two_pictures_apart(norm):
    network, lab = small(2, norm=norm), torch.rand(2, 3, 32, 32)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        (logits,) = network(lab)
        loss = nn.functional.softplus(logits[1] - logits[0]).mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5


def test_logits_are_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert small()(torch.rand(2, 3, 64, 64))[0].dtype == torch.float32


def test_no_layer_is_refused():
    with pytest.raises(ValueError, match="layers is 0, must be at least 1"):
        PatchGAN(layers=0)
