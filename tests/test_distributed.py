"""Several processes against one, forked over gloo as torchrun would start them: weights, traffic, shares, files."""

import csv
import logging
import math
import os
import re
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from processes import together
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from gancolor.adversarial import Hinge, LeastSquares, Vanilla
from gancolor.color import rgb_to_lab
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.discriminators import PatchGAN
from gancolor.errors import InputError, Stopped
from gancolor.generators import BinHead, Experts, Profiled, ProfilePredictor, UNet
from gancolor.guides import ProfileGuide
from gancolor.interfaces import Batch, ColorLoss, Generator, Head, Objective, Source, Split, Unreadable
from gancolor.layers import Norm
from gancolor.loggers import TensorBoard, WandB
from gancolor.losses import L1, BinCrossEntropy, ProfileCrossEntropy, RarityL1
from gancolor.palette import Profiles, descriptors, histograms
from gancolor.training import Training
from gancolor.training.callbacks import Evaluate
from gancolor.training.strategy import PerNetworkDDP

PATIENCE = 400  # seconds: a dozen trainings, also on a busy machine
BATCH, STEPS = 12, 4  # later the kinks of ReLU and L1 turn rounding into more than 1e-6
SCENES = ColorData(Scenes(train=48, val=5, size=36), size=32, load_size=36, batch_size=BATCH, workers=0)


def colorizer(
    game: Objective,
    norm: Norm,
    accumulate: int = 1,
    head: Head | None = None,
    losses: dict[str, ColorLoss] | None = None,
) -> Colorizer:
    """Small networks without noise, and SGD: Adam would blow rounding up to the size of its learning rate."""
    torch.manual_seed(0)
    descend = partial(SGD, lr=1e-3)
    return Colorizer(
        UNet(depth=5, width=8, norm=norm, dropout=0.0, head=head),
        PatchGAN(layers=2, width=8, norm=norm),
        game,
        losses or {"l1": L1(50.0), "rarity": RarityL1(50.0)},
        generator_optimizer=descend,
        discriminator_optimizer=descend,
        images=BATCH * STEPS,
        accumulate=accumulate,
        ema_decay=0.9,
    )


def classifier(weight: float, accumulate: int = 1) -> Colorizer:
    """One that learns the probabilities of bins, with a game or without."""
    return colorizer(Vanilla(weight), "group", accumulate, BinHead(reduction=2), {"bins": BinCrossEntropy(10.0)})


def profiled(expert: bool, head: bool, accumulate: int = 1) -> Colorizer:
    """One that colors by three profiles, each of which some scene is the center of; with experts, some of them idle."""
    network = partial(UNet, depth=5, width=8, norm="group", dropout=0.0, head=BinHead(reduction=2) if head else None)
    model = colorizer(Vanilla(0.1), "group", accumulate)
    inner: Generator = Experts(network(), 3) if expert else network(4)
    scenes = torch.stack([SCENES.source.read(f"train/{i:06d}") for i in range(3)])
    centers = descriptors(histograms(rgb_to_lab(scenes).ab)).tolist()
    return Colorizer(
        Profiled(inner, ProfilePredictor(3, width=4, layers=2)),
        model.discriminator,
        model.adversarial,
        {"bins": BinCrossEntropy(10.0) if head else L1(20.0), "profile": ProfileCrossEntropy(10.0)},
        guide=ProfileGuide(Profiles(["one", "two", "three"], centers)),
        generator_optimizer=model.generator_optimizer,
        discriminator_optimizer=model.discriminator_optimizer,
        images=BATCH * STEPS,
        accumulate=accumulate,
        ema_decay=0.9,
    )


GAMES: list[Objective] = [Vanilla(), LeastSquares(), Hinge()]
NORMS: list[Norm] = ["group", "instance"]
CASES = {f"{type(game).__name__}-{norm}": partial(colorizer, game, norm) for game in GAMES for norm in NORMS}
CASES |= {f"bins-{weight}": partial(classifier, weight) for weight in (0.0, 0.1)}
CASES |= {"profiled": partial(profiled, False, False), "experts": partial(profiled, True, False)}
CASES |= {"experts-bins": partial(profiled, True, True)}


