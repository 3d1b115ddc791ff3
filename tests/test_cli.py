"""The console command: what it writes and where, and that each mistake is answered in one line."""

import io
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import profiled
import pytest
import torch
from pictures import save as save_pictures
from PIL import Image
from torch import nn

from gancolor import inference
from gancolor.adversarial import Vanilla
from gancolor.apps import sheet
from gancolor.apps.cli import main
from gancolor.checkpoint import KEY, describe
from gancolor.color import rgb_to_lab
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.data.decoding import decode
from gancolor.discriminators import PatchGAN
from gancolor.generators import BinHead, Profiled, ProfilePredictor, UNet
from gancolor.losses import L1, ProfileCrossEntropy
from gancolor.training import Training


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A generator whose last layer always says orange, as train.py would write it."""
    generator = UNet(depth=3, width=4)
    last = list(generator.modules())[-1]
    assert isinstance(last, nn.ConvTranspose2d)
    assert last.bias is not None
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.3, 0.5]).atanh())
    return save(generator, tmp_path / "last.ckpt")


def save(generator: UNet, path: Path) -> Path:
    weights = {f"generator.{name}": value for name, value in generator.state_dict().items()}
    torch.save({KEY: {"generator": describe(generator), "size": 16, "images": 5}, "state_dict": weights}, path)
    return path


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Three gray photographs, at two depths."""
    folder = tmp_path / "photographs"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.png", "b.tif", "deep/a.png"):
        gray(folder / name)
    return folder


def gray(path: Path, width: int = 30) -> Path:
    Image.new("RGB", (width, 20), (119, 119, 119)).save(path)
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def is_orange(path: Path) -> bool:
    red, green, blue = decode(path).float().mean(dim=(1, 2))
    return bool(red > green + 20 > blue + 40)


