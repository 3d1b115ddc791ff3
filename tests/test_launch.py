"""What starts the processes: srun's and torchrun's variables, and two nodes, each in a network namespace of its own."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from lightning_fabric.plugins.environments import SLURMEnvironment

from gancolor.errors import InputError
from gancolor.training import launch

ROOT = Path(__file__).parents[1]
SLURM = {"SLURM_NTASKS": "8", "SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "gancolor"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "run", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "3"}


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("SLURM_", "TORCHELASTIC_")):
            monkeypatch.delenv(name)


def started(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_without_a_launcher_it_is_as_asked() -> None:
    assert launch.world(2, 3) == (2, 3)
    assert launch.plugins() == []


@pytest.mark.parametrize(("variables", "world"), [(SLURM, (4, 2)), (TORCHRUN, (2, 3)), (SLURM | TORCHRUN, (2, 3))])
def test_the_launcher_knows(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], world: tuple[int, int]) -> None:
    started(monkeypatch, **variables)
    assert launch.world(1, 1) == launch.world(-1, 1) == launch.world(*world) == world


def test_another_number_than_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, **SLURM)
    with pytest.raises(InputError, match=r"^training.devices is 8, but srun started 4: leave it out, or start 8$"):
        launch.world(8, 2)
    started(monkeypatch, **TORCHRUN)
    with pytest.raises(InputError, match=r"^training.nodes is 2, but torchrun started 3: "):
        launch.world(2, 2)


def test_restarts_that_would_find_stale_addresses_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, **TORCHRUN, TORCHELASTIC_USE_AGENT_STORE="True", TORCHELASTIC_MAX_RESTARTS="0")
    assert launch.world(1, 1) == (2, 3)
    started(monkeypatch, TORCHELASTIC_MAX_RESTARTS="3")
    with pytest.raises(InputError, match="begins with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"):
        launch.world(1, 1)
    started(monkeypatch, TORCHELASTIC_USE_AGENT_STORE="False")  # what that variable brings about
    assert launch.world(1, 1) == (2, 3)


def test_tasks_that_are_not_counted_by_node(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, SLURM_NTASKS="2", SLURM_JOB_NAME="gancolor")
    with pytest.raises(InputError, match="ask for --nodes and --ntasks-per-node"):
        launch.world(1, 1)
    started(monkeypatch, SLURM_NTASKS="1")
    assert launch.world(1, 1) == (1, 1)


def test_lightning_never_requeues_and_leaves_torchrun_within_slurm_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, **SLURM)
    [environment] = launch.plugins()
    assert isinstance(environment, SLURMEnvironment)
    assert not environment.auto_requeue
    started(monkeypatch, **TORCHRUN)
    assert launch.plugins() == []


# Two nodes


def write_config(path: Path) -> None:
    """Small networks without noise, and SGD: Adam would blow rounding up to the size of its learning rate."""
    sgd = {"class_path": "torch.optim.SGD", "init_args": {"lr": 1e-3}}
    unet = {"depth": 5, "width": 8, "norm": "group", "dropout": 0.0}
    patches = {"layers": 2, "width": 8, "norm": "group"}
    config = {
        "colorizer": {
            "generator": {"class_path": "gancolor.generators.UNet", "init_args": unet},
            "discriminator": {"class_path": "gancolor.discriminators.PatchGAN", "init_args": patches},
            "adversarial": {"class_path": "gancolor.adversarial.Vanilla"},
            "losses": {"rarity": {"class_path": "gancolor.losses.RarityL1", "init_args": {"weight": 100.0}}},
            "generator_optimizer": sgd,
            "discriminator_optimizer": sgd,
            "images": 40,
        },
        "data": {
            "source": {"class_path": "gancolor.data.Scenes", "init_args": {"train": 64, "val": 5, "size": 36}},
            "size": 32,
            "load_size": 36,
            "batch_size": 8,
            "workers": 0,
        },
        "training": {"accelerator": "cpu", "validate_every": 40, "log_every": 1},
    }
    path.write_text(yaml.safe_dump(config))


def ip(command: str) -> bool:
    return subprocess.run(["ip", *command.split()], capture_output=True, check=False).returncode == 0


@pytest.fixture
def cable() -> Iterator[list[tuple[list[str], str, str]]]:
    """Two nodes: the command that enters each, its address, its network interface; loopback where one may not."""
    names = [f"gancolor{os.getpid()}{end}" for end in "ab"]
    made = [ip(f"netns add {name}") for name in names]
    try:
        if not all(made) or not ip(f"link add cable netns {names[0]} type veth peer name cable netns {names[1]}"):
            yield [([], "127.0.0.1", "lo")] * 2
            return
        for i, name in enumerate(names):
            assert ip(f"-n {name} address add 10.77.0.{i + 1}/24 dev cable")
            assert ip(f"-n {name} link set cable up")
            assert ip(f"-n {name} link set lo up")
        yield [(["ip", "netns", "exec", name], f"10.77.0.{i + 1}", "cable") for i, name in enumerate(names)]
    finally:
        for name in names:
            ip(f"netns delete {name}")


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    content = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["gancolor"]["images"] == 40
    return content["state_dict"]


def start(folder: Path, command: list[str], interface: str = "lo") -> subprocess.Popen[str]:
    """Start it in a folder, as a user would."""
    folder.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "GLOO_SOCKET_IFNAME": interface,
    }
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    return output


TORCHRUN_COMMAND = [sys.executable, "-m", "torch.distributed.run"]


def agent(
    folder: Path, number: int, node: tuple[list[str], str, str], host: str, *command: str
) -> subprocess.Popen[str]:
    """torchrun on one of two nodes, with one process."""
    enter, address, interface = node
    # These machines have no names; of others torchrun sees by the endpoint's name which one is the host.
    meet = ["--rdzv_backend", "c10d", "--rdzv_endpoint", f"{host}:29417", "--rdzv_conf", f"is_host={1 - number}"]
    alike = ["--nnodes", "2", "--nproc_per_node", "1", *meet, "--local_addr", address]
    return start(folder, [*enter, *TORCHRUN_COMMAND, *alike, *command], interface)


@pytest.mark.slow
def test_two_nodes_equal_one_of_two_processes_and_one_process(
    tmp_path: Path, cable: list[tuple[list[str], str, str]]
) -> None:
    write_config(tmp_path / "small.yaml")
    train = [str(ROOT / "train.py"), "--config", str(tmp_path / "small.yaml")]
    nodes = [agent(tmp_path / "two", i, node, cable[0][1], *train) for i, node in enumerate(cable)]
    outputs = [finish(node) for node in nodes]
    finish(start(tmp_path / "one", [*TORCHRUN_COMMAND, "--standalone", "--nproc_per_node", "2", *train]))
    finish(start(tmp_path / "alone", [sys.executable, *train]))
    [two], [one], [alone] = (list((tmp_path / name / "runs").iterdir()) for name in ("two", "one", "alone"))
    for name, weight in weights(alone).items():
        assert torch.equal(weights(two)[name], weights(one)[name]), name
        torch.testing.assert_close(weights(two)[name], weight, rtol=0, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")
    assert len(list(two.glob("log/version_*"))) == 1
    with (two / "log" / "version_0" / "metrics.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file) if row["train/rarity"]] == ["8", "16", "24", "32", "40"]
    assert sorted("Checkpoints" in output for output in outputs) == [False, True]  # the report, once
