"""The console command: what it writes and where, and that each mistake is answered in one line."""

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from gancolor import inference
from gancolor.apps.cli import main
from gancolor.checkpoint import KEY, describe
from gancolor.color import rgb_to_lab
from gancolor.data.decoding import decode
from gancolor.generators import BinHead, UNet


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
        ("colorize --help", ("INPUT", "--checkpoint", "--output", "--size", "--overwrite")),
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
