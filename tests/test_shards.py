"""Tar shards as a source: the same photographs, each exactly once, on any process and after any stop."""

import logging
import os
import pickle
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gancolor import atomic
from gancolor.data import ColorData, Folder, ListFile, Shards
from gancolor.data import shards as shards_module
from gancolor.data.packing import Packing, pack
from gancolor.data.shard_index import Names
from gancolor.interfaces import Batch, Source, Unreadable

PACKING = Packing(size=24, quality=90, subsampling="4:4:4", per_shard=7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty JPEG files at working size, of noise: no two are alike."""
    root = tmp_path_factory.mktemp("photographs")
    (root / "deep.er").mkdir()
    for index in range(50):
        noise = np.random.default_rng(index).integers(0, 256, (24, 24 + index % 9, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / f"{'deep.er/' * (index % 2)}é{index}.jpg")
    return root


@pytest.fixture(scope="module")
def packed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shards") / "shards"
    assert pack(Folder(str(folder), holdout=0.2), root, PACKING, workers=0) == {}
    return root


@pytest.fixture
def shards(packed: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    (tmp_path / "shards").mkdir()
    for path in packed.iterdir():
        (tmp_path / "shards" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "shards"


def data(source: Source, batch_size: int = 6, workers: int = 0) -> ColorData:
    return ColorData(source, size=20, load_size=24, batch_size=batch_size, workers=workers)


def equal(a: Batch, b: Batch) -> bool:
    return torch.equal(a.rgb, b.rgb) and torch.equal(a.indices, b.indices)


def test_the_folder_s_names_and_pixels(folder: Path, packed: Path):
    source, original = Shards(str(packed)), Folder(str(folder), holdout=0.2)
    for split in ("train", "val"):
        assert list(source.names(split)) == original.names(split)
        for name in original.names(split):
            assert torch.equal(source.read(name), original.read(name))
    with pytest.raises(KeyError, match="no photograph 'none'"):
        source.read("none")


def test_min_side_is_passed_on(tmp_path: Path):
    (tmp_path / "photographs").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (640, 480)).save(tmp_path / "photographs" / name)
    packing = Packing(480, 90, "4:4:4", 5)
    pack(Folder(str(tmp_path / "photographs"), holdout=0.5), tmp_path / "shards", packing, 0)
    source = Shards(str(tmp_path / "shards"))
    assert source.read("a.jpg", min_side=100).shape == (3, 120, 160)
    assert source.read("a.jpg").shape == (3, 480, 640)


def test_names_are_a_sequence_like_any(packed: Path, folder: Path):
    names, listed = Shards(str(packed)).names("train"), Folder(str(folder), holdout=0.2).names("train")
    assert isinstance(names, Names)
    assert len(names) == len(listed)
    assert names[3:9:2] == listed[3:9:2]
    assert names[-1] == listed[-1]
    assert names.index(listed[5]) == 5
    with pytest.raises(IndexError):
        names[len(names)]


def test_a_list_s_order_and_odd_names_are_kept(folder: Path, tmp_path: Path):
    odd = os.fsdecode(b"\xff.jpg")  # no UTF-8
    (tmp_path / odd).write_bytes((folder / "é0.jpg").read_bytes())
    listed = ["é8.jpg", "deep.er/é1.jpg", "é2.jpg", "é10.jpg"]
    for name in ("train", "val"):
        (tmp_path / f"{name}.txt").write_text("\n".join(listed), encoding="utf-8")
    source = ListFile(str(tmp_path / "train.txt"), str(tmp_path / "val.txt"), str(folder))
    pack(source, tmp_path / "1", PACKING, 0)
    assert list(Shards(str(tmp_path / "1")).names("train")) == listed
    assert all(torch.equal(Shards(str(tmp_path / "1")).read(name), source.read(name)) for name in listed)
    (tmp_path / "line\nbreak.jpg").write_bytes((folder / "é0.jpg").read_bytes())
    unreadable = pack(Folder(str(tmp_path), holdout=0.0), tmp_path / "2", PACKING, 0)
    assert unreadable == {"line\nbreak.jpg": "its name has a line break"}
    assert list(Shards(str(tmp_path / "2")).names("train")) == [odd]
    assert list(Shards(str(tmp_path / "2")).names("val")) == []
    assert Shards(str(tmp_path / "2")).read(odd).shape == (3, 24, 24)


def on_rank(monkeypatch: pytest.MonkeyPatch, rank: int, processes: int) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: processes)


def test_three_processes_with_two_workers_neither_overlap_nor_lose(packed: Path, monkeypatch: pytest.MonkeyPatch):
    train, val = [], []
    for rank in range(3):
        on_rank(monkeypatch, rank, 3)
        source = Shards(str(packed))
        source.names("train")  # opened before the workers are forked
        ours = data(source, batch_size=3, workers=2)
        train += [index for batch in ours.train_loader() for index in batch.indices.tolist()]
        val += [index for batch in ours.val_loader() for index in batch.indices.tolist()]
    count = len(Shards(str(packed)).names("train")) // 3 * 3
    assert len(train) == len(set(train)) == count
    assert sorted(val) == list(range(len(Shards(str(packed)).names("val"))))


def test_trains_on_what_the_folder_would_deliver(folder: Path, packed: Path):
    ours = data(Shards(str(packed)), workers=2).train_loader()
    theirs = data(Folder(str(folder), holdout=0.2)).train_loader()
    for _ in range(2):
        assert all(equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_resumes_in_the_middle_of_an_epoch(packed: Path, workers: int):
    first = data(Shards(str(packed)), workers=workers).train_loader()
    stream = [batch for _ in range(2) for batch in first]
    again = data(Shards(str(packed)), workers=workers).train_loader()
    for _, _ in zip(range(3), again, strict=False):
        place = again.state_dict()
    resumed = data(Shards(str(packed)), workers=workers).train_loader()
    resumed.load_state_dict(place)
    rest = [batch for _ in range(2) for batch in resumed]
    assert all(equal(a, b) for a, b in zip(rest, stream[3:], strict=True))


def test_goes_to_another_process_without_its_index(packed: Path):
    source = Shards(str(packed))
    name = source.names("train")[0]
    again = pickle.loads(pickle.dumps(source))
    assert len(pickle.dumps(source)) < 500
    assert torch.equal(again.read(name), source.read(name))


def test_constructing_touches_no_disk():
    with pytest.raises(FileNotFoundError, match=r"data\.source\.root: there is no .*train\.json; run `gancolor pack"):
        Shards("nowhere").names("train")


@pytest.mark.parametrize("lost", ["train-000002.tar", "val-000000.tar", "train.json", "val.txt", "train.npy"])
def test_a_missing_file_is_named(shards: Path, lost: str):
    (shards / lost).unlink()
    with pytest.raises(FileNotFoundError, match=rf"there is no .*{lost}; run `gancolor pack"):
        Shards(str(shards)).names("val" if lost.startswith("val") else "train")


def test_a_truncated_shard_is_named(shards: Path):
    size = (shards / "train-000002.tar").stat().st_size
    os.truncate(shards / "train-000002.tar", size - 512)
    with pytest.raises(
        ValueError, match=rf"train-000002\.tar has {size - 512} bytes, but was written with {size}; run"
    ):
        Shards(str(shards)).names("train")


def test_a_broken_index_is_named(shards: Path):
    (shards / "train.json").write_text("{")
    with pytest.raises(ValueError, match=r"train\.json is damaged"):
        Shards(str(shards)).names("train")


@pytest.mark.parametrize("name", ["train.txt", "train.npy"])
def test_a_torn_index_is_named(shards: Path, name: str):
    size = (shards / name).stat().st_size
    os.truncate(shards / name, size - 8)
    with pytest.raises(ValueError, match=rf"train\.(txt|npy) has {size - 8} bytes, but was written with {size}; run"):
        Shards(str(shards)).names("train")


def test_an_index_of_another_version_is_refused(shards: Path):
    path = shards / "train.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ValueError, match=r"train\.json is of version 2, and this gancolor reads version 1; run `ganc"):
        Shards(str(shards)).names("train")


@pytest.mark.parametrize("files", [0, 1, 2])
def test_an_index_is_never_part_new_and_part_old(
    shards: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, files: int
):
    """Killed at any moment while it is written anew, it is none at all; then the same packing completes it."""
    write, written = atomic.write, []

    def killed(path: Path, content: bytes) -> None:
        if len(written) == files:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, content)

    before = (shards / "train.json").read_bytes()
    monkeypatch.setattr(atomic, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        pack(Folder(str(folder), holdout=0.2), shards, PACKING, 0)
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match=r"there is no .*train\.json; run `gancolor pack"):
        Shards(str(shards)).names("train")
    pack(Folder(str(folder), holdout=0.2), shards, PACKING, 0)
    assert (shards / "train.json").read_bytes() == before
    assert len(Shards(str(shards)).names("train")) > 0


def test_what_is_damaged_later_is_reported_with_photograph_and_shard(shards: Path, caplog: pytest.LogCaptureFixture):
    source = Shards(str(shards))
    loader = data(source).train_loader()
    name = source.names("train")[8]
    os.truncate(shards / "train-000001.tar", 512)
    with pytest.raises(Unreadable, match=rf"^{name}: in .*train-000001\.tar: the shard has been cut off"):
        source.read(name)
    with caplog.at_level(logging.WARNING, "gancolor"):
        list(loader)
    assert any(name in line and "train-000001.tar" in line for line in caplog.messages)


def test_broken_bytes_are_unreadable(shards: Path):
    source = Shards(str(shards))
    name = source.names("train")[0]
    raw = bytearray((shards / "train-000000.tar").read_bytes())
    start = raw.index(b"\xff\xd8\xff")
    raw[start : start + 600] = bytes(600)
    (shards / "train-000000.tar").write_bytes(raw)
    with pytest.raises(Unreadable, match=rf"^{name}: in .*train-000000\.tar: "):
        source.read(name)


def test_more_shards_than_a_process_may_open(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shards_module, "_opened", lru_cache(maxsize=8)(shards_module._Opened))
    packing = Packing(24, 90, "4:4:4", per_shard=1)
    pack(Folder(str(folder), holdout=0.0), tmp_path / "shards", packing, 0)
    source = Shards(str(tmp_path / "shards"))
    names = source.names("train")  # maps the index, which stays open
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for name in names:
        source.read(name)
    assert len(os.listdir("/proc/self/fd")) <= before + 8  # noqa: PTH208
