"""Coloring by a profile, given or predicted; and a training in which the predictor learns what there is to learn."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from runs import assert_same, content
from sklearn.cluster import KMeans
from torch.nn.functional import cross_entropy

from gancolor.adversarial import Vanilla
from gancolor.checkpoint import load
from gancolor.color import rgb_to_lab
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.discriminators import PatchGAN
from gancolor.errors import InputError
from gancolor.generators import BinHead, Experts, Profiled, ProfilePredictor, UNet
from gancolor.guides import ProfileGuide
from gancolor.interfaces import Source, Split
from gancolor.layers import adopt
from gancolor.losses import L1, ProfileCrossEntropy
from gancolor.palette import Profiles, descriptors, histograms, nearest
from gancolor.training import Training
from gancolor.training.confusion import confusion

NAMES = ["warm", "cool", "gray"]
COLORS = [(200, 110, 60), (60, 110, 200), (120, 120, 120)]  # of each profile


def unet(in_channels=4, seed=0, norm="group", head=None):
    torch.manual_seed(seed)
    network = UNet(in_channels, depth=4, width=8, norm=norm, head=head)
    with torch.no_grad():  # an untrained one paints nearly gray
        for p in network.parameters():
            p.mul_(3)
    return network


def profiled(generator=None, routing="hard"):
    torch.manual_seed(1)
    return Profiled(generator or unet(), ProfilePredictor(3, width=8, layers=2), routing)


def pictures(count=5):
    return torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(7)) * 2 - 1


def planes(shares):
    return torch.tensor(shares)[:, :, None, None].expand(-1, -1, 32, 32)


def test_with_light_alone_it_colors_by_the_likeliest_profile():
    network, light = profiled(), pictures()
    logits = network.predictor(light)
    likeliest = torch.eye(3)[logits.argmax(1)]
    said = network(light)
    assert torch.equal(said.profile_logits, logits)
    assert torch.equal(said.profile, likeliest)
    assert torch.equal(said.ab, network.generator(torch.cat([light, planes(likeliest.tolist())], 1)).ab)


def test_softly_it_colors_by_all_as_likely_as_they_are():
    network, light = profiled(routing="soft"), pictures()
    share = network.predictor(light).softmax(1)
    said = network(light)
    torch.testing.assert_close(said.profile, share)
    expected = network.generator(torch.cat([light, planes(share.tolist())], 1)).ab
    torch.testing.assert_close(said.ab, expected, rtol=0, atol=1e-6)
    assert (said.ab - profiled()(light).ab).abs().max() > 1e-3


@pytest.mark.parametrize("routing", ["hard", "soft"])
def test_a_profile_that_is_given_counts_and_the_prediction_is_told_all_the_same(routing):
    network, light = profiled(routing=routing), pictures(2)
    given = [[0.1, 0.9, 0.0], [0.0, 0.0, 1.0]]
    said = network(torch.cat([light, planes(given)], 1))
    assert torch.equal(said.profile, torch.tensor(given))
    assert torch.equal(said.profile_logits, network.predictor(light))
    assert torch.equal(said.ab, network.generator(torch.cat([light, planes(given)], 1)).ab)


def test_what_the_generator_says_of_bins_is_passed_on():
    network = profiled(unet(head=BinHead(reduction=2)))
    said = network(pictures(1))
    assert said.logits is not None
    assert torch.equal(said.centers, network.generator.predict.centers)


def test_the_predictor_sees_the_whole_picture_at_any_size_in_float32():
    predictor = ProfilePredictor(3, width=8, layers=3)
    for height, width in ((64, 64), (16, 48)):
        light = torch.rand(2, 1, height, width).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            logits = predictor(light)
        assert logits.dtype == torch.float32
        assert logits.shape == (2, 3)
        logits[:, 0].sum().backward()
        assert (light.grad.abs() > 0).float().mean() > 0.95


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (lambda: unet(1), r"predictor\.profiles is 3, .* takes light and 0 profiles: .*in_channels of a UNet to 4"),
        (lambda: Experts(unet(1), 2), r"takes light and 2 profiles: .*experts of Experts to 3"),
    ],
)
def test_numbers_of_profiles_that_differ(generator, message):
    with pytest.raises(InputError, match=message):
        profiled(generator())


def test_an_input_with_other_profiles():
    with pytest.raises(InputError, match=r"predictor\.profiles is 3, but 2 profiles are given"):
        profiled()(torch.cat([pictures(1), planes([[0.5, 0.5]])], 1))


@pytest.mark.parametrize("generator", [unet, lambda norm: Experts(unet(1, norm=norm), 3)])
@pytest.mark.parametrize("routing", ["hard", "soft"])
def test_it_begins_by_coloring_as_the_common_one(generator, routing):
    common, network, light = unet(1, 5, "batch"), profiled(generator(norm="batch"), routing), pictures()
    common(pictures(9))  # statistics of its own
    before = {name: value.clone() for name, value in network.predictor.state_dict().items()}
    adopt(network, common.state_dict())
    network.eval(), common.eval()
    for x in (light, torch.cat([light, planes([[0.0, 1.0, 0.0]] * 5)], 1)):
        torch.testing.assert_close(network(x).ab, common(light).ab, rtol=0, atol=2e-6)
    assert all(torch.equal(value, before[name]) for name, value in network.predictor.state_dict().items())


def test_its_own_weights_are_taken_as_they_are():
    network, other = profiled(), profiled(unet(seed=3))
    adopt(other, network.state_dict())
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("other", [lambda: UNet(depth=3, width=8), lambda: unet(5), lambda: Experts(unet(1), 3)])
def test_weights_of_another_architecture_are_refused(other):
    with pytest.raises(RuntimeError, match="Error"):
        adopt(profiled(), other().state_dict())


class Striped(Source):
    """The direction of a picture's stripes tells its colors: upright ones are warm, level ones cool, none gray."""

    def __init__(self, train: int = 96, val: int = 30):
        self.train, self.val = train, val

    def names(self, split: Split) -> list[str]:
        return [f"{split}/{i}" for i in range({"train": self.train, "val": self.val}[split])]

    def read(self, name: str, min_side: int | None = None) -> torch.Tensor:
        split, number = name.split("/")
        kind = [0, 1, 2, 1][int(number) % 4]  # half of them are cool
        noise = np.random.default_rng([split == "val", int(number)])
        wave = np.sin(np.arange(16) * noise.uniform(1.2, 1.8) + noise.uniform(0, 6)) * noise.uniform(20, 40)
        pattern = [np.tile(wave, (16, 1)), np.tile(wave[:, None], (1, 16)), np.zeros((16, 16))][kind]
        gray = pattern + noise.normal(0, 3, (16, 16)) + noise.uniform(-20, 20)
        rgb = np.array(COLORS[kind])[:, None, None] + gray
        return torch.from_numpy(rgb.clip(0, 255).astype(np.uint8))


