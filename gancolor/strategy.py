"""Distributed data parallel for two networks that take turns."""

from pytorch_lightning.strategies import DDPStrategy

from gancolor.colorizer import Colorizer


class PerNetworkDDP(DDPStrategy):
    """DDP around each network of a :class:`~gancolor.colorizer.Colorizer` instead of around the whole module.

    One wrapper around both would wait, in the discriminator's move, for gradients of the generator that never come.
    The wrappers stay outside the module registry, so a checkpoint's keys do not depend on the number of processes.
    """

    def __init__(self) -> None:
        # The discriminator runs twice before its backward: buffers broadcast in between would be changed in place.
        # SyncBatchNorm takes the broadcast's place; without it the checkpoint holds rank 0's running statistics.
        super().__init__(broadcast_buffers=False, gradient_as_bucket_view=True)

    def configure_ddp(self) -> None:
        """Wrap generator and discriminator, each with its own reducer."""
        colorizer = self.lightning_module
        assert isinstance(colorizer, Colorizer)
        for role, network in colorizer.players.items():
            colorizer.players[role] = self._setup_model(network)
