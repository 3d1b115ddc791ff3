import importlib
import inspect
import pickle
import pkgutil
from pathlib import Path

import numpy as np
import profiled
import pytest
import torch

import gancolor
from gancolor.adversarial import Vanilla
from gancolor.bins import AbBins
from gancolor.checkpoint import KEY, build, describe, load, read, refuse_another_run, start_from
from gancolor.color import rgb_to_lab
from gancolor.discriminators import PatchGAN
from gancolor.errors import InputError
from gancolor.generators import BinHead, Experts, Profiled, ProfilePredictor, RegressionHead, UNet
from gancolor.guides import ProfileGuide
from gancolor.interfaces import (
    ColorLoss,
    Discriminator,
    Files,
    Generator,
    Guide,
    Head,
    Objective,
    Penalty,
    Source,
    Weighting,
)
from gancolor.losses import RarityL1
from gancolor.palette import Profiles
from gancolor.weightings import InverseRoot

INTERFACES = (Source, Files, Generator, Guide, Head, Discriminator, Objective, Penalty, ColorLoss, Weighting)
PROFILES = Profiles(["warm", "cool"], [[0.5] * 529, [0.25] * 529])
ARGUMENTS = {
    "Experts": {"expert": UNet(depth=3, width=4), "experts": 2},
    "Profiled": {
        "generator": UNet(in_channels=3, depth=3, width=4),
        "predictor": ProfilePredictor(2, width=4, layers=2),
        "routing": "soft",
    },
    "ProfileGuide": {"profiles": PROFILES},
    "UNet": {"in_channels": 2, "depth": 4, "width": 8, "norm": "group", "dropout": 0.25},
    "BinHead": {"bins": None, "temperature": 0.5, "reduction": 2},
    "InverseRoot": {"combine": "product", "normalize": "sum1"},
    "PatchGAN": {"layers": 2, "width": 8, "norm": "instance"},
    "Folder": {"root": "photographs", "val_root": "others"},
    "ImageFolder": {"root": "photographs"},
    "Shards": {"root": "shards"},
    "TinyImageNet": {"root": "tiny-imagenet-200"},
    "RarityL1": {"weight": 2.0, "weighting": None, "index": "predicted"},
    "SmoothedPrior": {"uniform": 0.25, "sigma": 2.5, "mean1": "smoothed"},
    "ListFile": {"train": "train.txt", "val": "val.txt", "root": "photographs"},
}
VARY = {bool: lambda value: not value, int: lambda value: value + 1, float: lambda value: value / 2}


def parts():
    """Every part that gancolor has, with the interface it implements."""
    for module in pkgutil.walk_packages(gancolor.__path__, "gancolor."):
        importlib.import_module(module.name)
    for interface in INTERFACES:
        found = {
            cls
            for cls in interface.__subclasses__()
            if cls.__module__.startswith("gancolor.") and not inspect.isabstract(cls)
        }
        for cls in sorted(found, key=lambda c: c.__name__):
            yield pytest.param(interface, cls, id=cls.__name__)


def other_than_default(cls):
    """Arguments of a part: a constructor that keeps its defaults, not its arguments, would be caught."""
    signature = inspect.signature(cls).parameters.values()
    defaults = {p.name: p.default for p in signature if p.default is not p.empty}
    varied = {name: VARY.get(type(value), lambda same: same)(value) for name, value in defaults.items()}
    return varied | ARGUMENTS.get(cls.__name__, {})


@pytest.mark.parametrize(("interface", "cls"), [*parts()])
def test_every_part_can_be_rebuilt_from_its_description(interface, cls, tmp_path):
    arguments = other_than_default(cls)
    description = describe(cls(**arguments))
    assert description["init_args"] == {
        name: describe(value) if type(value).__module__.startswith("gancolor.") else value
        for name, value in arguments.items()
    }
    torch.save(description, tmp_path / "description.pt")
    description = torch.load(tmp_path / "description.pt", weights_only=True)
    part = build(interface, description)
    assert type(part) is cls
    assert describe(part) == description


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gancolor.generators.unet.VNet", "no such class is installed"),
        ("gancolor.nowhere.UNet", "no such class is installed"),
        ("UNet", "no such class is installed"),
        ("gancolor.discriminators.PatchGAN", "PatchGAN is not a Generator"),
        ("os.path.join", "os.path.join is not a Generator"),
    ],
)
def test_what_is_no_generator_is_refused(path, message):
    with pytest.raises(ValueError, match=message):
        build(Generator, {"class_path": path, "init_args": {}})


