import csv
import io
from unittest.mock import Mock

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from tqdm import tqdm

from gancolor.adversarial import Vanilla
from gancolor.checkpoint import load
from gancolor.color import Lab, gray, lab_to_rgb, rgb_to_lab
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.discriminators import PatchGAN
from gancolor.generators import UNet
from gancolor.interfaces import Batch
from gancolor.losses import L1, RarityL1
from gancolor.metrics import AbDistance, ColorfulnessRatio, RareRecall
from gancolor.training import Training
from gancolor.training.callbacks import MARGIN, TILE, Progress, panel

ROWS = ["gray", "ours", "real"]
SHOWN = 4  # pictures in a panel


def scenes():
    return ColorData(Scenes(train=64, val=8, size=32), size=32, batch_size=8, workers=0)


def tiny():
    torch.manual_seed(0)
    losses = {"l1": L1(50.0), "rarity": RarityL1(50.0)}
    return Colorizer(UNet(depth=5, width=4), PatchGAN(layers=1, width=4), Vanilla(), losses, images=60)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """What a training of 60 images, in batches of 8, leaves."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    Training(accelerator="cpu", validate_every=32, log_every=1, sample_images=SHOWN).fit(tiny(), scenes(), folder)
    return folder


@pytest.fixture(scope="module")
def log(run_dir):
    [path] = run_dir.glob("log/version_*/metrics.csv")
    with path.open() as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def rows_of(picture):
    """A panel's rows at their original size."""
    tiles = np.asarray(picture)[:, MARGIN:]
    factor = TILE // 32
    return dict(zip(ROWS, np.split(tiles[::factor, ::factor], len(ROWS)), strict=True))


def in_a_row(rgb):
    return np.concatenate(list(rgb[:SHOWN].movedim(1, 3).numpy()), axis=1)


def validation_pictures():
    return torch.cat([batch.rgb for batch in scenes().val_loader()])


def test_a_picture_is_written_at_every_validation_and_before_the_first_step(run_dir):
    assert sorted(path.name for path in run_dir.glob("samples/*")) == [
        "000000000.png",
        "000000032.png",
        "000000064.png",
    ]


def test_every_panel_shows_the_same_photographs(run_dir):
    frames = [rows_of(Image.open(path)) for path in sorted(run_dir.glob("samples/*.png"))]
    for row in ("gray", "real"):
        assert all(np.array_equal(frame[row], frames[0][row]) for frame in frames)
    assert not np.array_equal(frames[0]["ours"], frames[-1]["ours"])


def test_a_panel_s_rows_are_the_photographs_with_and_without_their_color(run_dir):
    rows = rows_of(Image.open(run_dir / "samples" / "000000064.png"))
    assert np.array_equal(rows["real"], in_a_row(validation_pictures()))
    assert np.ptp(rows["gray"], axis=2).max() <= 1  # equal channels, up to rounding
    assert np.ptp(rows["real"], axis=2).max() > 50


def test_a_reloaded_checkpoint_paints_the_last_panel_again(run_dir):
    trained = load(run_dir / "checkpoints" / "last.ckpt")
    assert (trained.size, trained.images) == (32, 64)
    light = rgb_to_lab(validation_pictures()).light
    ours = lab_to_rgb(Lab(light, trained.generator(light).ab))
    panel_row = rows_of(Image.open(run_dir / "samples" / "000000064.png"))["ours"]
    assert np.abs(panel_row.astype(int) - in_a_row(ours)).max() <= 1


def test_the_log_has_every_number_against_images_seen(log):
    training = [row for row in log if "train/l1" in row]
    assert [row["step"] for row in training] == [8, 16, 24, 32, 40, 48, 56, 64]
    terms = {"train/l1", "train/rarity", "train/adversarial", "train/discriminator"}
    rates = {"learning_rate/generator", "learning_rate/discriminator"}
    throughput = {"throughput/images_per_second", "throughput/data_wait", "throughput/mfu"}  # since the row before
    assert [set(row) - terms - rates - {"step"} for row in training] == [set(), *[throughput] * 7]
    assert all(terms | rates < set(row) for row in training)
    validation = [row for row in log if "val/psnr" in row]
    assert [row["step"] for row in validation] == [32, 64]
    numbers = ("psnr", "ssim", "colorfulness", "cf_ratio", "rare_recall", "ab_distance")
    names = {f"{prefix}/{name}" for prefix in ("val", "val/gray") for name in numbers}
    assert set(validation[0]) == {"step", "val/real/colorfulness", *names}
    first = log[0]  # what the losses saw of the data
    assert set(first) == {"step", *(f"losses.rarity.weights/{key}" for key in ("mean", "least", "most"))}
    assert first["step"] == 0
    assert 1 + len(training) + len(validation) == len(log)


