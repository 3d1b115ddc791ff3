"""Training as a user, a scheduler and bad luck start and end it: whole commands, killed from outside."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from benchmarks import kills
from benchmarks.kills import Leg, configuration, content, differences, start
from gancolor.training.checkpointing import newest

ROOT = Path(__file__).parents[1]
IMAGES = 640
TWO = ("--training.devices", "2")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--max_restarts", "1")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    content = configuration(None, IMAGES)
    content["colorizer"]["generator"]["init_args"]["norm"] = "group"
    content["data"]["workers"] = 1
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def two(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing disturbs."""
    run_dir = tmp_path_factory.mktemp("two") / "run"
    leg = start(config, run_dir, *TWO)
    assert leg.end() == 0, leg.said[-3000:]
    return run_dir


def assert_same(left: Path, right: Path) -> None:
    assert not list(differences(content(left), content(right)))


@pytest.mark.parametrize("closed", ["", "os.close(2); "])  # a process that says nothing; one that cannot any more
def test_a_training_that_hangs_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    code = f"import os, time; os.fork(); print(os.getpid(), flush=True); {closed}time.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    monkeypatch.setattr(kills, "PATIENCE", 0.5)
    with process.stdout, process.stderr:
        assert len({process.stdout.readline() for _ in range(2)}) == 2
        with pytest.raises(TimeoutError, match="the training hangs"):
            Leg(process, tmp_path).end()
        assert process.returncode == -signal.SIGKILL
        assert process.stdout.read() == b""  # whose other end both held


@pytest.mark.slow
def test_three_random_kills_change_nothing() -> None:
    command = [sys.executable, ROOT / "benchmarks" / "kills.py", "--images", "1600", "--kills", "3", "--seed", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.count("│ ok") == 3
    assert "bit-identical" in done.stdout


@pytest.mark.slow
def test_torchrun_goes_on_after_a_killed_process(
    config: Path, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    leg = start(config, tmp_path / "run", *TWO, launcher=TORCHRUN)
    assert leg.follow(until=200), leg.said[-3000:]
    pid = leg.process.pid
    ranks = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    [second] = [int(p) for p in ranks if b"\0LOCAL_RANK=1\0" in Path(f"/proc/{p}/environ").read_bytes()]
    os.kill(second, signal.SIGKILL)
    assert leg.end() == 0, leg.said[-3000:]
    assert_same(tmp_path / "run", two)
    assert len(list((tmp_path / "run" / "log").iterdir())) == 2  # it did begin twice


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_stops_both_at_the_same_step(
    config: Path, two: Path, tmp_path: Path, rank: int
) -> None:
    leg = start(config, tmp_path / "run", *TWO)
    assert leg.follow(until=200), leg.said[-3000:]
    target = leg.process.pid if rank == 0 else second_process(leg)
    os.kill(target, signal.SIGTERM)
    assert leg.end() == 75, leg.said[-3000:]
    assert leg.line.startswith("train.py: stopped by SIGTERM; ")
    assert leg.said.count("train.py:") == 1
    assert "Traceback" not in leg.said
    again = start(config, tmp_path / "run", *TWO)
    assert again.end() == 0, again.said[-3000:]
    assert_same(tmp_path / "run", two)


def second_process(leg: Leg) -> int:
    """Of those that Lightning started, by its command line: reading processes have the same, but are not children."""
    pid = leg.process.pid
    children = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    [second] = [p for p in children if b"\0LOCAL_RANK=1\0" in Path(f"/proc/{p}/environ").read_bytes()]
    return second


@pytest.mark.slow
def test_a_full_disk_of_the_first_process_ends_both_at_once(config: Path, tmp_path: Path) -> None:
    full = tmp_path / "run" / "checkpoints" / ".last.ckpt.part"
    full.parent.mkdir(parents=True)
    full.symlink_to("/dev/full")
    leg = start(config, tmp_path / "run", *TWO)
    begin = time.monotonic()
    assert leg.end() == 1
    assert time.monotonic() - begin < 120
    assert re.search(r"train\.py: \S+last\.ckpt cannot be written \(No space left on device\): make room", leg.line)
    assert "Traceback" not in leg.said
    assert newest(full.parent) is None


@pytest.mark.slow
def test_a_killed_second_process_ends_the_first(config: Path, tmp_path: Path) -> None:
    leg = start(config, tmp_path / "run", *TWO)
    assert leg.follow(until=100), leg.said[-3000:]
    os.kill(second_process(leg), signal.SIGKILL)
    begin = time.monotonic()
    assert leg.end() != 0
    assert time.monotonic() - begin < 60
    assert newest(leg.checkpoints) is not None