TWO = AbBins([[0.0, 0.0], [30.0, -40.5]])


@pytest.mark.parametrize(
    ("interface", "part"),
    [
        (Generator, lambda: UNet(depth=3, width=4, head=RegressionHead())),
        (Generator, lambda: UNet(depth=3, width=4, head=BinHead(TWO, temperature=0.5, reduction=1))),
        (ColorLoss, lambda: RarityL1(weighting=InverseRoot("product", "sum1"))),
        (Generator, lambda: Profiled(Experts(generator(head=BinHead(TWO)), 2), ProfilePredictor(2, 4, 2), "soft")),
        (Guide, lambda: ProfileGuide(PROFILES)),
    ],
)
def test_parts_of_parts_are_described_too(interface, part, tmp_path):
    path = save(describe(part()), tmp_path / "description.pt")
    again = build(interface, torch.load(path, weights_only=True))
    assert describe(again) == describe(part())
    assert str(again) == str(part())


def test_a_generator_with_bins_returns_without_their_file(tmp_path):
    np.save(tmp_path / "pts.npy", np.array(TWO.centers))
    network = generator(head=BinHead(AbBins.read(str(tmp_path / "pts.npy")), temperature=0.5, reduction=2))
    (tmp_path / "pts.npy").unlink()
    trained = load(save(content(network), tmp_path / "last.ckpt"))
    x = torch.rand(1, 1, 16, 16)
    assert torch.equal(trained.generator(x).ab, network.eval()(x).ab)
    assert trained.generator.head.bins == TWO


def test_the_guide_returns_with_the_names_of_its_profiles(tmp_path):
    trained = load(profiled.checkpoint(tmp_path / "last.ckpt"))
    assert trained.profiles == ("warm", "cool")
    assert trained.guide.profiles == profiled.guide().profiles
    real = rgb_to_lab(torch.stack([profiled.plain("cool"), profiled.plain("warm")]))
    assert torch.equal(trained.guide(real), profiled.guide()(real))
    assert trained.guide(real)[:, 1].mean((1, 2)).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("guide", [{}, {"guide": None}], ids=["from before there were guides", "without one"])
def test_checkpoints_without_a_guide_know_no_profiles(guide, tmp_path):
    about = content(generator())
    about[KEY] |= guide
    trained = load(save(about, tmp_path / "last.ckpt"))
    assert (trained.guide, trained.profiles) == (None, ())


def test_what_is_no_guide_is_refused(tmp_path):
    about = content(generator())
    about[KEY]["guide"] = describe(discriminator())
    with pytest.raises(ValueError, match=r"PatchGAN is not a Guide"):
        load(save(about, tmp_path / "last.ckpt"))


def test_checkpoints_from_before_there_were_heads_are_read_and_resumed(tmp_path):
    network, old = generator(), content(generator())
    del old[KEY]["generator"]["init_args"]["head"]
    assert load(save(old, tmp_path / "last.ckpt")).generator.head is None
    refuse_another_run(old[KEY], content(network)[KEY])


def test_a_part_of_the_wrong_kind_is_refused():
    description = describe(generator(head=BinHead()))
    description["init_args"]["head"] = describe(discriminator())
    with pytest.raises(ValueError, match=r"PatchGAN is not a .*Head"):
        build(Generator, description)


def generator(**options):
    return UNet(depth=3, width=4, **options)


def discriminator(**options):
    return PatchGAN(layers=1, width=4, **options)


def content(network, judge=None):
    """A checkpoint, as far as those who only want to use it look."""
    weights = {f"generator.{key}": value for key, value in network.state_dict().items()}
    other = {f"discriminator.{key}": value for key, value in discriminator().state_dict().items()}
    about = {"generator": describe(network), "discriminator": describe(judge or discriminator())}
    about |= {"losses": ["l1"], "ema_decay": 0.0, "size": 64, "images": 1000}
    return {KEY: about, "state_dict": weights | other}


def save(obj, path):
    torch.save(obj, path)
    return path


def test_generator_returns_from_a_checkpoint(tmp_path):
    network = generator(norm="group")
    trained = load(save(content(network), tmp_path / "last.ckpt"))
    assert (trained.size, trained.images) == (64, 1000)
    assert not trained.generator.training
    assert not any(p.requires_grad for p in trained.generator.parameters())
    x = torch.rand(1, 1, 16, 16)
    assert torch.equal(trained.generator(x).ab, network.eval()(x).ab)