def refused(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """The one line on stderr that a command is answered with."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in argv])
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("gancolor: ")
    assert printed.err.count("\n") == 1
    return printed.err


def test_folder_keeps_its_structure(
    photographs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    before = {name: (photographs / name).read_bytes() for name in files(photographs)}
    output = tmp_path / "results" / "new"
    main(["colorize", str(photographs), "--checkpoint", str(checkpoint), "--output", str(output)])
    assert files(output) == ["a.png", "b.png", "deep/a.png"]
    assert all(is_orange(output / name) for name in files(output))
    assert before == {name: (photographs / name).read_bytes() for name in files(photographs)}
    printed = capsys.readouterr()
    assert printed.out == f"3 colorized, 0 could not be read; see {output}\n"
    assert "3/3" in printed.err  # the progress bar


def test_default_output_is_not_colorized_again(photographs: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(photographs)
    for _ in range(2):
        main(["colorize", ".", "--checkpoint", str(checkpoint), "--overwrite"])
        assert files(photographs / "colorized") == ["a.png", "b.png", "deep/a.png"]


def test_resume_does_what_is_left(
    photographs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    output = tmp_path / "o"
    command = ["colorize", str(photographs), "--checkpoint", str(checkpoint), "--output", str(output), "--sheet"]
    main(command)
    for lost in ("b.png", "deep/a-sheet.png"):
        (output / lost).unlink()
    kept = (output / "a.png").stat().st_mtime_ns
    capsys.readouterr()
    main([*command, "--resume"])
    assert files(output) == [f"{x}{y}.png" for x in ("a", "b", "deep/a") for y in ("-sheet", "")]
    assert (output / "a.png").stat().st_mtime_ns == kept
    assert capsys.readouterr().out == f"2 colorized, 0 could not be read; see {output}\n"
    main([*command, "--resume"])  # all is done
    assert capsys.readouterr().out == f"0 colorized, 0 could not be read; see {output}\n"


def test_interrupted_it_says_how_to_go_on_and_leaves_whole_pictures_only(
    photographs: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    save = Image.Image.save

    def interrupted(picture: Image.Image, file: io.BytesIO, kind: str) -> None:
        save(picture, file, kind)
        if picture.width == 31:
            raise KeyboardInterrupt

    gray(photographs / "b.tif", width=31)
    monkeypatch.setattr(Image.Image, "save", interrupted)
    output = tmp_path / "o"
    with pytest.raises(SystemExit) as stopped:
        main(["colorize", str(photographs), "--checkpoint", str(checkpoint), "--output", str(output)])
    assert stopped.value.code == 130
    assert "gancolor: interrupted; the same command with --resume goes on\n" in capsys.readouterr().err
    assert files(output) == ["a.png"]


def test_a_device_that_is_not_there_is_named(
    photographs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ("colorize", photographs / "a.png", "--checkpoint", checkpoint, "--output", tmp_path / "o")
    assert "--device tpu: " in refused(capsys, *command, "--device", "tpu")
    main([*map(str, command), "--device", "cpu"])
    assert is_orange(tmp_path / "o" / "a.png")


@pytest.mark.gpu
def test_on_a_gpu_the_colors_are_the_same(two: Path, tmp_path: Path):
    save_pictures(tmp_path, {"a.png": profiled.plain("warm")})
    for device in ("cpu", "cuda"):
        command = ["colorize", str(tmp_path / "a.png"), "--checkpoint", str(two), "--device", device, "--sheet"]
        for profile in ("all", "own", "mixed"):
            main([*command, "--profile", profile, "--output", str(tmp_path / device), "--overwrite"])
    for name in files(tmp_path / "cpu"):
        ours, theirs = (decode(tmp_path / device / name).int() for device in ("cpu", "cuda"))
        assert (ours - theirs).abs().max() <= 2


def test_single_photograph_shows_no_progress_bar(
    photographs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    main(["colorize", str(photographs / "b.tif"), "--checkpoint", str(checkpoint), "--output", str(tmp_path / "o")])
    assert files(tmp_path / "o") == ["b.png"]
    assert capsys.readouterr().err == ""


def test_of_several_inputs_each_folder_has_its_own(photographs: Path, checkpoint: Path, tmp_path: Path):
    other = tmp_path / "other"
    shutil.copytree(photographs, other)
    inputs = [str(photographs), str(other), str(other / "deep/a.png"), str(gray(tmp_path / "single.webp"))]
    main(["colorize", *inputs, "--checkpoint", str(checkpoint), "--output", str(tmp_path / "o")])
    folders = [f"{folder}/{name}" for folder in ("other", "photographs") for name in ("a.png", "b.png", "deep/a.png")]
    assert files(tmp_path / "o") == sorted({*folders, "a.png", "single.png"} - {"other/deep/a.png"})


def test_same_stem_in_two_formats_becomes_two_results(photographs: Path, checkpoint: Path, tmp_path: Path):
    gray(photographs / "b.webp", width=11)
    gray(photographs / "a.jpg", width=12)
    main(["colorize", str(photographs), "--checkpoint", str(checkpoint), "--output", str(tmp_path / "o")])
    assert files(tmp_path / "o") == ["a.png", "a.png.png", "b.png", "b.webp.png", "deep/a.png"]
    assert decode(tmp_path / "o" / "b.webp.png").shape[2] == 11
    assert decode(tmp_path / "o" / "a.png").shape[2] == 12


def test_result_is_lossless(photographs: Path, checkpoint: Path, tmp_path: Path):
    photograph = photographs / "noise.jpg"
    noise = torch.randint(256, (40, 40, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.numpy()).save(photograph)
    main(["colorize", str(photograph), "--checkpoint", str(checkpoint), "--output", str(tmp_path / "o")])
    lights = [rgb_to_lab(decode(path)[None]).light for path in (photograph, tmp_path / "o" / "noise.png")]
    assert 50 * (lights[0] - lights[1]).abs().mean() < 0.2


def test_size_reaches_the_colorizer(
    photographs: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sizes: list[int] = []

    def spy(generator: object, rgb: torch.Tensor, size: int, sample: None, profile: None) -> torch.Tensor:
        sizes.append(size)
        return rgb

    monkeypatch.setattr(inference, "colorize", spy)
    command = ["colorize", str(photographs / "a.png"), "--checkpoint", str(checkpoint), "--output", str(tmp_path / "o")]
    main(command)
    main([*command, "--size", "48", "--overwrite"])
    assert sizes == [16, 48]


def test_samples_are_different_results_and_the_same_ones_each_time(photographs: Path, tmp_path: Path):
    torch.manual_seed(0)
    generator = UNet(depth=3, width=4, head=BinHead(reduction=2))
    checkpoint, command = save(generator, tmp_path / "bins.ckpt"), ["colorize", str(photographs), "--samples", "3"]
    for folder in ("one", "two"):
        main([*command, "--checkpoint", str(checkpoint), "--output", str(tmp_path / folder)])
    names = [f"{name}-{i}.png" for name in ("a", "b", "deep/a") for i in (1, 2, 3)]
    assert files(tmp_path / "one") == names
    one, two = ([decode(tmp_path / folder / name) for name in names] for folder in ("one", "two"))
    assert all(torch.equal(*pair) for pair in zip(one, two, strict=True))
    assert not torch.equal(one[0], one[1])


def test_samples_that_cannot_be_had(
    photographs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    photograph = photographs / "a.png"
    command = ("colorize", photograph, "--checkpoint", checkpoint, "--output", tmp_path / "o", "--samples")
    assert "--samples is 0: it must be at least 1" in refused(capsys, *command, 0)
    (tmp_path / "o").mkdir()
    gray(tmp_path / "o" / "a-2.png")
    assert "a-2.png exists already" in refused(capsys, *command, 2)
    (tmp_path / "o" / "a-2.png").unlink()
    assert "this colorizer knows of one result only" in refused(capsys, *command, 2)


def test_unreadable_photographs_are_named_and_the_others_done(
    photographs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (photographs / "c.png").write_text("no picture")
    cut = photographs / "deep" / "cut.jpg"
    cut.write_bytes((photographs / "a.png").read_bytes()[:60])
    with pytest.raises(SystemExit) as stopped:
        main(["colorize", str(photographs), "--checkpoint", str(checkpoint), "--output", str(tmp_path / "o")])
    assert stopped.value.code == 1
    assert files(tmp_path / "o") == ["a.png", "b.png", "deep/a.png"]
    printed = capsys.readouterr()
    assert f"{photographs / 'c.png'}: " in printed.err
    assert f"{cut}: " in printed.err
    assert printed.out.startswith("3 colorized, 2 could not be read; ")


def test_out_of_memory_leaves_no_result(
    photographs: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def greedy(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(inference, "colorize", greedy)
    with pytest.raises(torch.OutOfMemoryError):
        main(["colorize", str(photographs), "--checkpoint", str(checkpoint), "--output", str(tmp_path / "o")])
    assert not (tmp_path / "o").exists()


def test_results_of_an_earlier_run_are_replaced_only_if_asked(
    photographs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    output = tmp_path / "o"
    output.mkdir()
    kept = gray(output / "a.png").read_bytes()
    command = ["colorize", str(photographs), "--checkpoint", str(checkpoint), "--output", str(output)]
    assert f"{output / 'a.png'} exists already" in refused(capsys, *command)
    assert (output / "a.png").read_bytes() == kept
    assert files(output) == ["a.png"]
    main([*command, "--overwrite"])
    assert is_orange(output / "a.png")


def test_photographs_are_never_overwritten(
    photographs: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    before = {name: (photographs / name).read_bytes() for name in files(photographs)}
    overwrite = ("--checkpoint", checkpoint, "--overwrite", "--output")
    assert str(photographs) in refused(capsys, "colorize", photographs, *overwrite, photographs)
    assert str(photographs / "a.png") in refused(capsys, "colorize", photographs / "a.png", *overwrite, photographs)
    deep = photographs / "deep"
    message = refused(capsys, "colorize", deep, photographs / "a.png", *overwrite, photographs)
    assert "would overwrite a photograph" in message
    monkeypatch.chdir(deep)
    assert "would overwrite" in refused(capsys, "colorize", photographs / "a.png", *overwrite, "..")
    assert before == {name: (photographs / name).read_bytes() for name in files(photographs)}


def test_two_photographs_with_one_place_to_go_are_refused(
    photographs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    both = photographs / "a.png", photographs / "deep/a.png"
    message = refused(capsys, "colorize", *both, "--checkpoint", checkpoint, "--output", tmp_path / "o")
    assert all(str(path) in message for path in both)
    assert not (tmp_path / "o").exists()


def test_what_does_not_exist_is_named(
    photographs: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    nowhere = tmp_path / "nowhere"
    assert f"{nowhere}: there is no such" in refused(capsys, "colorize", nowhere, "--checkpoint", checkpoint)
    assert f"{nowhere}: there is no such" in refused(capsys, "colorize", photographs, "--checkpoint", nowhere)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"gancolor: {empty} holds no image" in refused(capsys, "colorize", empty, "--checkpoint", checkpoint)
    gray(empty / "a.png")
    (empty / "results").mkdir()
    (empty / "a.png").rename(empty / "results" / "a.png")
    output = empty / "results"
    message = refused(capsys, "colorize", empty, "--checkpoint", checkpoint, "--output", output)
    assert f"{empty} holds no image but the results in {output}" in message


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_something_else_than_a_checkpoint_is_refused(
    content: bytes | None, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = tmp_path / "other.ckpt"
    if content is None:
        torch.save({"state_dict": {}}, other)
    else:
        other.write_bytes(content)
    output = tmp_path / "o"
    assert str(other) in refused(capsys, "colorize", photographs, "--checkpoint", other, "--output", output)
    assert not output.exists()


def test_output_that_is_a_file_is_named(photographs: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]):
    taken = photographs / "a.png"
    message = refused(capsys, "colorize", photographs / "b.tif", "--checkpoint", checkpoint, "--output", taken)
    assert str(taken) in message


def test_impossible_size_is_refused(photographs: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]):
    command = ("colorize", photographs / "a.png", "--checkpoint", checkpoint, "--size")
    assert "size is 0" in refused(capsys, *command, "0")
    assert "large" in refused(capsys, *command, "large")


@pytest.mark.parametrize(("typed", "meant"), [("--chekpoint", "checkpoint"), ("--outptu", "output"), ("--siz", "size")])
def test_typing_mistake_is_answered_with_the_nearest_option(typed: str, meant: str, capsys: pytest.CaptureFixture[str]):
    message = refused(capsys, "colorize", "a.png", typed, "x")
    assert typed in message
    assert "did you mean" in message
    assert meant in message.partition("did you mean")[2]


@pytest.mark.parametrize(
    ("argv", "named"),
    [([], "colorize"), (["colorise"], "colorise"), (["colorize"], "inputs"), (["colorize", "a.png"], "checkpoint")],
)
def test_incomplete_commands_are_refused(argv: list[str], named: str, capsys: pytest.CaptureFixture[str]):
    assert named in refused(capsys, *argv)


def test_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"gancolor {version('gancolor')}\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("--help", ("colorize", "train.py", "evaluate.py", "--version")),
        ("colorize --help", ("INPUT", "--checkpoint", "--output", "--size", "--profile", "--sheet", "--overwrite")),
    ],
)
def test_help_comes_without_waiting_for_torch(argv: str, said: tuple[str, ...]):
    """In a process of its own: this one has imported everything."""
    program = f"""
import atexit, sys
atexit.register(lambda: print("LOADED", {{"torch", "numpy", "pytorch_lightning"}} & sys.modules.keys()))
from gancolor.apps.cli import main
main({argv.split()})
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30)
    assert all(word in done.stdout for word in said)
    assert done.stdout.endswith("LOADED set()\n")


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A colorizer of two profiles, warm and cool, that predicts cool."""
    return profiled.checkpoint(tmp_path / "two.ckpt", predicts="cool")


def painted(folder: Path) -> dict[str, str]:
    """Each result's name and the profile that it was painted with."""
    return {name: profiled.painted(decode(folder / name)) for name in files(folder) if not name.endswith("sheet.png")}


