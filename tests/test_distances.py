"""Distances against pytorch-fid, torch-fidelity and the definitions; their jackknife against many draws."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from gancolor.benchmark.distances import (
    Jackknifed,
    Rows,
    balanced_auc,
    frechet,
    kernel,
    total_variation,
)
from gancolor.benchmark.intervals import GROUPS
from gancolor.palette import CELLS
from gancolor.weightings import SmoothedPrior

Distance = Callable[[Rows, Rows], Jackknifed]


class Held(Rows):
    """Rows in memory."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values.astype(np.float32)
        self.images = len(values)

    def group(self, number: int) -> np.ndarray:
        return self.values[number::GROUPS]


class Counted(Held):
    """Counts how often it is read."""

    reads = 0

    def group(self, number: int) -> np.ndarray:
        self.reads += 1
        return super().group(number)


def features(images: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two sets as an Inception sees photographs and somewhat paler ones: of decaying spectrum, not normal, paired."""
    draw = np.random.default_rng(seed)
    scale = np.arange(1, size + 1) ** -0.5
    real = np.abs(draw.standard_normal((images, size))) * scale * np.exp(0.3 * draw.standard_normal((images, 1)))
    fake = 0.8 * real + 0.3 * scale[::-1] * np.abs(draw.standard_normal((images, size)))
    return fake.astype(np.float32), real.astype(np.float32)


def histograms(images: int, seed: int, cells: int = CELLS**2) -> np.ndarray:
    counts = np.random.default_rng(seed).multinomial(
        500, np.random.default_rng(9).dirichlet(np.full(cells, 0.1)), images
    )
    return (counts / 500).astype(np.float32)


def error(leave_one_out: np.ndarray) -> float:
    return float(np.sqrt(GROUPS - 1) * leave_one_out.std())


def again(distance: Distance, fake: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The distance computed again without each group."""
    groups = np.arange(len(fake)) % GROUPS, np.arange(len(real)) % GROUPS
    return np.array([distance(Held(fake[groups[0] != i]), Held(real[groups[1] != i]))[0] for i in range(GROUPS)])


def statistics(x: np.ndarray) -> dict[str, np.ndarray]:
    return {"mu": x.mean(axis=0), "sigma": np.cov(x, rowvar=False)}


class TestFrechet:
    def test_is_torch_fidelity_s(self) -> None:
        fake, real = features(400, 48)
        other = fid_statistics_to_metric(
            statistics(fake.astype(np.float64)), statistics(real.astype(np.float64)), verbose=False
        )
        assert frechet(Held(fake), Held(real))[0] == pytest.approx(other[KEY_METRIC_FID], rel=1e-6)

    @pytest.mark.filterwarnings("ignore:.*disp.*:DeprecationWarning")  # pytorch-fid's call of scipy
    def test_is_pytorch_fid_s_with_sets_of_two_sizes(self) -> None:
        fake, real = features(400, 48)[0], features(333, 48, seed=1)[1]
        one, two = (statistics(x.astype(np.float64)) for x in (fake, real))
        other = calculate_frechet_distance(one["mu"], one["sigma"], two["mu"], two["sigma"])
        assert frechet(Held(fake), Held(real))[0] == pytest.approx(other, rel=1e-6)

    def test_of_few_images_is_that_in_their_own_plane(self) -> None:
        """Ten images of 48 features lie in a plane of 18 dimensions, whatever its direction."""
        fake, real = (x.astype(np.float64) for x in features(10, 48))
        plane = np.linalg.svd(np.concatenate([fake - fake.mean(0), real - real.mean(0)]), full_matrices=False)[2][:18]
        a, b = ((x - x.mean(0)) @ plane.T for x in (fake, real))
        traces = (np.square(a).sum() + np.square(b).sum()) / 9
        shared = np.linalg.svd(a @ b.T, compute_uv=False).sum() / 9
        expected = np.square(fake.mean(0) - real.mean(0)).sum() + traces - 2 * shared
        assert frechet(Held(fake), Held(real))[0] == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize(("images", "size"), [(60, 24), (25, 48)])
    def test_of_a_set_with_itself_is_zero_and_sure(self, images: int, size: int) -> None:
        real = Held(features(images, size)[1])
        value, without = frechet(real, real)
        assert 0 <= value < 1e-9
        assert error(without) < 1e-9

    def test_of_one_picture_over_and_over_is_finite(self) -> None:
        real = features(60, 24)[1].astype(np.float64)
        value, without = frechet(Held(np.full((60, 24), 0.3)), Held(real))
        expected = np.square(real.mean(0) - np.float32(0.3)).sum() + np.cov(real, rowvar=False).trace()
        assert value == pytest.approx(expected, rel=1e-6)
        assert error(without) == pytest.approx(error(again(frechet, np.full((60, 24), 0.3), real)), rel=0.1)

    def test_photographs_are_fitted_once_for_all_candidates_also_by_two_networks(self) -> None:
        photographs = [Counted(features(60, 24, seed)[1]) for seed in range(2)]
        reads = []
        for candidate in range(3):
            for real in photographs:
                frechet(Held(features(60, 24, candidate)[0]), real)
            reads.append([real.reads for real in photographs])
        first, second, third = np.array(reads)
        assert (second - first < first).all()
        assert (third - second == second - first).all()

    @pytest.mark.parametrize(("images", "size"), [(640, 16), (110, 48), (60, 48), (45, 64)])
    def test_first_order_jackknife_is_near_that_of_fitting_again(self, images: int, size: int) -> None:
        fake, real = features(images, size)
        without = frechet(Held(fake), Held(real))[1]
        exact = again(frechet, fake, real)
        assert error(without) == pytest.approx(error(exact), rel=0.2)
        assert np.corrcoef(without, exact)[0, 1] > 0.9

    def test_groups_of_two_sizes_weigh_by_their_images(self) -> None:
        """A mean that is the whole distance: then the first order is exact but for a square."""
        draw = np.random.default_rng(0)
        fake = 100 + draw.standard_normal((30, 1))
        without, exact = frechet(Held(fake), Held(fake - 100))[1], again(frechet, fake, fake - 100)
        assert np.abs(without - exact).max() < 1e-2
        fake, real = 100 + draw.standard_normal((30, 1)), draw.standard_normal((30, 1))
        without, exact = frechet(Held(fake), Held(real))[1], again(frechet, fake, real)
        assert without - without.mean() == pytest.approx(exact - exact.mean(), abs=0.005 * np.ptp(exact))

    @pytest.mark.parametrize("disjoint", [False, True])
    @pytest.mark.parametrize(("images", "size"), [(120, 12), (60, 24), (40, 48)])
    def test_jackknife_error_is_the_spread_over_draws(self, images: int, size: int, disjoint: bool) -> None:
        """Plenty of images a feature, as many as in 5,000 images, and fewer images than features."""
        draws = 150
        found = [
            frechet(Held(features(images, size, seed)[0]), Held(features(images, size, seed + draws * disjoint)[1]))
            for seed in range(draws)
        ]
        spread = np.std([value for value, _ in found], ddof=1)
        assert np.mean([error(without) for _, without in found]) == pytest.approx(spread, rel=0.25)


class TestKernel:
    @pytest.mark.parametrize("images", [400, 401, 19])
    def test_is_torch_fidelity_s_with_one_subset_of_all(self, images: int) -> None:
        fake, real = features(images, 48)
        other = torch_fidelity(fake, real, subsets=1, size=images)
        assert kernel(Held(fake), Held(real))[0] == pytest.approx(other, rel=1e-4, abs=1e-6)

    def test_is_what_torch_fidelity_s_subsets_estimate(self) -> None:
        fake, real = features(400, 48)
        other = torch_fidelity(fake, real, subsets=400, size=100)
        assert kernel(Held(fake), Held(real))[0] == pytest.approx(other, rel=0.03)

    def test_is_unbiased(self) -> None:
        """Half of one set against its other half: as often below 0 as above, where a biased one is 0.1 or more."""
        values = []
        for seed in range(64):
            real = features(80, 12, seed)[1]
            values.append(kernel(Held(real[:40]), Held(real[40:]))[0])
        assert abs(np.mean(values)) < 3 * np.std(values) / 8
        assert np.mean(values) < 0.05

    @pytest.mark.parametrize("others", [90, 63])
    def test_without_a_group_is_computing_again(self, others: int) -> None:
        fake, real = features(90, 16)[0], features(others, 16, seed=1)[1]
        assert kernel(Held(fake), Held(real))[1] == pytest.approx(again(kernel, fake, real), abs=1e-5)

    def test_of_a_set_with_itself_counts_the_pairs_of_an_image_between(self) -> None:
        real = features(90, 16)[1]
        assert kernel(Held(real), Held(real))[0] == kernel(Held(real), Held(real.copy()))[0]
        both = Held(real)
        assert kernel(both, both)[0] == kernel(Held(real), Held(real.copy()))[0]


def torch_fidelity(fake: np.ndarray, real: np.ndarray, subsets: int, size: int) -> float:
    metric = kid_features_to_metric(
        torch.from_numpy(fake), torch.from_numpy(real), kid_subsets=subsets, kid_subset_size=size,
        kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1,
        rng_seed=0, verbose=False,
    )  # fmt: skip
    return metric[KEY_METRIC_KID_MEAN]


class TestTotalVariation:
    def test_is_half_the_difference_of_the_mean_histograms(self) -> None:
        p, q = histograms(50, 0), histograms(70, 1)
        expected = np.maximum(p.mean(0, dtype=np.float64) - q.mean(0, dtype=np.float64), 0).sum()
        assert total_variation(Held(p), Held(q))[0] == pytest.approx(expected, rel=1e-6)

    def test_is_one_for_no_color_in_common(self) -> None:
        one = np.eye(4)
        assert total_variation(Held(one[[0, 0, 1]]), Held(one[[2, 3, 3]]))[0] == 1

    def test_without_a_group_is_computing_again(self) -> None:
        p, q = histograms(50, 0), histograms(70, 1)
        assert total_variation(Held(p), Held(q))[1] == pytest.approx(again(total_variation, p, q), abs=1e-12)


class TestBalancedAuc:
    def test_is_the_mean_over_pixels_weighted_by_rarity(self) -> None:
        """The weighting of the losses, with hardly any of the uniform distribution."""
        colors = histograms(50, 0)
        scores = colors * np.random.default_rng(1).random(CELLS**2).astype(np.float32)
        prior = torch.from_numpy(colors.mean(0, dtype=np.float64)).view(CELLS, CELLS)
        weight = SmoothedPrior(uniform=1e-15).weights(prior).flatten().numpy()
        expected = (scores.mean(0, dtype=np.float64) * weight).sum() / (colors.mean(0, dtype=np.float64) * weight).sum()
        assert balanced_auc(Held(scores), Held(colors))[0] == pytest.approx(expected, rel=1e-6)

    def test_rare_and_frequent_colors_count_alike_where_nothing_is_between(self) -> None:
        colors, scores = np.zeros((2, 40, CELLS**2))
        colors[:, 100], colors[:, 400] = 0.99, 0.01
        scores[:, 100], scores[:, 400] = 0.99 * 0.9, 0.01 * 0.5
        value, without = balanced_auc(Held(scores), Held(colors))
        assert value == pytest.approx(0.7, rel=1e-6)
        assert without == pytest.approx(np.full(GROUPS, 0.7), rel=1e-6)

    def test_is_one_for_the_photographs_themselves_also_without_a_group(self) -> None:
        """Many colors occur in one image only: left out, they must leave nothing."""
        colors = Held(histograms(20, 0))
        value, without = balanced_auc(colors, colors)
        assert value == pytest.approx(1)
        assert without == pytest.approx(np.ones(GROUPS))

    def test_without_a_group_is_computing_again(self) -> None:
        colors = histograms(50, 0)
        scores = colors * np.random.default_rng(1).random(colors.shape).astype(np.float32)
        assert balanced_auc(Held(scores), Held(colors))[1] == pytest.approx(again(balanced_auc, scores, colors))


class TestFewImages:
    @pytest.mark.parametrize("images", [0, 1])
    @pytest.mark.parametrize("distance", [frechet, kernel])
    def test_below_two_there_is_no_number(self, distance: Distance, images: int) -> None:
        fake, real = (Held(x) for x in features(30, 8))
        few = Held(features(30, 8)[0][:images])
        for pair in ((few, real), (fake, few), (few, few)):
            value, without = distance(*pair)
            assert np.isnan(value)
            assert np.isnan(without).all()

    @pytest.mark.parametrize("distance", [total_variation, balanced_auc])
    def test_one_image_has_a_histogram(self, distance: Distance) -> None:
        one, none = Held(histograms(1, 0)), Held(histograms(1, 0)[:0])
        assert distance(one, one)[0] == {total_variation: 0, balanced_auc: 1}[distance]
        assert np.isnan(distance(one, none)[0])

    @pytest.mark.parametrize("few", [(2, 2), (19, 30), (30, 19)])
    @pytest.mark.parametrize("distance", [frechet, kernel, total_variation, balanced_auc])
    def test_below_the_groups_there_is_a_number_without_an_interval(
        self, distance: Distance, few: Sequence[int]
    ) -> None:
        value, without = distance(Held(histograms(few[0], 0)), Held(histograms(few[1], 1)))
        assert np.isfinite(value)
        assert without.shape == (GROUPS,)
        assert np.isnan(without).all()
