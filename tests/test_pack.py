"""``gancolor pack`` and ``gancolor verify``: what they write, keep and say, through the command line."""

import errno
import io
import json
import multiprocessing
import os
import signal
import tarfile
import time
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image, ImageCms, JpegImagePlugin

from gancolor.apps.cli import main
from gancolor.data.augment import resize
from gancolor.data.decoding import decode

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def smooth(height: int, width: int, seed: int) -> Image.Image:
    """A picture that survives JPEG."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [128 + 100 * np.sin(rows / 30 + seed), 128 + 100 * np.cos(columns / 40), 60 + 100 * columns / width]
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Twenty photographs with awkward names, larger and smaller than 40 pixels, and one that is none."""
    folder = tmp_path / "photographs"
    (folder / "a.b").mkdir(parents=True)
    for index in range(18):
        suffix = "png" if index % 3 else "jpg"
        smooth(*((60, 90) if index % 2 else (30, 50)), index).save(
            folder / f"{'a.b/' * (index % 2)}ü {index}.x.{suffix}"
        )
    (folder / "broken.jpg").write_text("no photograph")
    smooth(35, 35, 1).save(folder / "turned.jpg", exif=turned())
    return folder


def turned() -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = 6
    return tags


def packed(photographs: Path, shards: Path, *options: object) -> int:
    """Pack in shards of five; the exit code."""
    given = ["pack", photographs, shards, "--size", 40, "--per_shard", 5, "--holdout", 0.2, "--workers", 0, *options]
    return code(given)


def code(given: list[object]) -> int:
    """What a command exits with."""
    try:
        main([str(one) for one in given])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def members(shards: Path) -> dict[str, bytes]:
    """By photograph, its JPEG file, as the tarfile module reads it."""
    found = {}
    for path in shards.glob("*.tar"):
        with tarfile.open(path) as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar}  # pyright: ignore
        for name in files:
            if name.endswith(".json"):
                found[json.loads(files[name])["path"]] = files[name.replace(".json", ".jpg")]
    return found