def fit_all(folder: Path, accumulate: int, _rank: int) -> dict[str, dict[str, Tensor]]:
    """The trained weights of every game with every norm."""
    result: dict[str, dict[str, Tensor]] = {}
    for name, build in CASES.items():
        model = build(accumulate)
        Training(accelerator="cpu", validate_every=BATCH * STEPS, log_every=1).fit(model, SCENES, folder / name)
        result[name] = model.state_dict()
    return result


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """What one process makes of them."""
    folder = tmp_path_factory.mktemp("alone")
    [weights] = together(1, folder, partial(fit_all, folder, 1), seconds=PATIENCE)
    for name, build in CASES.items():  # or two that have not learned would be equal, too
        before = build().state_dict()
        for role in ("generator", "discriminator", "average"):
            moved = any((weights[name][k] - v).abs().max() > 1e-4 for k, v in before.items() if k.startswith(role))
            assert moved == (name != "bins-0.0" or role != "discriminator")
    return weights


@pytest.mark.parametrize(("processes", "accumulate"), [(2, 1), (2, 3), (3, 2)])
def test_weights_are_those_of_one_process(
    alone: dict[str, dict[str, Tensor]], tmp_path: Path, processes: int, accumulate: int
) -> None:
    for trained in together(processes, tmp_path, partial(fit_all, tmp_path, accumulate), seconds=PATIENCE):
        for case, one in alone.items():
            assert trained[case].keys() == one.keys()
            for name, weight in one.items():
                torch.testing.assert_close(
                    trained[case][name], weight, rtol=0, atol=1e-6, msg=lambda m, n=f"{case} {name}": f"{n}: {m}"
                )


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_step_reduces_each_network_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int) -> None:
    """As torch's profiler saw it: nothing is reduced for a network that rests, or for a chunk that is not the last."""
    step, traffic = Colorizer.training_step, list[dict[str, int]]()

    def profiled(self: Colorizer, batch: Batch, batch_idx: int) -> Any:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profile:
            result = step(self, batch, batch_idx)
        numbers: dict[str, int] = {}
        for event in profile.events() or []:
            if event.name.startswith("gloo:"):
                count = sum(math.prod(shape) for shape in event.input_shapes)
                numbers[event.name] = numbers.get(event.name, 0) + count
        traffic.append(numbers)
        return result

    def work(_rank: int) -> tuple[list[dict[str, int]], list[int]]:
        model = colorizer(Vanilla(), "group", accumulate)
        Training(accelerator="cpu", validate_every=BATCH * STEPS, log_every=1).fit(model, SCENES, tmp_path)
        networks = model.generator, model.discriminator
        return traffic, [sum(p.numel() for p in network.parameters()) for network in networks]

    monkeypatch.setattr(Colorizer, "training_step", profiled)
    for seen, weights in together(2, tmp_path, work):
        assert len(seen) == STEPS
        assert [numbers.pop("gloo:all_reduce") for numbers in seen] == [sum(weights)] * STEPS
        assert sum(seen[1].values()) < 100  # once, DDP agrees on the order in which gradients come
        assert not any(seen[:1] + seen[2:])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_see_disjoint_images(tmp_path: Path, processes: int, workers: int) -> None:
    data = ColorData(Scenes(train=25, val=7, size=16), size=16, load_size=18, batch_size=6, workers=workers)

    def work(_rank: int) -> tuple[list[list[list[int]]], list[int]]:
        distributed.init_process_group("gloo")
        train, val = data.train_loader(), data.val_loader()
        epochs = [[batch.indices.tolist() for batch in train] for _ in range(2)]
        return epochs, [index for batch in val for index in batch.indices.tolist()]

    shares = together(processes, tmp_path, work)
    alone = data.train_loader()
    for epoch in range(2):
        whole = [batch.indices.tolist() for batch in alone]
        assert len({index for batch in whole for index in batch}) == 24  # the 25th would be an incomplete batch
        together_ = [[i for share, _ in shares for i in share[epoch][step]] for step in range(len(whole))]
        assert together_ == whole
    assert sorted(index for _, val in shares for index in val) == list(range(7))


