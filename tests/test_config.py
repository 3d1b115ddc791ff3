import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
import yaml

from gancolor import config
from gancolor.adversarial import Hinge, Vanilla
from gancolor.checkpoint import KEY, describe
from gancolor.data import Folder, Scenes
from gancolor.errors import InputError
from gancolor.generators import UNet
from gancolor.training import Training

TINY = """
colorizer:
  generator: {class_path: gancolor.generators.UNet, init_args: {depth: 5, width: 4}}
  discriminator: {class_path: gancolor.discriminators.PatchGAN, init_args: {layers: 1, width: 4}}
  adversarial: {class_path: gancolor.adversarial.Vanilla}
  losses:
    l1: {class_path: gancolor.losses.L1, init_args: {weight: 50}}
    rarity: {class_path: gancolor.losses.RarityL1, init_args: {weight: 30}}
  generator_optimizer: {class_path: torch.optim.Adam, init_args: {lr: 3.0e-4, betas: [0.5, 0.9]}}
  images: 640
data:
  source: {class_path: gancolor.data.Folder, init_args: {root: photos}}
  size: 32
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run from an empty folder that has a configuration, and forget the run's folder afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(config.RUN_DIR_VARIABLE, raising=False)
    Path("tiny.yaml").write_text(TINY)
    yield
    os.environ.pop(config.RUN_DIR_VARIABLE, None)


def parse(*given):
    return config.parse(["--config", "tiny.yaml", *given])


def leave_checkpoint(run_dir, age=0, images=8):
    """A run's folder as training leaves it, as far as the command line looks."""
    run = parse("--run_dir", str(run_dir))
    path = run_dir / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    (run_dir / "config.yaml").write_text(run.config)
    torch.save({KEY: {"images": images}, "weights": torch.arange(100)}, path)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def parts(run):
    """What a run is made of, as plain data."""
    colorizer, data, training = run.colorizer, run.data, run.training
    plain = [describe(part) for part in (colorizer.generator, colorizer.discriminator, colorizer.adversarial)]
    plain += [{name: describe(loss) for name, loss in colorizer.losses.items()}, describe(data.source)]
    plain += [colorizer.images, colorizer.decay_from, colorizer.accumulate, colorizer.clip_norm]
    plain += [colorizer.ema_decay, colorizer.seed]
    plain += [{k: v for k, v in vars(data).items() if k != "source"}, vars(training)]
    plain += [[(type(o), o.defaults) for o in colorizer.configure_optimizers()]]
    return plain


def test_what_the_file_says_is_built():
    colorizer = parse().colorizer
    assert describe(colorizer.generator)["init_args"]["width"] == 4
    assert {name: loss.weight for name, loss in colorizer.losses.items()} == {"l1": 50, "rarity": 30}
    generator, discriminator = colorizer.configure_optimizers()
    assert (generator.defaults["lr"], generator.defaults["betas"]) == (3e-4, (0.5, 0.9))
    assert (discriminator.defaults["lr"], discriminator.defaults["betas"]) == (2e-4, (0.5, 0.999))  # pix2pix's


def test_options_reach_into_a_class_that_the_file_names():
    run = parse("--data.source.root", "mine", "--colorizer.losses.l1.init_args.weight", "7", "--data.size", "64")
    assert isinstance(run.data.source, Folder)
    assert run.data.source.root == "mine"
    assert run.colorizer.losses["l1"].weight == 7
    assert run.colorizer.losses["rarity"].weight == 30
    assert run.data.size == 64


def test_later_files_and_options_win():
    Path("overlay.yaml").write_text("colorizer: {images: 1, decay_from: 0.25}")
    run = parse("--config", "overlay.yaml", "--colorizer.images", "2")
    assert (run.colorizer.images, run.colorizer.decay_from) == (2, 0.25)


def test_another_class_does_not_inherit_the_arguments_of_the_first():
    run = parse("--data.source", "gancolor.data.Scenes", "--data.source.train", "9")
    assert isinstance(run.data.source, Scenes)
    assert run.data.source.train == 9
    assert isinstance(parse("--colorizer.adversarial", "gancolor.adversarial.Hinge").colorizer.adversarial, Hinge)


def test_the_kept_configuration_builds_the_same_run():
    first = parse("--run_dir", "first", "--seed", "3", "--data.size", "64", "--training.log_every", "5")
    Path("kept.yaml").write_text(first.config)
    second = config.parse(["--config", "kept.yaml", "--run_dir", "second"])
    assert parts(second) == parts(first)
    assert second.config == first.config


def test_the_kept_configuration_has_every_key_but_those_of_this_start():
    run = parse("--run_dir", "first", "--seed", "3")
    kept = yaml.safe_load(run.config)
    assert set(kept) == {"seed", "colorizer", "data", "training"}
    assert kept["seed"] == 3
    assert set(kept["training"]) == set(vars(run.training))
    assert kept["data"]["source"]["init_args"] == describe(run.data.source)["init_args"]


def weights(run):
    return torch.cat([p.flatten() for p in run.colorizer.parameters()])


