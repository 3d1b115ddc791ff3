from typing import get_args

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gancolor.generators import UNet
from gancolor.layers import Norm


def small(depth=3, **options):
    torch.manual_seed(0)
    return UNet(depth=depth, width=4, **options)


def convolutions(network, kind):
    return [(m.in_channels, m.out_channels) for m in network.modules() if isinstance(m, kind)]


def test_defaults_are_pix2pixs_256_pixel_network():
    network = UNet()
    assert sum(p.numel() for p in network.parameters()) == 54_409_858
    down = [(1, 64), (64, 128), (128, 256), (256, 512), *[(512, 512)] * 4]
    up = [(512, 512), *[(1024, 512)] * 3, (1024, 256), (512, 128), (256, 64), (128, 2)]
    assert convolutions(network, nn.Conv2d) == down
    assert convolutions(network, nn.ConvTranspose2d) == up
    assert network.stride == 256
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 6 + 7


@pytest.mark.parametrize(("depth", "expected"), [(5, []), (6, [1]), (8, [1, 2, 3])])
def test_dropout_comes_after_the_innermost_level_up_to_the_fifth(depth, expected):
    up = small(depth).up
    places = [i for i, block in enumerate(up) if any(isinstance(m, nn.Dropout) for m in block.children())]
    assert places == expected


def recursive(network, x, level=0):
    """pix2pix's definition: a level is a convolution, the levels inside, a deconvolution, beside its own input."""

    def norm(block, y):
        found = [m for m in block if isinstance(m, nn.BatchNorm2d)]
        return (
            F.batch_norm(y, found[0].running_mean, found[0].running_var, found[0].weight, found[0].bias) if found else y
        )

    down, up = network.down[level], network.up[network.depth - 1 - level]
    convolution = next(m for m in down if isinstance(m, nn.Conv2d))
    deconvolution = next(m for m in up if isinstance(m, nn.ConvTranspose2d))
    y = x if level == 0 else F.leaky_relu(x, 0.2)
    y = norm(down, F.conv2d(y, convolution.weight, convolution.bias, stride=2, padding=1))
    if level < network.depth - 1:
        y = recursive(network, y, level + 1)
    y = norm(up, F.conv_transpose2d(F.relu(y), deconvolution.weight, deconvolution.bias, stride=2, padding=1))
    return torch.tanh(y) if level == 0 else torch.cat([x, y], dim=1)


@torch.no_grad()
def test_forward_is_pix2pixs_recursion():
    network, x = small(6).eval(), torch.rand(2, 1, 64, 64)
    for p in network.parameters():
        p.normal_(0, 0.1)
    assert torch.allclose(network(x).ab, recursive(network, x), atol=1e-6)


@pytest.mark.parametrize("depth", [6, 8])
@torch.no_grad()
def test_output_is_as_large_as_the_input_and_within_the_scale(depth):
    network, side = small(depth), 2**depth
    next(p for name, p in network.up[-1].named_parameters() if name.endswith("bias")).fill_(5)
    for shape in ((side, side), (side, 2 * side)):
        ab = network(torch.rand(2, 1, *shape)).ab
        assert ab.shape == (2, 2, *shape)
        assert ab.abs().max() <= 1
        assert ab.mean() > 0.9  # tanh, not a clamp that the weights never reach


def test_outermost_skip_carries_position():
    network = small(6).eval()
    for up in network.up[:-1]:
        for p in up.parameters():
            p.data.zero_()  # nothing arrives from deeper levels
    x = torch.rand(1, 1, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x).ab[0, 0, 20, 43], x)
    rows, columns = gradient[0, 0].nonzero().unbind(1)
    assert rows.min() >= 20 - 3
    assert rows.max() <= 20 + 3
    assert columns.min() >= 43 - 3
    assert columns.max() <= 43 + 3


def test_innermost_level_sees_everything():
    x = torch.rand(1, 1, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(small(6).eval()(x).ab[0, 0, 20, 43], x)
    assert (gradient != 0).float().mean() > 0.99


@pytest.mark.parametrize("norm", get_args(Norm))
def test_every_norm_trains_on_one_picture(norm):
    network = small(norm=norm, dropout=0.0)
    x, target = torch.rand(1, 1, 8, 8), torch.rand(1, 2, 8, 8) - 0.5
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    errors = []
    for _ in range(10):
        error = (network(x).ab - target).abs().mean()
        optimizer.zero_grad()
        error.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.9 * errors[0]


def test_ab_is_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert small()(torch.rand(2, 1, 8, 8)).ab.dtype == torch.float32


def test_input_may_have_further_channels():
    assert small(in_channels=3)(torch.rand(2, 3, 8, 8)).ab.shape == (2, 2, 8, 8)


def test_two_levels_are_refused():
    with pytest.raises(ValueError, match="depth is 2, must be at least 3"):
        UNet(depth=2)
