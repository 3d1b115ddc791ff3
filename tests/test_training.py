"""A run as a user makes it: what it leaves behind, and that nothing is lost when it is cut off."""

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from gancolor.adversarial import Vanilla
from gancolor.checkpoint import load
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.discriminators import PatchGAN
from gancolor.errors import InputError
from gancolor.generators import UNet
from gancolor.interfaces import Batch
from gancolor.losses import L1, RarityL1
from gancolor.training import Training
from gancolor.training.callbacks import MARGIN, TILE

BATCH, EPOCH, IMAGES = 8, 64, 136  # the run ends one batch into its third epoch


def colorizer(width: int = 4, ema_decay: float = 0.0, images: int = IMAGES) -> Colorizer:
    torch.manual_seed(0)
    return Colorizer(
        UNet(depth=6, width=width, dropout=0.5),
        PatchGAN(layers=2, width=4),
        Vanilla(),
        {"l1": L1(50.0), "rarity": RarityL1(50.0)},
        images=images,
        ema_decay=ema_decay,
    )


def fit(run_dir: Path, validate_every: int, resume: Path | None = None, model: Colorizer | None = None) -> Colorizer:
    model = model or colorizer()
    data = ColorData(Scenes(train=EPOCH, val=4, size=64), size=64, load_size=68, batch_size=BATCH, workers=0)
    Training(accelerator="cpu", validate_every=validate_every, log_every=1).fit(model, data, run_dir, resume)
    return model


def losses(run_dir: Path) -> dict[int, dict[str, str]]:
    """Images seen → that step's losses, over all versions of a run's log."""
    rows: dict[int, dict[str, str]] = {}
    for path in sorted(run_dir.glob("log/version_*/metrics.csv")):
        with path.open() as file:
            for row in csv.DictReader(file):
                if row["train/l1"]:
                    rows[int(row["step"])] = {k: v for k, v in row.items() if k.startswith("train/")}
    return rows


class Crash(Exception):
    pass


@pytest.mark.parametrize("validate_every", [EPOCH, 3 * BATCH], ids=["epoch boundary", "mid-epoch"])
@pytest.mark.parametrize(("crash_at", "ema_decay"), [(88, 0.0), (104, 0.9), (128, 0.9)])
def test_resumed_run_equals_the_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validate_every: int, crash_at: int, ema_decay: float
) -> None:
    whole = fit(tmp_path / "whole", validate_every, model=colorizer(ema_decay=ema_decay))

    step = Colorizer.training_step

    def crash(self: Colorizer, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        if self.images_seen == crash_at:
            raise Crash
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(Colorizer, "training_step", crash)
        with pytest.raises(Crash):
            fit(tmp_path / "cut", validate_every, model=colorizer(ema_decay=ema_decay))
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    before = torch.load(last, weights_only=True)["gancolor"]["images"]
    assert 0 < before <= crash_at

    resumed = fit(tmp_path / "cut", validate_every, resume=last, model=colorizer(ema_decay=ema_decay))
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert set(losses(tmp_path / "whole")) == set(range(BATCH, IMAGES + 1, BATCH))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_what_the_losses_saw_of_the_data_is_the_log_s_first_row(tmp_path: Path) -> None:
    fit(tmp_path, validate_every=EPOCH)
    with (tmp_path / "log" / "version_0" / "metrics.csv").open() as file:
        first = next(csv.DictReader(file))
    assert {name for name, value in first.items() if value} == {
        "step",
        *(f"losses.rarity.weights/{key}" for key in ("mean", "least", "most")),
    }
    assert float(first["losses.rarity.weights/mean"]) == pytest.approx(1)
    fit(tmp_path, validate_every=EPOCH, resume=tmp_path / "checkpoints" / "last.ckpt", model=colorizer(images=200))
    assert "losses." not in (tmp_path / "log" / "version_1" / "metrics.csv").read_text()


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    fit(tmp_path, validate_every=EPOCH)
    with pytest.raises(ValueError, match=r"other networks: generator\.width is 4 in the checkpoint, 6 here"):
        fit(tmp_path, EPOCH, resume=tmp_path / "checkpoints" / "last.ckpt", model=colorizer(width=6))


def test_run_that_is_over_is_not_trained_backwards(tmp_path: Path) -> None:
    """Past the end the linear decay would be negative: ascent, saved over the result."""
    fit(tmp_path, validate_every=EPOCH)
    last = tmp_path / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    with pytest.raises(InputError, match=r"has seen its 136 images: raise colorizer\.images"):
        fit(tmp_path, EPOCH, resume=last)
    assert last.read_bytes() == before


@pytest.mark.parametrize("content", [b"some text", b"PK\x03\x04 and no more"], ids=["text", "cut off"])
def test_resuming_from_what_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path}: .*checkpoint"):
        fit(tmp_path / "run", EPOCH, resume=path)
    assert not (tmp_path / "run").exists()


