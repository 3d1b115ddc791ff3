"""Files that are there whole or not at all."""

import errno
import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from gancolor import atomic


@pytest.fixture
def path(tmp_path: Path) -> Path:
    result = tmp_path / "a" / "last.ckpt"
    atomic.write(result, b"one")
    return result


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_new_file_takes_the_old_ones_place(path: Path) -> None:
    atomic.write(path, memoryview(b"two"))
    assert files(path.parent) == {"last.ckpt": b"two"}


def test_the_file_before_is_kept_under_another_name(path: Path) -> None:
    former = path.with_name("previous.ckpt")
    for content in (b"two", b"three", b"four"):
        atomic.write(path, content, former=former)
    assert files(path.parent) == {"last.ckpt": b"four", "previous.ckpt": b"three"}


def test_further_names_are_of_the_same_file_and_stay_with_it(path: Path) -> None:
    best = path.with_name("best.ckpt")
    atomic.write(path, b"two", also=[best])
    assert best.samefile(path)
    atomic.write(path, b"three")
    assert files(path.parent) == {"last.ckpt": b"three", "best.ckpt": b"two"}


def test_names_that_a_killed_process_left_half_given(path: Path) -> None:
    """Killed between the two renames: the file before has both names, and so may their temporary ones."""
    former = path.with_name("previous.ckpt")
    for name in ("previous.ckpt", ".previous.ckpt.part"):
        os.link(path, path.with_name(name))
    path.with_name(".last.ckpt.part").write_bytes(b"half")
    atomic.write(path, b"two", former=former)
    atomic.write(path, b"three", former=former)
    assert files(path.parent) == {"last.ckpt": b"three", "previous.ckpt": b"two"}


def test_without_hard_links_the_file_is_copied(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", Mock(side_effect=OSError(errno.EPERM, "not here")))
    atomic.write(path, b"two", also=[path.with_name("best.ckpt")], former=path.with_name("previous.ckpt"))
    assert files(path.parent) == {"last.ckpt": b"two", "best.ckpt": b"two", "previous.ckpt": b"one"}


def test_whatever_fails_leaves_both_files_as_they_were(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best, former = path.with_name("best.ckpt"), path.with_name("previous.ckpt")
    for name in ("best.ckpt", "previous.ckpt"):
        path.with_name(name).write_bytes(b"zero")
    before = files(path.parent)
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        atomic.write(path, b"two", also=[best], former=former)
    assert files(path.parent) == before


def test_at_every_instant_there_is_a_whole_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever touches the folder, the file is the old or the new one, and the one before is never younger."""
    seen: list[tuple[bytes, bytes]] = []
    former = path.with_name("previous.ckpt")
    atomic.write(path, b"two", former=former)

    def look(*_: object) -> None:
        seen.append((path.read_bytes(), former.read_bytes()))

    for owner, name in ((os, "link"), (os, "fsync"), (Path, "replace"), (Path, "unlink")):
        genuine = getattr(owner, name)

        def watched(*args: object, genuine: object = genuine, **options: object) -> object:
            look()
            result = genuine(*args, **options)  # type: ignore[operator]
            look()
            return result

        monkeypatch.setattr(owner, name, watched)
    atomic.write(path, b"three", former=former)
    assert set(seen) == {(b"two", b"one"), (b"two", b"two"), (b"three", b"two")}


def test_what_is_written_is_on_the_disk_before_it_has_the_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        order.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def replaced(self: Path, target: Path) -> Path:
        order.append(f"replace {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    atomic.write(path, b"two")
    assert order == ["fsync .last.ckpt.part", "replace last.ckpt", "fsync a"]