@pytest.mark.parametrize(
    ("profile", "results"),
    [
        ([], {"a.png": "cool"}),
        (["--profile", "warm"], {"a-warm.png": "warm"}),
        (["--profile", "1"], {"a-warm.png": "warm"}),
        (["--profile", "2"], {"a-cool.png": "cool"}),
        (["--profile", "all"], {"a-cool.png": "cool", "a-warm.png": "warm", "a.png": "cool"}),
    ],
)
def test_a_profile_by_name_by_number_and_all(
    profile: list[str], results: dict[str, str], photographs: Path, two: Path, tmp_path: Path
):
    photograph, output = str(photographs / "a.png"), tmp_path / "o"
    main(["colorize", photograph, "--checkpoint", str(two), "--output", str(output), *profile])
    assert painted(output) == results


def test_own_profile_is_of_each_photograph_and_the_sheet_says_which(two: Path, tmp_path: Path):
    photographs, output = tmp_path / "photographs", tmp_path / "o"
    save_pictures(photographs, {f"{name}.png": profiled.plain(name) for name in ("warm", "cool")})
    command = ["colorize", str(photographs), "--checkpoint", str(two), "--output", str(output), "--profile", "own"]
    main([*command, "--sheet"])
    assert painted(output) == {"warm-own.png": "warm", "cool-own.png": "cool"}
    assert (output / "warm-sheet.png").exists()