def test_average_returns_if_the_run_kept_one(tmp_path):
    network, average = generator(), generator()
    kept = content(network)
    kept["state_dict"] |= {f"average.{key}": value for key, value in average.state_dict().items()}
    kept[KEY]["ema_decay"] = 0.5
    trained = load(save(kept, tmp_path / "last.ckpt"))
    x = torch.rand(1, 1, 16, 16)
    assert torch.equal(trained.generator(x).ab, average.eval()(x).ab)
    assert not torch.equal(trained.generator(x).ab, network.eval()(x).ab)


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
def test_weights_that_do_not_fit_are_refused(change, tmp_path):
    wrong = content(generator())
    first = next(iter(wrong["state_dict"]))
    changes = {
        "missing": lambda d: d.pop(first),
        "unexpected": lambda d: d.update({"generator.other": torch.zeros(1)}),
        "shape": lambda d: d.update({first: torch.zeros(1)}),
    }
    changes[change](wrong["state_dict"])
    with pytest.raises(ValueError, match=r"last\.ckpt: the weights do not fit gancolor\.generators\.unet\.UNet"):
        load(save(wrong, tmp_path / "last.ckpt"))


def test_networks_that_differ_are_refused_key_by_key():
    about = content(generator())[KEY]
    refuse_another_run(about, content(generator())[KEY])
    with pytest.raises(ValueError, match="other networks") as error:
        refuse_another_run(about, content(generator(norm="group", in_channels=3), PatchGAN(layers=2, width=4))[KEY])
    message = str(error.value)
    assert "generator.norm is batch in the checkpoint, group here" in message
    assert "generator.in_channels is 1 in the checkpoint, 3 here" in message
    assert "discriminator.layers is 1 in the checkpoint, 2 here" in message
    for same in ("depth", "width", "dropout", "class_path"):
        assert same not in message


@pytest.mark.parametrize(
    ("there", "here", "difference"),
    [
        (BinHead(), None, "generator.head is gancolor.generators.heads.BinHead in the checkpoint, None here"),
        (BinHead(), RegressionHead(), "generator.head.class_path is gancolor.generators.heads.BinHead in the "),
        (BinHead(), BinHead(temperature=0.5), "generator.head.temperature is 0.38 in the checkpoint, 0.5 here"),
        (BinHead(TWO), BinHead(AbBins([[0.0, 0.0], [9.0, 9.0]])), "head.bins.centers is ((0.0, 0.0), (30.0, -40.5)) i"),
        (BinHead(AbBins.srgb()), BinHead(TWO), "generator.head.bins.centers differs"),
    ],
)
def test_heads_that_differ_are_refused_in_few_words(there, here, difference):
    about = content(generator(head=there))[KEY]
    refuse_another_run(about, content(generator(head=there))[KEY])
    with pytest.raises(ValueError, match="other networks: ") as error:
        refuse_another_run(about, content(generator(head=here))[KEY])
    assert difference in str(error.value)
    assert len(str(error.value)) < 300


def test_another_guide_is_refused_and_none_is_as_before_there_were_any():
    about = content(generator())[KEY]
    warm = describe(ProfileGuide(PROFILES))
    refuse_another_run(about, about | {"guide": None})
    refuse_another_run(about | {"guide": warm}, about | {"guide": warm})
    for there, here, said in (
        (warm, None, "guide is gancolor.guides.ProfileGuide in the checkpoint, None here"),
        (None, warm, "guide is None in the checkpoint, gancolor.guides.ProfileGuide here"),
        (warm, describe(ProfileGuide(Profiles(["a", "b"], PROFILES.centers))), r"guide\.profiles\.names is .*'warm'"),
    ):
        with pytest.raises(ValueError, match=said):
            refuse_another_run(about | {"guide": there}, about | {"guide": here})


def test_a_run_starts_from_another_s_weights(tmp_path):
    there, judge = generator(norm="group"), discriminator()
    kept = content(there)
    kept["state_dict"] |= {f"discriminator.{key}": value for key, value in judge.state_dict().items()}
    networks = {"generator": generator(norm="group", dropout=0.0), "discriminator": discriminator()}
    start_from(save(kept, tmp_path / "last.ckpt"), networks)
    for network, other in zip(networks.values(), (there, judge), strict=True):
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in network.state_dict().items())


def test_a_run_starts_from_the_average_that_another_kept(tmp_path):
    there, average, here = (generator() for _ in range(3))
    kept = content(there)
    kept["state_dict"] |= {f"average.{key}": value for key, value in average.state_dict().items()}
    kept[KEY]["ema_decay"] = 0.5
    start_from(save(kept, tmp_path / "last.ckpt"), {"generator": here, "discriminator": discriminator()})
    assert all(torch.equal(value, average.state_dict()[name]) for name, value in here.state_dict().items())


