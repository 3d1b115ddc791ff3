"""The data doctor: every finding on files made for it, what is left out, and the report that says so."""

import io
import json
import re
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SHARED
from pictures import numbered, save, scenes
from PIL import Image, ImageCms, ImageEnhance

from gancolor.apps import doctor
from gancolor.apps.cli import main
from gancolor.config import parse
from gancolor.data import ColorData, Folder, ImageFolder, ListFile
from gancolor.doctor import duplicates, findings, survey
from gancolor.doctor.checkup import Asked, checkup, photographs_at
from gancolor.doctor.examine import Examined, examine
from gancolor.doctor.findings import KINDS, Set
from gancolor.doctor.report import Checkup
from gancolor.interfaces import Files

SIZE = 64


def picture(seed: int, side: int = 96) -> Image.Image:
    """A colorful picture, unlike any other seed's."""
    return Image.fromarray(scenes(1, side, seed)[0].permute(1, 2, 0).numpy())


def wide_gamut() -> bytes:
    """A profile with far more saturated primaries than sRGB: its red, green and blue rotated."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    swap = {b"rXYZ": b"gXYZ", b"gXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    tags = int.from_bytes(profile[128:132])
    for place in range(132, 132 + 12 * tags, 12):
        profile[place : place + 4] = swap.get(bytes(profile[place : place + 4]), profile[place : place + 4])
    return bytes(profile)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def deep_png(path: Path) -> None:
    Image.fromarray((np.arange(96 * 96).reshape(96, 96) * 7 % 65536).astype(np.uint16)).save(path)


def deep_rgb_tiff(path: Path) -> None:
    """Pillow reads such files but does not write them: the header of an uncompressed one, by hand."""
    pixels = (np.random.default_rng(1).random((70, 70, 3)) * 65535).astype("<u2").tobytes()
    entries = [
        (256, 3, 1, 70), (257, 3, 1, 70), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 128),
        (277, 3, 1, 3), (278, 3, 1, 70), (279, 4, 1, len(pixels)),
    ]  # fmt: skip
    head = b"II*\0\x08\0\0\0" + len(entries).to_bytes(2, "little")
    for tag, kind, count, value in entries:
        head += tag.to_bytes(2, "little") + kind.to_bytes(2, "little")
        head += count.to_bytes(4, "little") + value.to_bytes(4, "little")
    head += bytes(4)
    path.write_bytes(head.ljust(122, b"\0") + b"\x10\0" * 3 + pixels)


def rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(5).crop((0, 0, 96, 70)).save(path, exif=exif)


def truncated(path: Path) -> None:
    file = io.BytesIO()
    picture(6).save(file, "JPEG")
    path.write_bytes(file.getvalue()[: len(file.getvalue()) // 2])


PECULIAR: dict[str, tuple[str, Callable[[Path], object]]] = {
    "unreadable": ("text.jpg", lambda path: path.write_text("no picture")),
    "truncated": ("half.jpg", truncated),
    "tiny": ("tiny.png", lambda path: picture(7, 32).crop((0, 0, 32, 31)).save(path)),
    "gray": ("gray.png", lambda path: picture(8).convert("L").save(path)),
    "nearly_gray": ("pale.png", lambda path: ImageEnhance.Color(picture(9)).enhance(0.1).save(path)),
    "cmyk": ("ink.jpg", lambda path: picture(10).convert("CMYK").save(path, quality=95)),
    "deep": ("deep.png", deep_png),
    "profile": ("wide.png", lambda path: picture(11).save(path, icc_profile=wide_gamut())),
    "rotated": ("turned.jpg", rotated),
}


def kinds(image: Examined, size: int = SIZE, least: float = 15.0) -> set[str]:
    return set(findings.find(Set([image], [], []), size, least))


def looked_at(path: Path, size: int = SIZE) -> Examined:
    return examine(Folder(str(path.parent)), path.name, "", size)


@pytest.mark.parametrize("kind", PECULIAR)
def test_every_peculiarity_is_found_and_no_other(kind: str, tmp_path: Path) -> None:
    name, write = PECULIAR[kind]
    write(tmp_path / name)
    assert kinds(looked_at(tmp_path / name)) == {kind} | ({"gray"} if kind == "deep" else set())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {}),
        ("a.png", {}),
        ("srgb.jpg", {"icc_profile": srgb()}),
        ("a.webp", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.bmp", {}),
    ],
)
def test_a_usual_photograph_has_nothing(name: str, options: dict, tmp_path: Path) -> None:
    picture(1).save(tmp_path / name, **options)
    assert kinds(looked_at(tmp_path / name)) == set()


def test_16_bits_are_seen_in_color_too_and_5_6_5_is_not_16(tmp_path: Path) -> None:
    deep_rgb_tiff(tmp_path / "a.tif")
    assert "deep" in kinds(looked_at(tmp_path / "a.tif"))
    rows = np.random.default_rng(2).integers(0, 2**15, (64, 64)).astype("<u2").tobytes()
    header = b"BM" + (54 + len(rows)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + (64).to_bytes(4, "little") * 2 + b"\x01\0\x10\0" + bytes(24)
    (tmp_path / "b.bmp").write_bytes(header + rows)
    assert kinds(looked_at(tmp_path / "b.bmp")) == set()


def test_huge_pictures_are_what_training_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(1).save(tmp_path / "a.png")
    for limit in (96 * 96 - 1, 96 * 96 // 3):  # Pillow warns of the one and refuses the other
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert kinds(looked_at(tmp_path / "a.png")) == {"huge"}
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 96 * 96)
    assert kinds(looked_at(tmp_path / "a.png")) == set()


def test_sizes_are_those_of_the_upright_picture_and_tiny_is_what_training_refuses(tmp_path: Path) -> None:
    rotated(tmp_path / "a.jpg")
    image = looked_at(tmp_path / "a.jpg")
    assert (image.width, image.height) == (70, 96)
    assert "tiny" not in kinds(image, size=140)
    assert "tiny" in kinds(image, size=141)


def test_colorfulness_is_that_of_the_picture_and_the_threshold_is_the_options(tmp_path: Path) -> None:
    picture(3).save(tmp_path / "a.png")
    image = looked_at(tmp_path / "a.png")
    red, green, blue = np.asarray(picture(3)).astype(float).reshape(-1, 3).T
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    expected = np.hypot(*opponents.std(axis=1)) + 0.3 * np.hypot(*opponents.mean(axis=1))
    assert image.colorfulness == pytest.approx(expected, abs=0.01)
    assert kinds(image, least=image.colorfulness) == set()
    assert kinds(image, least=image.colorfulness + 0.01) == {"nearly_gray"}


def encoded(image: Image.Image, **options: object) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return Image.open(file)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "quality 40": lambda image: encoded(image, quality=40),
    "half": lambda image: image.resize((image.width // 2, image.height // 2)),
    "larger": lambda image: encoded(image.resize((image.width * 2, image.height * 2))),
    "squashed": lambda image: image.resize((80, 64)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.08),
    "gray": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("copy", COPIES)
def test_copies_are_found(copy: str, tmp_path: Path) -> None:
    for seed in range(4):
        picture(seed, 128).save(tmp_path / f"a{seed}.png")
        COPIES[copy](picture(seed, 128)).save(tmp_path / f"b{seed}.png")
    images = survey.survey(
        folder := Folder(str(tmp_path), holdout=0.0), folder.names("train"), 32, 0, tmp_path / "k", ""
    )
    assert duplicates.same_bytes(images) == {}
    assert duplicates.same_picture(images) == {4: 0, 5: 1, 6: 2, 7: 3}


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 256), np.uint8)


def bare(name: str, thumbnail: np.ndarray, sha256: bytes | None = None) -> Examined:
    return Examined(name, "", {}, 300, 300, 50.0, sha256 or name.encode(), thumbnail.tobytes(), bytes(192))


def test_candidates_are_all_pairs_of_up_to_three_bits_and_none_of_many() -> None:
    rng = np.random.default_rng(1)
    hashed = rng.integers(0, 256, (300, 8), np.uint8)
    for one in range(100):
        hashed[one + 100] = hashed[one]
        for bit in rng.choice(64, rng.integers(0, 4), replace=False):
            hashed[one + 100, bit // 8] ^= 1 << (bit % 8)
    found = {tuple(pair) for pair in duplicates.candidates(hashed).tolist()}
    bits = np.unpackbits(hashed, axis=1).astype(int)
    distances = np.abs(bits[:, None] - bits[None]).sum(axis=2)
    for one, other in zip(*np.triu_indices(300, 1), strict=True):
        if distances[one, other] <= 3:
            assert (one, other) in found
        if distances[one, other] > 10:
            assert (one, other) not in found


def test_identical_hashes_of_many_images_do_not_blow_up() -> None:
    flat = [bare(f"{place:04d}", np.full(256, 200, np.uint8)) for place in range(2000)]
    assert duplicates.same_picture(flat) == {}  # without contrast nothing can be told


def test_of_a_chain_only_what_has_a_twin_goes() -> None:
    (first, second) = noise(2).astype(float)
    steps = [first * (1 - share) + second * share for share in (0, 0.12, 0.24)]
    a, b, c = (bare(name, step.astype(np.uint8)) for name, step in zip("abc", steps, strict=True))
    assert duplicates.same_picture([a, b]) == {1: 0}
    assert duplicates.same_picture([b, c]) == {1: 0}
    assert duplicates.same_picture([a, c]) == {}
    assert duplicates.same_picture([a, b, c]) == {1: 0}
    assert duplicates.same_picture([a, b, c], stay=2) == {2: 1}


def test_of_copies_the_first_stays_unless_it_goes_anyway() -> None:
    (thumbnail,) = noise(1)
    good, gray = bare("z", thumbnail), Examined("a", "", {"gray": ""}, 9, 9, 0.0, b"a", thumbnail.tobytes(), bytes(192))
    found = findings.find(Set([bare("y", thumbnail), gray, good], [], []), 16, 15.0)
    assert [(one.name, one.twin) for one in found["near_duplicate"]] == [("a", "y"), ("z", "y")]
    assert findings.excluded(found, ["a", "y", "z"], []).keys() == {"a", "z"}


def test_what_is_in_an_evaluation_set_leaks_also_as_a_copy_of_a_copy() -> None:
    one, other = noise(2)
    train = [
        bare("copy", one),
        bare("copy of it", one, b"copy"),
        bare("fine", other),
        bare("same", noise(1, 5)[0], b"val"),
    ]
    against = [bare("e1", one), bare("e2", one)]
    found = findings.find(Set(train, [bare("val", noise(1, 5)[0])], against), 16, 15.0)
    assert {(finding.name, finding.twin) for finding in found.pop("leaked")} == {
        ("copy", "e1"), ("copy of it", "e1"), ("same", "val"),
    }  # fmt: skip
    assert found == {}


def test_kinds_can_be_kept_and_only_training_images_are_left_out() -> None:
    found = {kind: [findings.Finding("a", "why"), findings.Finding("val", "why")] for kind in ("gray", "tiny", "cmyk")}
    assert findings.excluded(found, ["a", "b"], []) == {"a": "gray: why; tiny: why"}
    assert findings.excluded(found, ["a", "b"], ["gray"]) == {"a": "tiny: why"}
    assert findings.excluded(found, ["a", "b"], ["gray", "tiny"]) == {}


def test_the_command_knows_every_kind_of_the_list() -> None:
    assert {kind for kind, about in KINDS.items() if about.harmful} == set(doctor._HARMFUL)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one image of every kind, duplicates of both kinds, and twelve that are fine."""
    folder = tmp_path_factory.mktemp("ward")
    save(folder / "fine", numbered(scenes(12, 96, seed=100)))
    for name, write in PECULIAR.values():
        write(folder / name)
    (folder / "fine" / "copy.png").write_bytes((folder / "fine" / "003.png").read_bytes())
    Image.open(folder / "fine" / "004.png").resize((70, 70)).save(folder / "fine" / "small.jpg", quality=85)
    Image.open(folder / "fine" / "005.png").save(folder / "fine" / "<b>&.bmp")
    return folder


