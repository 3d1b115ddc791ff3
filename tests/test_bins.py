import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import kstest
from skimage.color import rgb2lab

from gancolor.bins import AbBins, _preference, annealed_mean, encode, sample

BINS = AbBins.srgb()
CENTERS = BINS.scaled()


def colors(count=2, side=12, spread=0.3):
    return spread * torch.randn(count, 2, side, side, generator=torch.Generator().manual_seed(0))


def in_gamut():
    """ab of random sRGB colors."""
    rgb = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    return torch.tensor(np.moveaxis(rgb2lab(rgb)[..., 1:], 3, 1) / 110, dtype=torch.float32)


def test_srgb_is_what_scikit_images_gamut_touches():
    levels = np.linspace(0, 1, 64)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    cells = np.unique(rgb2lab(cube.reshape(64, -1, 3))[..., 1:].reshape(-1, 2).round(-1), axis=0)
    assert {tuple(cell) for cell in cells} == set(BINS.centers)
    assert len(BINS) == 261
    assert list(BINS.centers) == sorted(BINS.centers)


def test_every_corner_of_the_gamut_has_its_bin():
    corners = np.stack(np.meshgrid(*[[0, 255]] * 3), axis=-1).reshape(1, -1, 3).astype(np.uint8)
    ab = torch.tensor(np.moveaxis(rgb2lab(corners)[..., 1:], 2, 0)[None] / 110, dtype=torch.float32)
    index = encode(ab, CENTERS, neighbors=1).bins
    assert ((CENTERS[index[0, 0, 0]].T - ab[0, :, 0]).abs() * 110 <= 5.001).all()


@pytest.mark.parametrize("neighbors", [1, 5, 10])
@pytest.mark.parametrize("ab", [colors(), colors(spread=2.0), in_gamut()], ids=["usual", "far out", "photographs'"])
def test_encoding_is_a_gaussian_over_the_nearest(ab, neighbors):
    target = encode(ab, CENTERS, neighbors, sigma=5.0)
    points = ab.movedim(1, 3).reshape(-1, 2).double().numpy() * 110
    distance, _ = cKDTree(BINS.centers).query(points, k=list(range(1, neighbors + 1)))
    weight = np.exp(-(distance**2 - distance[:, :1] ** 2) / 50)
    expected = (weight / weight.sum(1, keepdims=True)).reshape(2, 12, 12, neighbors)
    assert np.allclose(target.weight.movedim(1, 3), expected, atol=1e-3)
    # Two bins as far away as each other may change places: what counts is how far away they are.
    chosen = np.array(BINS.centers)[target.bins.movedim(1, 3).reshape(-1, neighbors)]
    assert np.allclose(np.linalg.norm(chosen - points[:, None], axis=2), distance, atol=1e-3)


def test_encoding_does_not_depend_on_how_pixels_are_batched(monkeypatch):
    whole = encode(colors(), CENTERS)
    monkeypatch.setattr("gancolor.bins._PIXELS", 7)
    parts = encode(colors(), CENTERS)
    assert torch.equal(whole.bins, parts.bins)
    assert torch.allclose(whole.weight, parts.weight)


def test_a_center_is_its_own_bin():
    target = encode(CENTERS.T[None, :, None], CENTERS)
    assert torch.equal(target.bins[0, 0, 0], torch.arange(len(BINS)))
    assert target.weight[:, 0].min() == pytest.approx(1 / (1 + 4 * np.exp(-2)))  # four neighbors at two sigma


@pytest.mark.parametrize("neighbors", [1, 5, 10])
def test_decoding_what_was_encoded_is_within_a_bin(neighbors):
    ab, target = in_gamut(), encode(in_gamut(), CENTERS, neighbors)
    share = torch.zeros(2, len(BINS), 12, 12).scatter(1, target.bins, target.weight)
    decoded = annealed_mean(share.log(), CENTERS, 1.0)
    assert ((decoded - ab).norm(dim=1) * 110).max() < 10 / 2**0.5


def logits(scale=3.0):
    return scale * torch.randn(2, len(BINS), 4, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("temperature", [1.0, 0.38, 0.1])
def test_annealed_mean_is_zhangs_equation(temperature):
    """Eq. 5: exp(log(z) / T), normalized, of z = softmax(logits); then the mean."""
    z = softmax(logits().double().numpy(), axis=1)
    sharpened = np.exp(np.log(z) / temperature)
    expected = np.einsum("bqhw,qc->bchw", sharpened / sharpened.sum(1, keepdims=True), CENTERS.double())
    assert np.allclose(annealed_mean(logits(), CENTERS, temperature), expected, atol=1e-5)


def test_annealed_mean_tends_to_the_mode_and_to_the_mean():
    mode = CENTERS[logits().argmax(1)].movedim(3, 1)
    assert torch.allclose(annealed_mean(logits(), CENTERS, 1e-3), mode, atol=1e-4)
    assert torch.allclose(annealed_mean(logits(), CENTERS, 1e6), CENTERS.mean(0).view(1, 2, 1, 1), atol=1e-4)


def test_annealed_mean_is_exact_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = annealed_mean(logits(), CENTERS, 0.38)
    assert torch.equal(found, annealed_mean(logits(), CENTERS, 0.38))


def test_annealed_mean_is_differentiable():
    inputs = logits()[:1, :, :2, :2].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: annealed_mean(x, CENTERS, 0.5), inputs, eps=1e-3, atol=1e-3)


