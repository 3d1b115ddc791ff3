import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from benchmarks import weightings
from gancolor import arguments, config
from gancolor.palette import CELLS, Profiles

CONFIGS = Path(__file__).parents[1] / "configs"
COMPLETE = ["pix2pix.yaml", "quickstart.yaml"]
ALL = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))
FILES = [name for name in ALL if not name.startswith("benchmark/")]  # those are protocols: tests/test_protocol.py
UNDER = {"losses/bins_profiles.yaml": ["generator/profiles.yaml"]}  # what an overlay follows
WIDTHS = {
    "generator/profiles.yaml": "generator.init_args.width",
    "generator/experts.yaml": "generator.expert.width",
    "losses/bins_profiles.yaml": "generator.init_args.width",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder with what configurations name, as far as a command makes it."""
    monkeypatch.chdir(tmp_path)
    Path("colors").mkdir()
    centers = [[float(i == k) for i in range(CELLS**2)] for k in range(4)]
    Profiles(["warm", "cool", "muted", "vivid"], centers).write(Path("colors/profiles.json"))


def narrow(name):
    """Options that make networks small."""
    width = f"--colorizer.generator.init_args.{WIDTHS.get(name, 'width')}"
    return [width, "4", "--colorizer.discriminator.init_args.width", "4"]


def command(name):
    """How a file is meant to be used: alone if it is complete, else over the baseline and what it follows."""
    base = [] if name in COMPLETE else ["pix2pix.yaml", *UNDER.get(name, [])]
    return [word for file in (*base, name) for word in ("--config", str(CONFIGS / file))]


def missing(asked, found, at=""):
    """Every value of a file that is not in the resolved configuration."""
    if isinstance(asked, Mapping):
        for key, value in asked.items():
            yield from missing(value, found.get(key, {}), f"{at}.{key}")
    elif isinstance(asked, list) and asked and isinstance(asked[0], Mapping):
        for i, (one, other) in enumerate(zip(asked, found, strict=True)):
            yield from missing(one, other, f"{at}[{i}]")
    elif asked != found:
        yield f"{at} is {found}, not {asked}"


@pytest.mark.parametrize("name", FILES)
def test_every_key_of_a_file_arrives(name):
    command_line = config.parser()
    found = arguments.parse(command_line, command(name))
    resolved = yaml.safe_load(command_line.dump(found, skip_unset=False))
    asked = yaml.safe_load((CONFIGS / name).read_text())
    assert list(missing(asked, resolved)) == []


@pytest.mark.parametrize("name", FILES)
def test_every_file_builds(name, tmp_path):
    run = config.parse([*command(name), *narrow(name), "--run_dir", "run"])
    os.environ.pop(config.RUN_DIR_VARIABLE)
    assert run.data.size % run.colorizer.generator.stride == 0
    (tmp_path / "kept.yaml").write_text(run.config)
    again = config.parse(["--config", "kept.yaml", "--run_dir", "again"])
    os.environ.pop(config.RUN_DIR_VARIABLE)
    assert again.config == run.config
    assert str(again.colorizer) == str(run.colorizer)


@pytest.mark.parametrize("name", ["generator/profiles.yaml", "generator/experts.yaml"])
def test_the_options_that_the_files_of_profiles_recommend_for_64_pixels(name):
    options = re.findall(
        r"--colorizer\.generator\S+ \d+",
        " ".join(line.strip("# ") for line in (CONFIGS / name).read_text().splitlines()),
    )
    given = [word for option in options for word in option.split()]
    assert len(given) == 4
    run = config.parse([*command(name), *narrow(name), *given, "--run_dir", "run"])
    os.environ.pop(config.RUN_DIR_VARIABLE)
    assert run.colorizer.generator.stride == 64


def test_bins_for_profiles_are_those_without():
    name, plain = (
        "losses/bins_profiles.yaml",
        config.parse([*command("losses/bins.yaml"), "--run_dir", "run"]).colorizer,
    )
    os.environ.pop(config.RUN_DIR_VARIABLE)
    run = config.parse([*command(name), "--run_dir", "run"]).colorizer
    os.environ.pop(config.RUN_DIR_VARIABLE)
    assert str(run.generator.generator.head) == str(plain.generator.head)
    assert run.losses.keys() == {"bins", "profile"}
    assert str(run.losses["bins"]) == str(plain.losses["bins"])
    assert run.adversarial.weight == plain.adversarial.weight == 0


@pytest.mark.parametrize("name", ALL)
def test_every_file_says_at_its_top_what_it_is_for(name):
    assert (CONFIGS / name).read_text().startswith("# ")


def test_what_is_no_overlay_needs_no_other_file():
    for name in COMPLETE:
        arguments.parse(config.parser(), ["--config", str(CONFIGS / name)])


def test_the_option_that_the_logger_s_file_recommends():
    given = [*command("logger/wandb.yaml"), "--training.logs.offline", "true"]
    [log] = arguments.parse(config.parser(), given).training.logs
    assert log.init_args.offline is True


@pytest.mark.parametrize("row", weightings.ROWS)
def test_rows_of_the_weightings_benchmark_differ_in_their_loss_alone(row, tmp_path, monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    built = []
    for name in ("L1", row):
        built.append(config.parse(weightings.command(name, 3, 800, tmp_path)))
        os.environ.pop(config.RUN_DIR_VARIABLE)
    plain, run = built
    assert (run.colorizer.adversarial.weight > 0) == ("GAN" in row)
    assert ("bins" in run.colorizer.losses) == ("bins" in row)
    ours, its = (yaml.safe_load(one.config) for one in built)
    assert (ours["data"], ours["training"], ours["seed"]) == (its["data"], its["training"], its["seed"])
    for key in set(ours["colorizer"]) - {"losses", "adversarial", "generator"}:
        assert its["colorizer"][key] == ours["colorizer"][key]
    assert (str(plain.colorizer.generator) == str(run.colorizer.generator)) == ("bins" not in row)


def test_no_two_rows_of_the_weightings_benchmark_are_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    found = []
    for row in weightings.ROWS:
        found.append(config.parse(weightings.command(row, 0, 800, tmp_path)).config)
        os.environ.pop(config.RUN_DIR_VARIABLE)
    assert len(set(found)) == len(weightings.ROWS)
