"""How a run is trained: the machine it runs on, where its results go, and pl.Trainer told so."""

import logging
import warnings
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from gancolor.callbacks import Evaluate, ImagePanel, Progress
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData
from gancolor.loggers import CSV, Log
from gancolor.scores import table
from gancolor.strategy import PerNetworkDDP

CONFIG = "config.yaml"  # in a run's folder
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class Training:
    """What may be said of a GAN's training besides the networks and the data.

    Args:
        accelerator: where to compute; ``auto`` takes a GPU if there is one.
        devices: number of processes on each machine, one a GPU; −1 takes every GPU.
        nodes: number of machines.
        precision: ``bf16-mixed`` is faster on GPUs made since 2020, and on CPUs with bf16 instructions.
        sync_batchnorm: batch statistics over all processes; GPU only.
        validate_every: images seen between validations; each writes samples and checkpoints.
        log_every: batches between rows in the log.
        sample_images: number of validation images in the sample grids.
        measure_images: number of training images on which color statistics are measured at the start.
        monitor: the logged number by which the best checkpoint is chosen.
        monitor_mode: whether the best is the largest or the smallest.
        logs: where numbers and pictures go, besides the CSV and PNG files in the run's folder.
    """

    def __init__(
        self,
        accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        devices: int = 1,
        nodes: int = 1,
        precision: Precision = "32-true",
        sync_batchnorm: bool = False,
        validate_every: int = 10_000,
        log_every: int = 50,
        sample_images: int = 8,
        measure_images: int = 1_000,
        monitor: str = "val/psnr",
        monitor_mode: Literal["min", "max"] = "max",
        logs: list[Log] | None = None,
    ):
        self.accelerator, self.devices, self.nodes = accelerator, devices, nodes
        self.precision: Precision = precision
        self.sync_batchnorm, self.validate_every, self.log_every = sync_batchnorm, validate_every, log_every
        self.sample_images, self.measure_images = sample_images, measure_images
        self.monitor, self.monitor_mode, self.logs = monitor, monitor_mode, logs or []

    def fit(
        self, colorizer: Colorizer, data: ColorData, run_dir: Path, resume: Path | None = None, config: str = ""
    ) -> None:
        """Train to the end, or on from a checkpoint; everything that it leaves is in ``run_dir``."""
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # it advertises otherwise
        train, val = data.train_loader(), data.val_loader()  # first: data that cannot be used leave no folder behind
        _keep(config, run_dir)
        evaluate = Evaluate()
        trainer = self.trainer(data.batch_size, run_dir, evaluate)
        if resume is None:
            colorizer.measure(lambda: data.sample(self.measure_images))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # Lightning 2.6's own use of torch
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # when resuming
            trainer.fit(colorizer, train, val, ckpt_path=resume, weights_only=True)
        report(run_dir, evaluate)

    def trainer(self, batch_size: int, run_dir: Path, evaluate: Evaluate) -> pl.Trainer:
        """Lightning's trainer, with what is wrong for a GAN already decided."""
        checkpoints = run_dir / "checkpoints"
        return pl.Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.nodes,
            strategy="auto" if self.devices == self.nodes == 1 else PerNetworkDDP(),
            precision=self.precision,
            sync_batchnorm=self.sync_batchnorm,
            max_epochs=-1,  # the colorizer stops it, by images seen;
            max_steps=10
            ** 9,  # with a limit, which is never reached, Lightning restores the place in the data in every case
            val_check_interval=max(1, self.validate_every // batch_size),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=1,
            log_every_n_steps=self.log_every,
            logger=[log.open(run_dir) for log in [CSV(), *self.logs]],
            callbacks=[
                evaluate,
                ImagePanel(run_dir / "samples", self.sample_images),
                Progress(),
                ModelCheckpoint(
                    checkpoints, "best", monitor=self.monitor, mode=self.monitor_mode, enable_version_counter=False
                ),
                ModelCheckpoint(checkpoints, "last", enable_version_counter=False),
            ],
            use_distributed_sampler=False,  # the loader shares images out itself
            enable_model_summary=False,
        )


@rank_zero_only
def _keep(config: str, run_dir: Path) -> None:
    """Write the configuration down beside the results, for the next reader and for resuming."""
    run_dir.mkdir(parents=True, exist_ok=True)
    if config:
        (run_dir / CONFIG).write_text(config)


@rank_zero_only
def report(run_dir: Path, evaluate: Evaluate) -> None:
    """Say how it went, where everything lies, and what to type next."""
    console = Console()
    console.print(table("Validation", evaluate.values))
    console.print(
        f"Samples      {run_dir}/samples/*.png\n"
        f"Log          {run_dir}/log/version_*/metrics.csv\n"
        f"Checkpoints  {run_dir}/checkpoints/last.ckpt and best.ckpt\n\n"
        f"Next, evaluate with FID and LPIPS, or colorize a photograph of your own:\n"
        f"  python evaluate.py {run_dir}/checkpoints/last.ckpt\n"
        f"  gancolor colorize PHOTO.jpg --checkpoint {run_dir}/checkpoints/last.ckpt --output colorized",
        soft_wrap=True,
        highlight=False,
    )
