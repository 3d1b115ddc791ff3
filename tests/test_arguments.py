import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gancolor import arguments, config
from gancolor.errors import InputError

PIX2PIX = ["--config", str(Path(__file__).parents[1] / "configs" / "pix2pix.yaml")]


def message(given):
    """How train.py's command line answers a mistake."""
    with pytest.raises(InputError) as error:
        arguments.parse(config.parser(), [*PIX2PIX, *given])
    assert "\n" not in str(error.value)
    return str(error.value)


def meant(text):
    """The suggestion that a message ends with."""
    found = re.search(r": did you mean '([\w.]+)'\?$", text)
    return found and found.group(1)


# An option, where it went wrong, and what was meant.
OPTIONS = [
    ("--trainig.devices 2", "--trainig.devices", "training.devices"),
    ("--sead 2", "--sead", "seed"),
    ("--sead=2", "--sead", "seed"),
    ("--hepl", "--hepl", "help"),
    ("--colorizer.decay_form 0.2", "--colorizer.decay_form", "colorizer.decay_from"),
    ("--data.batchsize 4", "--data.batchsize", "data.batch_size"),
    ("--data.source.rot photos", "data.source", "root"),
    ("--colorizer.generator.dept 4", "colorizer.generator", "depth"),
    ("--colorizer.generator.init_args.dept 4", "colorizer.generator", "depth"),
    ("--colorizer.generator gancolor.generators.Unet", "colorizer.generator", "UNet"),
    ("--colorizer.generator gancolor.generator.UNet", "colorizer.generator", "generators"),
    ("--colorizer.discriminator gancolor.discriminators.PathGAN", "colorizer.discriminator", "PatchGAN"),
    ("--colorizer.losses.l1.init_args.wieght 5", "colorizer.losses", "weight"),
    ("--colorizer.generator_optimizer.init_args.lrr 1", "colorizer.generator_optimizer", "lr"),
    ("--colorizer.generator_optimizer.init_args.beta 1", "colorizer.generator_optimizer", "betas"),
]


@pytest.mark.parametrize(("given", "key", "name"), OPTIONS, ids=[option for option, *_ in OPTIONS])
def test_an_option_that_is_none_is_answered_with_the_nearest(given, key, name):
    text = message(given.split())
    assert key in text
    assert meant(text) == name


ABBREVIATIONS = [("--see 1", "seed"), ("--colorizer.gen X", "colorizer.generator"), ("--run runs/a", "run_dir")]


@pytest.mark.parametrize(("given", "name"), ABBREVIATIONS, ids=[option for option, _ in ABBREVIATIONS])
def test_an_abbreviation_is_refused_and_written_out(given, name):
    assert meant(message(given.split())) == name


# A YAML file, where it went wrong, and what was meant.
FILES = [
    ("colorizr: {images: 5}", "colorizr", "colorizer.images"),
    ("colorizer: {image: 5}", "colorizer", "images"),
    ("training: {validate_evry: 5}", "training", "validate_every"),
    ("colorizer: {generator: {init_args: {widht: 5}}}", "colorizer.generator", "width"),
    ("colorizer: {generator: {class_path: gancolor.generators.Unet}}", "colorizer.generator", "UNet"),
    ("colorizer: {adversarial: {class_path: gancolor.adversarial.Hing}}", "colorizer.adversarial", "Hinge"),
    ("colorizer: {losses: {l1: {class_path: gancolor.losses.L2}}}", "colorizer.losses", "L1"),
    (
        "colorizer: {losses: {l1: {class_path: gancolor.losses.L1, init_args: {wieght: 5}}}}",
        "colorizer.losses",
        "weight",
    ),
    ("data: {source: {init_args: {rot: x}}}", "data.source", "root"),
    ("training: {logs: [{class_path: gancolor.loggers.Wandb}]}", "training.logs", "WandB"),
    ("training: {logs: [{class_path: gancolor.loggers.WandB, init_args: {projet: x}}]}", "training.logs", "project"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "name"), FILES, ids=[text for text, *_ in FILES])
def test_a_key_of_a_file_that_is_none_is_answered_with_the_nearest(tmp_path, text, key, name):
    file = tmp_path / "overlay.yaml"
    file.write_text(text)
    answer = message(["--config", str(file)])
    assert key in answer
    assert meant(answer) == name


