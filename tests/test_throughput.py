"""The meter against a clock that the test winds, and FLOPs against those of a real step."""

import csv
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from gancolor.adversarial import Vanilla
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.data.loader import TrainLoader
from gancolor.discriminators import PatchGAN
from gancolor.generators import BinHead, UNet
from gancolor.interfaces import Batch
from gancolor.losses import L1, BinCrossEntropy, RarityL1
from gancolor.training import Training
from gancolor.training.throughput import Waiting, peak_tflops, step_flops

BATCH, SIZE = 4, 32


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands still but for what a test does with it."""
    result = Clock()
    monkeypatch.setattr("gancolor.training.throughput.time", result)
    return result


def colorizer(steps: int = 9, **arguments: Any) -> Colorizer:
    torch.manual_seed(0)
    losses = {"l1": L1(), "rarity": RarityL1()}
    networks = UNet(depth=5, width=4, dropout=0.5), PatchGAN(layers=1, width=4)
    return Colorizer(*networks, Vanilla(), losses, images=steps * BATCH, **arguments)


def data(workers: int = 0) -> ColorData:
    return ColorData(Scenes(train=20, val=4, size=36), size=SIZE, load_size=36, batch_size=BATCH, workers=workers)


def rows(run_dir: Path) -> list[dict[str, float]]:
    with next(run_dir.glob("log/version_0/metrics.csv")).open() as file:
        found = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    return [row for row in found if "train/l1" in row]


def test_rate_and_waiting_leave_validation_out(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, fetch, validate = Colorizer.training_step, TrainLoader.__iter__, Colorizer.validation_step

    def long_step(self: Colorizer, *given: Any) -> object:
        clock.now += 100 if self.images_seen == 0 else 3
        return step(self, *given)

    def long_fetch(self: TrainLoader) -> Iterator[Batch]:
        for batch in fetch(self):
            clock.now += 1
            yield batch

    def long_validation(self: Colorizer, *given: Any) -> torch.Tensor:
        clock.now += 1000
        return validate(self, *given)

    monkeypatch.setattr(Colorizer, "training_step", long_step)
    monkeypatch.setattr(TrainLoader, "__iter__", long_fetch)
    monkeypatch.setattr(Colorizer, "validation_step", long_validation)
    model = colorizer(steps=9)
    training = Training(accelerator="cpu", validate_every=3 * BATCH, log_every=2, peak_tflops=1e-6)
    training.fit(model, data(), tmp_path)
    found = rows(tmp_path)
    assert [row["step"] / BATCH for row in found] == [2, 4, 6, 8, 9]  # validated after 3, 6 and 9
    for row in found:
        assert row["throughput/images_per_second"] == pytest.approx(BATCH / 4)
        assert row["throughput/data_wait"] == pytest.approx(1 / 4)
        assert row["throughput/mfu"] == pytest.approx(step_flops(model, BATCH) / 4 / 1e6)
        assert "throughput/gpu_memory_gb" not in row


def test_only_fetching_is_waiting(clock: Clock) -> None:
    waiting = Waiting()
    for action in ("run_training_batch", "[_TrainingEpochLoop].train_dataloader_next", "[_EvaluationLoop].val_next"):
        with waiting.profile(action):
            clock.now += 2
    assert waiting.seconds == 2
    assert waiting.began == 1002


def classifier(weight: float) -> Colorizer:
    networks = UNet(depth=5, width=4, head=BinHead(reduction=2)), PatchGAN(layers=1, width=4)
    return Colorizer(*networks, Vanilla(weight), {"bins": BinCrossEntropy()}, images=BATCH)


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
@pytest.mark.parametrize(
    "model",
    [colorizer(steps=1), classifier(0.1), classifier(0.0)],
    ids=["regression", "classification", "without a game"],
)
def test_flops_are_those_of_a_real_step(model: Colorizer) -> None:
    model.measure(lambda: data().sample(8))
    quiet = dict.fromkeys(["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False)
    trainer = pl.Trainer(accelerator="cpu", max_epochs=-1, max_steps=2, **quiet)
    with FlopCounterMode(display=False) as counter:
        trainer.fit(model, data().train_loader())
    assert step_flops(model, BATCH) == counter.get_total_flops() > 0


def test_flops_of_pix2pix_by_hand() -> None:
    """2 · 4 · 4 · channels in · channels out · pixels on the coarse side, for a kernel of 4 with stride 2."""
    with torch.device("meta"):
        model = Colorizer(UNet(), PatchGAN(), Vanilla(), {"l1": L1()})
    model.size = 256
    widths = [1, 64, 128, 256, 512, 512, 512, 512, 512]
    down = [32 * a * b * (128 >> i) ** 2 for i, (a, b) in enumerate(pairwise(widths))]
    sums = [(128, 2), (256, 64), (512, 128), (1024, 256), (1024, 512), (1024, 512), (1024, 512), (512, 512)]
    up = [32 * a * b * (128 >> i) ** 2 for i, (a, b) in enumerate(sums)]
    judge = [
        32 * a * b * s**2 for a, b, s in [(3, 64, 128), (64, 128, 64), (128, 256, 32), (256, 512, 31), (512, 1, 30)]
    ]
    # A pass, the gradients of the weights, and those of the inputs, which nobody asks of a network's first layer.
    generator, discriminator = 3 * sum(down + up) - down[0], 2 * (3 * sum(judge) - judge[0])
    assert step_flops(model, 3) == 3 * (generator + discriminator + 2 * sum(judge))


def test_counting_disturbs_nothing() -> None:
    model = colorizer()
    model.size = SIZE
    model.eval()
    state, weights = torch.get_rng_state(), {name: value.clone() for name, value in model.state_dict().items()}
    step_flops(model, BATCH)
    peak_tflops(torch.device("cpu"), torch.bfloat16)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items() if "table" not in name)
    assert not any(m.training for m in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_peak_is_the_best_of_some_products(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 9, 10, 12, 20, 29, 30, 39, 40, 49])
    monkeypatch.setattr("gancolor.training.throughput.time.perf_counter", lambda: next(ticks))
    assert peak_tflops(torch.device("cpu"), torch.float32) == pytest.approx(2 * 1024**3 / 2 / 1e12)


class Syncs(TorchDispatchMode):
    """Notes, by step, what on a GPU would wait for it: values that become numbers, or sizes that depend on values."""

    aten = torch.ops.aten
    WAITS = (aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten._unique2, aten.bincount)

    def __init__(self) -> None:
        super().__init__()
        self.step, self.found = 0, []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masked = func.overloadpacket is self.aten.index and any(
            i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]
        )
        if self.step and (masked or func.overloadpacket in self.WAITS):
            self.found.append((self.step, str(func)))
        return func(*args, **(kwargs or {}))


def counting_steps(monkeypatch: pytest.MonkeyPatch, begin: Any) -> None:
    """Call ``begin`` with a step's number, from 1, before each."""
    step = Colorizer.training_step

    def counted(self: Colorizer, batch: Batch, batch_idx: int) -> object:
        begin(self.images_seen // BATCH + 1)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Colorizer, "training_step", counted)


@pytest.mark.parametrize(
    "options",
    [{}, {"ema_decay": 0.9}, {"clip_norm": 1.0}, {"accumulate": 2}, {"precision": "bf16-mixed"}],
    ids=["plain", "average", "clipped", "in chunks", "bf16"],
)
def test_no_step_waits_for_the_device(options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does what Lightning and the callbacks do until the next step begins, but for a row of the log."""
    precision = options.pop("precision", "32-true")
    syncs, numbers, log = Syncs(), [], Colorizer.log
    counting_steps(monkeypatch, lambda step: setattr(syncs, "step", step))

    def spy(self: Colorizer, name: str, value: object, *args: Any, **kwargs: Any) -> None:
        numbers.extend([] if isinstance(value, torch.Tensor) else [(syncs.step, name)])
        log(self, name, value, *args, **kwargs)

    monkeypatch.setattr(Colorizer, "log", spy)  # Lightning sends a number to the device, and waits
    training = Training(accelerator="cpu", validate_every=10**6, log_every=4, precision=precision)
    with syncs:
        training.fit(colorizer(steps=10, **options), data(workers=1), tmp_path)
    in_rows = {4, 8, 10}
    assert {step for step, _ in syncs.found if step not in in_rows} == set(), syncs.found
    assert {step for step, _ in numbers if step not in in_rows} == set(), numbers
    assert {step for step, _ in syncs.found} == in_rows  # the net catches something


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_no_step_waits_for_the_gpu(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA itself raises where a step would; the first two allocate, and choose algorithms."""
    in_rows = {1, 2, 4, 8, 10}
    counting_steps(monkeypatch, lambda step: torch.cuda.set_sync_debug_mode("default" if step in in_rows else "error"))
    model = colorizer(steps=10, ema_decay=0.9, clip_norm=1.0)
    try:
        training = Training(accelerator="cuda", validate_every=10**6, log_every=4, precision=precision)
        training.fit(model, data(workers=1), tmp_path)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert model.images_seen == 10 * BATCH
    assert all(0 < row["throughput/gpu_memory_gb"] < 10 and 0 < row["throughput/mfu"] < 1 for row in rows(tmp_path))
