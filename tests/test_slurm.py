"""A real SLURM on this machine: a training that is preempted in its midst, then stopped as it begins, loses nothing."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml

ROOT = Path(__file__).parents[1]
SBATCH = ROOT / "configs" / "cluster" / "slurm.sbatch"
MODEST = ("--ntasks-per-node=2", "--cpus-per-task=1", "--gpus-per-node=0", "--time=10")  # this machine has no 8 GPUs

IMAGES = 3200

# A requeued job begins when the credentials of its last start are surely stale: cred_expire seconds later.
CONFIG = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={next_port}
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MailProg=/bin/true
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus}
PartitionName=idle Nodes=localhost Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=urgent Nodes=localhost PriorityTier=2 PreemptMode=OFF
"""


def until(seconds: float, what: str, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.2)


class Cluster:
    """A SLURM of one node, with daemons and folders of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "HOME": str(folder),
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PYTHON": sys.executable,
        }
        self.daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        values = {"port": 20000 + os.getpid() % 20000, "next_port": 40000 + os.getpid() % 20000, "cpus": os.cpu_count()}
        for name in "state", "spool":
            (self.folder / name).mkdir()
        (self.folder / "slurm.conf").write_text(CONFIG.format(folder=self.folder, **values))
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o600)
        self.folder.chmod(0o755)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        munge = [f"--{option}={self.folder}/munge.{ending}" for option, ending in files.items()]
        for command in (
            ["munged", "--foreground", "--force", *munge],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D", "-c"],
        ):
            self.daemons.append(subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL))
            if command[0] == "munged":
                until(10, "munged", (self.folder / "munge.socket").exists)
        until(30, "the node", lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%T", check=False))

    def stop(self) -> None:
        if len(self.daemons) == 3:
            self.ask("scancel", "--user=root", "--full", "--signal=KILL", check=False)
            until(30, "the jobs to die", lambda: not self.ask("squeue", "--noheader", check=False))
        for daemon in reversed(self.daemons):
            daemon.terminate()
            daemon.wait(30)

    def ask(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def submit(self, *command: str | Path) -> str:
        return self.ask("sbatch", "--parsable", f"--chdir={ROOT}", *map(str, command))

    def about(self, job: str) -> dict[str, str]:
        return dict(pair.split("=", 1) for pair in self.ask("scontrol", "show", "job", job).split() if "=" in pair)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = Path(os.path.realpath(tmp_path)) / "slurm"
    folder.mkdir()
    result = Cluster(folder)
    try:
        result.start()
        yield result
    finally:
        result.stop()


def write_config(path: Path) -> None:
    """Small networks, with everything that a resumed run must not forget: Adam, drop-out, batch norm, an average."""
    unet = {"depth": 5, "width": 8, "norm": "batch", "dropout": 0.5}
    config = {
        "colorizer": {
            "generator": {"class_path": "gancolor.generators.UNet", "init_args": unet},
            "discriminator": {"class_path": "gancolor.discriminators.PatchGAN", "init_args": {"layers": 2, "width": 8}},
            "adversarial": {"class_path": "gancolor.adversarial.Vanilla"},
            "losses": {"l1": {"class_path": "gancolor.losses.L1"}},
            "ema_decay": 0.99,
            "images": IMAGES,
        },
        "data": {
            "source": {"class_path": "gancolor.data.Scenes", "init_args": {"train": 200, "val": 4, "size": 36}},
            "size": 32,
            "load_size": 36,
            "batch_size": 8,
            "workers": 0,
        },
        "training": {"accelerator": "cpu", "validate_every": 400, "log_every": 1},
    }
    path.write_text(yaml.safe_dump(config))


def losses(run_dir: Path) -> dict[int, dict[str, str]]:
    """Images seen → that step's losses, in all versions of the log; a step that was repeated must say the same."""
    rows: dict[int, dict[str, str]] = {}
    for path in sorted(run_dir.glob("log/version_*/metrics.csv")):
        with path.open() as file:
            for row in csv.DictReader(file):
                if row["train/l1"]:
                    found = {name: value for name, value in row.items() if name.startswith("train/")}
                    assert rows.setdefault(int(row["step"]), found) == found
    return rows


def log(path: Path) -> str:
    return path.read_text() if path.exists() else "nothing was logged"


@pytest.mark.slow
@pytest.mark.slurm
def test_a_training_that_is_preempted_and_requeued_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    write_config(tmp_path / "small.yaml")

    def train(name: str, partition: str) -> str:
        files = f"--output={tmp_path / name}.log", SBATCH, "--config", tmp_path / "small.yaml"
        return cluster.submit(f"--partition={partition}", *MODEST, *files, "--run_dir", tmp_path / name)

    def validations(name: str) -> int:
        return len(list((tmp_path / name).glob("samples/*.png")))

    def is_(job: str, state: str, restarts: int) -> Callable[[], bool]:
        def reached() -> bool:
            about = cluster.about(job)
            assert about["JobState"] not in {"FAILED", "TIMEOUT", "NODE_FAIL"}, log(Path(about["StdOut"]))
            return about["JobState"] == state and about["Restarts"] == str(restarts)

        return reached

    whole, cut = train("whole", "urgent"), train("cut", "idle")
    until(120, "the first validation", lambda: validations("cut") >= 2)
    rest = cluster.ask("sinfo", "--noheader", "--format=%C").split("/")[3]  # all processors there are
    urgent = cluster.submit(
        "--partition=urgent", f"--ntasks={int(rest) - 2}", "--output=/dev/null", "--wrap", "sleep 1"
    )
    until(60, "preemption", is_(cut, "RUNNING", 1))
    assert cluster.about(urgent)["JobState"] == "COMPLETED"
    time.sleep(2)  # long enough for srun, too short for the training
    cluster.ask("scancel", "--signal=TERM", cut)  # as --signal does before the time limit
    until(60, "requeueing", is_(cut, "RUNNING", 2))
    for job, restarts in (whole, 0), (cut, 2):
        until(180, "the end", is_(job, "COMPLETED", restarts))
    assert len(list((tmp_path / "cut").glob("log/version_*"))) == 2
    assert set(losses(tmp_path / "whole")) == set(range(8, IMAGES + 1, 8))
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    one, other = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("whole", "cut")
    )
    assert one["gancolor"]["images"] == other["gancolor"]["images"] == IMAGES
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name