def striped_profiles():
    flat = torch.tensor(COLORS, dtype=torch.uint8)[:, :, None, None].expand(-1, -1, 8, 8)
    return Profiles(NAMES, descriptors(histograms(rgb_to_lab(flat).ab)).tolist())


def colorizer(routed=False, losses=None, images=960, **options):
    torch.manual_seed(0)
    inner = Experts(UNet(depth=3, width=4, norm="group"), 3) if routed else UNet(4, depth=3, width=4, norm="group")
    return Colorizer(
        Profiled(inner, ProfilePredictor(3, width=8, layers=2)),
        PatchGAN(layers=1, width=4, norm="instance"),
        Vanilla(0.0),
        losses or {"l1": L1(), "profile": ProfileCrossEntropy()},
        guide=ProfileGuide(striped_profiles()),
        generator_optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2),
        images=images,
        **options,
    )


def data():
    return ColorData(Striped(), size=16, load_size=16, batch_size=8, workers=0)


def fit(folder, model, resume=None, **options):
    Training(accelerator="cpu", **({"validate_every": 480, "log_every": 12, "peak_tflops": 1.0} | options)).fit(
        model, data(), folder, resume
    )
    return model


def validations(folder: Path) -> list[dict[str, float]]:
    rows = []
    for path in sorted(folder.glob("log/version_*/metrics.csv")):
        with path.open() as file:
            rows += [row for row in csv.DictReader(file) if row.get("val/psnr")]
    return [{name: float(value) for name, value in row.items() if name.startswith("val/") and value} for row in rows]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profiled")
    fit(folder, colorizer(ema_decay=0.9))
    return folder


