"""The reference: colorization as pix2pix's PyTorch code does it, written here from the paper (Isola et al. 2017).

Photographs are read by Pillow, squashed to 286×286, cut, flipped and converted by scikit-image, one by one; the
networks run eagerly in float32. What is usual there and costs nothing is kept: activations work in place.
"""

import random
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from skimage.color import rgb2lab
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss
from torch.optim import Adam
from torch.utils.data import Dataset

from gancolor.layers import initialize

Sample = tuple[Float[Tensor, "1 size size"], Float[Tensor, "2 size size"]]


class Photographs(Dataset[Sample]):
    """Light and ab of each photograph, converted on the CPU in float64, delivered in float32.

    Args:
        folder: where the photographs lie.
        size: side of the random crop; the photograph is squashed to 286/256 of it before.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.paths = sorted(folder.iterdir())
        self.size = size
        self.load_size = round(size * 286 / 256)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        """One photograph, cut at random."""
        image = Image.open(self.paths[index]).convert("RGB")
        image = image.resize((self.load_size, self.load_size), Image.Resampling.BICUBIC)
        left, top = (random.randint(0, self.load_size - self.size) for _ in range(2))
        image = image.crop((left, top, left + self.size, top + self.size))
        if random.random() < 0.5:
            image = ImageOps.mirror(image)
        lab = torch.from_numpy(rgb2lab(np.array(image)).astype(np.float32)).permute(2, 0, 1).contiguous()
        return lab[:1] / 50 - 1, lab[1:] / 110


class UNet(nn.Module):
    """U-Net-256: eight halvings, widths 64 to 512, 54,409,858 parameters."""

    def __init__(self) -> None:
        super().__init__()
        widths = [64, 128, 256, 512, 512, 512, 512, 512]
        self.down = nn.ModuleList([nn.Sequential(nn.Conv2d(1, 64, 4, 2, 1, bias=False))])
        self.up = nn.ModuleList()
        for level in range(1, 8):
            convolution = nn.Conv2d(widths[level - 1], widths[level], 4, 2, 1, bias=False)
            norm = [nn.BatchNorm2d(widths[level])] if level < 7 else []
            self.down.append(nn.Sequential(nn.LeakyReLU(0.2, inplace=True), convolution, *norm))
        for level in range(7, 0, -1):
            below = widths[level] if level == 7 else 2 * widths[level]
            convolution = nn.ConvTranspose2d(below, widths[level - 1], 4, 2, 1, bias=False)
            dropout = [nn.Dropout(0.5)] if level in (4, 5, 6) else []
            self.up.append(
                nn.Sequential(nn.ReLU(inplace=True), convolution, nn.BatchNorm2d(widths[level - 1]), *dropout)
            )
        self.up.append(nn.Sequential(nn.ReLU(inplace=True), nn.ConvTranspose2d(128, 2, 4, 2, 1), nn.Tanh()))
        initialize(self)

    def forward(self, light: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 2 H W"]:
        """Predict ab."""
        skips = [light]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = self.up[0](skips.pop())
        for up in self.up[1:]:
            x = up(torch.cat([skips.pop(), x], 1))
        return x


def patch_gan() -> nn.Sequential:
    """The 70×70 PatchGAN on L ‖ ab with batch norm, 2,765,633 parameters."""
    blocks: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    for below, width, stride in ((64, 128, 2), (128, 256, 2), (256, 512, 1)):
        blocks += [nn.Conv2d(below, width, 4, stride, 1, bias=False), nn.BatchNorm2d(width)]
        blocks += [nn.LeakyReLU(0.2, inplace=True)]
    network = nn.Sequential(*blocks, nn.Conv2d(512, 1, 4, 1, 1))
    initialize(network)
    return network


class Pix2Pix:
    """Both networks and their optimizers.

    Args:
        device: where they compute.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.generator, self.discriminator = UNet().to(device), patch_gan().to(device)
        networks = self.generator, self.discriminator
        self.optimizers = [Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in networks]

    def step(self, light: Float[Tensor, "B 1 H W"], ab: Float[Tensor, "B 2 H W"]) -> tuple[Tensor, Tensor]:
        """The discriminator's move, then the generator's; returns L1 and the discriminator's loss."""
        light, ab = light.to(self.device), ab.to(self.device)
        for_generator, for_discriminator = self.optimizers
        fake = self.generator(light)
        self.discriminator.requires_grad_(True)
        for_discriminator.zero_grad()
        on_fake = _cross_entropy(self.discriminator(torch.cat([light, fake], 1).detach()), 0.0)
        on_real = _cross_entropy(self.discriminator(torch.cat([light, ab], 1)), 1.0)
        judged = (on_fake + on_real) * 0.5
        judged.backward()
        for_discriminator.step()
        self.discriminator.requires_grad_(False)
        for_generator.zero_grad()
        fooled = _cross_entropy(self.discriminator(torch.cat([light, fake], 1)), 1.0)
        distance = l1_loss(fake, ab)
        (fooled + 100 * distance).backward()
        for_generator.step()
        return distance.detach(), judged.detach()


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