# Mistakes that no other name would mend: what the message must say.
VALUES = [
    ("--colorizer.images many", ("colorizer.images", "int", "many")),
    ("--colorizer.clip_norm tight", ("colorizer.clip_norm", "float", "tight")),
    ("--training.precision bf16", ("training.precision", "'bf16-mixed'", "bf16")),
    ("--colorizer.generator.depth deep", ("colorizer.generator", "depth", "int", "deep")),
    ("--colorizer.generator gancolor.discriminators.PatchGAN", ("colorizer.generator", "PatchGAN", "Generator")),
    ("--colorizer.generator Resnet", ("colorizer.generator", "module.Class", "Resnet")),
    ("--data.source gancolor.data.ListFile", ("data.source", "ListFile", "required: train, val")),
    ("--seed", ("--seed", "expected one argument")),
    ("--xqzv 1", ("--xqzv",)),
    ("--colorizer.generator gancolr.generators.UNet", ("colorizer.generator", "No module named 'gancolr'")),
    ("--colorizer.generator gancolor.generators.UNet.Deep", ("colorizer.generator", "gancolor.generators.UNet")),
    ("--colorizer.generator gancolor.generators", ("colorizer.generator", "gancolor.generators")),
]


@pytest.mark.parametrize(("given", "parts"), VALUES, ids=[option for option, _ in VALUES])
def test_a_wrong_value_is_named_with_its_key(given, parts):
    text = message(given.split())
    for part in parts:
        assert part in text
    assert meant(text) is None
    assert "<class" not in text
    assert "NoneType" not in text


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match=r"required: colorizer\.generator, .*data\.source$"):
        arguments.parse(config.parser(), ["--seed", "1"])


BROKEN = {
    "syntax": ("colorizer: {images: [1\ntraining: 2\n", r"line 2"),
    "tab": ("colorizer:\n\timages: 1\n", r"line 2"),
    "text": ("hello\n", "KEY: VALUE"),
    "empty": ("", "KEY: VALUE"),
    "binary": ("\x00\x01\x02", "special characters"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named(tmp_path, kind):
    text, part = BROKEN[kind]
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    for given in (["--config", str(file)], [f"--config={file}"]):
        answer = message(given)
        assert str(file) in answer
        assert part in answer


@pytest.mark.parametrize("name", ["pix2pics.yaml", "."])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    assert message(["--config", str(tmp_path / name)]) == f"--config {tmp_path / name}: there is no such file"


def test_a_config_option_without_a_file_is_named():
    assert "--config" in message(["--config"])


def test_a_mistake_is_answered_without_torch():
    script = (
        "import sys; import evaluate\n"
        "try: evaluate.main(['last.ckpt', '--sise', '64'])\n"
        "except SystemExit as stop: print(stop)\n"
        "assert 'torch' not in sys.modules"
    )
    root = Path(__file__).parents[1]
    found = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout == "evaluate.py: unrecognized arguments: --sise 64: did you mean 'size'?\n"


HEAD = "--colorizer.generator.init_args.head"
BINS = [HEAD, "gancolor.generators.BinHead"]


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (["--colorizer.generator.init_args.depth", "2"], InputError, "UNet: depth is 2, must be at least 3"),
        ([*BINS, f"{HEAD}.init_args.temperature", "0"], InputError, "BinHead: temperature is 0.0, must be above 0"),
        (
            [*BINS, f"{HEAD}.init_args.bins", "gancolor.bins.AbBins.read", f"{HEAD}.init_args.bins.path", "pts.npy"],
            FileNotFoundError,
            "pts.npy: there is no such file of bins",
        ),
    ],
)
def test_what_a_part_refuses_arrives_in_its_own_words_however_deep_it_is(given, error, text):
    command_line = config.parser()
    asked = arguments.parse(command_line, [*PIX2PIX, *given])
    with pytest.raises(error) as found:
        arguments.instantiate(command_line, asked)
    assert str(found.value) == text


def test_bins_of_ones_own_are_read_from_their_file(tmp_path):
    np.save(tmp_path / "pts.npy", [[0.0, 0.0], [30.0, -40.5]])
    path = str(tmp_path / "pts.npy")
    given = [*BINS, f"{HEAD}.init_args.bins", "gancolor.bins.AbBins.read", f"{HEAD}.init_args.bins.path", path]
    command_line = config.parser()
    narrow = ["--colorizer.generator.init_args.width", "4"]
    built = arguments.instantiate(command_line, arguments.parse(command_line, [*PIX2PIX, *narrow, *given]))
    assert built.colorizer.generator.head.bins.centers == ((0.0, 0.0), (30.0, -40.5))
