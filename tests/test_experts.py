from functools import partial

import pytest
import torch
from torch import nn

from gancolor.adversarial import Vanilla
from gancolor.bins import AbBins
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.discriminators import PatchGAN
from gancolor.errors import InputError
from gancolor.generators import BinHead, Experts, Profiled, ProfilePredictor, UNet
from gancolor.guides import ProfileGuide
from gancolor.layers import adopt
from gancolor.losses import ProfileCrossEntropy
from gancolor.palette import Profiles
from gancolor.training import Training

BINS = AbBins([[0.0, 0.0], [30.0, -40.0], [-50.0, 20.0]])
HEADS = [lambda: None, lambda: BinHead(BINS, reduction=2)]


def unet(seed=0, norm="group", dropout=0.0, head=None):
    torch.manual_seed(seed)
    network = UNet(depth=4, width=8, norm=norm, dropout=dropout, head=head)
    with torch.no_grad():  # an untrained one paints nearly gray
        for p in network.parameters():
            p.mul_(3)
    return network


def experts(count, **options):
    """Experts that have gone different ways."""
    result = Experts(unet(**options), count)
    for seed, network in enumerate(result.networks):
        network.load_state_dict(unet(seed, **options).state_dict())
    return result


def told(light, shares):
    """Light with a plane for each share."""
    planes = torch.tensor(shares)[:, :, None, None].expand(-1, -1, *light.shape[2:])
    return torch.cat([light, planes], dim=1)


def pictures(count=3):
    return torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(7)) * 2 - 1


def gradients(network):
    return {name: p.grad for name, p in network.named_parameters()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
@pytest.mark.parametrize("head", HEADS)
def test_with_one_profile_it_is_the_plain_generator_bit_for_bit(norm, head, training):
    plain, one = (unet(norm=norm, dropout=0.5, head=head()) for _ in range(2))
    one = Experts(one, 1)
    said = []
    for network, x in ((plain, pictures()), (one, told(pictures(), [[1.0]] * 3))):
        network.train(training)
        torch.manual_seed(5)
        said.append(network(x))
        said[-1].ab.square().sum().backward()
    assert torch.equal(said[0].ab, said[1].ab)
    assert head() is None or torch.equal(said[0].logits, said[1].logits)
    expected, found = gradients(plain), gradients(one)
    assert all(torch.equal(value, found[f"networks.0.{name}"]) for name, value in expected.items())


@pytest.mark.parametrize("head", HEADS)
def test_a_picture_is_colored_by_its_own_expert(head):
    network, light = experts(3, head=head()), pictures(4)
    whose = [2, 0, 2, 1]
    said = network(told(light, torch.eye(3)[whose].tolist()))
    for i, k in enumerate(whose):
        alone = network.networks[k](light[i : i + 1])
        torch.testing.assert_close(said.ab[i : i + 1], alone.ab, rtol=0, atol=1e-6)
        other = network.networks[(k + 1) % 3](light[i : i + 1])
        assert (said.ab[i : i + 1] - other.ab).abs().max() > 1e-3
        if head() is not None:
            torch.testing.assert_close(said.logits[i : i + 1], alone.logits, rtol=1e-5, atol=1e-5)
            assert torch.equal(said.centers, alone.centers)


@pytest.mark.parametrize("head", HEADS)
def test_shares_mix_colors_and_logits(head):
    network, light = experts(3, head=head()), pictures(2)
    shares = torch.tensor([[0.2, 0.0, 0.8], [0.5, 0.25, 0.25]])
    said, all_ = network(told(light, shares.tolist())), [expert(light) for expert in network.networks]
    for part in ("ab", *(["logits"] if head() else [])):
        expected = sum(shares[:, k, None, None, None] * getattr(all_[k], part) for k in range(3))
        torch.testing.assert_close(getattr(said, part), expected, rtol=1e-5, atol=1e-6)


def test_an_expert_sees_the_pictures_it_has_a_share_in_and_no_others():
    network, seen = experts(3, norm="batch").train(), {}
    for k, expert in enumerate(network.networks):
        expert.register_forward_pre_hook(lambda _, x, k=k: seen.update({k: x[0]}))
    before = [{n: b.clone() for n, b in expert.named_buffers()} for expert in network.networks]
    light = pictures(4)
    network(told(light, [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.25, 0.0, 0.75], [1.0, 0.0, 0.0]]))
    assert torch.equal(seen.pop(0), light[[0, 2, 3]])
    assert torch.equal(seen.pop(2), light[[1, 2]])
    assert seen == {}
    moved = [
        any(not torch.equal(b, old[n]) for n, b in e.named_buffers())
        for e, old in zip(network.networks, before, strict=True)
    ]
    assert moved == [True, False, True]


