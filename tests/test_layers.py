from typing import get_args

import pytest
import torch
from torch import nn

from gancolor.layers import NORMS, Norm, initialize, needs_bias


def test_every_name_has_its_norm():
    assert set(NORMS) == set(get_args(Norm))


@pytest.mark.parametrize("channels", [4, 48, 64, 100])
def test_norms_standardize_over_their_own_axes(channels):
    x = 3 + 2 * torch.randn(4, channels, 16, 16)
    batch, instance, group = (NORMS[norm](channels)(x) for norm in ("batch", "instance", "group"))
    assert batch.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert instance.mean(dim=(2, 3)).abs().max() < 1e-5
    groups = group.unflatten(1, (NORMS["group"](channels).num_groups, -1))
    assert groups.mean(dim=(2, 3, 4)).abs().max() < 1e-5


def test_only_instance_norm_leaves_the_bias_to_the_convolution():
    assert {norm: needs_bias(norm) for norm in get_args(Norm)} == {"batch": False, "instance": True, "group": False}


def test_initialization_is_pix2pixs():
    torch.manual_seed(0)
    convolution, norm, deconvolution = nn.Conv2d(64, 128, 4), nn.BatchNorm2d(1000), nn.ConvTranspose2d(128, 64, 4)
    initialize(nn.Sequential(convolution, norm, nn.Conv2d(8, 8, 1, bias=False), deconvolution))
    for layer in (convolution, deconvolution):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)
        assert layer.weight.mean().item() == pytest.approx(0.0, abs=1e-3)
        assert layer.bias is not None
        assert not layer.bias.any()
    assert norm.weight.mean().item() == pytest.approx(1.0, abs=5e-3)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not norm.bias.any()