@pytest.fixture(scope="module")
def evaluation(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    Image.open(ward / "fine" / "007.png").save(folder / "leak.jpg", quality=90)
    picture(99).save(folder / "other.png")
    return folder


LEFT_OUT = [
    "deep.png", "fine/007.png", "fine/<b>&.bmp", "fine/copy.png", "fine/small.jpg",
    "gray.png", "half.jpg", "pale.png", "text.jpg", "tiny.png",
]  # fmt: skip


@pytest.fixture(scope="module")
def checked(ward: Path, evaluation: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkup, Path]:
    output = tmp_path_factory.mktemp("report")
    return checkup(Asked(ward, output, evaluation, SIZE, holdout=0.0, workers=2)), output


def names(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def test_the_list_names_what_harms_in_order_with_reasons(checked: tuple[Checkup, Path]) -> None:
    _, output = checked
    assert names(output / "exclude.txt") == LEFT_OUT
    text = (output / "exclude.txt").read_text()
    assert "# leaked from the evaluation: same picture as leak.jpg of the evaluation set\nfine/007.png\n" in text
    assert "# duplicate: same bytes as fine/003.png\nfine/copy.png\n" in text


def test_training_takes_the_list(checked: tuple[Checkup, Path], ward: Path) -> None:
    data = ColorData(Folder(str(ward), holdout=0.0), size=SIZE, exclude=str(checked[1] / "exclude.txt"), batch_size=2)
    left = set(data.train_loader().images.names)
    assert left == set(Folder(str(ward), holdout=0.0).names("train")) - set(LEFT_OUT)
    assert len(left) == 14


def test_the_json_has_all_of_it(checked: tuple[Checkup, Path]) -> None:
    report = json.loads((checked[1] / "report.json").read_text())
    assert report["excluded"] == 10
    assert report["training_images"] == 24
    counts = {kind: found["count"] for kind, found in report["findings"].items()}
    assert counts == dict.fromkeys(PECULIAR, 1) | {"gray": 2, "duplicate": 1, "near_duplicate": 2, "leaked": 1}
    assert report["findings"]["near_duplicate"]["images"][1] == {
        "name": "fine/small.jpg", "detail": "same picture as fine/004.png", "twin": "fine/004.png",
        "against": False,
    }  # fmt: skip
    assert report["findings"]["cmyk"]["excluded"] == 0


def test_the_page_has_pictures_plots_and_escaped_names(checked: tuple[Checkup, Path]) -> None:
    text = (checked[1] / "report.html").read_text()
    assert text.count("<img ") == sum(
        len(ones) * (2 if kind in ("duplicate", "near_duplicate", "leaked") else 1)
        for kind, ones in checked[0].found.items()
        if kind not in ("unreadable", "truncated")
    )
    assert text.count("<svg") == 3
    assert "fine/&lt;b&gt;&amp;.bmp" in text
    assert "<b>&.bmp" not in text
    assert not re.search(
        r"url\(|@import|https?://(?!www\.w3\.org|purl\.org)", re.sub("<svg.*?</svg>", "", text, flags=re.S)
    )


def test_the_same_checkup_is_the_same_page(
    checked: tuple[Checkup, Path], ward: Path, evaluation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is examined twice."""
    result, output = checked
    before = (output / "report.html").read_bytes()
    monkeypatch.setattr(survey, "examine", lambda *_: pytest.fail("examined again"))
    again = checkup(Asked(ward, output, evaluation, SIZE, holdout=0.0, workers=0))
    assert again.excluded == result.excluded
    assert (output / "report.html").read_bytes() == before


@pytest.mark.browser
def test_a_browser_shows_every_picture_and_asks_for_nothing(
    checked: tuple[Checkup, Path], chrome, tmp_path: Path
) -> None:
    chrome.get((checked[1] / "report.html").as_uri())
    assert chrome.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert chrome.get_log("browser") == []
    for width in (500, 1200):
        chrome.set_window_size(width, 900)
        needed, given = chrome.execute_script(
            "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
        )
        assert needed <= given


def test_a_survey_that_was_cut_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(str(save(tmp_path / "photos", numbered(scenes(40)))), holdout=0.0)
    wanted, kept, seen = folder.names("train"), tmp_path / "kept", []

    def looking(source: Files, name: str, stamp: str, size: int) -> Examined:
        seen.append(name)
        if len(seen) == 25:
            raise KeyboardInterrupt
        return examine(source, name, stamp, size)

    monkeypatch.setattr(survey, "examine", looking)
    with pytest.raises(KeyboardInterrupt):
        survey.survey(folder, wanted, SIZE, 0, kept, "")
    with kept.open("ab") as file:
        file.write(b'{"name": "torn')
    images = survey.survey(folder, wanted, SIZE, 0, kept, "")
    assert seen[25:] == wanted[16:]  # 16 were handed over
    assert [image.name for image in images] == wanted
    assert [json.loads(line)["name"] for line in kept.read_bytes().splitlines()] == wanted
    fresh = survey.survey(folder, wanted, SIZE, 0, tmp_path / "other", "")
    assert fresh == images


def test_an_interruption_is_one_line_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    place, output, looks = save(tmp_path / "photos", numbered(scenes(20))), tmp_path / "report", []

    def looking(source: Files, name: str, stamp: str, size: int) -> Examined:
        looks.append(name)
        if name == "018.png":
            raise KeyboardInterrupt
        return examine(source, name, stamp, size)

    monkeypatch.setattr(survey, "examine", looking)
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", str(place), "--output", str(output), "--holdout", "0", "--workers", "0"])
    assert exit_.value.code == 130
    assert capsys.readouterr().err.endswith("gancolor: interrupted; the same command goes on where it stood\n")
    assert len((output / "examined.jsonl").read_bytes().splitlines()) == 16
    assert not (output / "exclude.txt").exists()


def test_what_has_changed_is_examined_again(tmp_path: Path) -> None:
    root = save(tmp_path / "photos", numbered(scenes(3)))
    folder, kept = Folder(str(root), holdout=0.0), tmp_path / "kept"
    before = survey.survey(folder, folder.names("train"), SIZE, 0, kept, "")
    picture(50).save(root / "001.png")
    after = survey.survey(folder, folder.names("train"), SIZE, 0, kept, "")
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
    assert (after[1].width, len(kept.read_bytes().splitlines())) == (96, 4)
    (root / "002.png").unlink()
    gone = survey.survey(folder, ["000.png", "002.png"], SIZE, 0, kept, "")
    assert gone[1].found.keys() == {"unreadable"}
    assert len(survey.survey(folder, ["000.png"], SIZE // 2, 0, kept, "")) == 1
    assert len(kept.read_bytes().splitlines()) == 6  # another size is another examination


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line[: len(line) // 2],
        lambda line: b"\0" * 50,
        lambda line: b"[1]",
        lambda line: line.replace(b'"width"', b'"breadth"'),
        lambda line: line.replace(b'"sha256"', b'"md5"'),
        lambda line: line.replace(b"}", b', "new": 1}'),
    ],
)
def test_a_line_that_is_damaged_or_of_another_version_is_examined_again(
    change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    folder = Folder(str(save(tmp_path / "photos", numbered(scenes(3)))), holdout=0.0)
    kept, wanted = tmp_path / "kept", folder.names("train")
    before = survey.survey(folder, wanted, SIZE, 0, kept, "")
    first, second, third = kept.read_bytes().splitlines()
    kept.write_bytes(b"\n".join([first, change(second), third, b""]))
    assert survey.survey(folder, wanted, SIZE, 0, kept, "") == before
    assert [line for line in kept.read_bytes().splitlines() if line in (first, second, third)] == [first, third, second]


@pytest.mark.parametrize("layout", ["folder", "imagefolder", "list"])
def test_names_are_those_of_training(layout: str, tmp_path: Path) -> None:
    save(tmp_path, {f"{split}/c/{index}.png": rgb for split in ("train", "val") for index, rgb in enumerate(scenes(4))})
    (tmp_path / "list.txt").write_text("# two\ntrain/c/1.png\nval/c/0.png\n")
    place, source = {
        "folder": (tmp_path / "train", Folder(str(tmp_path / "train"))),
        "imagefolder": (tmp_path, ImageFolder(str(tmp_path))),
        "list": (tmp_path / "list.txt", ListFile(str(tmp_path / "list.txt"), str(tmp_path / "list.txt"))),
    }[layout]
    found = photographs_at(place, "DATA", 0.05)
    assert found.train == source.names("train")
    assert found.val == ([] if layout == "list" else source.names("val"))


def test_images_of_the_own_validation_that_are_in_training_leak(tmp_path: Path) -> None:
    pictures = scenes(5, 64)
    save(tmp_path / "d" / "train", numbered(pictures[:4]))
    save(tmp_path / "d" / "val", numbered(pictures[3:]))
    result = checkup(Asked(tmp_path / "d", tmp_path / "r", size=SIZE, workers=0))
    assert list(result.excluded) == ["train/003.png"]
    assert [one.twin for one in result.found["leaked"]] == ["val/000.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "DATA: nowhere does not exist"),
        (["."], "DATA: . holds no image"),
        (["binary"], "DATA: binary is neither a folder nor a text file"),
        (["p", "--against", "nowhere"], "--against: nowhere does not exist"),
        (["p", "--keep", "blurred"], "--keep blurred: there is no such kind"),
        (["p", "--size", "8"], "--size is 8: it must be at least 16"),
        (["p", "--holdout", "1"], "holdout is 1"),
        (["p", "--sizes", "8"], "did you mean 'size'"),
    ],
)
def test_mistakes_are_answered_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / ".p", numbered(scenes(2)))
    (tmp_path / "p").symlink_to(".p") if arguments[0] == "p" else None
    (tmp_path / "binary").write_bytes(bytes(range(128, 256)))
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", *arguments, "--output", "report"])
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report").exists()


def test_the_terminal_says_what_to_type_next(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = save(tmp_path / "my photos", numbered(scenes(20, 64)))
    picture(1, 64).convert("L").save(place / "020.png")
    output = tmp_path / "report"
    main(["doctor", str(place), "--output", str(output), "--size", "64", "--holdout", "0", "--workers", "0"])
    printed = capsys.readouterr().out
    assert re.search(r"Gray +1 +4\.76% +1 *\n", printed)
    command = shlex.split(printed.splitlines()[-1])
    assert command[:2] == ["python", "train.py"]
    assert command[command.index("--data.source.root") + 1] == str(place)
    assert command[command.index("--data.exclude") + 1] == str(output / "exclude.txt")
    assert command[command.index("--data.source.holdout") + 1] == "0.0"
    monkeypatch.chdir(Path(__file__).parents[1])
    run = parse(command[2:])
    assert run.data.size == 64
    assert len(run.data.train_loader().images.names) == 20
    # And the networks fit the size.
    assert run.colorizer.generator(torch.zeros(1, 1, 64, 64)).ab.shape == (1, 2, 64, 64)


def test_nothing_found_is_said_and_an_empty_list_is_a_list(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    place = save(tmp_path / "photos", numbered(scenes(4, 64)))
    main(["doctor", str(place), "--output", str(tmp_path), "--size", "64", "--holdout", "0", "--workers", "0"])
    assert "nothing" in capsys.readouterr().out
    assert names(tmp_path / "exclude.txt") == []
    data = ColorData(Folder(str(place), holdout=0.0), size=64, exclude=str(tmp_path / "exclude.txt"), batch_size=2)
    assert len(data.train_loader().images.names) == 4


def test_not_one_picture_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no")
    result = checkup(Asked(tmp_path, tmp_path / "r", workers=0, holdout=0.0))
    assert list(result.excluded) == ["a.jpg"]
    assert "<svg" not in (tmp_path / "r" / "report.html").read_text()


def test_the_help_waits_for_nothing() -> None:
    code = (
        "import sys; from gancolor.apps.cli import main\n"
        "try: main(['doctor', '--help'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "False"


def test_it_does_not_wait_for_lightning() -> None:
    code = "import sys, gancolor.doctor.checkup; print('pytorch_lightning' in sys.modules)"
    root = Path(__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.shared
def test_no_two_photographs_are_taken_for_one(tmp_path: Path) -> None:
    """2,500 of ten subjects, many alike: golf balls on grass, churches, parachutes in the sky."""
    with tarfile.open(SHARED / "data" / "imagenette224-subset.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    (place,) = (path.parent for path in tmp_path.glob("*/train"))
    result = checkup(Asked(place, tmp_path / "r", size=256, workers=2))
    assert result.found.keys() == {"gray", "nearly_gray"}
    assert len(result.found["gray"]) == 45
