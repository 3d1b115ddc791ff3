"""What moves weights: optimizers, the clipping before their step, and the average that follows it."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Adam, Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]


def adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """pix2pix's optimizer: Adam, learning rate 2e-4, β = (0.5, 0.999); all of it in one kernel."""
    return Adam(parameters, lr=2e-4, betas=(0.5, 0.999), fused=True)


def clip(optimizer: Optimizer, norm: float, scaler: GradScaler | None) -> None:
    """Shorten an optimizer's gradient to a norm.

    Args:
        optimizer: about to step.
        norm: the largest that is left as it is.
        scaler: of the loss, if any. It has unscaled the gradient by now, but for fused optimizers, which unscale later.
    """
    if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
        scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], norm)


def lay_out(optimizers: Iterable[Optimizer]) -> None:
    """Lay out what optimizers remember as the weights are, which a checkpoint may have had otherwise.

    Fused optimizers walk through the memory of both side by side and would, without a word, mix up the weights.
    """
    for optimizer in optimizers:
        for weight, memory in optimizer.state.items():
            for name, value in memory.items():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    memory[name] = torch.empty_like(weight).copy_(value)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, steps: int) -> None:
    """Move an average of a network's weights towards the network.

    The first steps forget faster, by min(decay, (1 + t) / (10 + t)), as in TensorFlow's ExponentialMovingAverage: the
    average would otherwise remember the initialization for thousands of steps.

    Args:
        average: a copy of the network.
        network: as it is after its step.
        decay: share of itself that the average keeps, below 1.
        steps: taken before this one.
    """
    keep = min(decay, (1 + steps) / (10 + steps))
    get_ema_multi_avg_fn(keep)(tuple(average.parameters()), tuple(network.parameters()), steps)
    for buffer, source in zip(average.buffers(), network.buffers(), strict=True):
        buffer.copy_(source)  # batch norm's statistics are averages already
