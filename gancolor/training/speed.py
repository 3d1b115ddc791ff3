"""What makes a step faster and leaves alone what it computes, but for rounding."""

import os
import shutil

import torch

from gancolor.colorizer import Colorizer
from gancolor.errors import InputError


def prepare(colorizer: Colorizer, cuda: bool, tf32: bool, channels_last: bool, compiled: bool) -> None:
    """Set up device and networks before a training; what a checkpoint holds does not depend on it.

    Args:
        colorizer: laid out and compiled in place.
        cuda: whether it will be trained on a GPU.
        tf32: see :class:`~gancolor.training.Training`, also for the others.
        channels_last: store weights, and with them what flows through the networks, with channels innermost.
        compiled: compile both networks at their first use.

    Raises:
        InputError: the networks cannot be compiled here.
    """
    if cuda:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
    # The inputs need nothing: a convolution takes its layout from its weight, and passes it on.
    colorizer.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    if compiled:
        _refuse_what_cannot_be_compiled(colorizer)
        for network in colorizer.generator, colorizer.discriminator:
            # In place, so that names in a checkpoint stay; drop-out's noise stays that of the uncompiled network, too.
            network.compile(dynamic=False, options={"fallback_random": True})


def _refuse_what_cannot_be_compiled(colorizer: Colorizer) -> None:
    if colorizer.differentiates_twice:
        raise InputError(
            "training.compile: colorizer.penalty differentiates the discriminator twice, which a compiled network does "
            "not allow: choose one of the two"
        )
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++")):
        raise InputError("training.compile needs a C++ compiler: install g++, or set training.compile to false")