def test_other_losses_are_refused(tmp_path: Path) -> None:
    fit(tmp_path, validate_every=EPOCH)
    model = colorizer()
    del model.losses["rarity"]
    with pytest.raises(InputError, match=r"trained with the losses \['l1', 'rarity'\], not \['l1'\]"):
        fit(tmp_path, EPOCH, resume=tmp_path / "checkpoints" / "last.ckpt", model=model)


@pytest.mark.parametrize(("before", "now"), [(0.0, 0.9), (0.9, 0.0)])
def test_average_cannot_begin_or_end_within_a_run(tmp_path: Path, before: float, now: float) -> None:
    fit(tmp_path, EPOCH, model=colorizer(ema_decay=before))
    with pytest.raises(InputError, match=f"colorizer.ema_decay {before}, here it is {now}: .*add --colorizer") as error:
        fit(tmp_path, EPOCH, resume=tmp_path / "checkpoints" / "last.ckpt", model=colorizer(ema_decay=now))
    assert "\n" not in str(error.value)


def test_what_is_used_is_the_average(tmp_path: Path) -> None:
    model = fit(tmp_path, EPOCH, model=colorizer(ema_decay=0.9))
    assert model.average is not None
    used = load(tmp_path / "checkpoints" / "last.ckpt").generator.state_dict()
    for name, value in model.average.state_dict().items():
        assert torch.equal(used[name], value), name
    assert any(not torch.equal(used[name], value) for name, value in model.generator.named_parameters())


def test_panel_has_all_its_images_whatever_the_batch_size(tmp_path: Path) -> None:
    data = ColorData(Scenes(train=4, val=6, size=64), size=64, load_size=68, batch_size=1, workers=0)
    model = Colorizer(UNet(depth=6, width=4, norm="group"), PatchGAN(width=4), Vanilla(), {"l1": L1()}, images=2)
    Training(accelerator="cpu", validate_every=2, log_every=1, sample_images=5).fit(model, data, tmp_path)
    with Image.open(tmp_path / "samples" / "000000002.png") as picture:
        assert picture.size == (MARGIN + 5 * TILE, 3 * TILE)


def test_checkpoint_holds_both_optimizers_and_no_feature_network(tmp_path: Path) -> None:
    fit(tmp_path, validate_every=EPOCH)
    content = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert [len(o["state"]) for o in content["optimizer_states"]] == [
        len(list(network.parameters())) for network in (colorizer().generator, colorizer().discriminator)
    ]
    assert {key.split(".")[0] for key in content["state_dict"]} == {"generator", "discriminator", "losses"}
    assert content["gancolor"]["images"] == IMAGES


def test_report_says_where_everything_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path, validate_every=EPOCH)
    said = capsys.readouterr().out
    assert "gray" in said
    assert f"gancolor colorize PHOTO.jpg --checkpoint {tmp_path}/checkpoints/last.ckpt" in said
