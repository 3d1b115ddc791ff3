"""``gancolor profiles``: clusters, their number and names, and the pictures that show them."""

import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pictures import save
from PIL import Image
from sklearn.metrics import adjusted_rand_score
from test_profiles import paint, shares
from torch import Tensor

from gancolor.apps.cli import main
from gancolor.census.colors import read
from gancolor.color import rgb_to_lab
from gancolor.errors import InputError
from gancolor.palette import Profiles, descriptors, histograms, nearest
from gancolor.profiling import clustering, naming, sheets
from gancolor.profiling.clustering import Quality
from gancolor.profiling.find import Asked, profiles

KINDS = {
    "gray": (128.0, 126.0, 124.0),
    "warm": (190.0, 110.0, 40.0),
    "green": (60.0, 140.0, 50.0),
    "cool": (60.0, 110.0, 190.0),
}
NAMES = {"gray": "muted", "warm": "warm", "green": "green", "cool": "cool"}


def pictures(each: Mapping[str, int]) -> dict[str, Tensor]:
    """Noisy pictures of some kinds, one kind after the other; names begin with it."""
    return {f"{kind}/{i:02}.png": paint(KINDS[kind], i) for kind, count in each.items() for i in range(count)}


def measure(folder: Path, root: Path | str, painted: Mapping[str, Tensor]) -> Path:
    """What gancolor measure writes of pictures, with their mean color as the only dominant one."""
    lab = rgb_to_lab(torch.stack([*painted.values()]))
    values = torch.cat([(lab.light + 1) * 50, lab.ab * 110], 1).mean((2, 3))
    dominant, share = np.full((len(painted), 8, 3), np.nan, np.float16), np.full((len(painted), 8), np.nan, np.float16)
    dominant[:, 0], share[:, 0] = values, 1
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "colors.npz",
        root=str(root),
        names=np.array([*painted]),
        histograms=histograms(lab.ab).numpy().astype(np.float16),
        dominant_lab=dominant,
        dominant_share=share,
    )
    return folder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    painted = pictures({"cool": 9, "gray": 30, "warm": 14, "green": 11})
    return save(tmp_path_factory.mktemp("photographs"), painted), painted


