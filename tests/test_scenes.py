import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab
from skimage.measure import label, regionprops
from torch import Tensor

from gancolor.data.landscape import BALLOON_SHARE
from gancolor.data.paint import BALLOON_CHROMA, BALLOON_LIGHT, CAR_COLORS, CAR_LIGHT, TREE_COLORS, Label
from gancolor.data.scenes import Scene, Scenes

COUNT = 400


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    source = Scenes(train=COUNT)
    return [source.draw(name) for name in source.names("train")]


@pytest.fixture(scope="module")
def rgb(scenes: list[Scene]) -> Tensor:
    return torch.stack([scene.rgb for scene in scenes])


@pytest.fixture(scope="module")
def lab(rgb: Tensor) -> np.ndarray:
    return rgb2lab(rgb.movedim(1, 3).numpy())


@pytest.fixture(scope="module")
def labels(scenes: list[Scene]) -> np.ndarray:
    return torch.stack([scene.labels for scene in scenes]).numpy()


@pytest.fixture(scope="module")
def cars(lab: np.ndarray, labels: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The color's name and the pixels in Lab of every car."""
    found = []
    for image, shown in zip(lab, labels, strict=True):
        # A car's pillars are thin: windows may part the roof from the body, so only bodies count.
        for region in regionprops(label(shown == Label.CAR)):
            if region.area >= 12:
                pixels = image[region.coords[:, 0], region.coords[:, 1]]
                distance = {name: np.abs(pixels[:, 1:].mean(0) - ab).max() for name, (_, ab) in CAR_COLORS.items()}
                found.append((min(distance, key=lambda name: distance[name]), pixels))
    return found


def test_any_order_and_any_instance_draw_the_same():
    first, second = Scenes(), Scenes(train=30, val=5)
    names = ["train/000003", "val/000003", "train/000029"]
    forwards = {name: first.read(name) for name in names}
    for name in reversed(names):
        assert torch.equal(second.read(name), forwards[name])
        assert torch.equal(second.draw(name).rgb, forwards[name])


def test_splits_and_seeds_share_no_scene():
    pictures = [
        Scenes(seed=seed).read(f"{split}/{i:06d}") for seed in (0, 1) for split in ("train", "val") for i in range(9)
    ]
    assert len({picture.numpy().tobytes() for picture in pictures}) == len(pictures)


@pytest.mark.parametrize("size", [16, 63, 128])
def test_scenes_have_the_size_asked_for(size: int):
    scene = Scenes(size=size).draw("train/000000")
    assert scene.rgb.shape == (3, size, size)
    assert scene.labels.shape == (size, size)


def test_a_scene_is_the_same_place_at_any_size():
    small, large = (Scenes(size=size).draw("train/000005").labels for size in (64, 128))
    whole = (small != Label.EDGE) & (large[::2, ::2] != Label.EDGE)
    assert (small == large[::2, ::2])[whole].float().mean() > 0.9


def test_cars_have_the_colors_that_are_declared(cars: list[tuple[str, np.ndarray]]):
    for name, pixels in cars:
        np.testing.assert_allclose(pixels[:, 1:].mean(0), CAR_COLORS[name][1], atol=1)
    names = [name for name, _ in cars]
    for name, (share, _) in CAR_COLORS.items():
        deviation = (len(names) * share * (1 - share)) ** 0.5
        assert abs(names.count(name) - len(names) * share) < 4 * deviation
    assert len(names) > 150


def test_lightness_does_not_show_a_cars_color(cars: list[tuple[str, np.ndarray]]):
    light = np.concatenate([pixels[:, 0] for _, pixels in cars])
    assert np.ptp(light) < 1
    assert abs(light.mean() - CAR_LIGHT) < 0.5


def test_lightness_does_not_show_a_trees_color(lab: np.ndarray, labels: np.ndarray):
    light, a, _ = lab[labels == Label.LEAVES].T
    autumn = a > 0
    assert abs(light[autumn].mean() - light[~autumn].mean()) < 3
    assert 0.3 < autumn.mean() / TREE_COLORS["autumn"][0] < 2


def test_balloons_have_every_hue_and_one_lightness(lab: np.ndarray, labels: np.ndarray):
    balloons = [image[shown == Label.BALLOON] for image, shown in zip(lab, labels, strict=True)]
    balloons = np.array([np.median(pixels, axis=0) for pixels in balloons if len(pixels) > 20])
    deviation = (COUNT * BALLOON_SHARE * (1 - BALLOON_SHARE)) ** 0.5
    assert abs(len(balloons) - COUNT * BALLOON_SHARE) < 4 * deviation
    np.testing.assert_allclose(np.hypot(*balloons.T[1:]), BALLOON_CHROMA, atol=2)
    assert balloons[:, 0].min() > BALLOON_LIGHT[0] - 0.5
    assert balloons[:, 0].max() < BALLOON_LIGHT[1] + 0.5
    quadrants = np.unique(np.sign(balloons[:, 1:]), axis=0)
    assert len(quadrants) >= 4


def test_magenta_is_rare_and_only_on_flowers(lab: np.ndarray, labels: np.ndarray):
    flowers = labels == Label.FLOWER
    assert 0.0003 < flowers.mean() < 0.005
    assert 0.02 < flowers.any(axis=(1, 2)).mean() < 0.15
    magenta = (lab[..., 1] > 40) & (lab[..., 2] < -5)
    assert magenta[flowers].mean() > 0.6
    assert magenta[~flowers & (labels != Label.EDGE)].mean() < 1e-4


@pytest.mark.parametrize(
    ("thing", "above", "color"),
    [
        (Label.GRASS, False, lambda a, b: (a < 0) & (b > 0)),
        (Label.FIELD, False, lambda a, b: (a > 0) & (b > 0)),
        (Label.SKY, True, lambda a, b: (b < 0) | (a > 0)),
        (Label.CONIFER, False, lambda a, b: (a < 2) & (b > -2)),
        (Label.SNOW, True, lambda a, b: np.hypot(a, b) < 20),
    ],
)
def test_labels_lie_on_what_they_name(lab: np.ndarray, labels: np.ndarray, thing: Label, above: bool, color):
    shown = labels == thing
    assert color(*lab[shown].T[1:]).mean() > 0.95
    height = np.nonzero(shown)[1].mean() / labels.shape[1]
    assert (height < 0.5) == above


def test_everything_occurs_and_edges_are_few(labels: np.ndarray):
    shares = np.bincount(labels.ravel(), minlength=len(Label)) / labels.size
    assert (shares > 0).all()
    assert shares[Label.EDGE] < 0.25


def test_scenes_are_about_as_colorful_as_photographs(rgb: Tensor):
    r, g, b = rgb.double().flatten(2).unbind(1)
    rg, yb = r - g, (r + g) / 2 - b
    spread = (rg.var(1) + yb.var(1)).sqrt()
    strength = (rg.mean(1) ** 2 + yb.mean(1) ** 2).sqrt()
    assert 35 < (spread + 0.3 * strength).mean() < 60


def test_a_gray_picture_is_as_far_off_as_for_photographs(rgb: Tensor, lab: np.ndarray):
    gray = lab2rgb(lab * [1, 0, 0])
    error = ((gray - rgb.movedim(1, 3).numpy() / 255) ** 2).mean(axis=(1, 2, 3))
    assert 18 < (-10 * np.log10(error)).mean() < 24


def test_the_scenes_of_a_seed_stay_the_same_between_versions(rgb: Tensor, labels: np.ndarray):
    np.testing.assert_allclose(rgb.double().mean(dim=(0, 2, 3)), [135.3, 139.5, 133.3], atol=0.5)
    np.testing.assert_allclose(np.mean(labels == Label.SEA), 0.053, atol=0.002)


def test_names_count_up():
    source = Scenes(train=3, val=1)
    assert source.names("train") == ["train/000000", "train/000001", "train/000002"]
    assert source.names("val") == ["val/000000"]


@pytest.mark.parametrize("name", ["train/000003", "val/000000", "test/000000", "train/2", "train/-00001", "000001", ""])
def test_unknown_names_are_refused(name: str):
    with pytest.raises(KeyError, match="there are 3 from 'train/000000'"):
        Scenes(train=3, val=0).read(name)


@pytest.mark.parametrize("wrong", [{"size": 15}, {"train": -1}, {"val": -1}, {"seed": -1}])
def test_impossible_arguments_are_refused(wrong: dict[str, int]):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        Scenes(**wrong)