def test_the_seed_reaches_everything_and_makes_the_weights():
    run = parse("--seed", "5")
    assert (run.colorizer.seed, run.data.seed) == (5, 5)
    torch.rand(7)
    assert torch.equal(weights(parse("--seed", "5")), weights(run))
    assert not torch.equal(weights(parse("--seed", "6")), weights(run))


@pytest.mark.parametrize("mistake", ["--colorizer.imges", "--data.size", "--config"])
def test_a_mistake_is_answered_before_anything_is_built(monkeypatch, mistake):
    monkeypatch.setattr(UNet, "__init__", lambda *_, **__: pytest.fail("a network was built"))
    with pytest.raises(InputError, match=re.escape(mistake.lstrip("-"))):
        parse(mistake, "nothing")
    assert [path.name for path in Path().iterdir()] == ["tiny.yaml"]


def test_a_value_that_a_part_refuses_is_an_error_of_one_line():
    with pytest.raises(InputError, match=r"^data\.batch_size is 0: it must be at least 1$"):
        parse("--data.batch_size", "0")


def test_nothing_at_all_is_answered_with_the_first_command():
    with pytest.raises(InputError, match=r"--config configs/quickstart\.yaml"):
        config.parse([])


def test_a_fresh_run_gets_a_folder_named_after_its_file():
    run = parse()
    assert re.fullmatch(r"runs/tiny-\d{8}-\d{6}", run.run_dir.as_posix())
    assert not run.run_dir.exists()  # before there is something to keep
    assert run.resume is None


def test_a_folder_that_holds_a_run_is_not_overwritten():
    leave_checkpoint(Path("runs/a"))
    kept = Path("runs/a/config.yaml").read_bytes()
    with pytest.raises(InputError, match=r"runs/a holds a run already: add --resume last, or choose another folder"):
        parse("--run_dir", "runs/a", "--seed", "1")
    assert Path("runs/a/config.yaml").read_bytes() == kept


def test_resume_last_goes_on_with_the_newest_run_and_its_own_configuration():
    leave_checkpoint(Path("runs/old"), age=60)
    newest = leave_checkpoint(Path("runs/new"))
    leave_checkpoint(Path("runs/older"), age=120)
    run = config.parse(["--resume", "last"])
    assert (run.resume, run.run_dir) == (newest, Path("runs/new"))
    assert describe(run.colorizer.generator)["init_args"]["width"] == 4


def test_resume_last_of_a_named_run():
    path = leave_checkpoint(Path("elsewhere"))
    leave_checkpoint(Path("runs/new"))
    run = config.parse(["--resume", "last", "--run_dir", "elsewhere", "--colorizer.images", "9"])
    assert (run.resume, run.run_dir) == (path, Path("elsewhere"))
    assert run.colorizer.images == 9


def test_a_checkpoint_named_by_its_path_is_resumed_in_its_own_folder():
    path = leave_checkpoint(Path("runs/a"))
    run = config.parse(["--resume", str(path)])
    assert (run.resume, run.run_dir) == (path, Path("runs/a"))


def test_a_configuration_given_on_resuming_counts():
    leave_checkpoint(Path("runs/a"))
    Path("other.yaml").write_text(TINY.replace("640", "1280"))
    run = config.parse(["--resume", "last", "--config", "other.yaml"])
    assert run.colorizer.images == 1280
    assert isinstance(run.colorizer.adversarial, Vanilla)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(100).numpy().tobytes()) + 8] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("resume", ["last", "auto"])
@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
def test_of_a_damaged_checkpoint_the_one_before_is_resumed_aloud(caplog, resume, damage):
    last = leave_checkpoint(Path("runs/a"))
    before = last.with_name("previous.ckpt")
    shutil.copy(last, before)
    damage(last)
    run = config.parse(["--resume", resume, "--run_dir", "runs/a"])
    assert (run.resume, run.run_dir) == (before, Path("runs/a"))
    [line] = caplog.messages
    assert line == f"{last} is missing or damaged: going on with {before}, the one before"
    flip(before)
    if last.exists():
        with pytest.raises(InputError, match=f"^{last} and {before}: damaged; begin again in another --run_dir$"):
            config.parse(["--resume", resume, "--run_dir", "runs/a"])


def test_resume_auto_begins_where_there_is_nothing_and_goes_on_where_there_is():
    command = ["--run_dir", "runs/a", "--resume", "auto"]
    run = parse(*command)
    assert (run.resume, run.run_dir) == (None, Path("runs/a"))
    path = leave_checkpoint(Path("runs/a"))
    assert parse(*command).resume == path
    run = config.parse(command)  # with its own configuration
    assert run.resume == path
    assert describe(run.colorizer.generator)["init_args"]["width"] == 4


def test_resume_auto_needs_a_folder_that_stays_the_same():
    with pytest.raises(InputError, match=r"^--resume auto: add --run_dir"):
        parse("--resume", "auto")