def validations(run_dir: Path) -> list[dict[str, float]]:
    """The rows of the log that are about the validation."""
    with (run_dir / "log" / "version_0" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val/psnr"]]
    return [{name: float(value) for name, value in row.items() if name.startswith("val/") and value} for row in rows]


class Torn(Source):
    """Small gray pictures, some of which cannot be read."""

    def __init__(self, val: int, torn: set[int]):
        self.val, self.torn = val, torn

    def names(self, split: Split) -> list[str]:
        return [f"{split}/{i}" for i in range(self.val if split == "val" else BATCH)]

    def read(self, name: str, min_side: int | None = None) -> Tensor:
        split, number = name.split("/")
        if split == "val" and int(number) in self.torn:
            raise Unreadable(f"{name}: torn")
        return torch.full((3, 32, 32), 10 * int(number), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("val", "torn"),
    [(6, {1, 3, 5}), (6, {0, 2, 4}), (9, {1, 3, 5}), (25, {0, 2, 4, 6, 8, 10}), (24, {12, 14, 16, 18, 20, 22})],
)
def test_a_process_without_readable_validation_images_neither_hangs_nor_counts(
    tmp_path: Path, val: int, torn: set[int]
) -> None:
    def work(folder: Path, _rank: int) -> None:
        model = colorizer(Vanilla(), "group")
        del model.losses["rarity"]  # there are no colors to measure
        model.images = 3 * BATCH
        data = ColorData(Torn(val, torn), size=32, load_size=32, batch_size=BATCH, workers=0)
        Training(accelerator="cpu", validate_every=BATCH, log_every=1).fit(model, data, folder)

    for processes in 1, 2:
        together(processes, tmp_path / str(processes), partial(work, tmp_path / str(processes)), seconds=60)
    one, two = (validations(tmp_path / processes) for processes in ("1", "2"))
    assert len(one) == len(two) == 3
    for left, right in zip(one, two, strict=True):
        assert right == pytest.approx(left, abs=1e-3, nan_ok=True)  # of gray pictures there is no cf_ratio


def test_a_signal_in_a_validation_of_several_processes_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although one of them has a batch less, for it cannot read one; the resumed run does not validate again."""
    data = ColorData(Torn(24, {12, 14, 16, 18, 20, 22}), size=32, load_size=32, batch_size=BATCH, workers=0)
    training, seen = Training(accelerator="cpu", validate_every=BATCH, log_every=1), list[int]()
    start = Evaluate.on_validation_start

    def on_validation_start(self: Evaluate, trainer: Any, pl_module: Any) -> None:
        start(self, trainer, pl_module)
        if not trainer.sanity_checking:
            seen.append(pl_module.images_seen)
            if distributed.get_rank() == 1 and pl_module.images_seen == BATCH:
                os.kill(os.getpid(), signal.SIGTERM)

    def work(resume: Path | None, _rank: int) -> tuple[list[int], str]:
        model = colorizer(Vanilla(), "group")
        del model.losses["rarity"]
        model.images = 3 * BATCH
        try:
            training.fit(model, data, tmp_path / "run", resume)
        except Stopped as stopped:
            return seen, str(stopped)
        return seen, "done"

    monkeypatch.setattr(Evaluate, "on_validation_start", on_validation_start)
    [(first, why), (second, _)] = together(2, tmp_path, partial(work, None), seconds=60)
    assert first == second == [BATCH]
    assert re.search(rf"^stopped by SIGTERM; .* has seen {BATCH} images", why)
    again = together(2, tmp_path, partial(work, tmp_path / "run" / "checkpoints" / "last.ckpt"), seconds=60)
    assert again == [([2 * BATCH, 3 * BATCH], "done")] * 2
    assert len(validations(tmp_path / "run")) == 1


def test_only_the_first_process_writes_and_only_into_its_own_folder(tmp_path: Path) -> None:
    """Nodes whose clocks differ by a second would name their folders differently."""

    def work(rank: int) -> None:
        training = Training(
            accelerator="cpu", validate_every=BATCH, log_every=1, logs=[WandB(offline=True), TensorBoard()]
        )
        training.fit(colorizer(Vanilla(), "group"), SCENES, tmp_path / f"second-{rank}", config="seed: 0\n")

    together(2, tmp_path / "results", work)
    assert [path.name for path in tmp_path.iterdir() if path.name != "results"] == ["second-0"]
    run_dir = tmp_path / "second-0"
    assert len(list(run_dir.glob("log/version_*"))) == 1
    assert len(list(run_dir.glob("wandb/offline-run-*"))) == 1
    assert len(list(run_dir.glob("tensorboard/events*"))) == 1
    with (run_dir / "log" / "version_0" / "metrics.csv").open() as file:
        steps = [row["step"] for row in csv.DictReader(file) if row["train/l1"]]
    assert steps == [str(BATCH * (i + 1)) for i in range(STEPS)]


def test_synchronized_batch_statistics_need_gpus() -> None:
    with pytest.raises(InputError, match=r"training\.sync_batchnorm is for GPUs: on a CPU set it to false"):
        Training(accelerator="cpu", sync_batchnorm=True)


@pytest.mark.parametrize(
    ("devices", "gpus", "told", "synced"),
    [
        (2, True, None, True),
        (-1, True, None, True),
        (1, True, None, False),
        (2, False, None, False),
        (2, True, False, False),
    ],
)
def test_batch_statistics_are_synchronized_where_there_are_several_gpus(
    devices: int, gpus: bool, told: bool | None, synced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus)
    assert Training(devices=devices, sync_batchnorm=told).synced == synced


def test_batch_statistics_of_each_process_alone_are_warned_of(tmp_path: Path) -> None:
    def work(_rank: int) -> list[int]:
        said: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: said.append(record.getMessage())
        logging.getLogger("gancolor").addHandler(handler)
        counts: list[int] = []
        for norm in ("batch", "group"):
            Training(accelerator="cpu", log_every=1).fit(colorizer(Vanilla(), norm), SCENES, tmp_path / "run" / norm)
            counts.append(sum("without training.sync_batchnorm" in line for line in said))
        return counts

    assert together(2, tmp_path, work)[0] == [1, 1]
    assert together(1, tmp_path, work)[0] == [0, 0]


def test_processes_that_do_not_see_the_same_checkpoint(tmp_path: Path) -> None:
    """Two nodes without a common folder: one goes on, the other would begin anew beside it."""
    training = Training(accelerator="cpu", validate_every=BATCH, log_every=1)

    def begin(_rank: int) -> None:
        model = colorizer(Vanilla(), "group")
        model.images = BATCH
        training.fit(model, SCENES, tmp_path / "run")

    def go_on(rank: int) -> None:
        seen = tmp_path / "run" / "checkpoints" / "last.ckpt" if rank == 0 else None
        with pytest.raises(InputError, match=r"begin after \[12, 0\] images.*a folder that every machine shares"):
            training.fit(colorizer(Vanilla(), "group"), SCENES, tmp_path / ("run", "elsewhere")[rank], resume=seen)

    together(1, tmp_path, begin)
    together(2, tmp_path, go_on, seconds=60)


def train_on_gpu(wrapped: bool, folder: Path) -> None:
    """Keep the weights that come out, with the strategy of many processes or without."""
    Trainer = pl.Trainer
    if wrapped:
        pl.Trainer = lambda **given: Trainer(**{**given, "strategy": PerNetworkDDP()})  # type: ignore[misc]
    model = colorizer(Vanilla(), "batch")
    Training(accelerator="cuda", sync_batchnorm=wrapped, log_every=1).fit(model, SCENES, folder)
    assert wrapped == isinstance(model.players["generator"], DistributedDataParallel)
    torch.save(model.cpu().state_dict(), folder / "weights.pt")


@pytest.mark.gpu
def test_nccl_and_synchronized_batch_statistics_change_nothing_in_one_process(tmp_path: Path) -> None:
    """As far as one GPU goes."""
    context = torch.multiprocessing.get_context("spawn")  # a forked process may not use CUDA
    for wrapped in False, True:
        process = context.Process(target=train_on_gpu, args=(wrapped, tmp_path / str(wrapped)))
        process.start()
        process.join(300)
        assert process.exitcode == 0
    one, other = (torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("False", "True"))
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=0, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
