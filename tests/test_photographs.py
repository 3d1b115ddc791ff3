"""Sources of photographs: which files each split names, that they can be read, and what its errors say."""

import os
import pickle
import tarfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from gancolor.data.photographs import Folder, ImageFolder, ListFile, TinyImageNet
from gancolor.interfaces import Source, Split, Unreadable

SPLITS: tuple[Split, Split] = ("train", "val")


def fill(root: Path, names: Iterable[str]) -> Path:
    """Write a small image under each name, or an empty file if it is no image's."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in {".txt", ".pdf", ".mpg", ""}:
            path.touch()
        else:
            Image.new("RGB", (8, 6)).save(path)
    return root


def assert_all_readable(source: Source):
    for split in SPLITS:
        assert source.names(split)
        for name in source.names(split):
            assert source.read(name).shape[0] == 3


def test_folder_finds_images_of_any_format_at_any_depth(tmp_path: Path):
    images = ["a.jpg", "b/c/d.PNG", "b/e.webp", "f g.TIF", "ü.bmp"]
    fill(tmp_path, [*images, "notes.txt", "a.pdf", "film.mpg", "README", "._a.jpg", ".cache/h.jpg", "b/.x/i.png"])
    folder = Folder(str(tmp_path), holdout=0.0)
    assert folder.names("train") == sorted(images)
    assert folder.names("val") == []
    assert folder.read("b/c/d.PNG").shape == (3, 6, 8)


def test_folder_follows_links_to_folders(tmp_path: Path):
    fill(tmp_path / "elsewhere", ["a.png"])
    fill(tmp_path / "root", ["b.png"])
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    assert Folder(str(tmp_path / "root"), holdout=0.0).names("train") == ["b.png", "link/a.png"]


def test_folder_splits_by_share_without_overlap(tmp_path: Path):
    for index in range(2000):
        (tmp_path / f"{index}.jpg").touch()
    folder = Folder(str(tmp_path), holdout=0.1)
    train, val = folder.names("train"), folder.names("val")
    assert sorted(train + val) == sorted(f"{index}.jpg" for index in range(2000))
    assert 150 < len(val) < 250  # 200 ± 3.7 standard deviations
    assert train == sorted(train)
    assert val == sorted(val)


def test_holdout_stays_when_files_are_added(tmp_path: Path):
    for index in range(200):
        (tmp_path / f"{index}.jpg").touch()
    before = Folder(str(tmp_path), holdout=0.1)
    assert before.names("val")
    for index in range(200, 400):
        (tmp_path / f"{index}.jpg").touch()
    after = Folder(str(tmp_path), holdout=0.1)
    for split in SPLITS:
        assert set(before.names(split)) < set(after.names(split))


@pytest.mark.parametrize("holdout", [0.001, 0.5, 0.999])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_still_fill_both_splits(tmp_path: Path, count: int, holdout: float):
    fill(tmp_path, [f"{index}.png" for index in range(count)])
    folder = Folder(str(tmp_path), holdout=holdout)
    train, val = folder.names("train"), folder.names("val")
    assert len(train) + len(val) == count
    assert train
    assert bool(val) == (count > 1)


@pytest.mark.parametrize("holdout", [-0.1, 1.0, 5.0])
def test_holdout_must_be_a_share(holdout: float):
    with pytest.raises(ValueError, match=r"data\.source\.holdout is"):
        Folder("anywhere", holdout=holdout)


@pytest.mark.parametrize(
    ("root", "val_root", "train", "val"),
    [
        ("train", "val", ["a.png", "b.png"], ["../val/a.png", "../val/c.png"]),
        (".", "val", ["train/a.png", "train/b.png"], ["val/a.png", "val/c.png"]),
    ],
    ids=["beside", "inside"],
)
def test_val_root(tmp_path: Path, root: str, val_root: str, train: list[str], val: list[str]):
    fill(tmp_path, ["train/a.png", "train/b.png"])
    fill(tmp_path, ["val/c.png"])
    Image.new("RGB", (5, 5)).save(tmp_path / "val" / "a.png")
    folder = Folder(str(tmp_path / root), val_root=str(tmp_path / val_root))
    assert folder.names("train") == train
    assert folder.names("val") == val
    assert folder.read(train[0]).shape == (3, 6, 8)
    assert folder.read(val[0]).shape == (3, 5, 5)


def test_val_root_beside_a_linked_root(tmp_path: Path):
    fill(tmp_path / "disk" / "photographs", ["a.png"])
    fill(tmp_path / "val", ["b.png"])
    (tmp_path / "train").symlink_to(tmp_path / "disk" / "photographs")
    assert_all_readable(Folder(str(tmp_path / "train"), val_root=str(tmp_path / "val")))


def test_val_root_that_leaves_nothing_to_train_on(tmp_path: Path):
    fill(tmp_path / "train", ["a.png"])
    for val_root in (tmp_path, tmp_path / "train"):
        with pytest.raises(FileNotFoundError, match="holds no image that is not under val_root"):
            Folder(str(tmp_path / "train"), val_root=str(val_root)).names("train")


def test_relative_roots_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fill(tmp_path, ["train/a.png", "val/b.png", "val/images/c.png"])
    (tmp_path / "train.txt").write_text("train/a.png\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for prefix in ("", "~/"):
        assert_all_readable(Folder(f"{prefix}train", val_root=f"{prefix}val"))
        assert_all_readable(ImageFolder(prefix or "."))
        assert_all_readable(TinyImageNet(prefix or "."))
        assert_all_readable(ListFile(f"{prefix}train.txt", f"{prefix}train.txt", prefix or "."))


def test_image_folder(tmp_path: Path):
    fill(tmp_path, ["train/cat/b.JPEG", "train/cat/a.jpg", "train/ant/c.png", "val/cat/a.jpg", "test/d.png"])
    source = ImageFolder(str(tmp_path))
    assert source.names("train") == ["train/ant/c.png", "train/cat/a.jpg", "train/cat/b.JPEG"]
    assert source.names("val") == ["val/cat/a.jpg"]
    assert_all_readable(source)


def test_tiny_imagenet(tmp_path: Path):
    train = [f"train/n0{c}/images/n0{c}_{i}.JPEG" for c in range(2) for i in range(3)]
    fill(tmp_path, [*train, "train/n00/n00_boxes.txt", "val/val_annotations.txt", "val/images/val_0.JPEG"])
    fill(tmp_path, ["test/images/test_0.JPEG", "wnids.txt"])
    source = TinyImageNet(str(tmp_path))
    assert source.names("train") == train
    assert source.names("val") == ["val/images/val_0.JPEG"]
    assert_all_readable(source)


def test_list_file_keeps_its_order(tmp_path: Path):
    fill(tmp_path / "root", ["a.png", "b c.png", "d#1.png", "e.png"])
    (tmp_path / "train.txt").write_text("\ufeff# chosen by hand\ne.png\n\n  b c.png \r\nd#1.png\n", encoding="utf-8")
    (tmp_path / "val.txt").write_text("a.png")
    source = ListFile(str(tmp_path / "train.txt"), str(tmp_path / "val.txt"), root=str(tmp_path / "root"))
    assert source.names("train") == ["e.png", "b c.png", "d#1.png"]
    assert source.names("val") == ["a.png"]
    assert_all_readable(source)


def test_list_file_names_what_is_missing(tmp_path: Path):
    fill(tmp_path, ["a.png"])
    for name, text in (("good", "a.png\n"), ("gap", "# header\na.png\nnone.png\n"), ("empty", "# nothing\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    good, gap, empty = (str(tmp_path / f"{name}.txt") for name in ("good", "gap", "empty"))
    with pytest.raises(FileNotFoundError, match=r"source\.val: .*gap\.txt, line 3: .*none\.png does not exist"):
        ListFile(good, gap, str(tmp_path)).names("train")
    with pytest.raises(FileNotFoundError, match=r"source\.train: .*empty\.txt lists no image"):
        ListFile(empty, good, str(tmp_path)).names("train")
    with pytest.raises(FileNotFoundError, match=r"source\.train: .*absent\.txt does not exist"):
        ListFile(str(tmp_path / "absent.txt"), good, str(tmp_path)).names("train")


@pytest.mark.parametrize("source", [Folder, ImageFolder, TinyImageNet])
def test_a_missing_root_is_named(tmp_path: Path, source: type[Folder | ImageFolder | TinyImageNet]):
    with pytest.raises(FileNotFoundError, match=r"data\.source\.root: .*absent does not exist; "):
        source(str(tmp_path / "absent")).names("train")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"data\.source\.root: .*file is a file; "):
        source(str(tmp_path / "file")).names("train")


def test_a_missing_val_root_is_named(tmp_path: Path):
    fill(tmp_path, ["a.png"])
    with pytest.raises(FileNotFoundError, match=r"data\.source\.val_root: .*absent does not exist; "):
        Folder(str(tmp_path), val_root=str(tmp_path / "absent")).names("train")


def test_a_folder_without_images_says_what_it_saw(tmp_path: Path):
    fill(tmp_path, ["a.txt", "b/c.pdf", ".hidden.png"])
    with pytest.raises(FileNotFoundError, match=r"holds no image, only 2 other files; images end in .*\.jpg .*\.png "):
        Folder(str(tmp_path)).names("train")


def test_a_wrong_layout_says_what_to_do(tmp_path: Path):
    fill(tmp_path, ["plain/a.png", "classes/train/cat/a.png", "classes/val/cat/b.png"])
    with pytest.raises(FileNotFoundError, match=r"does not hold train/<class>.*use Folder"):
        ImageFolder(str(tmp_path / "plain")).names("train")
    with pytest.raises(FileNotFoundError, match=r"does not hold train/<wnid>.*use ImageFolder"):
        TinyImageNet(str(tmp_path / "classes")).names("train")
    with pytest.raises(FileNotFoundError, match=r"its subfolder does: use .*classes"):
        ImageFolder(str(tmp_path)).names("train")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_not_passed_over(tmp_path: Path):
    fill(tmp_path, ["a.png", "locked/b.png"])
    (tmp_path / "locked").chmod(0)
    with pytest.raises(PermissionError, match="locked"):
        Folder(str(tmp_path)).names("train")


def test_constructing_touches_no_disk_and_listing_happens_once(tmp_path: Path):
    root = tmp_path / "later"
    source = Folder(str(root))
    fill(root, ["a.png", "b.png"])
    first = source.names("train") + source.names("val")
    fill(root, ["c.png"])
    assert source.names("train") + source.names("val") == first
    assert pickle.loads(pickle.dumps(source)).names("train") == source.names("train")


def test_read_passes_min_side_on_and_names_a_damaged_file(tmp_path: Path):
    for name in ("train/a.jpg", "val/images/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.new("RGB", (640, 480)).save(tmp_path / name)
    (tmp_path / "list.txt").write_text("train/a.jpg\n")
    root, listed = str(tmp_path), str(tmp_path / "list.txt")
    for source in (Folder(root), ImageFolder(root), TinyImageNet(root), ListFile(listed, listed, root)):
        assert source.read("train/a.jpg", min_side=100).shape == (3, 120, 160)
    (tmp_path / "train" / "a.jpg").write_bytes(b"")
    with pytest.raises(Unreadable, match=r"a\.jpg: "):
        Folder(root).read("train/a.jpg")


def shared(archive: str) -> Path:
    path = Path(__file__).parents[2] / "shared" / "data" / archive
    if not path.exists():
        pytest.skip(f"needs {path}")
    return path


@pytest.mark.shared
def test_imagenette(tmp_path: Path):
    with tarfile.open(shared("imagenette224-subset.tar")) as tar:
        files = [member for member in tar if member.isfile()]
        for split, count in (("/train/", 20), ("/val/", 10)):
            for member in [file for file in files if split in file.name][:count]:
                tar.extract(member, tmp_path, filter="data")
    source = ImageFolder(str(tmp_path / "imagenette224"))
    assert (len(source.names("train")), len(source.names("val"))) == (20, 10)
    assert {source.read(name).shape for split in SPLITS for name in source.names(split)} == {(3, 224, 224)}


@pytest.mark.shared
def test_tiny_imagenet_photographs(tmp_path: Path):
    with tarfile.open(shared("tiny-imagenet-200-subset.tar.xz"), "r|xz") as tar:  # a stream, left after a few files
        for member in islice((member for member in tar if "/train/" in member.name), 15):
            tar.extract(member, tmp_path, filter="data")
    root = tmp_path / "tiny-imagenet-200"
    (root / "val" / "images").mkdir(parents=True)
    for index, path in enumerate(sorted(root.glob("train/*/images/*.JPEG"))[:5]):
        path.rename(root / "val" / "images" / f"val_{index}.JPEG")  # the archive's own lie at its far end
    source = TinyImageNet(str(root))
    assert (len(source.names("train")), len(source.names("val"))) == (10, 5)
    assert {source.read(name).shape for split in SPLITS for name in source.names(split)} == {(3, 64, 64)}