def save(path, array):
    np.save(path, array)
    return str(path)


def test_a_file_of_bins(tmp_path):
    centers = np.array([[-90, 50], [-90.0, 60], [0, 0]])
    assert AbBins.read(save(tmp_path / "pts.npy", centers)).centers == ((-90, 50), (-90, 60), (0, 0))
    assert AbBins.read(save(tmp_path / "pts.npy", centers.astype(np.int8))) == AbBins(centers.tolist())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((2, 313)), r"pts\.npy: holds \(2, 313\), not Q × 2"),
        (np.zeros(4), r"holds \(4,\), not Q × 2"),
        (np.array([[0.1, 0.5], [0.2, -1.0]]), "must be in Lab units, not scaled"),
        (np.array([[10, 300], [0, 0]]), r"pts\.npy: bins: the center \(10\.0, 300\.0\) is not a color"),
        (np.array([[10, np.nan], [0, 20]]), r"center \(10\.0, nan\) is not a color"),
        (np.array([[10, 10]]), "there are 1 centers"),
        (np.zeros((0, 2)), "all centers lie within"),
        (np.array([[10, 10], [10, 10], [20, 0]]), "no two alike"),
        (np.array([["a", "b"], ["c", "d"]]), "not numbers"),
        (np.array([[10j, 1], [0, 0]]), "not numbers"),
    ],
)
def test_files_that_hold_no_bins(content, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        AbBins.read(save(tmp_path / "pts.npy", content))


def test_files_that_numpy_cannot_read(tmp_path):
    (tmp_path / "text.npy").write_text("-90 50\n")
    (tmp_path / "empty.npy").touch()
    np.savez(tmp_path / "several.npz", a=np.zeros((3, 2)))
    np.save(tmp_path / "objects.npy", np.array([[{}, {}]]), allow_pickle=True)
    for name, message in {"text.npy": "cannot be", "empty.npy": "cannot be", "objects.npy": "cannot be"}.items():
        with pytest.raises(ValueError, match=f"{name}: {message}"):
            AbBins.read(str(tmp_path / name))
    with pytest.raises(ValueError, match=r"several\.npz: holds several arrays"):
        AbBins.read(str(tmp_path / "several.npz"))
    with pytest.raises(FileNotFoundError, match="there is no such file of bins"):
        AbBins.read(str(tmp_path / "pts.npy"))


def test_bins_are_values():
    assert AbBins(BINS.centers) == BINS != AbBins(BINS.centers[1:])
    assert hash(AbBins(BINS.centers)) == hash(BINS)
    assert repr(BINS) == "AbBins(261)"


def two_modes(share, side=3):
    """Logits of pictures that are red with a probability, else blue."""
    red, blue = (encode(torch.tensor(ab).view(1, 2, 1, 1) / 110, CENTERS, 1).bins.item() for ab in ([52, 38], [4, -46]))
    z = torch.full((1, len(BINS), side, side), -30.0)
    z[:, red], z[:, blue] = np.log(share), np.log(1 - share)
    return z, CENTERS[red], CENTERS[blue]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_samples_choose_a_color_as_often_as_it_is_likely(share):
    z, red, blue = two_modes(share)
    samples = [sample(z, CENTERS, seed, 1e-4)[0, :, 0, 0] for seed in range(200)]
    chosen = sum(torch.allclose(ab, red, atol=1e-3) for ab in samples)
    assert chosen + sum(torch.allclose(ab, blue, atol=1e-3) for ab in samples) >= 198
    assert chosen / 200 == pytest.approx(share, abs=3 * (share * (1 - share) / 200) ** 0.5)


def test_what_is_unlikely_is_never_sampled():
    z, red, _ = two_modes(0.95)
    assert all(torch.allclose(sample(z, CENTERS, seed)[0, :, 0, 0], red) for seed in range(50))


def test_a_sample_is_a_function_of_the_seed_and_the_same_in_all_the_picture():
    z, *_ = two_modes(0.5)
    again = [sample(torch.cat([z, z]), CENTERS, 7) for _ in range(2)]
    assert torch.equal(*again)
    assert torch.equal(again[0], again[0][:1, :, :1, :1].expand(2, 2, 3, 3))
    assert len({sample(z, CENTERS, seed).flatten()[0].item() for seed in range(20)}) > 5


def test_preferences_are_gumbel_distributed_and_alike_for_colors_that_are():
    draws = torch.stack([_preference(CENTERS, seed) for seed in range(300)]).numpy()
    assert all(kstest(draws[:, i], "gumbel_r").pvalue > 1e-3 for i in (0, 130, 260))
    correlation = np.corrcoef(draws.T)
    distance = cdist(BINS.centers, BINS.centers)
    assert correlation[distance == 10].min() > 0.8
    assert abs(correlation[distance > 90].mean()) < 0.1


def test_every_second_preference_is_the_opposite_of_the_one_before():
    cdf = [torch.exp(-torch.exp(-_preference(CENTERS, seed))) for seed in (6, 7, 8)]
    assert torch.allclose(cdf[0] + cdf[1], torch.ones(261), atol=1e-5)
    assert not torch.allclose(cdf[1] + cdf[2], torch.ones(261), atol=0.1)
