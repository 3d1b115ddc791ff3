"""How a run is trained: on which machines, how fast, watched by whom, and so that nothing of it is lost."""

from gancolor.training.trainer import CONFIG, Training

__all__ = ["CONFIG", "Training"]
