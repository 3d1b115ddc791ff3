"""Where to compute."""

import os

import torch

from gancolor.errors import InputError


def device(name: str | None) -> torch.device:
    """The device of that name, once something could be put on it; by default a GPU if there is one.

    Of the processes that ``torchrun`` starts on a machine, each takes a GPU of its own.

    Raises:
        InputError: there is no such device.
    """
    name = name or (f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # the latter from a torch built without CUDA
        raise InputError(f"--device {name}: {str(error).splitlines()[0]}") from error
