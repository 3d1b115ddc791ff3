import numpy as np
import pytest
import torch

from gancolor.palette import CELLS, cell_of, prior

CENTERS = np.arange(-110, 111, 10)


def colors(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (0.25 * torch.randn(6, 2, 32, 32, generator=generator)).clamp(-0.7, 0.7)


def test_centers_are_their_own_cells():
    assert len(CENTERS) == CELLS
    a, b = np.meshgrid(CENTERS, CENTERS, indexing="ij")
    ab = torch.tensor(np.stack([a, b])[None] / 110, dtype=torch.float32)
    assert torch.equal(cell_of(ab).flatten(), torch.arange(CELLS * CELLS))


def test_any_color_belongs_to_the_nearest_center():
    ab = torch.rand(1, 2, 50, 50, generator=torch.Generator().manual_seed(0)) * 2 - 1
    nearest = np.abs(ab.numpy()[..., None] * 110 - CENTERS).argmin(-1)
    assert np.array_equal(cell_of(ab).numpy(), nearest[:, 0] * CELLS + nearest[:, 1])


def test_colors_beyond_the_grid_fall_into_its_edge():
    assert cell_of(torch.tensor([[2.0, -2.0]]).view(1, 2, 1, 1)).item() == (CELLS - 1) * CELLS


def test_prior_is_the_histogram_however_it_is_batched():
    p = prior(iter(colors().split(4)))
    expected, _, _ = np.histogram2d(
        *colors().movedim(1, 0).flatten(1).numpy() * 110, bins=CELLS, range=[[-115, 115]] * 2
    )
    assert p.sum().item() == pytest.approx(1)
    assert np.allclose(p.numpy(), expected / expected.sum())
    assert torch.equal(p, prior(colors().split(1)))


@pytest.mark.parametrize("pictures", [[], [torch.zeros(0, 2, 8, 8)]], ids=["no batch", "an empty batch"])
def test_nothing_to_measure_is_an_error(pictures):
    with pytest.raises(ValueError, match="no picture to measure"):
        prior(pictures)


def test_prior_over_other_cells():
    p = prior([colors()], lambda ab: 2 * (ab[:, 0] > 0).long(), 2)
    share = (colors()[:, 0] > 0).double().mean()
    assert torch.allclose(p, torch.stack([torch.stack([1 - share, 0 * share]), torch.stack([share, 0 * share])]))
