"""Records on disk: whole or not at all, and the same rows however they were cut into batches."""

import errno
import gc
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any

import numpy as np
import pytest
import torch

from gancolor.benchmark import records
from gancolor.benchmark.intervals import GROUPS
from gancolor.benchmark.records import Batch, Store, StoredRecords, StoredRows, digest
from gancolor.errors import InputError

KEY = "ab" * 32
RECORDS = {"psnr": torch.tensor([20.5, 31.25]), "inception": torch.arange(6.0).reshape(2, 3)}


def test_digests_tell_parts_and_their_order_apart() -> None:
    given = [("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"), ("ab",), ("a", "b", ""), ()]
    assert len({digest(*parts) for parts in given}) == len(given)
    assert digest("a", b"b") == digest(b"a", "b")


def test_what_is_kept_is_loaded(tmp_path: Path) -> None:
    store = Store(tmp_path / "records")
    store.keep(KEY, RECORDS)
    batch = Batch([4, 7], dict.fromkeys(RECORDS, store.path(KEY)))
    for name, values in RECORDS.items():
        assert batch.load(name).dtype == np.float32
        np.testing.assert_array_equal(batch.load(name), values)


def test_nothing_but_the_file_is_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep(KEY, RECORDS)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [store.path(KEY)]


def test_a_store_makes_nothing_before_it_keeps_something(tmp_path: Path) -> None:
    assert not Store(tmp_path / "records").path(KEY).is_file()
    assert not (tmp_path / "records").exists()


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk, half-way."""

    def savez(file: Any, **_: object) -> None:
        file.write(b"PK half of it")
        file.flush()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(InputError, match=f"^{tmp_path} .*No space left on device.*--cache$"):
        Store(tmp_path).keep(KEY, RECORDS)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_write_that_is_interrupted_leaves_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def savez(file: Any, **_: object) -> None:
        file.write(b"PK half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).keep(KEY, RECORDS)
    assert not Store(tmp_path).path(KEY).exists()


@pytest.mark.parametrize("where", ["", "ab", "ab/file"])
def test_a_folder_that_cannot_be_written_to_asks_for_another(tmp_path: Path, where: str) -> None:
    """A file in its place; permissions would not stop a superuser."""
    folder = tmp_path / "records"
    blocked = folder / where
    blocked.parent.mkdir(parents=True, exist_ok=True)
    if where == "ab/file":  # a folder in the file's place
        Store(folder).path(KEY).mkdir()
    else:
        blocked.touch()
    with pytest.raises(InputError, match=f"^{folder} cannot keep what is measured .*--cache$"):
        Store(folder).keep(KEY, RECORDS)
    assert not list(tmp_path.rglob("*.tmp"))


DAMAGE = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "another file": lambda content: b"These are my notes.",
    "a flipped bit": lambda content: content.replace(np.float32(31.25).tobytes(), np.float32(31.5).tobytes()),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_named(tmp_path: Path, kind: str) -> None:
    store = Store(tmp_path)
    store.keep(KEY, RECORDS)
    path = store.path(KEY)
    content = path.read_bytes()
    path.write_bytes(DAMAGE[kind](content))
    assert path.read_bytes() != content
    with pytest.raises(InputError, match=f"^{path} is damaged .*delete it"):
        Batch([0, 1], {"psnr": path}).load("psnr")


def test_a_file_without_the_record_is_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep(KEY, {"mse": torch.zeros(2)})
    with pytest.raises(InputError, match="is damaged"):
        Batch([0, 1], {"psnr": store.path(KEY)}).load("psnr")


def batches(store: Store, values: np.ndarray, sizes: list[int]) -> list[Batch]:
    """Values cut into batches, kept under the names ``v`` (vectors) and ``first`` (of each the first)."""
    found, start = [], 0
    for size in sizes:
        part = torch.from_numpy(values[start : start + size])
        key = digest(str(start), str(size))
        store.keep(key, {"v": part, "first": part[:, 0]})
        places = range(3 * start, 3 * (start + size), 3)  # as if two of three photographs could not be read
        found.append(Batch(places, dict.fromkeys(("v", "first"), store.path(key))))
        start += size
    assert start == len(values)
    return found


@pytest.mark.parametrize("sizes", [[47], [32, 15], [1] * 47, [20, 20, 7], [3, 40, 1, 3], [19, 21, 7], [11, 36]])
def test_groups_do_not_depend_on_the_batches(tmp_path: Path, sizes: list[int]) -> None:
    values = np.random.default_rng(0).normal(size=(47, 3)).astype(np.float32)
    rows = StoredRows("v", batches(Store(tmp_path), values, sizes))
    assert rows.images == 47
    for number in range(GROUPS):
        np.testing.assert_array_equal(rows.group(number), values[number::GROUPS])


def test_a_group_may_be_empty(tmp_path: Path) -> None:
    rows = StoredRows("v", batches(Store(tmp_path), np.ones((5, 3), np.float32), [2, 3]))
    assert [rows.group(number).shape for number in (4, 5, 19)] == [(1, 3), (0, 3), (0, 3)]


def test_every_file_of_vectors_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(47, 3)).astype(np.float32)
    rows = StoredRows("v", batches(Store(tmp_path), values, [32, 15]))
    loaded, load = [], Batch.load
    monkeypatch.setattr(Batch, "load", lambda batch, name: loaded.append(batch.files[name]) or load(batch, name))
    for number in [*range(GROUPS), 3]:
        np.testing.assert_array_equal(rows.group(number), values[number::GROUPS])
    assert len(loaded) == len(set(loaded)) == 2


def test_the_copy_goes_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed, not left to a ResourceWarning; and another object has a copy of its own."""
    made = temporary(monkeypatch, TemporaryFile)
    cut = batches(Store(tmp_path), np.ones((5, 3), np.float32), [2, 3])
    one, other = StoredRows("v", cut), StoredRows("v", cut)
    assert not made
    np.testing.assert_array_equal(one.group(0), other.group(0))
    del one
    gc.collect()
    assert [file.closed for file in made] == [True, False]
    assert other.group(0).shape == (1, 3)


def test_a_full_temporary_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = temporary(monkeypatch, partial(Path("/dev/full").open, "w+b"))
    rows = StoredRows("v", batches(Store(tmp_path), np.ones((1, 3), np.float32), [1]))
    with pytest.raises(InputError, match=f"^{gettempdir()} cannot keep v .*No space left on device.*TMPDIR$"):
        rows.group(0)
    assert made[0].closed


def test_a_missing_file_is_not_the_temporary_folder_s_fault(tmp_path: Path) -> None:
    cut = batches(Store(tmp_path), np.ones((5, 3), np.float32), [2, 3])
    cut[1].files["v"].unlink()
    with pytest.raises(FileNotFoundError, match=cut[1].files["v"].name):
        StoredRows("v", cut).group(0)


def temporary(monkeypatch: pytest.MonkeyPatch, make: Callable[[], IO[bytes]]) -> list[IO[bytes]]:
    """The temporary files from now on, made another way."""
    made: list[IO[bytes]] = []

    def remembered() -> IO[bytes]:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(records, "TemporaryFile", remembered)
    return made


def test_records_are_in_the_order_of_the_photographs(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    cut = batches(Store(tmp_path), values, [3, 3, 1])
    for some in itertools.permutations([*cut, Batch([], {})]):  # as other processes hand them in
        found = StoredRecords(some)
        np.testing.assert_array_equal(found.column("first"), values[:, 0])
        np.testing.assert_array_equal(found.rows("v").group(0), values[:1])
        assert list(found.columns()) == ["first"]