@pytest.mark.filterwarnings("ignore:.*unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_every_photograph(photographs: Path, tmp_path: Path):
    assert packed(photographs, tmp_path / "shards") == 1  # one of them is none
    names = {path.relative_to(photographs).as_posix() for path in photographs.rglob("*.*") if path.is_file()}
    read = {}
    for path in (tmp_path / "shards").glob("*.tar"):
        for sample in webdataset.WebDataset(str(path), shardshuffle=False).decode("rgb8"):
            assert sample["jpg"].shape[2] == 3
            assert min(sample["jpg"].shape[:2]) <= 40
            read[sample["json"]["path"]] = path.name.partition("-")[0] + sample["__key__"]
    assert set(read) == names - {"broken.jpg"}
    assert len(set(read.values())) == len(read)


def test_the_index_is_that_of_wids(photographs: Path, tmp_path: Path):
    packed(photographs, tmp_path / "shards")
    listed = []
    for split in ("train", "val"):
        index = json.loads((tmp_path / "shards" / f"{split}.json").read_text())
        assert (index["__kind__"], index["wids_version"]) == ("wids-shard-index-v1", 1)
        for shard in index["shardlist"]:
            data = (tmp_path / "shards" / shard["url"]).read_bytes()
            assert shard["filesize"] == len(data)
            assert shard["md5sum"] == md5(data).hexdigest()
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                assert shard["nsamples"] == len(tar.getnames()) / 2
            listed.append(shard["url"])
    assert sorted(listed) == sorted(path.name for path in (tmp_path / "shards").glob("*.tar"))
    assert len(listed) >= 4


def test_large_ones_are_shrunk_and_plain_small_ones_copied(photographs: Path, tmp_path: Path):
    packed(photographs, tmp_path / "shards", "--quality", 95, "--subsampling", "4:4:4")
    for name, data in members(tmp_path / "shards").items():
        original, image = decode(photographs / name), Image.open(io.BytesIO(data))
        small = min(original.shape[1:]) <= 40
        wanted = original if small else resize(original, 40)
        assert image.size == (wanted.shape[2], wanted.shape[1])
        assert np.abs(np.asarray(image).astype(int) - wanted.permute(1, 2, 0).numpy()).max() <= 6
        plain = name.endswith("jpg") and name != "turned.jpg"
        assert (data == (photographs / name).read_bytes()) == (small and plain)
        assert (JpegImagePlugin.get_sampling(image) == 0) != (small and plain)  # Pillow's own default is 4:2:0


def test_options_of_the_jpeg_files(photographs: Path, tmp_path: Path):
    packed(photographs, tmp_path / "fine")
    packed(photographs, tmp_path / "coarse", "--quality", 50, "--subsampling", "4:2:0")
    fine, coarse = (members(tmp_path / name)["a.b/ü 1.x.png"] for name in ("fine", "coarse"))
    assert len(coarse) < len(fine)
    assert JpegImagePlugin.get_sampling(Image.open(io.BytesIO(coarse))) == 2


def test_the_same_bytes_from_any_number_of_workers(photographs: Path, tmp_path: Path):
    for workers in (0, 1, 3):
        packed(photographs, tmp_path / str(workers), "--workers", workers)
    assert contents(tmp_path / "0") == contents(tmp_path / "1") == contents(tmp_path / "3")


def test_unreadable_ones_are_named_listed_and_left_out(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert packed(photographs, tmp_path / "shards") == 1
    printed = capsys.readouterr()
    assert "broken.jpg is left out: cannot identify image file" in printed.err
    assert "1 could not be read" in printed.out
    indices = [json.loads((tmp_path / "shards" / f"{split}.json").read_text()) for split in ("train", "val")]
    unreadable = [name for index in indices for name in index["gancolor"]["unreadable"]]
    assert unreadable == ["broken.jpg"]
    assert packed(photographs, tmp_path / "shards") == 1  # again, from what is written
    (photographs / "broken.jpg").unlink()
    assert packed(photographs, tmp_path / "others") == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failing_disk_ends_the_packing_and_leaves_no_photograph_out(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, workers: int
):
    packed(photographs, tmp_path / "undisturbed")
    read = Path.read_bytes

    def fails(path: Path) -> bytes:
        if path.name == "ü 9.x.jpg":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        return read(path)

    shards = tmp_path / "shards"
    with monkeypatch.context() as disk:
        disk.setattr(Path, "read_bytes", fails)
        assert packed(photographs, shards, "--workers", workers) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gancolor: ")]
    assert line.endswith("ü 9.x.jpg: Stale file handle; once it can be read, the same command goes on where it stood")
    assert not (shards / "train.json").exists()
    packed(photographs, shards)
    assert contents(shards) == contents(tmp_path / "undisturbed")


def test_a_photograph_that_is_gone_is_left_out(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (photographs / "gone.jpg").symlink_to("nowhere")
    assert packed(photographs, tmp_path / "shards") == 1
    assert "gone.jpg is left out: No such file or directory" in capsys.readouterr().err


def test_nothing_readable_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "a.jpg").write_text("none")
    assert packed(tmp_path, tmp_path / "shards") == 2
    assert "none of the 1 photographs can be read; the first is a.jpg: " in capsys.readouterr().err


def pack_slowly(photographs: Path, shards: Path) -> None:
    """In a process of its own: a shard every 50 ms or so."""
    from gancolor.data import packing

    encode = packing._encode
    packing._encode = lambda *given: (time.sleep(0.03), encode(*given))[1]
    packed(photographs, shards)


def test_goes_on_after_kill_9(photographs: Path, tmp_path: Path):
    packed(photographs, tmp_path / "undisturbed")
    shards = tmp_path / "shards"
    process = multiprocessing.get_context("fork").Process(target=pack_slowly, args=(photographs, shards))
    process.start()
    while not ((shards / "train-000000.json").exists() and (shards / "train-000001.tar.part").exists()):
        time.sleep(0.002)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (shards / "train.json").exists()
    assert not (shards / "train-000001.json").exists()
    first = (shards / "train-000000.tar").stat()
    packed(photographs, shards)
    after = (shards / "train-000000.tar").stat()
    assert (after.st_ino, after.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    assert contents(shards) == contents(tmp_path / "undisturbed")


@pytest.mark.parametrize("lost", ["train-000001.tar", "train-000001.json", "train.json", "val.npy", "cut"])
def test_writes_again_what_is_lost_and_nothing_else(photographs: Path, tmp_path: Path, lost: str):
    shards = tmp_path / "shards"
    packed(photographs, shards)
    before, inodes = contents(shards), {path.name: path.stat().st_ino for path in shards.glob("*.tar")}
    if lost == "cut":
        os.truncate(shards / "train-000001.tar", 1000)
    else:
        (shards / lost).unlink()
    packed(photographs, shards)
    assert contents(shards) == before
    kept = {path.name for path in shards.glob("*.tar") if path.stat().st_ino == inodes[path.name]}
    assert set(inodes) - kept <= {"train-000001.tar"}


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--size", 50], "with size 40, not 50"), (["--quality", 80], "with quality 90, not 80")],
)
def test_refuses_to_mix(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options, message):
    packed(photographs, tmp_path / "shards")
    assert packed(photographs, tmp_path / "shards", *options) == 2
    assert message in capsys.readouterr().err
    smooth(50, 50, 0).save(photographs / "one more.png")
    assert packed(photographs, tmp_path / "shards") == 2
    assert "holds shards of other photographs: choose a new folder" in capsys.readouterr().err


def test_refuses_a_folder_with_other_files(photographs: Path, capsys: pytest.CaptureFixture[str]):
    assert packed(photographs, photographs) == 2
    assert "holds other files: choose a new folder" in capsys.readouterr().err


def test_takes_splits_and_lists_for_what_they_are(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for name in ("train/cat/a.png", "val/cat/b.png"):
        (tmp_path / "classes" / name).parent.mkdir(parents=True)
        smooth(40, 40, 0).save(tmp_path / "classes" / name)
    assert packed(tmp_path / "classes", tmp_path / "1") == 0
    (tmp_path / "train.txt").write_text("classes/val/cat/b.png\nclasses/train/cat/a.png\n")
    (tmp_path / "val.txt").write_text("photographs/turned.jpg\n")
    assert packed(tmp_path / "train.txt", tmp_path / "2", "--val", tmp_path / "val.txt") == 0
    assert packed(tmp_path / "classes/train", tmp_path / "3", "--val", tmp_path / "classes/val") == 0
    listed = {(path.parent.name, path.name): path.read_text().split() for path in tmp_path.glob("?/*.txt")}
    assert listed == {
        ("1", "train.txt"): ["train/cat/a.png"],
        ("1", "val.txt"): ["val/cat/b.png"],
        ("2", "train.txt"): ["classes/val/cat/b.png", "classes/train/cat/a.png"],
        ("2", "val.txt"): ["photographs/turned.jpg"],
        ("3", "train.txt"): ["cat/a.png"],
        ("3", "val.txt"): ["../val/cat/b.png"],
    }
    assert packed(tmp_path / "train.txt", tmp_path / "4") == 2
    assert "give the list of validation images with --val" in capsys.readouterr().err
    assert packed(tmp_path / "absent", tmp_path / "4") == 2
    assert "absent: there is no such file or folder" in capsys.readouterr().err
    assert packed(photographs, tmp_path / "4", "--holdout", 2) == 2
    assert "gancolor: holdout is 2" in capsys.readouterr().err


def test_refuses_to_pack_shards(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    packed(photographs, tmp_path / "shards")
    capsys.readouterr()
    assert packed(tmp_path / "shards", tmp_path / "more") == 2
    assert f"gancolor: {tmp_path / 'shards'} holds shards already: name the photographs" in capsys.readouterr().err
    assert not (tmp_path / "more").exists()


def test_verify_finds_one_flipped_byte(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shards = tmp_path / "shards"
    packed(photographs, shards)
    assert code(["verify", shards]) == 0
    assert "0 damaged or missing" in capsys.readouterr().out
    for name in ("train-000001.tar", "val-000000.tar", "train.txt", "val.npy"):
        data = bytearray((shards / name).read_bytes())
        data[len(data) // 3] ^= 1
        (shards / name).write_bytes(data)
        assert code(["verify", shards]) == 1
        assert (
            f"{shards / name} is damaged: delete it and run the same `gancolor pack` again" in capsys.readouterr().err
        )
        (shards / name).unlink()
        assert code(["verify", shards]) == 1
        assert f"{shards / name} is missing" in capsys.readouterr().err
        packed(photographs, shards)
        assert code(["verify", shards]) == 0
    assert code(["verify", tmp_path]) == 2
    assert f"gancolor: there is no {tmp_path / 'train.json'}; run `gancolor pack" in capsys.readouterr().err
