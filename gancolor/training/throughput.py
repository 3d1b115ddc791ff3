"""How fast a training goes, and what holds it up."""

import copy
import time
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.profilers import Profiler
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gancolor.color import Lab
from gancolor.colorizer import Colorizer
from gancolor.interfaces import Batch

GB = 1e9
Network = TypeVar("Network", bound=nn.Module)
_DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class Waiting(Profiler):
    """Adds up how long the training waits for its next batch; Lightning tells its profiler when it begins and ends.

    Attributes:
        seconds: so far.
        began: when it last began to wait, on the clock of ``time.perf_counter``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds, self.began = 0.0, 0.0

    def start(self, action_name: str) -> None:
        """Begin to wait, if that is the action."""
        if action_name == "[_TrainingEpochLoop].train_dataloader_next":
            self.began = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """Have waited."""
        if action_name == "[_TrainingEpochLoop].train_dataloader_next":
            self.seconds += time.perf_counter() - self.began


class Throughput(pl.Callback):
    """Logs, with each row of the log but the first, how the training went since the row before.

    - ``throughput/images_per_second``: over all processes; validations, and what is saved with them, do not count.
    - ``throughput/data_wait``: share of the time in which a process waited for its next batch; of several processes,
      the one that waited longest. A GPU works on while its process waits, so there it is an upper bound of the
      share in which the GPU had nothing to do.
    - ``throughput/gpu_memory_gb``: the most that tensors took on a GPU, of several the fullest; 1 GB is 10⁹ bytes.
    - ``throughput/mfu``: model FLOP utilization, the share of the device's peak that the networks' convolutions and
      matrix products make up (Chowdhery et al. 2022, appendix B). The work of losses and of a penalty is not counted.

    Between rows it touches neither the device nor another process.

    Args:
        waiting: the trainer's profiler.
        precision: the trainer's.
        peak_tflops: what the device could do in that precision, in 10¹² FLOP a second; by default a large matrix
            product is timed on it, since data sheets promise what no program gets.
    """

    def __init__(self, waiting: Waiting, precision: str = "32-true", peak_tflops: float | None = None) -> None:
        self.waiting, self.precision, self.peak_tflops = waiting, precision, peak_tflops
        self._flops_per_image = 0.0
        self._began: float | None = None  # the window since the last row; the first step, slow as it is, is in none
        self._paused: float | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Leave a validation's time out, up to where the next batch was asked for."""
        if self._began is not None and self._paused is not None:
            self._began += self.waiting.began - self._paused
        self._paused = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Measure and log, where there is a row; it waits for the device anyway."""
        assert isinstance(pl_module, Colorizer)
        if self._began is None:
            self._open(pl_module)
        elif trainer._logger_connector.should_update_logs:
            values = self._measure(pl_module, images=len(batch.rgb), processes=trainer.world_size)
            names = {f"throughput/{name}": value for name, value in values.items()}
            pl_module.log_dict(names, sync_dist=True, reduce_fx="max")
            self._open(pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock, once the device has done what it was given to learn from."""
        _finish(pl_module.device)
        self._paused = time.perf_counter()

    def _open(self, colorizer: Colorizer) -> None:
        """Begin a window."""
        _finish(colorizer.device)
        self._began, self._waited, self._seen = time.perf_counter(), self.waiting.seconds, colorizer.images_seen

    def _measure(self, colorizer: Colorizer, images: int, processes: int) -> dict[str, float]:
        """The window's numbers; ``images`` are those of a step and a process."""
        assert self._began is not None
        _finish(colorizer.device)
        seconds = time.perf_counter() - self._began
        rate = (colorizer.images_seen - self._seen) / seconds
        values = {"images_per_second": rate, "data_wait": (self.waiting.seconds - self._waited) / seconds}
        if colorizer.device.type == "cuda":
            values["gpu_memory_gb"] = torch.cuda.max_memory_allocated(colorizer.device) / GB
        if self.peak_tflops is None:
            self.peak_tflops = peak_tflops(colorizer.device, _DTYPES[self.precision])
        self._flops_per_image = self._flops_per_image or step_flops(colorizer, images) / images
        return values | {"mfu": rate / processes * self._flops_per_image / (self.peak_tflops * 1e12)}


def step_flops(colorizer: Colorizer, images: int) -> int:
    """FLOPs of the networks in one training step; those of losses and of a penalty are not counted.

    On tensors that have a shape but no values: nothing is computed, no noise is drawn.

    Args:
        colorizer: what is trained; its ``size`` is that of the pictures.
        images: how many pictures.
    """
    generator, judge = _on_meta(colorizer.generator).train(), _on_meta(colorizer.discriminator).requires_grad_(True)
    light, ab = (torch.empty(images, channels, *2 * [colorizer.size], device="meta") for channels in (1, 2))
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        fake = Lab(light, generator(light).ab)
        loss = fake.ab.sum()
        if colorizer.adversarial.weight:  # without, nobody plays
            for pictures in Lab(light, ab), fake.detach():
                _sum(judge(pictures.stack())).backward()
            judge.requires_grad_(False)
            loss = loss + _sum(judge(fake.stack()))
        loss.backward()
    return counter.get_total_flops()


def _sum(logits: list[Tensor]) -> Tensor:
    return torch.stack([scale.sum() for scale in logits]).sum()


def _on_meta(network: Network) -> Network:
    """A copy without values."""
    weights: dict[int, Tensor] = {id(p): nn.Parameter(p.to("meta"), p.requires_grad) for p in network.parameters()}
    return copy.deepcopy(network, weights | {id(b): b.to("meta") for b in network.buffers()})


def peak_tflops(device: torch.device, dtype: torch.dtype) -> float:
    """The rate of a large matrix product, in 10¹² FLOP a second: the best of five."""
    side = 8192 if device.type == "cuda" else 1024
    a = torch.linspace(-1, 1, side * side, device=device).view(side, side).to(dtype)
    seconds = []
    for _ in range(5):
        _finish(device)
        start = time.perf_counter()
        torch.mm(a, a)
        _finish(device)
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds) / 1e12


def _finish(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
