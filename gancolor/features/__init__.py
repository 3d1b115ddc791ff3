"""The pretrained networks behind FID and LPIPS: found, checked and loaded, in an explicit step of their own.

====================  =====  ======================================================================================
loader                for    which network, and what it makes of 8-bit sRGB first
====================  =====  ======================================================================================
inception             FID    FID's InceptionV3 of 2015-12-05; resized and scaled as pytorch-fid does
inception_tf1         FID    the same network; resized and scaled as TensorFlow 1 and torch-fidelity do
inception_imagenet    FID    torchvision's InceptionV3 for ImageNet; scaled as DDColor's code does
lpips_alex            LPIPS  torchvision's AlexNet with the linear weights of the lpips package (version 0.1)
lpips_vgg             LPIPS  torchvision's VGG16, likewise
====================  =====  ======================================================================================

Each takes the folder to look in first. All numbers are those of the original networks up to float32 rounding (1e-5);
they come 1.5 to 1.9 times as fast on a CPU, for channels last in memory and for batch normalization folded into the
convolutions. On one thread that needs batches of 16: below, torch computes 1×1 convolutions in a slower way.
"""

from gancolor.features.frechet import inception, inception_imagenet, inception_tf1
from gancolor.features.perceptual import LPIPS, lpips_alex, lpips_vgg
from gancolor.features.weights import DamagedWeights, MissingWeights, fingerprint

__all__ = [
    "LPIPS",
    "DamagedWeights",
    "MissingWeights",
    "fingerprint",
    "inception",
    "inception_imagenet",
    "inception_tf1",
    "lpips_alex",
    "lpips_vgg",
]
