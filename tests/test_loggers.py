import io
import json
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch
import wandb
from PIL import Image
from pytorch_lightning.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gancolor.adversarial import Vanilla
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.discriminators import PatchGAN
from gancolor.generators import UNet
from gancolor.loggers import CSV, TensorBoard, WandB, log_picture
from gancolor.losses import L1
from gancolor.training import Training


def keep_apart(monkeypatch, folder):
    """W&B without the account, the settings and the caches of whoever runs the tests."""
    wandb.teardown()
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_PROJECT", "WANDB_ENTITY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "HOME"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("NETRC", str(folder / "netrc"))


@pytest.fixture
def no_account(monkeypatch, tmp_path):
    keep_apart(monkeypatch, tmp_path)
    yield
    wandb.finish()
    wandb.teardown()


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """What a training leaves that logs to both."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    folder.mkdir()
    torch.manual_seed(0)
    colorizer = Colorizer(UNet(depth=5, width=4), PatchGAN(layers=1, width=4), Vanilla(), {"l1": L1(50.0)}, images=32)
    data = ColorData(Scenes(train=16, val=4, size=32), size=32, batch_size=8, workers=0)
    training = Training(
        accelerator="cpu", validate_every=16, log_every=1, sample_images=2, logs=[WandB(offline=True), TensorBoard()]
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        keep_apart(monkeypatch, folder.parent)
        training.fit(colorizer, data, folder)
        wandb.finish()
        wandb.teardown()
    return folder


@pytest.fixture(scope="module")
def history(run_dir):
    """The rows that W&B's own reader finds in the run's file."""
    [folder] = run_dir.glob("wandb/offline-run-*")
    read = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", folder],
        capture_output=True, text=True, check=True, env={"HOME": str(run_dir.parent)},
    )  # fmt: skip
    records = [json.loads(line) for line in read.stdout.splitlines()]
    return [record["history"]["item"] for record in records if record["type"] == "history"]


def csv_rows(run_dir):
    [path] = run_dir.glob("log/version_0/metrics.csv")
    table = np.genfromtxt(path, delimiter=",", names=True, deletechars="")
    return {
        name: {row["step"]: row[name] for row in table if not np.isnan(row[name])} for name in table.dtype.names or ()
    }


def samples(run_dir):
    return {int(path.stem): np.asarray(Image.open(path)) for path in run_dir.glob("samples/*.png")}


@pytest.mark.parametrize("name", ["train/l1", "train/discriminator", "val/psnr", "val/gray/psnr"])
def test_scalars_arrive_in_wandb_against_images_seen(run_dir, history, name):
    found = {row["trainer/global_step"]: row[name] for row in history if name in row}
    assert found == pytest.approx(csv_rows(run_dir)[name])
    assert set(found) == ({8, 16, 24, 32} if name.startswith("train") else {16, 32})


def test_pictures_arrive_in_wandb_pixel_for_pixel(run_dir, history):
    [folder] = run_dir.glob("wandb/offline-run-*/files")
    expected = samples(run_dir)
    shown = {r["trainer/global_step"]: r["samples.filenames"] for r in history if "samples.filenames" in r}
    assert set(shown) == set(expected) == {0, 16, 32}
    for seen, [file] in shown.items():
        picture = np.asarray(Image.open(folder / file).convert("RGB"))
        assert np.array_equal(picture, expected[seen])
        assert picture.mean() > 20  # of 255; a float picture would have come out black


def test_scalars_and_pictures_arrive_in_tensorboard(run_dir):
    events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"images": 0, "scalars": 0}).Reload()
    expected = csv_rows(run_dir)
    for name in ("train/l1", "learning_rate/generator", "val/psnr", "val/real/colorfulness"):
        assert {event.step: event.value for event in events.Scalars(name)} == pytest.approx(expected[name])
    pictures = samples(run_dir)
    assert [event.step for event in events.Images("samples")] == sorted(pictures)
    for event in events.Images("samples"):
        assert (event.height, event.width) == pictures[event.step].shape[:2]
        with Image.open(io.BytesIO(event.encoded_image_string)) as picture:
            assert np.array_equal(np.asarray(picture.convert("RGB")), pictures[event.step])


def test_a_resumed_run_gets_a_csv_version_of_its_own(tmp_path):
    for version in range(2):
        logger = CSV().open(tmp_path)
        logger.log_metrics({"train/l1": 1.0}, step=1)
        logger.save()
        assert (tmp_path / "log" / f"version_{version}" / "metrics.csv").is_file()


def test_a_resumed_run_is_the_same_run_in_wandb(no_account, tmp_path):
    identities = []
    for run_dir in (tmp_path / "run", tmp_path / "run", tmp_path / "other"):
        logger = WandB(offline=True).open(run_dir)
        identities.append(logger.experiment.id)
        wandb.finish()
    assert identities[0] == identities[1] != identities[2]


def test_a_logger_without_pictures_is_left_alone(tmp_path):
    log_picture(CSVLogger(tmp_path), "samples", np.zeros((4, 4, 3), np.uint8), 1)
    assert not list(tmp_path.rglob("*.png"))


def test_without_a_key_the_run_goes_on_offline_and_says_so(no_account, tmp_path, monkeypatch):
    monkeypatch.setattr("wandb.errors.term.can_use_terminput", lambda: True)  # as if somebody sat there
    monkeypatch.setattr("wandb.errors.term.terminput", lambda *_, **__: pytest.fail("W&B asks at the terminal"))
    with pytest.warns(UserWarning, match=r"no API key; `wandb login`.*offline.*wandb sync .*/wandb/\*"):
        logger = WandB().open(tmp_path)
    assert logger.experiment.settings.mode == "offline"


def test_a_server_that_does_not_answer_is_not_waited_for(no_account, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.warns(UserWarning, match=r"W&B cannot be used \(.*127\.0\.0\.1:9.*\); logging offline"):
        logger = WandB(timeout=1.0).open(tmp_path)
    assert time.monotonic() - start < 15  # seconds; W&B by itself waits 90
    log_picture(logger, "samples", np.full((4, 4, 3), 200, np.uint8), 1)
    wandb.finish()
    [png] = tmp_path.glob("wandb/offline-run-*/files/media/images/*.png")
    assert np.asarray(Image.open(png).convert("RGB")).min() == 200


def test_offline_needs_no_key_and_asks_for_nothing(no_account, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger = WandB(offline=True, project="attempts").open(tmp_path / "tiny")
    assert logger.experiment.settings.mode == "offline"
    assert logger.experiment.project == "attempts"
    assert logger.experiment.name == "tiny"
