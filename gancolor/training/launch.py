"""Who starts the processes of a training: Lightning itself, or torchrun or SLURM's srun before it."""

import os

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from gancolor.errors import InputError


def world(devices: int, nodes: int) -> tuple[int, int]:
    """Processes on each machine, and machines: as many as torchrun or srun has started, or else as asked for.

    Args:
        devices: processes on each machine; 1 and −1 leave it to the launcher.
        nodes: machines; 1 leaves it to the launcher.

    Raises:
        InputError: the launcher has started other numbers than were asked for.
    """
    if TorchElasticEnvironment.detect():
        _refuse_stale_addresses()
        return _launched("torchrun", devices, nodes, "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE")
    if SLURMEnvironment.detect():
        if int(os.environ["SLURM_NTASKS"]) > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise InputError(
                "SLURM was asked for --ntasks: ask for --nodes and --ntasks-per-node instead, a task a GPU"
            )
        return _launched("srun", devices, nodes, "SLURM_NTASKS_PER_NODE", "SLURM_NNODES")
    return devices, nodes


def plugins() -> list[ClusterEnvironment]:
    """What Lightning must be told of the launcher; nothing where it finds out by itself what is right."""
    if TorchElasticEnvironment.detect() or not SLURMEnvironment.detect():
        return []
    # Requeueing would save between the two moves of a step, and what it saved would start the next run.
    return [SLURMEnvironment(auto_requeue=False)]


def _launched(launcher: str, devices: int, nodes: int, *variables: str) -> tuple[int, int]:
    """What the launcher says in its variables, unless something else was asked for."""
    started = tuple(int(os.environ.get(variable, "1")) for variable in variables)
    for key, asked, count in zip(("devices", "nodes"), (devices, nodes), started, strict=True):
        if asked not in (-1, 1, count):
            raise InputError(
                f"training.{key} is {asked}, but {launcher} started {count}: leave it out, or start {asked}"
            )
    return started[0], started[1]


def _refuse_stale_addresses() -> None:
    """Refuse torchrun's habit of keeping one store over restarts: processes read in it where their predecessors were.

    Some restarts then end in "connection refused", others wait for ever (seen with torch 2.15).
    """
    restarts = int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))
    if restarts and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        raise InputError(
            "torchrun --max_restarts: restarted processes may wait for ever for those before them, unless the command "
            "begins with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"
        )
