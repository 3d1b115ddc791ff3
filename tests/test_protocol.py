import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gancolor.benchmark.numbers import METRICS
from gancolor.benchmark.protocol import Images, Protocol, find, hash_of, read
from gancolor.errors import InputError

FOLDER = Path(__file__).parents[1] / "configs" / "benchmark"
FILES = sorted(FOLDER.glob("*.yaml"))
GOOD = {
    "name": "mine",
    "description": "my photographs",
    "images": {"description": "five of them", "count": 5, "names": "x_{:03d}"},
    "metrics": ["fid", "psnr"],
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(GOOD | changes))
    return path


def test_all_keys_are_read(tmp_path: Path):
    given = {"geometry": "squash", "size": 96, "interpolation": "bilinear", "antialias": False, "lightness": "input"}
    reference = {"description": "others", "count": 7}
    path = write(tmp_path, **given, reference=reference, fingerprint=38.2, source="a paper", doubt="much")
    assert read(path) == Protocol(
        "mine", "my photographs", Images("five of them", 5, "x_{:03d}"), "squash", 96, "bilinear", False, "input",
        ["fid", "psnr"], Images("others", 7), 38.2, "a paper", "much",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrisc": []}, ["'metrisc'", "did you mean 'metrics'?"]),
        ({"images": {"description": "", "cuont": 5}}, ["images", "'cuont'", "did you mean 'count'?"]),
        ({"reference": {"description": "", "nmes": "x"}}, ["reference", "'nmes'", "did you mean 'names'?"]),
        ({"size": "large"}, ["size", "Expected int", "large"]),
        ({"size": 0}, ["size is 0", "at least 1"]),
        ({"images": {"description": "", "count": "many"}}, ["images.count", "many"]),
        ({"fingerprint": "high"}, ["fingerprint", "Expected float", "high"]),
        ({"geometry": "sqush"}, ["geometry", "'crop', 'squash'", "sqush"]),
        ({"metrics": "fid"}, ["metrics", "Expected", "fid"]),
        ({"metrics": ["fid", "colourfulness"]}, ["'colourfulness'", "did you mean 'colorfulness'?"]),
        ({"images": {"description": "", "names": "x_{}"}}, ["images.count is missing"]),
        ({"images": {"description": "", "count": 2, "names": "x_{:q}"}}, ["images.names", "'x_{:q}'", "val_{:08d}"]),
        ({"images": {"description": "", "count": 2, "names": "x_{a}"}}, ["images.names", "'x_{a}'", "val_{:08d}"]),
        ({"images": {"description": "", "count": 2, "names": "x"}}, ["images.names", "'x'", "val_{:08d}"]),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, changes: dict[str, object], said: list[str]):
    path = write(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"--protocol {path}: ")
    assert "\n" not in message
    assert all(words in message for words in said), message


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a: [\n"])
def test_a_file_that_holds_no_keys_is_named(tmp_path: Path, text: str):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"--protocol .*broken\.yaml"):
        read(path)


def test_a_missing_key_is_named(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("description: a\nimages: {description: b}\n")
    with pytest.raises(InputError, match="name"):
        read(path)


def test_a_protocol_is_found_by_name_and_by_path(tmp_path: Path):
    path = write(tmp_path)
    assert find("mine", tmp_path) == replace(read(path), shipped=True)
    assert find(str(path), FOLDER) == read(path)


def test_only_ours_are_shipped_whatever_a_file_says(tmp_path: Path):
    path = write(tmp_path, shipped=True)
    assert not find(str(path), FOLDER).shipped
    assert find("imagenet-val5k-crop", FOLDER).shipped
    assert find(str(FOLDER / "imagenet-val5k-crop.yaml"), FOLDER).shipped
    assert not find(str(FOLDER / "imagenet-val5k-crop.yaml"), tmp_path).shipped
    assert not find(str(path.with_suffix("")), FOLDER).shipped  # a path that becomes a file's by the suffix


def test_the_name_is_the_file_s(tmp_path: Path):
    write(tmp_path).rename(tmp_path / "imagenet-val5k-crop.yaml")
    with pytest.raises(InputError, match="name is 'mine': it must be the file's, 'imagenet-val5k-crop'"):
        read(tmp_path / "imagenet-val5k-crop.yaml")


def test_names_are_compared_in_composed_form_and_need_not_be_unicode():
    assert hash_of(["caf\u00e9.png"]) == hash_of(["cafe\u0301.jpg"])
    assert hash_of(["caf\udce9.png"]) == hashlib.sha256(b"caf\xe9\n").hexdigest()


def test_an_unknown_name_is_answered_with_the_nearest_and_all():
    with pytest.raises(InputError) as caught:
        find("imagenet-val5k-corp", FOLDER)
    assert "did you mean 'imagenet-val5k-crop'?" in str(caught.value)
    assert all(path.stem in str(caught.value) for path in FILES)


def test_the_hash_is_of_sorted_stems():
    expected = hashlib.sha256(b"a\nb.1\nc\n").hexdigest()
    assert hash_of(["x/c.JPEG", "b.1.png", "y/z/a"]) == expected


def test_a_rule_makes_its_names():
    assert Images("", 3, "val_{:02d}", first=9).rule() == ["val_09", "val_10", "val_11"]
    assert Images("", 3).rule() == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_sound(path: Path):
    protocol = read(path)
    assert protocol.name == path.stem
    assert set(protocol.metrics) <= set(METRICS)
    assert len(set(protocol.metrics)) == len(protocol.metrics)
    assert protocol.images.names is None or protocol.images.sha256 is not None
    for images in (protocol.images, protocol.reference):
        if images is not None and images.names is not None:
            assert len(set(images.rule())) == images.count
            assert hash_of(images.rule()) == images.sha256


def test_the_protocols_asked_for_are_there():
    asked = (
        "imagenet-val5k-crop imagenet-val50k-squash imagenet-ctest10k coco-val5k-squash ade20k-val2k-squash "
        "coltran-5k-disjoint cong2024 tiny-imagenet-val folder"
    )
    assert set(asked.split()) <= {path.stem for path in FILES}


def test_what_field_notes_say_is_in_the_files():
    facts = {path.stem: read(path) for path in FILES}
    assert {name: p.fingerprint for name, p in facts.items() if p.fingerprint} == {
        "imagenet-val5k-crop": 38.21,
        "imagenet-val50k-squash": 39.09,
        "coco-val5k-squash": 38.24,
        "ade20k-val2k-squash": 35.04,
    }
    for name, protocol in facts.items():
        for geometry in ("crop", "squash"):
            assert geometry not in name or protocol.geometry == geometry
    assert facts["imagenet-val5k-crop"].images.rule()[-1] == "ILSVRC2012_val_00005000"
    assert facts["imagenet-val50k-squash"].images.rule()[-1] == "ILSVRC2012_val_00050000"
    assert facts["ade20k-val2k-squash"].images.rule()[0] == "ADE_val_00000001"
    tiny = facts["tiny-imagenet-val"]
    assert (tiny.images.rule()[0], tiny.images.rule()[-1], tiny.size) == ("val_0", "val_9999", 64)
    assert facts["folder"].size is None