def test_resume_auto_of_a_run_that_is_over_is_no_error(monkeypatch, capsys):
    leave_checkpoint(Path("runs/a"), images=640)
    monkeypatch.setattr(Training, "fit", lambda *_: pytest.fail("it trained"))
    parse("--run_dir", "runs/a", "--resume", "auto").train()
    assert capsys.readouterr().out == "runs/a is trained: it has seen its 640 images\n"
    monkeypatch.setattr(Training, "fit", Mock())
    parse("--run_dir", "runs/a", "--resume", "auto", "--colorizer.images", "648").train()
    assert Training.fit.called


def trained(path):
    """A checkpoint of like networks, with weights of its own."""
    colorizer = parse("--seed", "99", "--run_dir", "other").colorizer
    os.environ.pop(config.RUN_DIR_VARIABLE)
    torch.save({KEY: colorizer.about(), "state_dict": colorizer.state_dict()}, path)
    return colorizer


def test_a_run_starts_from_another_s_weights(monkeypatch):
    other = trained("other.ckpt")
    monkeypatch.setattr(Training, "fit", Mock())
    run = parse("--start_from", "other.ckpt", "--run_dir", "runs/a")
    run.train()
    [_, *rest] = Training.fit.call_args.args
    assert rest[2] is None  # nothing is resumed
    for role in ("generator", "discriminator"):
        pairs = zip(getattr(run.colorizer, role).parameters(), getattr(other, role).parameters(), strict=True)
        assert all(torch.equal(p, q) for p, q in pairs)
    assert run.colorizer.images_seen == 0
    assert "start_from" not in run.config  # resuming does not start again


def test_a_requeued_run_goes_on_from_its_own_checkpoint_and_not_from_another_s(monkeypatch):
    command = ["--start_from", "other.ckpt", "--run_dir", "runs/a", "--resume", "auto"]
    with pytest.raises(InputError, match=r"^--start_from: there is no checkpoint other\.ckpt$"):
        parse(*command)
    trained("other.ckpt")
    assert parse(*command).start_from == Path("other.ckpt")
    own = leave_checkpoint(Path("runs/a"))
    Path("other.ckpt").unlink()
    run = parse(*command)
    assert (run.resume, run.start_from) == (own, None)
    before, _ = weights(run), monkeypatch.setattr(Training, "fit", Mock())
    run.train()
    assert torch.equal(weights(run), before)


def test_to_start_and_to_go_on_are_not_the_same():
    trained("other.ckpt")
    path = leave_checkpoint(Path("runs/a"))
    for resume in ("last", str(path)):
        with pytest.raises(
            InputError, match=r"^--start_from begins a run and --resume goes on with one: leave out one"
        ):
            parse("--start_from", "other.ckpt", "--resume", resume)


def test_weights_of_other_networks_are_refused_before_there_is_a_folder():
    trained("other.ckpt")
    run = parse("--start_from", "other.ckpt", "--colorizer.generator.init_args.width", "8", "--run_dir", "runs/a")
    with pytest.raises(InputError, match=r"^--start_from other\.ckpt: its generator .*generator\.width is 4 in the"):
        run.train()
    assert not Path("runs").exists()


NOTHING_TO_RESUME = [
    (["--resume", "last"], r"no run below runs/ has a checkpoint yet"),
    (["--resume", "last", "--run_dir", "runs/a"], r"there is no checkpoint runs/a/checkpoints/last\.ckpt"),
    (["--resume", "runs/a.ckpt"], r"there is no checkpoint runs/a\.ckpt"),
]


@pytest.mark.parametrize(("given", "text"), NOTHING_TO_RESUME, ids=[" ".join(given) for given, _ in NOTHING_TO_RESUME])
def test_nothing_to_resume_is_said(given, text):
    with pytest.raises(InputError, match=text):
        config.parse(given)
    with pytest.raises(InputError, match=text):
        parse(*given)


def test_a_checkpoint_far_from_its_configuration_asks_for_one():
    torch.save({KEY: {}}, "last.ckpt")
    with pytest.raises(InputError, match=r"^--resume last\.ckpt: there is no .*config\.yaml.*; give --config$"):
        config.parse(["--resume", "last.ckpt"])


def test_a_checkpoint_is_found_from_inside_its_own_folder(monkeypatch):
    leave_checkpoint(Path("runs/a"))
    monkeypatch.chdir("runs/a/checkpoints")
    run = config.parse(["--resume", "last.ckpt"])
    assert run.run_dir.resolve() == Path("..").resolve()


@pytest.mark.parametrize("option", ["--resume", "--run_dir", "--config"])
def test_an_option_without_its_value_is_named(option):
    with pytest.raises(InputError, match=f"{option}: expected one argument"):
        config.parse([option])


def test_help_names_the_classes_of_every_part():
    """In a process of its own: this one has imported them."""
    program = Path(__file__).parents[1] / "train.py"
    told = subprocess.run([sys.executable, program, "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("adversarial.Hinge", "penalties.R1", "losses.RarityL1", "guides.ProfileGuide", "generators.Experts"):
        assert f"gancolor.{name}" in told
