"""``gancolor measure``: what it writes, refuses and says, through the command line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import numbered, save, scenes
from PIL import Image
from skimage.color import rgb2lab

from gancolor.apps.cli import main
from gancolor.census.count import Census
from gancolor.metrics import colorfulness
from gancolor.palette import CELLS, dominant

RED, BLUE = (200, 30, 30), (30, 30, 200)


def measured(photographs: Path, output: Path, *options: object) -> int:
    """What measuring at 32 pixels exits with."""
    given = [photographs, "--output", output, "--size", 32, "--holdout", 0.0, "--workers", 0, *options]
    try:
        main(["measure", *map(str, given)])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def read(output: Path) -> dict[str, np.ndarray]:
    with np.load(output / "colors.npz", allow_pickle=False) as file:
        return dict(file)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray], but: str = "") -> bool:
    """Whether everything is equal, but for one entry."""
    equal = {key: np.array_equal(one[key], other[key], equal_nan=one[key].dtype.kind == "f") for key in one}
    return one.keys() == other.keys() and all(equal[key] for key in equal if key != but)


@pytest.fixture
def pictures() -> dict[str, torch.Tensor]:
    return numbered(scenes(70, size=32))  # three batches


@pytest.fixture
def photographs(tmp_path: Path, pictures: dict[str, torch.Tensor]) -> Path:
    return save(tmp_path / "photographs", pictures)


@pytest.fixture
def lab(pictures: dict[str, torch.Tensor]) -> np.ndarray:
    """Every pixel, by another library."""
    return rgb2lab(torch.stack([*pictures.values()]).movedim(1, 3).numpy()).reshape(-1, 3)


def test_two_flat_colors(tmp_path: Path) -> None:
    red, blue = (torch.tensor(color, dtype=torch.uint8).view(3, 1, 1).expand(3, 32, 24) for color in (RED, BLUE))
    photographs = save(tmp_path / "photographs", {"a.png": torch.cat([red, blue[:, :, :8]], dim=2)})
    assert measured(photographs, tmp_path / "colors") == 0
    colors = read(tmp_path / "colors")
    cells = [
        tuple((rgb2lab(np.array([[color]], np.uint8))[0, 0, 1:] / 10).round().astype(int) + 11) for color in (RED, BLUE)
    ]
    assert [colors["prior"][cell] for cell in cells] == [0.75, 0.25]
    assert np.count_nonzero(colors["prior"]) == 2
    assert np.array_equal(colors["histograms"], colors["prior"].reshape(1, -1))
    assert np.allclose(np.sort(colors["histogram_a"])[-2:], [0.25, 0.75])
    assert colors["dominant_share"].tolist() == [[0.75, 0.25, 0, 0, 0, 0, 0, 0]]
    assert np.allclose(colors["dominant_lab"][0, 0], rgb2lab(np.array([[RED]], np.uint8))[0, 0], atol=0.05)
    assert np.isnan(colors["dominant_lab"][0, 2:]).all()


def test_what_is_written(photographs: Path, tmp_path: Path, pictures: dict[str, torch.Tensor], lab: np.ndarray) -> None:
    assert measured(photographs, tmp_path / "colors") == 0
    colors = read(tmp_path / "colors")
    assert {key: (value.dtype.kind, value.shape) for key, value in colors.items()} == {
        "root": ("U", ()),
        "images": ("i", ()),
        "pixels": ("i", ()),
        "prior": ("f", (CELLS, CELLS)),
        "smoothed": ("f", (CELLS, CELLS)),
        "histogram_a": ("f", (64,)),
        "histogram_b": ("f", (64,)),
        "names": ("U", (70,)),
        "histograms": ("f", (70, CELLS**2)),
        "dominant_lab": ("f", (70, 8, 3)),
        "dominant_share": ("f", (70, 8)),
    }
    assert (str(colors["root"]), colors["images"], colors["pixels"]) == (str(photographs), 70, 70 * 32 * 32)
    assert colors["names"].tolist() == list(pictures)
    _, a, b = lab.T
    joint = np.histogram2d(a, b, CELLS, [[-115, 115]] * 2)[0] / len(lab)
    assert np.allclose(colors["prior"], joint, atol=2e-4)  # a color on the border of two cells
    edges = np.linspace(-128, 127, 65)
    for name, values in (("histogram_a", a), ("histogram_b", b)):
        assert np.allclose(colors[name], np.histogram(values, edges)[0] / len(lab), atol=2e-4)
    for name in ("prior", "smoothed", "histogram_a", "histogram_b"):
        assert colors[name].sum() == pytest.approx(1)
    assert np.allclose(colors["histograms"].astype(float).mean(0), colors["prior"].ravel(), atol=1e-4)
    assert colors["histograms"].dtype == colors["dominant_lab"].dtype == np.float16


def test_smoothing_is_a_gaussian_of_five_lab_units(photographs: Path, tmp_path: Path) -> None:
    from scipy.ndimage import gaussian_filter

    assert measured(photographs, tmp_path / "colors") == 0
    colors = read(tmp_path / "colors")
    expected = gaussian_filter(colors["prior"], 0.5, mode="constant")
    assert np.allclose(colors["smoothed"], expected / expected.sum(), atol=1e-6)


def test_each_picture_is_described_by_its_own_colors(
    photographs: Path, tmp_path: Path, pictures: dict[str, torch.Tensor]
) -> None:
    assert measured(photographs, tmp_path / "colors", "--describe", 4) == 0
    colors = read(tmp_path / "colors")
    assert colors["names"].tolist() == ["000.png", "023.png", "046.png", "069.png"]
    assert colors["images"] == 70
    for name, lab, share in zip(colors["names"], colors["dominant_lab"], colors["dominant_share"], strict=True):
        expected = dominant(pictures[str(name)])
        count = len(expected.share)
        assert np.allclose(lab[:count], expected.lab, atol=0.1)
        assert np.isnan(lab[count:]).all()
        assert np.allclose(share, [*expected.share, *[0] * (8 - count)], atol=1e-3)


def test_any_number_of_workers_finds_the_same(photographs: Path, tmp_path: Path) -> None:
    for workers in (0, 2):
        assert measured(photographs, tmp_path / str(workers), "--workers", workers) == 0
    assert same(read(tmp_path / "0"), read(tmp_path / "2"))


def test_shards_have_the_colors_of_the_folder_they_were_packed_from(photographs: Path, tmp_path: Path) -> None:
    for file in photographs.glob("*.png"):  # JPEG files of this size are packed as they are
        Image.open(file).save(file.with_suffix(".jpg"), quality=95)
        file.unlink()
    main(["pack", str(photographs), str(tmp_path / "shards"), "--size", "40", "--per_shard", "20", "--holdout", "0.1",
          "--workers", "0"])  # fmt: skip
    assert measured(photographs, tmp_path / "of folder", "--holdout", 0.1) == 0
    assert measured(tmp_path / "shards", tmp_path / "of shards") == 0
    folder, shards = read(tmp_path / "of folder"), read(tmp_path / "of shards")
    assert folder["images"] < 70
    assert str(shards["root"]) == str(tmp_path / "shards")
    assert same(folder, shards, but="root")


@pytest.mark.parametrize("workers", [0, 2])
def test_what_cannot_be_read_is_named_and_left_out(
    photographs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], workers: int
) -> None:
    assert measured(photographs, tmp_path / "without", "--workers", workers) == 0
    (photographs / "035x.png").write_text("no picture")
    assert measured(photographs, tmp_path / "with", "--workers", workers) == 0
    said = capfd.readouterr()
    assert "035x.png is not used: cannot identify image file" in said.err
    assert "unreadable                             1" in said.out
    assert same(read(tmp_path / "without"), read(tmp_path / "with"))


def test_what_it_says(
    photographs: Path,
    tmp_path: Path,
    pictures: dict[str, torch.Tensor],
    lab: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert measured(photographs, tmp_path / "colors") == 0
    said = capsys.readouterr().out
    chroma = np.hypot(*lab.T[1:])
    mean = colorfulness(torch.stack([*pictures.values()])).mean().item()
    for part in ("70", "71,680", f"{chroma.mean():.1f} Lab units", f"{(chroma < 5).mean():.1%}", f"{mean:.1f}"):
        assert f" {part} " in said
    for file in ("colors.npz", "colors.png"):
        assert str(tmp_path / "colors" / file) in said


def test_the_picture_is_one(photographs: Path, tmp_path: Path) -> None:
    assert measured(photographs, tmp_path / "colors") == 0
    image = np.asarray(Image.open(tmp_path / "colors" / "colors.png").convert("RGB"))
    assert min(image.shape[:2]) > 500
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100
    assert measured(photographs, tmp_path / "again") == 0
    assert (tmp_path / "again" / "colors.png").read_bytes() == (tmp_path / "colors" / "colors.png").read_bytes()


def test_results_are_not_overwritten_unasked(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured(photographs, tmp_path / "colors") == 0
    before = read(tmp_path / "colors")
    (photographs / "000.png").unlink()
    assert measured(photographs, tmp_path / "colors") == 2
    assert "colors.npz exists already: choose another --output, or add --overwrite" in capsys.readouterr().err
    assert same(read(tmp_path / "colors"), before)
    assert measured(photographs, tmp_path / "colors", "--overwrite") == 0
    assert read(tmp_path / "colors")["images"] == 69


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere", "DATA: "),
        ("broken", "none of the 1 images can be used; the first is a.jpg: "),
        ("small", "24×24 pixels, too small for size 64"),
    ],
)
def test_nothing_to_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, message: str) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_text("none")
    save(tmp_path / "small", numbered(scenes(1, size=24)))
    assert measured(tmp_path / place, tmp_path / "colors", "--size", 64) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "colors" / "colors.npz").exists()


def test_every_pixel_is_counted_once() -> None:
    census = Census()
    picture = torch.tensor([[255, 0, 0], [255, 0, 0], [0, 0, 1]], dtype=torch.uint8).T.view(1, 3, 1, 3)
    census.add(picture)
    census.add(picture.expand(2, -1, -1, -1))
    assert {int(color): int(census.counts[color]) for color in census.counts.nonzero()[0]} == {0xFF0000: 6, 1: 3}
    found = census.distribution()
    assert found.pixels == 9
    assert found.light[19, 18] == pytest.approx(53.24, abs=0.01)  # red: L 53.24, a 80.1, b 67.2
    assert np.isnan(found.light[0, 0])
    red = np.hypot(80.09, 67.20)
    almost_black = np.hypot(*rgb2lab(np.array([[[0, 0, 1]]], np.uint8))[0, 0, 1:])
    assert found.chroma == pytest.approx((2 * red + almost_black) / 3, abs=0.02)
    assert found.nearly_gray == pytest.approx(1 / 3)
