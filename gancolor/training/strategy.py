"""Distributed data parallel for two networks that take turns."""

import inspect
from typing import Any

from pytorch_lightning.strategies import DDPStrategy
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from gancolor.colorizer import Colorizer
from gancolor.errors import InputError

# torch renames the argument; 2.9 knows only the old name, 2.15 warns of it.
_NAMES = inspect.signature(DistributedDataParallel).parameters
_SYNC_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _NAMES else "broadcast_buffers"


class PerNetworkDDP(DDPStrategy):
    """DDP around each network of a :class:`~gancolor.colorizer.Colorizer` instead of around the whole module.

    One wrapper around both would wait, in the discriminator's move, for gradients of the generator that never come.
    The wrappers stay outside the module registry, so a checkpoint's keys do not depend on the number of processes.
    """

    def __init__(self) -> None:
        # The discriminator runs twice before its backward: buffers broadcast in between would be changed in place.
        # SyncBatchNorm takes the broadcast's place; without it the checkpoint holds rank 0's running statistics.
        arguments: dict[str, Any] = {_SYNC_BUFFERS: False}
        super().__init__(gradient_as_bucket_view=True, **arguments)

    def configure_ddp(self) -> None:
        """Wrap generator and discriminator, each with its own reducer."""
        colorizer = self.lightning_module
        assert isinstance(colorizer, Colorizer)
        _refuse_another_start(colorizer)
        for role, network in colorizer.players.items():
            colorizer.players[role] = self._setup_model(network)


def _refuse_another_start(colorizer: Colorizer) -> None:
    """Let every process begin where the others do: one that sees no checkpoint would train on with a wrong optimizer.

    Raises:
        InputError: they do not.
    """
    places = [colorizer.images_seen] * distributed.get_world_size()
    distributed.all_gather_object(places, colorizer.images_seen)
    if len(set(places)) > 1:
        raise InputError(
            f"the processes begin after {places} images, by their number: they do not see the same checkpoint; "
            "give --run_dir a folder that every machine shares"
        )
