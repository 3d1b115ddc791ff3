"""How a run is trained: the machine it runs on, where its results go, and pl.Trainer told so."""

import logging
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from gancolor import launch
from gancolor.callbacks import Evaluate, ImagePanel, Progress
from gancolor.checkpoint import KEY, read
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData
from gancolor.errors import InputError
from gancolor.loggers import CSV, Log
from gancolor.scores import table
from gancolor.strategy import PerNetworkDDP

CONFIG = "config.yaml"  # in a run's folder
NEVER = 10**9  # with a limit on the steps, Lightning restores the place in the data wherever a run was cut off
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class Training:
    """Machine, precision, intervals and logs of a run: what is legal for a GAN of what Lightning offers.

    Args:
        accelerator: where to compute; ``auto`` takes a GPU if there is one.
        devices: number of processes on each machine, one a GPU; −1 takes every GPU. torchrun and SLURM's srun say
            it themselves.
        nodes: number of machines; said by torchrun and srun too.
        precision: ``bf16-mixed`` is faster on GPUs made since 2020, and on CPUs with bf16 instructions.
        sync_batchnorm: batch statistics over all processes; GPU only.
        validate_every: images seen between validations; each writes samples and checkpoints.
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
        sync_batchnorm: bool = False,
        validate_every: int = 10_000,
        log_every: int = 50,
        sample_images: int = 8,
        measure_images: int = 1_000,
        logs: list[Log] | None = None,
    ):
        self.accelerator, self.devices, self.nodes = accelerator, devices, nodes
        self.precision: Precision = precision
        self.sync_batchnorm, self.validate_every, self.log_every = sync_batchnorm, validate_every, log_every
        self.sample_images, self.measure_images, self.logs = sample_images, measure_images, logs or []
        for name in ("validate_every", "log_every", "sample_images", "measure_images"):
            if getattr(self, name) < 1:
                raise InputError(f"training.{name} is {getattr(self, name)}: it must be at least 1")

    def fit(
        self, colorizer: Colorizer, data: ColorData, run_dir: Path, resume: Path | None = None, config: str = ""
    ) -> None:
        """Train to the end, or on from a checkpoint; everything that it leaves is in ``run_dir``."""
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # it advertises otherwise
        if resume is not None:
            colorizer.refuse_another_run(read(resume)[KEY])
        train, val = data.train_loader(), data.val_loader()  # first: data that cannot be used leave no folder behind
        evaluate = Evaluate()
        try:
            trainer = self.trainer(data.batch_size, run_dir, evaluate)
        except MisconfigurationException as error:
            raise InputError(f"training: {' '.join(str(error).split())}") from error
        _keep(config, run_dir)
        if resume is None:
            colorizer.measure(lambda: data.sample(self.measure_images))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # Lightning 2.6's own use of torch
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # when resuming
            warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")  # the generator's average, rightly
            warnings.filterwarnings("ignore", ".*method of metric ImageMean")  # no picture is readable in this share
            trainer.fit(colorizer, train, val, ckpt_path=resume, weights_only=True)
        report(run_dir, evaluate, data.unreadable)

    def trainer(self, batch_size: int, run_dir: Path, evaluate: Evaluate) -> pl.Trainer:
        """Lightning's trainer, with what is wrong for a GAN already decided."""
        checkpoints = run_dir / "checkpoints"
        devices, nodes = launch.world(self.devices, self.nodes)
        return pl.Trainer(
            accelerator=self.accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy="auto" if devices == nodes == 1 else PerNetworkDDP(),
            precision=self.precision,
            sync_batchnorm=self.sync_batchnorm,
            max_epochs=-1,  # the colorizer stops it, by images seen
            max_steps=NEVER,
            val_check_interval=max(1, self.validate_every // batch_size),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=1,
            log_every_n_steps=self.log_every,
            logger=[log.open(run_dir) for log in [CSV(), *self.logs]],
            callbacks=[
                evaluate,
                ImagePanel(run_dir / "samples", self.sample_images),
                Progress(),
                ModelCheckpoint(checkpoints, "best", monitor="val/psnr", mode="max", enable_version_counter=False),
                ModelCheckpoint(checkpoints, "last", enable_version_counter=False),
            ],
            default_root_dir=run_dir,
            plugins=[*launch.plugins()],
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