def test_mixed_is_by_all_as_likely_as_each_is(two: Path, tmp_path: Path):
    rgb = profiled.plain("warm")
    save_pictures(tmp_path, {"a.png": rgb})
    command = ["colorize", str(tmp_path / "a.png"), "--checkpoint", str(two), "--output", str(tmp_path / "o")]
    main([*command, "--profile", "mixed"])
    expected = inference.colorize(profiled.generator("cool"), rgb, 16, profile=[0.25, 0.75])
    assert torch.equal(decode(tmp_path / "o" / "a-mixed.png"), expected)


def labels(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int | None]]:
    """What each sheet will say, and in how many columns."""
    said: list[tuple[list[str], int | None]] = []
    draw = sheet.draw

    def spy(first: sheet.Tile, others: list[sheet.Tile], columns: int | None) -> Image.Image:
        said.append(([tile.label for tile in (first, *others)], columns))
        return draw(first, others, columns)

    monkeypatch.setattr(sheet, "draw", spy)
    return said


@pytest.mark.parametrize(
    ("options", "names", "columns"),
    [
        ("", ["gray", "predicted: cool (75%)"], None),
        ("--profile all", ["gray", "predicted: cool (75%)", "warm", "cool"], None),
        ("--profile own", ["gray", "own: warm"], None),
        ("--profile mixed", ["gray", "mixed: cool (75%)"], None),
        ("--profile warm --samples 2", ["gray", "warm, sample 1", "warm, sample 2"], None),
        (
            "--profile all --samples 2",
            ["gray", *(f"{p}, sample {i}" for p in ("predicted: cool (75%)", "warm", "cool") for i in (1, 2))],
            2,
        ),
        (
            "--profile all --samples 1",
            ["gray", *(f"{p}, sample 1" for p in ("predicted: cool (75%)", "warm", "cool"))],
            None,
        ),
    ],
)
def test_a_sheet_names_all_results(
    options: str, names: list[str], columns: int | None, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said, colorize = labels(monkeypatch), inference.colorize
    # these two profiles are of a generator that knows one result only
    monkeypatch.setattr(
        inference, "colorize", lambda g, rgb, size, sample, profile: colorize(g, rgb, size, None, profile)
    )
    save_pictures(tmp_path, {"a.png": profiled.plain("warm")})
    output = tmp_path / "o"
    main(
        [
            "colorize",
            str(tmp_path / "a.png"),
            "--checkpoint",
            str(two),
            "--output",
            str(output),
            "--sheet",
            *options.split(),
        ]
    )
    assert said == [(names, columns)]
    assert len(files(output)) == len(names)  # as many results, and the sheet instead of the gray picture


def test_a_sheet_of_a_colorizer_without_profiles(
    photographs: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said = labels(monkeypatch)
    main(["colorize", str(photographs), "--checkpoint", str(checkpoint), "--output", str(tmp_path / "o"), "--sheet"])
    assert said == [(["gray", "colorized"], None)] * 3
    assert files(tmp_path / "o") == [f"{x}{y}.png" for x in ("a", "b", "deep/a") for y in ("-sheet", "")]


def test_samples_of_a_profile(photographs: Path, tmp_path: Path):
    torch.manual_seed(0)
    unet = UNet(in_channels=3, depth=3, width=4, head=BinHead(reduction=2))
    with torch.no_grad():
        unet.down[0][0].weight[:, 1:] *= 50.0  # untrained, profiles would count for next to nothing
    network = Profiled(unet, ProfilePredictor(2, width=2, layers=1))
    content = {"generator": describe(network), "guide": describe(profiled.guide()), "size": 16, "images": 5}
    weights = {f"generator.{name}": value for name, value in network.state_dict().items()}
    torch.save({KEY: content, "state_dict": weights}, tmp_path / "bins.ckpt")
    command = ["colorize", str(photographs / "a.png"), "--checkpoint", str(tmp_path / "bins.ckpt"), "--samples", "2"]
    main([*command, "--profile", "all", "--output", str(tmp_path / "o")])
    names = [f"a{profile}-{i}.png" for profile in ("", "-cool", "-warm") for i in (1, 2)]
    assert files(tmp_path / "o") == sorted(names)
    results = {name: decode(tmp_path / "o" / name) for name in names}
    assert not torch.equal(results["a-warm-1.png"], results["a-warm-2.png"])
    assert not torch.equal(results["a-warm-1.png"], results["a-cool-1.png"])


def test_profiles_that_cannot_be_had(
    photographs: Path, checkpoint: Path, two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ("colorize", photographs / "a.png", "--output", tmp_path / "o", "--checkpoint")
    for unknown in ("wram", "0", "3", "-1", "WARM", ""):
        message = refused(capsys, *command, two, f"--profile={unknown}")
        assert f"--profile {unknown}: this colorizer knows warm, cool (or 1 to 2), mixed, own and all" in message
    for any_one in ("warm", "1", "mixed", "own", "all"):
        message = refused(capsys, *command, checkpoint, "--profile", any_one)
        assert "--profile: this colorizer knows none: train one with configs/generator/profiles.yaml" in message
    assert not (tmp_path / "o").exists()


def test_names_of_profiles_are_anything_but_paths(photographs: Path, tmp_path: Path):
    checkpoint = profiled.checkpoint(tmp_path / "c.ckpt", names=("../sun & sea", "ночь"))
    command = ["colorize", str(photographs / "a.png"), "--checkpoint", str(checkpoint), "--sheet"]
    main([*command, "--profile", "all", "--output", str(tmp_path / "new" / "o")])
    assert files(tmp_path / "new") == ["o/a-_sun_sea.png", "o/a-sheet.png", "o/a-ночь.png", "o/a.png"]
    main([*command, "--profile", "../sun & sea", "--output", str(tmp_path / "o")])
    assert painted(tmp_path / "o") == {"a-_sun_sea.png": "warm"}


def test_no_result_takes_the_place_of_another(
    photographs: Path, two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, output = tmp_path / "folder", tmp_path / "o"
    folder.mkdir()
    gray(folder / "a.png")
    gray(folder / "a-sheet.png")
    command = ("colorize", folder, "--output", output, "--checkpoint")
    message = refused(capsys, *command, two, "--sheet")
    assert f"{output / 'a-sheet.png'} would be a result of {folder / 'a-sheet.png'} and another of" in message
    (folder / "a-sheet.png").unlink()
    clash = profiled.checkpoint(tmp_path / "clash.ckpt", ("a b", "a/b"))
    message = refused(capsys, *command, clash, "--profile", "all", "--sheet")
    assert "would be a result of" in message
    assert "one after the other, each with its own --output" in message
    gray(folder / "a-red.png")
    message = refused(
        capsys, *command, profiled.checkpoint(tmp_path / "clash.ckpt", ("blue", "red-blue")), "--profile", "all"
    )
    assert "a-red-blue.png would be a result of" in message
    assert not output.exists()


@pytest.mark.parametrize("options", [("--profile", "all"), ("--profile", "warm"), ("--sheet",)])
def test_results_with_names_of_their_own_overwrite_nothing_either(
    options: tuple[str, ...], two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    photographs, name = tmp_path / "photographs", f"a-{'sheet' if options == ('--sheet',) else 'warm'}.png"
    photographs.mkdir()
    for photograph in ("a.jpg", name):
        gray(photographs / photograph)
    others = (photographs / "a.jpg", photographs / name, "--checkpoint", two, "--overwrite", "--output", photographs)
    assert f"{photographs / name} would overwrite a photograph" in refused(capsys, "colorize", *others, *options)
    (tmp_path / "o").mkdir()
    gray(tmp_path / "o" / name)
    one = (photographs / "a.jpg", "--checkpoint", two, "--output", tmp_path / "o")
    assert f"{tmp_path / 'o' / name} exists already" in refused(capsys, "colorize", *one, *options)
    assert files(tmp_path / "o") == [name]


def test_odd_photographs_have_all_profiles_and_a_sheet(two: Path, tmp_path: Path):
    folder, output = tmp_path / "photographs", tmp_path / "o"
    folder.mkdir()
    Image.new("RGB", (1, 1), (119, 119, 119)).save(folder / "dot.png")
    Image.new("RGB", (1600, 20), (119, 119, 119)).save(folder / "panorama.png")
    Image.new("CMYK", (30, 40), (0, 0, 0, 130)).save(folder / "cmyk.jpg")
    Image.new("L", (40, 30), 119).save(folder / "gray.jpg")
    Image.new("LA", (40, 30), (0, 128)).save(folder / "transparent.png")
    Image.new("I;16", (9, 9), 119 * 257).save(folder / "deep.png")
    main(["colorize", str(folder), "--checkpoint", str(two), "--output", str(output), "--profile", "all", "--sheet"])
    names = sorted(path.stem for path in folder.iterdir())
    assert painted(output) == {
        f"{name}{suffix}.png": profile
        for name in names
        for suffix, profile in (("", "cool"), ("-cool", "cool"), ("-warm", "warm"))
    }
    for path in folder.iterdir():
        assert decode(output / f"{path.stem}-warm.png").shape == decode(path).shape
        assert max(decode(output / f"{path.stem}-sheet.png").shape) < 2000


def test_profiles_of_a_training(photographs: Path, tmp_path: Path):
    """A real run on the built-in scenes, a few steps long, and what its checkpoint then does with any photograph."""
    network = Profiled(UNet(in_channels=3, depth=4, width=4, dropout=0.0), ProfilePredictor(2, width=2, layers=2))
    model = Colorizer(
        network,
        PatchGAN(layers=1, width=4),
        Vanilla(),
        {"l1": L1(), "profile": ProfileCrossEntropy()},
        guide=profiled.guide(),
        images=16,
        ema_decay=0.5,
    )
    data = ColorData(Scenes(train=16, val=4, size=16), size=16, load_size=18, batch_size=4, workers=0)
    Training(accelerator="cpu", log_every=1).fit(model, data, tmp_path / "run")
    checkpoint, output = tmp_path / "run" / "checkpoints" / "last.ckpt", tmp_path / "o"
    main(["colorize", str(photographs), "--checkpoint", str(checkpoint), "--output", str(output), "--profile", "all"])
    assert files(output) == [f"{x}{y}.png" for x in ("a", "b", "deep/a") for y in ("-cool", "-warm", "")]
    assert not torch.equal(decode(output / "a-warm.png"), decode(output / "a-cool.png"))
    assert decode(output / "a.png").tolist() in [decode(output / f"a-{name}.png").tolist() for name in ("warm", "cool")]
