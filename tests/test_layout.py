"""What a place is taken for, by pack and doctor alike."""

import inspect
from pathlib import Path

import pytest

from gancolor.apps import doctor, pack
from gancolor.data import Folder, ImageFolder, ListFile, Shards
from gancolor.data.layout import found_at


def test_each_layout_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("plain", "classes/train", "classes/val", "torn", "shards", "download"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("list.txt", "torn/train-000000.tar", "shards/train.json", "download/photographs.tar"):
        (tmp_path / file).touch()
    kinds = {"plain": Folder, "classes": ImageFolder, "torn": Shards, "shards": Shards, "download": Folder}
    for name, kind in kinds.items():
        assert type(found_at(str(tmp_path / name))) is kind
        assert type(found_at(f"~/{name}")) is kind
    listed = found_at("~/list.txt")
    assert isinstance(listed, ListFile)
    assert (listed.train, listed.val) == ("~/list.txt", "~/list.txt")
    given = found_at("~/list.txt", "other.txt")
    assert isinstance(given, ListFile)
    assert given.val == "other.txt"


def test_folders_of_validation_images_and_shares_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    given = found_at(str(tmp_path), str(tmp_path / "val"), 0.5)
    assert isinstance(given, Folder)
    assert (given.val_root, given.holdout) == (str(tmp_path / "val"), 0.5)


@pytest.mark.parametrize("app", [pack, doctor])
def test_the_commands_name_the_share_that_a_folder_holds_out(app) -> None:
    share = inspect.signature(Folder).parameters["holdout"].default
    assert f"by default {share}" in " ".join(app.parser().format_help().split())
