"""What people run instead of evaluate.py, one number a program; for benchmarks/evaluation.py.

``lpips`` is lpips_2dirs.py of the lpips package, with Pillow for OpenCV and without gradients (which makes it faster);
``similarity`` is scikit-image's SSIM (Wang 2004's Gaussian window) and PSNR.
"""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image


def pairs(real: Path, fake: Path) -> Iterator[list[np.ndarray]]:
    """Every picture of one folder and its namesake in the other, uint8 H W 3."""
    for path in sorted(real.iterdir()):
        yield [np.asarray(Image.open(folder / path.name).convert("RGB")) for folder in (real, fake)]


def perceptual(real: Path, fake: Path) -> dict[str, float]:
    """LPIPS on AlexNet, pair by pair."""
    import lpips  # here, so that the other program does not wait for torch
    import torch

    warnings.simplefilter("ignore")  # lpips still calls torchvision by its old arguments
    network = lpips.LPIPS(net="alex", verbose=False)
    with torch.no_grad():
        return {"lpips": float(np.mean([network(*map(lpips.im2tensor, pair)).item() for pair in pairs(real, fake)]))}


def similarity(real: Path, fake: Path) -> dict[str, float]:
    """SSIM and PSNR, pair by pair."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    ssim = [structural_similarity(*pair, channel_axis=2, data_range=255, **gaussian) for pair in pairs(real, fake)]
    psnr = [peak_signal_noise_ratio(*pair, data_range=255) for pair in pairs(real, fake)]
    return {"ssim": float(np.mean(ssim)), "psnr": float(np.mean(psnr))}


if __name__ == "__main__":
    tool = {"lpips": perceptual, "similarity": similarity}[sys.argv[1]]
    for name, value in tool(*map(Path, sys.argv[2:])).items():
        print(f"{name}: {value}")  # noqa: T201