def test_learning_rates_are_flat_then_fall(log):
    rates = [row["learning_rate/generator"] for row in log if "learning_rate/generator" in row]
    expected = [2e-4 * min(1, 2 * (1 - seen / 60)) for seen in range(0, 64, 8)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_the_logged_psnr_is_scikit_image_s(run_dir, log):
    generator = load(run_dir / "checkpoints" / "last.ckpt").generator
    real = validation_pictures()
    light = rgb_to_lab(real).light
    candidates = {"val/psnr": generator(light).ab, "val/gray/psnr": torch.zeros(len(real), 2, 32, 32)}
    for name, ab in candidates.items():
        fake = lab_to_rgb(Lab(light, ab))
        values = [peak_signal_noise_ratio(r.numpy(), f.numpy()) for r, f in zip(real, fake, strict=True)]
        assert log[-1][name] == pytest.approx(np.mean(values), abs=1e-3)


def test_the_best_checkpoint_is_the_one_with_the_best_psnr(run_dir, log):
    best = max((row for row in log if "val/psnr" in row), key=lambda row: row["val/psnr"])
    assert sorted(path.name for path in run_dir.glob("checkpoints/*")) == [
        "best.ckpt", "last.ckpt", "previous.ckpt",
    ]  # fmt: skip
    assert load(run_dir / "checkpoints" / "best.ckpt").images == best["step"]


def bar_after(monkeypatch, batches, images, enabled=True):
    """What the bar has printed after batches of 16 images, and the bar."""
    colorizer = Colorizer(UNet(depth=5, width=4), PatchGAN(layers=1, width=4), Vanilla(), {}, images=images)
    trainer = Mock(spec=pl.Trainer)
    trainer._logger_connector = Mock(should_update_logs=True)
    trainer.callback_metrics = {
        "train/l1": torch.tensor(0.125),
        "val/psnr": torch.tensor(20.0),
        "throughput/images_per_second": torch.tensor(1234.5),
        "throughput/data_wait": torch.tensor(0.034),
        "throughput/gpu_memory_gb": torch.tensor(12.34),
        "throughput/mfu": torch.tensor(0.41),
    }
    terminal = io.StringIO()
    monkeypatch.setattr("gancolor.training.callbacks.tqdm", lambda **given: tqdm(file=terminal, mininterval=0, **given))
    batch = Batch(pictures(16, 1), torch.arange(1))
    progress = Progress()
    if not enabled:
        progress.disable()
    progress.on_train_start(trainer, colorizer)
    for _ in range(batches):
        colorizer.images_seen += 16
        progress.on_train_batch_end(trainer, colorizer, None, batch, 0)
    progress.on_train_end(trainer, colorizer)
    return terminal.getvalue()


def test_the_bar_ends_full_though_the_last_batch_overshoots(monkeypatch):
    printed = bar_after(monkeypatch, batches=7, images=100)
    last = printed.strip().splitlines()[-1].split("\r")[-1]
    assert "100%" in last
    assert "100/100" in last
    assert "l1=0.125, img/s=1.23e+03, data wait=3%, GPU=12.3 GB, MFU=41%" in last
    assert "psnr" not in printed


def test_the_bar_counts_images(monkeypatch):
    assert "48.0/160" in bar_after(monkeypatch, batches=3, images=160)


def test_other_processes_show_no_bar(monkeypatch):
    assert bar_after(monkeypatch, batches=7, images=100, enabled=False) == ""


def pictures(size, count=2):
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)


@pytest.mark.parametrize(("size", "factor"), [(16, 8), (50, 2), (64, 2), (100, 1), (128, 1), (200, 1)])
def test_small_pictures_are_enlarged_by_a_whole_factor(size, factor):
    rows = {"gray": pictures(size), "real": pictures(size)}
    result = panel(rows)
    assert result.shape == (2 * size * factor, MARGIN + 2 * size * factor, 3)
    for i, images in enumerate(rows.values()):
        for j, image in enumerate(images):
            y, x = i * size * factor, MARGIN + j * size * factor
            shown = result[y : y + size * factor, x : x + size * factor]
            blocks = image.movedim(0, 2).repeat_interleave(factor, 0).repeat_interleave(factor, 1)
            assert np.array_equal(shown, blocks.numpy())


def test_each_row_is_labeled_at_its_middle():
    result = panel({"gray": pictures(64), "": pictures(64), "real": pictures(64)})
    ink = result[:, :MARGIN].max(axis=2) < 128
    assert [bool(row.any()) for row in np.split(ink, 3)] == [True, False, True]
    middle = np.nonzero(ink[:TILE].any(axis=1))[0].mean()
    assert middle == pytest.approx(TILE / 2, abs=6)
    assert not ink[:, -2:].any()  # no label reaches into the pictures


def test_the_names_of_the_rows_fit_the_margin():
    for name in ROWS:
        assert panel({name: pictures(16)}).shape[1] == MARGIN + 2 * TILE
        assert not (panel({name: pictures(16)})[:, MARGIN - 4 : MARGIN] < 255).any()


def test_a_long_name_widens_the_margin():
    result = panel({"real": pictures(16), "a long name of a row": pictures(16)})
    margin = result.shape[1] - 2 * TILE
    assert margin > MARGIN
    assert (result[TILE:, MARGIN:margin] < 128).any()
    assert not (result[:, margin - 4 : margin] < 255).any()


def test_colors_are_watched(log):
    last = log[-1]
    assert last["val/cf_ratio"] == pytest.approx(last["val/colorfulness"] / last["val/real/colorfulness"], rel=1e-5)
    real = validation_pictures()
    for name, metric in {
        "cf_ratio": ColorfulnessRatio(),
        "rare_recall": RareRecall(),
        "ab_distance": AbDistance(),
    }.items():
        metric.update(gray(real), real)
        assert last[f"val/gray/{name}"] == pytest.approx(metric.compute().item())
