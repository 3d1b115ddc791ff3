"""Where photographs come from, and how they are cut and batched."""

from gancolor.data.color_data import ColorData
from gancolor.data.photographs import Folder, ImageFolder, ListFile, TinyImageNet
from gancolor.data.scenes import Scenes
from gancolor.data.shards import Shards

__all__ = ["ColorData", "Folder", "ImageFolder", "ListFile", "Scenes", "Shards", "TinyImageNet"]
