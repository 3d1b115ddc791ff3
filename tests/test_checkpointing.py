"""Runs told to leave, or that die, at any step: what they leave, and that the rest is that of an undisturbed run."""

import errno
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from pytorch_lightning.utilities import rank_zero_only
from runs import BATCH, IMAGES, SAVE, VALIDATE, assert_same_run, fit, rows
from torch import Tensor

from gancolor import atomic
from gancolor.checkpoint import read
from gancolor.colorizer import Colorizer
from gancolor.errors import Stopped
from gancolor.interfaces import Batch
from gancolor.training.callbacks import Evaluate
from gancolor.training.checkpointing import newest

BEFORE = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("whole")
    fit(run_dir)
    return run_dir


STEP, VALIDATION = Colorizer.training_step, Evaluate.on_validation_batch_end


def strike(monkeypatch: pytest.MonkeyPatch, at: int, blow: Any, during: str = "step") -> None:
    """Have something happen in the step, or the validation, after so many images."""

    def training_step(self: Colorizer, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        if during == "step" and self.images_seen == at:
            blow()
        return STEP(self, batch, batch_idx)

    def on_validation_batch_end(self: Evaluate, trainer: Any, pl_module: Any, *others: Any) -> None:
        if during == "validation" and pl_module.images_seen == at:
            blow()
        VALIDATION(self, trainer, pl_module, *others)

    monkeypatch.setattr(Colorizer, "training_step", training_step)
    monkeypatch.setattr(Evaluate, "on_validation_batch_end", on_validation_batch_end)


def kill(number: int) -> Any:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("at", range(0, IMAGES, BATCH))
def test_a_signal_at_any_step_costs_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    with monkeypatch.context() as patched:
        strike(patched, at, kill(signal.SIGTERM))
        if at == IMAGES - BATCH:  # the last step: it is too late to leave
            fit(tmp_path)
        else:
            with pytest.raises(
                Stopped, match=rf"stopped by SIGTERM; .*last\.ckpt has seen {at + BATCH} images: go on"
            ) as stop:
                fit(tmp_path)
            assert stop.value.code == 75
            fit(tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize("at", range(VALIDATE, IMAGES - BATCH, VALIDATE))
def test_a_validation_that_is_left_is_done_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    with monkeypatch.context() as patched:
        strike(patched, at, kill(signal.SIGUSR1), "validation")
        with pytest.raises(Stopped, match=rf"stopped by SIGUSR1; .*has seen {at} images"):
            fit(tmp_path)
    assert (tmp_path / "samples" / f"{at:09d}.png").exists() is False
    fit(tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


def test_the_last_validation_is_not_put_off(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strike(monkeypatch, IMAGES, kill(signal.SIGTERM), "validation")
    fit(tmp_path)
    assert_same_run(tmp_path, whole)


class Crash(Exception):
    pass


def crash() -> None:
    raise Crash


@pytest.mark.parametrize("at", range(SAVE, IMAGES, BATCH))
def test_a_crash_costs_less_than_the_time_between_two_checkpoints(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    with monkeypatch.context() as patched:
        strike(patched, at, crash)
        with pytest.raises(Crash):
            fit(tmp_path)
    last = newest(tmp_path / "checkpoints")
    assert last is not None
    assert at - SAVE < read(last)["gancolor"]["images"] <= at
    fit(tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


def test_a_second_signal_changes_nothing(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = atomic.write

    def while_saving(*args: Any, **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        write(*args, **options)

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        patched.setattr(atomic, "write", while_saving)

    with monkeypatch.context() as patched:
        strike(patched, 12, twice)
        with pytest.raises(Stopped, match=r"stopped by SIGINT; .*has seen 14 images") as stop:
            fit(tmp_path)
    assert stop.value.code == 130
    fit(tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


def test_a_signal_before_the_first_step_ends_the_run_there(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Colorizer, "measure", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Stopped, match=r"^stopped by SIGTERM; nothing was saved yet: begin again$") as stop:
            fit(tmp_path)
    assert stop.value.code == 75
    fit(tmp_path)
    assert_same_run(tmp_path, whole)


def test_afterwards_signals_mean_what_they_meant(whole: Path) -> None:
    assert [signal.getsignal(number) for number in BEFORE] == [*BEFORE.values()]


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
DEVICES = {  # what is written there finds no room, says the kernel
    "checkpoint": "checkpoints/.last.ckpt.part",
    "log": "log/version_0/metrics.csv",
    "samples": "samples/000000030.png",
}


@pytest.mark.parametrize("where", ["fsync", *DEVICES])
def test_a_full_disk_costs_the_run_and_not_the_checkpoint(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fill() -> None:
        if where == "fsync":
            patched.setattr(atomic, "os", Mock(wraps=os, fsync=Mock(side_effect=FULL)))
        else:
            full = tmp_path / DEVICES[where]
            full.unlink(missing_ok=True)
            full.symlink_to("/dev/full")

    with monkeypatch.context() as patched:
        strike(patched, 26, fill)
        with pytest.raises(Stopped, match=r"cannot be written \(No space left on device\): make room there; ") as stop:
            fit(tmp_path)
    line = str(stop.value)
    assert stop.value.code == 1
    assert line.startswith(str(tmp_path))
    assert re.search(rf"{tmp_path}/checkpoints/last.ckpt has seen (24|26) images: go on with --resume auto", line)
    assert "\n" not in line
    assert not [*tmp_path.rglob("*.part")]
    for name in DEVICES.values():
        if (tmp_path / name).is_symlink():
            (tmp_path / name).unlink()
    fit(tmp_path, resume=True)
    if where != "log":  # whose rows of before the disk was full are lost with the file that we took away
        assert_same_run(tmp_path, whole)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_what_is_not_a_full_disk_is_called_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(atomic, "write", Mock(side_effect=OSError(number, os.strerror(number))))
    line = rf"last\.ckpt cannot be written \({os.strerror(number)}\); nothing was saved yet: begin again$"
    with pytest.raises(Stopped, match=line):
        fit(tmp_path)


def test_only_the_first_process_says_which_checkpoint_it_goes_on_with(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    previous = Path(shutil.copy(whole / "checkpoints" / "previous.ckpt", tmp_path))
    assert newest(tmp_path) == previous
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    assert newest(tmp_path) == previous
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/last.ckpt is missing or damaged: going on with {previous}, the one before"
    ]


def test_a_damaged_checkpoint_does_not_push_the_good_one_out(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two renames of the first save after a fall-back, a run would have nothing left."""
    folder = tmp_path / "checkpoints"
    with monkeypatch.context() as patched:
        strike(patched, 20, kill(signal.SIGTERM))
        with pytest.raises(Stopped):
            fit(tmp_path)
    (folder / "last.ckpt").write_bytes((folder / "last.ckpt").read_bytes()[:-50])
    good = (folder / "previous.ckpt").read_bytes()
    with monkeypatch.context() as patched:
        strike(patched, 22, kill(signal.SIGTERM))
        with pytest.raises(Stopped, match="has seen 24 images"):
            fit(tmp_path, resume=True)
    assert (folder / "previous.ckpt").read_bytes() == good
    fit(tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


def test_the_log_is_on_the_disk_before_the_checkpoint(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After SIGKILL the resumed run writes no row of before its checkpoint again."""
    on_disk: list[dict[tuple[int, str], str]] = []
    strike(monkeypatch, 26, lambda: on_disk.append(rows(tmp_path)))
    fit(tmp_path)
    expected = {key: value for key, value in rows(whole).items() if key[0] <= 22}
    assert expected.items() <= on_disk[0].items()