@pytest.mark.parametrize(
    ("here", "judge", "message"),
    [
        (lambda: UNet(depth=4, width=4), discriminator, r"generator\.depth is 3"),
        (
            lambda: generator(head=BinHead()),
            discriminator,
            r"generator\.head is None in the checkpoint, gan",
        ),
        (
            lambda: Profiled(UNet(3, 4, 4), ProfilePredictor(2, 4, 2)),
            discriminator,
            r"generator does not fit .*up\.",
        ),
        (generator, lambda: PatchGAN(layers=2, width=4), r"discriminator\.layers is 1 in the .* 2 here$"),
    ],
)
def test_a_run_does_not_start_from_other_networks(here, judge, message, tmp_path):
    path = save(content(generator()), tmp_path / "last.ckpt")
    with pytest.raises(InputError, match=message) as error:
        start_from(path, {"generator": here(), "discriminator": judge()})
    assert str(error.value).startswith(f"--start_from {path}: its ")
    assert "\n" not in str(error.value)


def test_networks_of_another_class_are_refused():
    about = content(generator())[KEY]
    about["generator"]["class_path"] = "elsewhere.Net"
    with pytest.raises(ValueError, match=r"generator\.class_path is elsewhere\.Net in the checkpoint, gancolor"):
        refuse_another_run(about, content(generator())[KEY])


@pytest.mark.parametrize(
    ("change", "message"),
    [({"losses": ["l1", "rarity"]}, r"losses \['l1'\], not \['l1', 'rarity'\]"), ({"ema_decay": 0.9}, "ema_decay 0.0")],
)
def test_another_run_with_the_same_networks_is_refused(change, message):
    about = content(generator())[KEY]
    with pytest.raises(ValueError, match=message):
        refuse_another_run(about, about | change)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"last\.ckpt: there is no such checkpoint"):
        read(tmp_path / "last.ckpt")


@pytest.mark.parametrize("text", ["", "seed: 0\n", "import torch\n", "# Title\n", "}.", "(."])
def test_text_is_no_checkpoint(text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml: not a checkpoint"):
        read(path)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_off_checkpoint(share, tmp_path):
    path = save(content(generator()), tmp_path / "last.ckpt")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"last\.ckpt: .* cut off"):
        read(path)


@pytest.mark.parametrize(
    "other", [generator().state_dict(), {"state_dict": {}}, [1, 2]], ids=["plain", "other", "list"]
)
def test_others_files_are_not_ours(other, tmp_path):
    with pytest.raises(ValueError, match=r"other\.pt: not a checkpoint written by gancolor"):
        read(save(other, tmp_path / "other.pt"))


class Malicious:
    """Leaves a mark on the disk when a pickle of it is trusted."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    mark = tmp_path / "mark"
    path = save({**content(generator()), "payload": Malicious(mark)}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"last\.ckpt: cannot be read as a checkpoint"):
        read(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Malicious(mark)))
    assert mark.exists()  # it would have run


def test_objective_is_described_in_full():
    expected = {"class_path": "gancolor.adversarial.Vanilla", "init_args": {"weight": 2.0}}
    assert describe(Vanilla(weight=2.0)) == expected


@pytest.mark.parametrize("bit", range(8))
def test_no_damage_is_read_as_other_weights(tmp_path, bit):
    """torch.load alone returns other weights for most flipped bits; the archive's checksums know."""
    path = tmp_path / "last.ckpt"
    written = {KEY: {"images": 5}, "state_dict": {f"w{i}": torch.randn(8, 8) for i in range(4)}}
    torch.save(written, path)
    whole, refused = path.read_bytes(), 0
    every = 1 if bit == 4 else 20  # what makes an entry a folder, anywhere; the others, here and there
    for place in range(0, len(whole), every):
        content = bytearray(whole)
        content[place] ^= 1 << bit
        path.write_bytes(content)
        try:
            found = read(path)
        except InputError:
            refused += 1
        else:  # padding, or a time stamp
            assert found[KEY] == written[KEY]
            assert all(torch.equal(found["state_dict"][name], w) for name, w in written["state_dict"].items()), place
    assert refused > len(whole) / every / 2


def test_no_cut_is_read(tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save({KEY: {"images": 5}, "state_dict": {"w": torch.randn(8, 8)}}, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read(path)
