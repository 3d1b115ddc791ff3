import pytest
import torch
from skimage.color import rgb2lab

from gancolor.color import AB_SCALE, Lab, gray, lab_to_rgb, lab_to_srgb, rgb_to_lab
from gancolor.metrics import colorfulness

LEVELS = torch.arange(256, dtype=torch.uint8)
GRAYS = LEVELS.expand(3, 256).reshape(1, 3, 16, 16)


def cube(red, green, blue):
    """Every color of these levels, as one picture."""
    return torch.stack(torch.meshgrid(red, green, blue, indexing="ij")).reshape(1, 3, len(red), -1)


CORNERS = cube(*[LEVELS[::255]] * 3)
SUBSET = cube(*[LEVELS[::5]] * 3)


def noise(side=128):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (2, 3, side, side), dtype=torch.uint8, generator=generator)


def box(side=200):
    """Lab values far beyond the gamut as well as within it."""
    generator = torch.Generator().manual_seed(0)
    uniform = 2 * torch.rand(1, 3, side, side, generator=generator) - 1
    return Lab(uniform[:, :1], uniform[:, 1:])


def in_units(lab):
    """L, a and b as the CIE writes them."""
    return torch.cat([(lab.light + 1) * 50, lab.ab * AB_SCALE], dim=1)


@pytest.mark.parametrize("rgb", [noise(), CORNERS, GRAYS], ids=["noise", "corners", "grays"])
def test_lab_is_scikit_images(rgb):
    expected = torch.from_numpy(rgb2lab(rgb.movedim(1, 3).numpy())).movedim(3, 1)
    assert (in_units(rgb_to_lab(rgb)) - expected).abs().max() < 1e-3


def test_unit_floats_are_read_like_bytes():
    rgb = noise()
    assert torch.allclose(rgb_to_lab(rgb.float() / 255).stack(), rgb_to_lab(rgb).stack(), atol=1e-6)


def test_every_8_bit_color_returns_unchanged():
    for red in LEVELS.split(4):
        rgb = cube(red, LEVELS, LEVELS)
        assert torch.equal(lab_to_rgb(rgb_to_lab(rgb)), rgb)


def test_gamut_has_the_documented_extremes():
    ab = rgb_to_lab(SUBSET).ab.movedim(1, 0).flatten(1) * AB_SCALE
    assert ab.amin(1).tolist() == pytest.approx([-86.2, -107.9], abs=0.05)
    assert ab.amax(1).tolist() == pytest.approx([98.2, 94.5], abs=0.05)


def test_autocast_rounds_nothing():
    rgb, lab = noise(), rgb_to_lab(noise())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside, srgb, back = rgb_to_lab(rgb), lab_to_srgb(lab), lab_to_rgb(lab)
    assert inside.stack().dtype == srgb.dtype == torch.float32
    assert torch.equal(inside.stack(), lab.stack())
    assert torch.equal(srgb, lab_to_srgb(lab))
    assert torch.equal(back, rgb)


@pytest.mark.parametrize("rgb", [SUBSET, CORNERS, GRAYS], ids=["subset", "corners", "grays"])
def test_rgb_to_lab_has_finite_gradients(rgb):
    x = (rgb.float() / 255).requires_grad_()
    (gradient,) = torch.autograd.grad(rgb_to_lab(x).stack().sum(), x)
    assert gradient.isfinite().all()
    assert (gradient.abs().sum(1) > 0).all()


@pytest.mark.parametrize(
    "lab",
    [rgb_to_lab(SUBSET), rgb_to_lab(CORNERS), rgb_to_lab(GRAYS), box()],
    ids=["subset", "corners", "grays", "out of gamut"],
)
def test_lab_to_srgb_has_finite_gradients(lab):
    x = lab.stack().requires_grad_()
    (gradient,) = torch.autograd.grad(lab_to_srgb(Lab(x[:, :1], x[:, 1:])).sum(), x)
    assert gradient.isfinite().all()
    assert (gradient != 0).all()  # nothing is clipped


def polar(ab):
    a, b = (ab * AB_SCALE).unbind(1)
    return torch.hypot(a, b), torch.atan2(b, a)


def test_colors_outside_the_gamut_lose_chroma_only():
    lab = box()
    rgb = lab_to_rgb(lab)
    shown = rgb_to_lab(rgb)
    (chroma, hue), (shown_chroma, shown_hue) = polar(lab.ab), polar(shown.ab)

    assert (50 * (shown.light - lab.light)).abs().mean() < 0.2
    assert (50 * (shown.light - lab.light)).abs().max() < 0.5
    step = 1.0  # of 8-bit sRGB, in Lab units
    assert (shown_chroma - chroma).max() < step
    turned = torch.remainder(shown_hue - hue + torch.pi, 2 * torch.pi) - torch.pi
    assert (turned.abs() * shown_chroma).max() < step
    outside = ((lab_to_srgb(lab) < -0.01) | (lab_to_srgb(lab) > 1.01)).any(dim=1)
    at_the_edge = (rgb.amin(1) <= 1) | (rgb.amax(1) >= 254)
    assert outside.float().mean() > 0.5
    assert at_the_edge[outside].all()  # no more chroma lost than needed


def test_colors_inside_the_gamut_are_left_alone_beside_others():
    inside, outside = rgb_to_lab(noise(32)), Lab(torch.zeros(2, 1, 32, 32), torch.ones(2, 2, 32, 32))
    both = Lab(torch.cat([inside.light, outside.light], 3), torch.cat([inside.ab, outside.ab], 3))
    assert torch.equal(lab_to_rgb(both)[..., :32], noise(32))


def test_light_beyond_black_and_white_is_clipped():
    lab = Lab(torch.tensor([-1.5, 1.5]).view(2, 1, 1, 1), torch.full((2, 2, 1, 1), 0.5))
    assert lab_to_rgb(lab).flatten(1).tolist() == [[0, 0, 0], [255, 255, 255]]


def test_gray_keeps_lightness_only():
    rgb = noise()
    result = gray(rgb)
    assert (result.amax(1) - result.amin(1)).max() <= 1
    assert colorfulness(result).max() < 0.5
    assert (50 * (rgb_to_lab(result).light - rgb_to_lab(rgb).light)).abs().max() < 0.3  # half a gray level
    assert torch.equal(gray(GRAYS), GRAYS)


def test_lab_stacks_and_detaches():
    light, ab = torch.rand(1, 1, 2, 2, requires_grad=True), torch.rand(1, 2, 2, 2, requires_grad=True)
    lab = Lab(light, ab)
    assert torch.equal(lab.stack()[:, :1], light)
    assert torch.equal(lab.stack()[:, 1:], ab)
    assert not lab.detach().stack().requires_grad
