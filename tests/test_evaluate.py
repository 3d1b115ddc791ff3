import json
import re
import urllib.error

import pytest
import torch
from PIL import Image

import evaluate
from gancolor.checkpoint import KEY, describe
from gancolor.data import Scenes
from gancolor.discriminators import PatchGAN
from gancolor.generators import UNet


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """An empty folder to work in, no weights and no network."""

    def refuse(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GANCOLOR_WEIGHTS", raising=False)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture
def checkpoint(tmp_path):
    """A generator that has seen nothing yet."""
    generator = UNet(depth=5, width=4)
    about = {"generator": describe(generator), "discriminator": describe(PatchGAN()), "size": 32, "images": 0}
    state = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    torch.save({KEY: about, "state_dict": state}, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


@pytest.fixture
def photographs(tmp_path):
    """Three pictures in a folder."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    scenes = Scenes(train=3, val=1, size=32)
    for name in scenes.names("train"):
        Image.fromarray(scenes.read(name).movedim(0, 2).numpy()).save(folder / f"{name.replace('/', '-')}.png")
    return folder


def complaint(*given):
    """The one line that evaluate.py ends with; the exit status of a message is 1."""
    with pytest.raises(SystemExit) as stop:
        evaluate.main([str(word) for word in given])
    text = stop.value.code
    assert isinstance(text, str)
    assert text.startswith("evaluate.py: ")
    assert "\n" not in text
    return text


def test_the_table_is_shown_and_written(checkpoint, photographs, tmp_path, capsys):
    evaluate.main([str(checkpoint), "--data", str(photographs), "--workers", "0", "--device", "cpu"])
    content = json.loads((tmp_path / "results" / "table.json").read_text())
    assert set(content) == {"gray", "ours", "real"}
    for candidate in ("gray", "ours"):
        assert list(content[candidate]) == ["psnr", "ssim", "colorfulness", "colorfulness_abs", "lpips", "fid"]
    assert content["ours"]["psnr"]["n"] == 3
    with Image.open(tmp_path / "results" / "samples.png") as picture:
        assert picture.height == 3 * 128
    printed = capsys.readouterr().out
    assert f"{content['ours']['psnr']['value']:.4g}" in printed
    for words in ("3 images", "gray", "ours", "real", "lpips was not measured", "results/table.json"):
        assert words in printed


def test_the_output_goes_where_it_is_told(checkpoint, photographs, tmp_path):
    evaluate.main(
        [str(checkpoint), "--data", str(photographs), "--workers", "0", "--output", str(tmp_path / "a" / "b")]
    )
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["samples.png", "table.json"]


# What is wrong with the checkpoint, and what must be said of it.
DAMAGE = {
    "missing": (lambda path: path.unlink(), "there is no such checkpoint"),
    "text": (lambda path: path.write_text("hello"), "not a checkpoint"),
    "empty": (lambda path: path.write_bytes(b""), "not a checkpoint"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:2000]), "cut off"),
    "weights": (lambda path: torch.save(UNet(depth=5, width=4).state_dict(), path), "not a checkpoint written by"),
    "a network": (lambda path: torch.save(UNet(depth=5, width=4), path), "cannot be read as a checkpoint"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "there is no such checkpoint"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_that_is_no_checkpoint_is_named(checkpoint, photographs, kind):
    damage, words = DAMAGE[kind]
    damage(checkpoint)
    text = complaint(checkpoint, "--data", photographs)
    assert str(checkpoint) in text
    assert words in text


def test_a_checkpoint_of_another_shape_than_it_says_is_named(checkpoint, photographs):
    content = torch.load(checkpoint, weights_only=True)
    content[KEY]["generator"]["init_args"]["width"] = 8
    torch.save(content, checkpoint)
    assert "the weights do not fit" in complaint(checkpoint, "--data", photographs)


def test_photographs_that_are_not_there_are_named(checkpoint, tmp_path):
    assert str(tmp_path / "nothing") in complaint(checkpoint, "--data", tmp_path / "nothing")


def test_a_folder_without_photographs_is_named(checkpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in complaint(checkpoint, "--data", tmp_path / "empty")


# A file given as --data that lists no photographs.
NO_LIST = {
    "text": (b"These are my notes.\n", "These are my notes."),
    "empty": (b"", "lists no image"),
    "binary": (b"\xff\xd8\xff\xe0\x00\x10", "neither a folder nor a text file"),
}


@pytest.mark.parametrize("kind", NO_LIST)
def test_a_file_that_lists_no_photographs_is_named(checkpoint, tmp_path, kind):
    content, words = NO_LIST[kind]
    (tmp_path / "list.txt").write_bytes(content)
    text = complaint(checkpoint, "--data", tmp_path / "list.txt")
    assert text.startswith("evaluate.py: --data: ")
    assert str(tmp_path / "list.txt") in text
    assert words in text


# Options, and what must be said of them.
OPTIONS = [
    (["--size", "48"], "--size is 48: this network needs a multiple of 32"),
    (["--size", "0"], "--size is 0: it must be at least 1"),
    (["--size", "big"], r'Parser key "size": Expected int.*big'),
    (["--batch_size", "0"], "--batch_size is 0: it must be at least 1"),
    (["--images", "-3"], "--images is -3: it must be at least 1"),
    (["--device", "gpu"], "--device gpu: "),
    (["--weights", "typo"], "typo: no such folder"),
    (["--dat", "x"], r"--dat x: did you mean 'data'\?"),
    (["--sise", "64"], r"--sise 64: did you mean 'size'\?"),
]


@pytest.mark.parametrize(("given", "words"), OPTIONS, ids=[" ".join(given) for given, _ in OPTIONS])
def test_an_option_that_cannot_be_used_is_named(checkpoint, photographs, given, words):
    assert re.search(words, complaint(checkpoint, "--data", photographs, *given))


def test_damaged_weights_are_named(checkpoint, photographs, tmp_path):
    cached = tmp_path / "home" / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half of it")
    assert str(cached) in complaint(checkpoint, "--data", photographs)


def test_a_checkpoint_must_be_given():
    assert "checkpoint" in complaint()


def test_without_data_and_configuration_data_is_asked_for(checkpoint):
    assert complaint(checkpoint).endswith("give --data")