@pytest.mark.parametrize("part", ["ab", "logits"])
def test_every_weight_has_a_gradient_and_that_of_an_idle_expert_is_zero(part):
    """DDP waits for one of each; a loss may be of the colors or of the logits alone."""
    network = experts(3, head=BinHead(BINS, reduction=1))
    said = network(told(pictures(2), [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]))
    getattr(said, part).square().sum().backward()
    for k, expert in enumerate(network.networks):
        assert all(p.grad is not None for p in expert.parameters())
        assert any(p.grad.any() for p in expert.parameters()) == (k == 1)


def test_all_begin_alike_and_are_copies():
    network = Experts(unet(), 3)
    first, *others = (dict(expert.named_parameters()) for expert in network.networks)
    for other in others:
        assert all(torch.equal(value, first[name]) for name, value in other.items())
        assert not {id(p) for p in other.values()} & {id(p) for p in first.values()}
    assert sum(p.numel() for p in network.parameters()) == 3 * sum(p.numel() for p in unet().parameters())


def test_autocast_and_the_order_of_channels_change_nothing_but_rounding():
    network = experts(2, norm="batch")
    x = told(pictures(), [[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]])
    exact = network(x).ab
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(x.to(memory_format=torch.channels_last)).ab, exact, rtol=0, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(x).ab
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.1


def test_a_common_generator_s_weights_are_every_expert_s():
    network, common, light = experts(3, norm="batch").eval(), unet(9, norm="batch").eval(), pictures(3)
    adopt(network, common.state_dict())
    said = network(told(light, torch.eye(3).tolist()))
    torch.testing.assert_close(said.ab, common(light).ab, rtol=0, atol=1e-6)


def test_its_own_weights_are_taken_as_they_are():
    network, other = experts(3), Experts(unet(9), 3)
    adopt(other, network.state_dict())
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    "build", [partial(Experts, unet(), 2), partial(UNet, depth=5, width=8), partial(nn.Linear, 1, 1)]
)
def test_other_weights_are_refused(build):
    with pytest.raises(RuntimeError, match="Error"):
        adopt(experts(3), build().state_dict())


def test_an_input_with_other_profiles():
    with pytest.raises(InputError, match=r"Experts: experts is 3, but the input has shares of 2 profiles"):
        experts(3)(told(pictures(1), [[0.5, 0.5]]))


def test_what_cannot_be_built():
    with pytest.raises(InputError, match=r"experts is 0"):
        Experts(unet(), 0)
    with pytest.raises(InputError, match=r"expert\.in_channels is 2, not 1"):
        Experts(UNet(in_channels=2, depth=3, width=4), 2)


def test_batch_norm_over_processes_that_are_busy_with_different_experts_is_refused(tmp_path):
    profiles = Profiles(["warm", "cool"], torch.eye(2, 529).tolist())
    generator = Profiled(Experts(UNet(depth=3, width=4), 2), ProfilePredictor(2, 4, 2))
    colorizer = Colorizer(
        generator,
        PatchGAN(layers=1, width=4, norm="instance"),
        Vanilla(),
        {"profile": ProfileCrossEntropy()},
        guide=ProfileGuide(profiles),
        images=8,
    )
    data = ColorData(Scenes(train=8, val=2, size=16), size=16, load_size=16, batch_size=4, workers=0)
    with pytest.raises(InputError, match=r"sync_batchnorm: .* set the expert's norm to group or instance"):
        Training(sync_batchnorm=True).fit(colorizer, data, tmp_path / "run")