def test_the_predictor_is_right_more_often_than_the_majority_on_pictures_it_has_not_seen(run_dir):
    last = validations(run_dir)[-1]
    assert last["val/profile_majority"] == pytest.approx(15 / 30)
    assert last["val/profile_accuracy"] > 0.7


def test_on_scenes_too_the_predictor_is_far_above_the_majority():
    """Profiles are found on some scenes, learned on them, and predicted of others."""
    source = Scenes(train=1500, val=300, size=32)
    train, val = (rgb_to_lab(torch.stack([source.read(name) for name in source.names(s)])) for s in ("train", "val"))
    found = KMeans(4, n_init=4, random_state=0).fit(descriptors(histograms(train.ab)).numpy())
    centers = torch.from_numpy(found.cluster_centers_).float()
    taught, held_out = (nearest(histograms(lab.ab), centers) for lab in (train, val))
    torch.manual_seed(0)
    predictor = ProfilePredictor(profiles=4, width=16, layers=3)
    optimizer = torch.optim.Adam(predictor.parameters(), lr=1e-3)
    for _ in range(4):
        for batch in torch.randperm(len(taught)).split(32):
            optimizer.zero_grad()
            cross_entropy(predictor(train.light[batch]), taught[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (predictor(val.light).argmax(1) == held_out).float().mean()
    assert accuracy > held_out.bincount().max() / len(held_out) + 0.3


def test_the_logged_accuracy_is_that_of_the_checkpoint(run_dir):
    generator, source = load(run_dir / "checkpoints" / "last.ckpt").generator, Striped()
    pictures = torch.stack([source.read(name) for name in source.names("val")])
    predicted = generator(rgb_to_lab(pictures).light).profile_logits.argmax(1)
    right = (predicted == torch.tensor([0, 1, 2, 1] * 8)[:30]).float().mean().item()
    assert validations(run_dir)[-1]["val/profile_accuracy"] == pytest.approx(right)


def test_a_confusion_matrix_is_drawn_at_every_validation(run_dir):
    assert sorted(path.name for path in run_dir.glob("profiles/*")) == ["000000480.png", "000000960.png"]
    picture = np.asarray(Image.open(run_dir / "profiles" / "000000960.png"))
    assert picture.shape == (490, 490, 3)


def test_dark_is_where_the_pictures_are():
    empty, full = (confusion(np.array(counts), ["a", "b"]) for counts in ([[5, 0], [0, 5]], [[0, 5], [5, 0]]))
    assert empty.shape == full.shape
    axes = np.argwhere(np.abs(empty.astype(int) - full).max(2) > 100)  # the fields of the matrix, which change places
    top, left = axes.min(0)
    bottom, right = axes.max(0)
    quarters = [[(top * 3 + bottom) // 4, (left * 3 + right) // 4], [(top * 3 + bottom) // 4, (left + right * 3) // 4]]
    first, second = (picture[y - 25, x - 25].mean() for picture in [empty] for y, x in quarters)
    assert first < 100 < 200 < second


def test_a_run_without_a_guide_has_no_profiles(tmp_path):
    torch.manual_seed(0)
    model = Colorizer(UNet(depth=3, width=4), PatchGAN(layers=1, width=4), Vanilla(0.0), {"l1": L1()}, images=16)
    fit(tmp_path, model, validate_every=8)
    assert not (tmp_path / "profiles").exists()
    assert not [name for name in validations(tmp_path)[0] if "profile" in name]


@pytest.mark.parametrize("routed", [False, True])
def test_a_resumed_run_goes_on_exactly(tmp_path, routed):
    def train(folder, images, resume=None):
        fit(tmp_path / folder, colorizer(routed, images=images, decay_from=1.0), resume, validate_every=24)
        return tmp_path / folder / "checkpoints" / "last.ckpt"

    whole = content(train("whole", 48))
    resumed = content(train("parts", 48, train("parts", 24)))
    assert resumed["gancolor"]["images"] == 48
    for part in ("state_dict", "optimizer_states"):
        assert_same(whole[part], resumed[part], part)


def test_losses_that_teach_the_predictor_nothing_are_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"^colorizer\.losses: none of them teaches generator\.predictor\..*ProfileCross"
    ):
        fit(tmp_path, colorizer(losses={"l1": L1()}), validate_every=24)