@pytest.fixture
def colors(photographs: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> Path:
    return measure(tmp_path / "colors", *photographs)


def refused(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["profiles", *map(str, argv)])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("gancolor: ")
    assert error.count("\n") == 1
    return error


def test_four_kinds_are_found_named_and_written_with_their_pictures(colors: Path, capsys: pytest.CaptureFixture[str]):
    main(["profiles", str(colors)])
    found = Profiles.read(str(colors / "profiles.json"))
    assert found.names == ("muted", "warm", "green", "cool")  # of most images first
    said = capsys.readouterr().out
    for line in ("4 profiles of 64 images", "muted", "46.9%", "100.0% of the images are in", "profiles.png"):
        assert line in said
    written = {file.name for file in colors.iterdir()} - {"colors.npz", "profiles.json"}
    assert written == {"quality.png", "profiles.png"} | {f"profile-{name}.png" for name in found.names}
    for name in written:
        with Image.open(colors / name) as picture:
            assert picture.format == "PNG"


def test_a_center_is_the_mean_of_its_members_descriptors_and_training_assigns_by_it(colors: Path):
    data = read(colors / "colors.npz")
    found = profiles(data, Asked(colors, colors))
    kinds = [NAMES[str(name).split("/")[0]] for name in data.names]
    assert [found.profiles.names[member] for member in found.members] == kinds
    points = descriptors(torch.from_numpy(data.histograms))
    for place, name in enumerate(found.profiles.names):
        own = torch.tensor([kind == name for kind in kinds])
        assert torch.allclose(found.profiles.table()[place], points[own].mean(0), atol=1e-6)
        distances = (points[own] - found.profiles.table()[place]).norm(dim=1)
        assert np.allclose(found.distances[own.numpy()], distances, atol=1e-5)
    assert nearest(torch.from_numpy(data.histograms), found.profiles.table()).tolist() == found.members.tolist()
    assert found.agreement == 1.0
    assert sum(found.images(place) for place in range(4)) == 64


def test_by_dominant_clusters_those_and_reports_how_far_training_agrees(colors: Path, monkeypatch: pytest.MonkeyPatch):
    """A stub that puts five muted pictures among the warm ones: the descriptors know better, and it shows."""
    kinds = [str(name).split("/")[0] for name in read(colors / "colors.npz").names]

    def features(lab: Tensor, share: Tensor) -> Tensor:
        assert lab.shape == (64, 8, 3)
        assert torch.equal(share.sum(1), torch.ones(64))  # no NaN
        place = [[*KINDS].index(kind) for kind in kinds]
        first = kinds.index("gray")
        place[first : first + 5] = [[*KINDS].index("warm")] * 5
        return torch.eye(4)[place]

    monkeypatch.setitem(sys.modules, "gancolor.palette.dominant", SimpleNamespace(dominant_features=features))
    found = profiles(read(colors / "colors.npz"), Asked(colors, colors, by="dominant", count=4))
    assert found.agreement == pytest.approx(59 / 64)
    assert [found.profiles.names[member] for member in found.members] == [NAMES[kind] for kind in kinds]


def test_by_dominant_finds_the_kinds_too(colors: Path):
    found = profiles(read(colors / "colors.npz"), Asked(colors, colors, by="dominant"))
    assert found.profiles.names == ("muted", "warm", "green", "cool")
    assert found.agreement == 1.0


def test_what_measure_writes_is_what_is_read(photographs: tuple[Path, dict[str, Tensor]], tmp_path: Path):
    main(
        ["measure", str(photographs[0]), "--output", str(tmp_path), "--size", "16", "--holdout", "0", "--workers", "0"]
    )
    main(["profiles", str(tmp_path)])
    assert Profiles.read(str(tmp_path / "profiles.json")).names == ("muted", "warm", "green", "cool")
    assert (tmp_path / "profile-warm.png").exists()


def test_the_same_seed_finds_the_same_to_the_byte(colors: Path, tmp_path: Path):
    for folder in ("a", "b"):
        main(["profiles", str(colors), "--output", str(tmp_path / folder), "--count", "3"])
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    assert len(Profiles.read(str(tmp_path / "a" / "profiles.json"))) == 3
    assert not (colors / "profiles.json").exists()


def test_names_are_ones_own_and_say_how_many(colors: Path):
    main(["profiles", str(colors), "--names", "fog, dusk,wood"])
    assert Profiles.read(str(colors / "profiles.json")).names == ("fog", "dusk", "wood")
    assert (colors / "profile-dusk.png").exists()


def test_results_are_kept_unless_overwritten_and_then_no_old_sheet_stays(
    colors: Path, capsys: pytest.CaptureFixture[str]
):
    main(["profiles", str(colors), "--names", "fog,dusk"])
    before = (colors / "profiles.json").read_bytes()
    assert "profiles.json exists already" in refused(capsys, colors)
    assert (colors / "profiles.json").read_bytes() == before
    main(["profiles", str(colors), "--names", "day,night", "--overwrite"])
    assert sorted(file.name for file in colors.glob("profile-*")) == ["profile-day.png", "profile-night.png"]


@pytest.mark.parametrize("name", ["profile-warm.png", "quality.png", "profiles.png"])
def test_a_file_of_somebody_else_is_neither_replaced_nor_removed(
    name: str, colors: Path, capsys: pytest.CaptureFixture[str]
):
    others = colors / name, colors / "profile-photo.png"
    for other in others:
        other.write_bytes(b"mine")
    assert f"{name} exists already" in refused(capsys, colors)
    assert not (colors / "profiles.json").exists()
    assert [other.read_bytes() for other in others] == [b"mine", b"mine"]
    main(["profiles", str(colors), "--overwrite"])
    assert others[1].read_bytes() == b"mine"


def test_without_the_photographs_there_are_profiles_and_one_line(
    colors: Path, photographs: tuple[Path, dict[str, Tensor]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    main(["profiles", str(colors)])
    measure(colors, tmp_path / "gone", photographs[1])
    capsys.readouterr()
    main(["profiles", str(colors), "--overwrite"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "No sheets: " in line and "gone" in line]
    assert {file.name for file in colors.iterdir()} == {"colors.npz", "profiles.json", "quality.png"}


def test_photographs_in_shards_are_read_there(
    photographs: tuple[Path, dict[str, Tensor]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    painted = pictures({"gray": 3, "warm": 3})
    save(tmp_path / "few", painted)
    main(["pack", str(tmp_path / "few"), str(tmp_path / "shards"), "--size", "16", "--workers", "0"])
    colors = measure(tmp_path / "colors", tmp_path / "shards", painted)
    main(["profiles", str(colors), "--count", "2"])
    assert (colors / "profile-warm.png").exists()
    index = tmp_path / "shards" / "train.json"
    for content in (None, "no index"):
        index.unlink(missing_ok=True)
        if content:
            index.write_text(content)
        main(["profiles", str(colors), "--count", "2", "--overwrite"])
        assert "No sheets: " in capsys.readouterr().out
        assert not (colors / "profile-warm.png").exists()


def test_a_sheet_shows_its_own_members(photographs: tuple[Path, dict[str, Tensor]], colors: Path):
    """Green pictures on the sheet of green: far more green than blue in every row below the head."""
    data = read(colors / "colors.npz")
    found = profiles(data, Asked(colors, colors))
    drawn = sheets.draw(data, found.profiles.names, found.members, found.distances, 0)
    red, green, blue = (
        np.asarray(Image.open(io.BytesIO(drawn[f"profile-{name}.png"])))[200:].astype(int).mean((0, 1))
        for name in ("warm", "green", "cool")
    )
    assert red.argmax() == 0
    assert green.argmax() == 1
    assert blue.argmax() == 2


def test_swatches_are_the_dominant_colors_by_share():
    lab = np.full((3, 2, 3), np.nan, np.float32)
    lab[:, 0], lab[1, 1] = (50, 0, 0), (87.74, -86.18, 83.18)  # middle gray; sRGB's green
    share = np.array([[1, 0], [0.25, 0.75], [1, 0]], np.float32)
    (gray, most), (green, rest) = sheets.swatches(lab, share)
    assert np.allclose(gray, (119, 119, 119), atol=1)
    assert np.allclose(green, (0, 255, 0), atol=2)
    assert (most, rest) == (pytest.approx(0.75), pytest.approx(0.25))


NPZ = {
    "something": {"names": np.array(["a"])},
    "other histograms": {"histograms": np.ones((64, 9), np.float16)},
    "no shares": {"histograms": np.ones((64, 529), np.float16)},
    "NaN": {"histograms": np.full((64, 529), np.nan, np.float16)},
    "fewer names": {"names": np.array(["a", "b"])},
}


@pytest.mark.parametrize("content", [b"", b"no zip", *NPZ], ids=str)
def test_what_measure_did_not_write_is_refused(content: bytes | str, colors: Path, capsys: pytest.CaptureFixture[str]):
    file = colors / "colors.npz"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        whole = {} if content == "something" else dict(np.load(file))
        np.savez(file, **whole | NPZ[content])
    assert f"{file}: gancolor measure did not write this" in refused(capsys, colors)
    assert [file.name for file in colors.iterdir()] == ["colors.npz"]


def test_a_single_array_is_refused(colors: Path, capsys: pytest.CaptureFixture[str]):
    with (colors / "colors.npz").open("wb") as file:
        np.save(file, np.ones(3))
    assert "gancolor measure did not write this" in refused(capsys, colors)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--names a,b --count 3", "these are 2 names, and --count is 3"),
        ("--names a,a", "each profile must have a name of its own"),
        ("--names a,all", "'all' cannot be a name"),
        ("--names own,a", "'own' cannot be a name"),
        ("--names mixed,a", "'mixed' cannot be a name"),
        ("--names a,1", "'1' cannot be a name"),
        ("--names a,b/c", "'b/c' cannot be a name"),
        ("--names a,", "'' cannot be a name"),
        ("--names -a,b", "names"),
        ("--count 1", "--count is 1: it must be at least 2"),
        ("--seed -1", "--seed is -1"),
        ("--count 65", "--count is 65, but only 64 of 64 images have different colors"),
        ("--count 26", "there are words for 24 profiles, not for 26: name them by --names"),
        ("--by hue", "'histogram', 'dominant'"),
        ("--cuont 3", "did you mean 'count'"),
    ],
)
def test_impossible_options_are_refused(options: str, said: str, colors: Path, capsys: pytest.CaptureFixture[str]):
    assert said in refused(capsys, colors, *options.split())
    assert not (colors / "profiles.json").exists()


def test_what_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert f"{tmp_path / 'colors.npz'}: there is no such file" in refused(capsys, tmp_path)


def test_too_few_images_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    painted = pictures({"warm": 1}) | {"warm/copy.png": paint(KINDS["warm"], 0)}
    colors = measure(tmp_path, tmp_path, painted)
    assert "2 images, of which 1 have different colors: too few" in refused(capsys, colors)


def named(*colors: tuple[float, float]) -> list[str]:
    return naming.names(shares(*colors).double().numpy())


@pytest.mark.parametrize(
    ("colors", "expected"),
    [
        (((0, 0), (20, 30)), ["muted", "warm"]),
        (((20, 30), (0, 0)), ["warm", "muted"]),
        (((0, 0), (0, 30), (0, -30)), ["muted", "warm", "cool"]),  # yellow is warm where nothing else is
        (((10, 30), (0, 0), (-20, 30), (0, -20)), ["warm", "muted", "green", "cool"]),
        (((40, 20), (0, 0), (10, 40), (0, -30)), ["red", "muted", "warm", "cool"]),
        (((-50, 50), (30, -80)), ["green", "cool"]),  # both are colorful
        (((0, 0), (20, 40), (10, 10), (0, -30)), ["muted", "warm", "pale-warm", "cool"]),
        (((0, 0), (30, 50), (10, 20), (0, -30), (-20, 30)), ["muted", "vivid-warm", "warm", "cool", "green"]),
    ],
)
def test_names_follow_the_mean_colors(colors: tuple[tuple[float, float], ...], expected: list[str]):
    assert named(*colors) == expected


def test_many_hues_are_not_muted_though_their_mean_is_gray():
    some = shares((60, 0), (-60, 0), (0, 60), (0, -60), (10, 0)).double().numpy()
    assert naming.names(np.stack([some[:4].mean(0), some[4]]))[1] == "muted"


def test_names_are_all_different_and_do_not_hang_on_the_order():
    corners = shares((60, 30), (-60, 50), (0, -60), (50, -40), (0, 0)).double().numpy()
    some = np.random.default_rng(0).dirichlet([0.5] * 5, 20) @ corners
    names = naming.names(some)
    assert len(set(names)) == 20
    assert naming.names(some[::-1].copy()) == names[::-1]
    assert len(set(naming.names(some[[0, 0, 0]]))) == 3


def blobs(*counts: int) -> tuple[np.ndarray, np.ndarray]:
    """Points about the corners of a simplex, and the corner of each."""
    labels = np.repeat(np.arange(len(counts)), counts)
    noise = 0.02 * np.random.default_rng(0).standard_normal((len(labels), 5))
    return (np.eye(5)[labels] + noise).astype(np.float32), labels


def test_blobs_are_counted_and_found():
    points, labels = blobs(40, 30, 50)
    curve = clustering.quality(points, 0)
    assert list(curve.counts) == list(range(2, 11))
    assert curve.best() == 3
    assert np.argmax(curve.silhouettes) == 1
    assert list(curve.inertias) == sorted(curve.inertias, reverse=True)
    assert curve.inertias[1] == pytest.approx(5 * 0.02**2, rel=0.2)  # the noise of three blobs, at three centers
    assert adjusted_rand_score(clustering.cluster(points, 3, 0), labels) == 1


@pytest.mark.parametrize(
    ("silhouettes", "best"),
    [((0.30, 0.29, 0.20), 3), ((0.30, 0.20, 0.275), 4), ((0.3, 0.2, 0.1), 2), ((-0.1, -0.2, -0.3), 2)],
)
def test_the_most_profiles_that_are_nearly_as_good(silhouettes: tuple[float, ...], best: int):
    assert Quality((2, 3, 4), silhouettes, (3.0, 2.0, 1.0)).best() == best


def test_few_images_have_a_short_curve_and_copies_do_not_count():
    points, _ = blobs(2, 2)
    curve = clustering.quality(np.concatenate([points] * 5), 0)
    assert list(curve.counts) == [2, 3]
    with pytest.raises(InputError, match="only 4 of 20 images"):
        clustering.cluster(np.concatenate([points] * 5), 5, 0)


def test_the_help_waits_for_nothing():
    code = (
        "import sys; from gancolor.apps.cli import main\n"
        "try: main(['profiles', '--help'])\n"
        "finally: print('LOADED', {'torch', 'sklearn', 'numpy', 'matplotlib'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert "--names" in done.stdout
    assert done.stdout.endswith("LOADED set()\n")


def test_profiles_json_is_plain(colors: Path):
    main(["profiles", str(colors), "--count", "2"])
    content = json.loads((colors / "profiles.json").read_text())
    assert sorted(content) == ["centers", "names"]
