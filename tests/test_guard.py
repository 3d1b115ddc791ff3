"""Losses and weights that are no numbers stop a run before they are saved."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from runs import BATCH, SAVE, fit
from torch import Tensor

from gancolor.checkpoint import read
from gancolor.colorizer import Colorizer
from gancolor.data import Scenes
from gancolor.errors import Stopped
from gancolor.interfaces import Batch
from gancolor.losses import L1
from gancolor.training.guard import FiniteGuard

STEP = Colorizer.training_step


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("log_every", [1, 4, 5], ids="row every {}".format)
def test_a_bad_loss_is_named_with_its_step_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, log_every: int
) -> None:
    at, files = 14, []
    forward = L1.forward

    def training_step(self: Colorizer, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        self.poisoned = self.images_seen == at
        if self.poisoned:
            files.extend(Scenes(train=16, val=4, size=16).names("train")[i] for i in batch.indices)
        monkeypatch.setattr(L1, "forward", lambda s, p, r: forward(s, p, r) + (value if self.poisoned else 0.0))
        return STEP(self, batch, batch_idx)

    monkeypatch.setattr(Colorizer, "training_step", training_step)
    with pytest.raises(Stopped) as stop:
        fit(tmp_path, log_every=log_every)
    line = str(stop.value)
    assert stop.value.code == 1
    assert line.startswith(
        f"the loss 'l1' is {value} after {at + BATCH} images, in the batch of {', '.join(files)}; lower"
    )
    assert len(files) == BATCH
    assert f"{tmp_path}/checkpoints/last.ckpt has seen 12 images: go on with" in line
    assert_healthy(tmp_path, 12)


def test_weights_that_a_gradient_spoiled_are_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step's losses are finite, and the next ones come after the save."""

    def training_step(self: Colorizer, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        terms = STEP(self, batch, batch_idx)
        if self.images_seen == 2 * SAVE:
            with torch.no_grad():
                next(iter(self.discriminator.parameters())).view(-1)[0] = torch.inf
        return terms

    monkeypatch.setattr(Colorizer, "training_step", training_step)
    with pytest.raises(
        Stopped, match=r"^discriminator\.\S+ is not finite after 12 images, though the losses were; lower"
    ):
        fit(tmp_path)
    assert_healthy(tmp_path, 10)


def test_nothing_is_read_from_the_device_between_two_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading would wait for the GPU; steps without a row and without a save must not read."""
    reads: list[int] = []
    tolist = Tensor.tolist
    seen: list[Any] = []

    def training_step(self: Colorizer, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        seen.append(self)
        return STEP(self, batch, batch_idx)

    def read_back(self: Tensor) -> Any:
        if self.dtype == torch.bool and seen:
            reads.append(seen[-1].images_seen)
        return tolist(self)

    monkeypatch.setattr(Colorizer, "training_step", training_step)
    monkeypatch.setattr(Tensor, "tolist", read_back)
    fit(tmp_path, log_every=7, validate_every=1000, checkpoint_every=1000)
    assert set(reads) == {14, 28, 42}


def assert_healthy(run_dir: Path, images: int) -> None:
    content = read(run_dir / "checkpoints" / "last.ckpt")
    assert content["gancolor"]["images"] == images
    assert all(value.isfinite().all() for value in content["state_dict"].values() if value.is_floating_point())


def report(rank: int, folder: str) -> None:
    """Rank 1 alone had a bad loss; what each raises."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    guard = FiniteGuard([f"{name}.jpg" for name in "abcd"])
    for seen in (8, 16):
        loss = torch.tensor(float("nan") if rank == 1 and seen == 16 else 0.5)
        guard._steps.append((seen, {"discriminator": torch.tensor(0.1), "l1": loss}, torch.tensor([2 * rank, 1])))
    with pytest.raises(Stopped) as stop:
        guard.check(Mock(spec=Colorizer))
    (Path(folder) / str(rank)).write_text(str(stop.value))
    dist.destroy_process_group()


def test_a_bad_loss_of_one_process_stops_all_with_its_report(tmp_path: Path) -> None:
    mp.start_processes(report, (str(tmp_path),), nprocs=2, start_method="fork")
    said = [(tmp_path / str(rank)).read_text() for rank in range(2)]
    assert said[0] == said[1]
    assert said[0].startswith("process 1: the loss 'l1' is nan after 16 images, in the batch of c.jpg, b.jpg; lower")
