"""How a run is trained: the machine it runs on, where its results go, and pl.Trainer told so."""

import logging
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from gancolor import atomic
from gancolor.checkpoint import KEY, read, refuse_another_run
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData
from gancolor.errors import InputError
from gancolor.generators import Experts
from gancolor.layers import batch_norms
from gancolor.loggers import CSV, Log
from gancolor.scores import table
from gancolor.training import launch
from gancolor.training.callbacks import Evaluate, ImagePanel, Progress
from gancolor.training.checkpointing import CHECKPOINTS, AtomicIO, Checkpointing
from gancolor.training.confusion import Confusion
from gancolor.training.faults import one_line
from gancolor.training.guard import FiniteGuard, TaughtGuard
from gancolor.training.preemption import Preemption
from gancolor.training.speed import prepare
from gancolor.training.strategy import PerNetworkDDP
from gancolor.training.throughput import Throughput, Waiting

CONFIG = "config.yaml"  # in a run's folder
NEVER = 10**9  # with a limit on the steps, Lightning restores the place in the data wherever a run was cut off
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

_log = logging.getLogger("gancolor")


class Training:
    """Machine, precision, intervals and logs of a run: what is legal for a GAN of what Lightning offers.

    Args:
        accelerator: where to compute; ``auto`` takes a GPU if there is one.
        devices: number of processes on each machine, one a GPU; −1 takes every GPU. torchrun and SLURM's srun say
            it themselves.
        nodes: number of machines; said by torchrun and srun too.
        precision: ``bf16-mixed`` is faster on GPUs made since 2020, and on CPUs with bf16 instructions; ``16-mixed``
            is for older GPUs, with a scaler of the gradients. Lab and the losses are in float32 always.
        tf32: whether GPUs may round the factors of a convolution or matrix product in float32 to 10 bits.
        channels_last: store tensors with channels innermost, as tensor cores want them; by default on GPUs only. A CPU
            gains by it in float32 from about 4 pictures a step, and loses with one.
        compile: fuse the networks' operations by torch.compile: takes minutes at the start. Needs a C++ compiler; not
            with a penalty.
        cudnn_benchmark: let cuDNN time its algorithms at the first step and take the fastest, which may differ from run
            to run in rounding; GPU only.
        peak_tflops: what a device could do in this precision, in 10¹² FLOP a second, for ``throughput/mfu``; by default
            a large matrix product is timed on it.
        sync_batchnorm: batch statistics over all processes; GPU only. By default on where there are several GPUs.
        validate_every: images seen between validations; each writes samples and checkpoints.
        checkpoint_every: images seen between checkpoints, all that a killed run can lose; by default as
            ``validate_every``.
        log_every: batches between rows in the log.
        sample_images: number of validation images in the sample grids.
        measure_images: number of training images on which color statistics are measured at the start.
        logs: where numbers and pictures go, besides the CSV and PNG files in the run's folder.
    """

    def __init__(
        self,
        accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        devices: int = 1,
        nodes: int = 1,
        precision: Precision = "32-true",
        tf32: bool = True,
        channels_last: bool | None = None,
        compile: bool = False,
        cudnn_benchmark: bool = True,
        peak_tflops: float | None = None,
        sync_batchnorm: bool | None = None,
        validate_every: int = 10_000,
        checkpoint_every: int | None = None,
        log_every: int = 50,
        sample_images: int = 8,
        measure_images: int = 1_000,
        logs: list[Log] | None = None,
    ):
        self.accelerator, self.devices, self.nodes = accelerator, devices, nodes
        self.precision: Precision = precision
        self.tf32, self.channels_last, self.compile = tf32, channels_last, compile
        self.cudnn_benchmark, self.peak_tflops = cudnn_benchmark, peak_tflops
        self.sync_batchnorm, self.validate_every, self.log_every = sync_batchnorm, validate_every, log_every
        self.checkpoint_every = checkpoint_every
        self.sample_images, self.measure_images, self.logs = sample_images, measure_images, logs or []
        for name in ("validate_every", "checkpoint_every", "log_every", "sample_images", "measure_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"training.{name} is {value}: it must be at least 1")
        if sync_batchnorm and accelerator == "cpu":
            raise InputError(
                "training.sync_batchnorm is for GPUs: on a CPU set it to false, and norms to group or instance"
            )
        if peak_tflops is not None and peak_tflops <= 0:
            raise InputError(f"training.peak_tflops is {peak_tflops}: it must be above 0")

    @property
    def cuda(self) -> bool:
        """Whether it trains on GPUs by CUDA."""
        return self.accelerator in ("auto", "cuda") and torch.cuda.is_available()

    @property
    def several(self) -> bool:
        """Whether several processes take part, or as many as there are GPUs."""
        return launch.world(self.devices, self.nodes) != (1, 1)

    @property
    def synced(self) -> bool:
        """Whether batch statistics are over all processes."""
        return self.several and self.cuda if self.sync_batchnorm is None else self.sync_batchnorm

    def fit(
        self, colorizer: Colorizer, data: ColorData, run_dir: Path, resume: Path | None = None, config: str = ""
    ) -> None:
        """Train to the end, or on from a checkpoint; everything that it leaves is in ``run_dir``.

        Raises:
            InputError: something given cannot be used.
            Stopped: a signal, a full disk, a loss that is no number or a killed process ended it; see ``code``.
        """
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # it advertises otherwise
        if resume is not None:
            refuse_another_run(read(resume)[KEY], colorizer.about())
        train, val = data.train_loader(), data.val_loader()  # first: data that cannot be used leave no folder behind
        evaluate, guard, preemption = Evaluate(), FiniteGuard(train.images.names), Preemption()
        if self.precision == "16-mixed" and not self.cuda:  # Lightning would take bfloat16 instead
            raise InputError("training.precision is 16-mixed, which only GPUs have: choose bf16-mixed")
        if self.synced and any(isinstance(part, Experts) and batch_norms(part) for part in colorizer.modules()):
            raise InputError(
                "training.sync_batchnorm: at a step, processes may be busy with different experts, which cannot share "
                "statistics: set the expert's norm to group or instance, or training.sync_batchnorm to false"
            )
        if self.several and not self.synced and batch_norms(colorizer):
            rank_zero_only(_log.warning)(
                "several processes without training.sync_batchnorm: each takes batch statistics of its own share of a "
                "batch, so that their number counts; norms of group or instance do not depend on it"
            )
        channels_last = self.cuda if self.channels_last is None else self.channels_last
        prepare(colorizer, self.cuda, self.tf32, channels_last, self.compile)
        try:
            trainer = self.trainer(data.batch_size, run_dir, evaluate, guard, preemption)
        except MisconfigurationException as error:
            raise InputError(f"training: {' '.join(str(error).split())}") from error
        with one_line(trainer, run_dir), preemption.watching(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # Lightning 2.6's own use of torch
            warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")  # the generator's average, rightly
            warnings.filterwarnings("ignore", ".*method of metric ")  # no picture is readable in this share
            _keep(config, run_dir)
            if resume is None:
                found = colorizer.measure(lambda: data.sample(self.measure_images))
                for logger in trainer.loggers if found else []:
                    logger.log_metrics(found, step=0)
            trainer.fit(colorizer, train, val, ckpt_path=resume, weights_only=True)
        report(run_dir, evaluate, data.unreadable)

    def trainer(
        self, batch_size: int, run_dir: Path, evaluate: Evaluate, guard: FiniteGuard, preemption: Preemption
    ) -> pl.Trainer:
        """Lightning's trainer, with what is wrong for a GAN already decided."""
        waiting, writer = Waiting(), AtomicIO()
        every = (self.checkpoint_every or self.validate_every) // batch_size
        devices, nodes = launch.world(self.devices, self.nodes)
        trainer = pl.Trainer(
            accelerator=self.accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=PerNetworkDDP() if self.several else "auto",
            precision=self.precision,
            sync_batchnorm=self.synced,
            max_epochs=-1,  # the colorizer stops it, by images seen
            max_steps=NEVER,
            val_check_interval=max(1, self.validate_every // batch_size),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=1,
            log_every_n_steps=self.log_every,
            benchmark=self.cudnn_benchmark,
            profiler=waiting,
            logger=[log.open(run_dir) for log in [CSV(), *self.logs]],
            callbacks=[
                evaluate,
                ImagePanel(run_dir / "samples", self.sample_images),
                Confusion(run_dir / "profiles"),
                Throughput(waiting, self.precision, self.peak_tflops),
                Progress(),  # after what it shows
                TaughtGuard(),
                guard,
                Checkpointing(run_dir / CHECKPOINTS, max(1, every), writer, preemption, guard),
            ],
            default_root_dir=run_dir,
            plugins=[writer, *launch.plugins()],
            use_distributed_sampler=False,  # the loader shares images out itself
            enable_model_summary=False,
        )
        # Preemption takes the place of Lightning's own handling of signals, which stops between any two operations and
        # talks to the other processes from inside the handler; and of its broadcast, which waits for the GPU each step.
        trainer._signal_connector.register_signal_handlers = lambda: None
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None
        return trainer


@rank_zero_only
def _keep(config: str, run_dir: Path) -> None:
    """Write the configuration down beside the results, for the next reader and for resuming."""
    run_dir.mkdir(parents=True, exist_ok=True)
    if config:
        atomic.write(run_dir / CONFIG, config.encode())


@rank_zero_only
def report(run_dir: Path, evaluate: Evaluate, unreadable: Mapping[str, str]) -> None:
    """Say how it went, where everything lies, and what to type next."""
    console, programs = Console(), os.path.relpath(Path(sys.executable).parent)
    console.print(table("Validation", evaluate.values))
    if unreadable:
        console.print(f"{len(unreadable)} images could not be used; the log above names them")
    console.print(
        f"Samples      {run_dir}/samples/*.png\n"
        f"Log          {run_dir}/log/version_*/metrics.csv\n"
        f"Checkpoints  {run_dir}/checkpoints/last.ckpt and best.ckpt\n\n"
        f"Next, evaluate with FID and LPIPS, or colorize a photograph of your own:\n"
        f"  {programs}/python evaluate.py {run_dir}/checkpoints/last.ckpt\n"
        f"  {programs}/gancolor colorize PHOTO.jpg --checkpoint {run_dir}/checkpoints/last.ckpt --output colorized",
        soft_wrap=True,
        highlight=False,
    )
