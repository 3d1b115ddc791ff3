"""evaluate.py as a user calls it: what it writes, shows, refuses and keeps."""

import csv
import json
import os
import re
import subprocess
import sys
import urllib.error
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pictures import SIZE, Means, numbered, save, scenes, stand_in
from pictures import checkpoint as trained
from skimage.metrics import peak_signal_noise_ratio

import evaluate
from gancolor.benchmark.protocol import hash_of
from gancolor.checkpoint import KEY, load
from gancolor.color import Lab, lab_to_rgb, rgb_to_lab
from gancolor.features import inception, lpips_alex
from gancolor.generators import UNet

ROOT = Path(__file__).parents[1]
FILES = ["per_image.csv", "report.html", "table.csv", "table.json", "table.md", "table.tex"]
WEIGHTS = ROOT.parent / "shared" / "weights"
NOTHING_HEAVY = ["psnr", "ssim", "colorfulness_abs", "delta_colorfulness_abs", "auc_balanced", "ab_distance"]


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """An empty folder to work in, a cache of one's own, no weights and no network."""

    def refuse(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("GANCOLOR_WEIGHTS", raising=False)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture
def checkpoint(tmp_path):
    return trained(tmp_path / "last.ckpt")


REAL = scenes(3)


@pytest.fixture
def photographs(tmp_path):
    """Three pictures in a folder."""
    return save(tmp_path / "photographs", numbered(REAL))


def run(*given: object, data: Path | None = None, protocol: Path | None = None) -> dict[str, dict[str, dict]]:
    """Evaluate on the CPU; the numbers of table.json."""
    options = {"--data": data, "--protocol": protocol}
    words = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
    evaluate.main([*map(str, given), *words, "--workers", "0", "--device", "cpu"])
    return json.loads(Path("results/table.json").read_text())


def complaint(*given: object) -> str:
    """The one line that evaluate.py ends with; the exit status of a message is 1."""
    with pytest.raises(SystemExit) as stop:
        evaluate.main(["--workers", "0", *map(str, given)])
    text = stop.value.code
    assert isinstance(text, str)
    assert text.startswith("evaluate.py: ")
    assert "\n" not in text
    return text


def rules(**changes: object) -> Path:
    """A protocol that needs no large network."""
    images = {"description": "those of the test"}
    content = {"name": "toy", "description": "scenes", "images": images, "size": SIZE, "metrics": NOTHING_HEAVY}
    path = Path(f"{changes.get('name', 'toy')}.yaml")
    path.write_text(yaml.safe_dump(content | changes))
    return path


def painted(checkpoint: Path) -> torch.Tensor:
    """What the checkpoint makes of the photographs, apart from the evaluation."""
    light = rgb_to_lab(torch.stack(REAL)).light
    return lab_to_rgb(Lab(light, load(checkpoint).generator(light).ab))


def test_the_tables_and_the_report_are_written_and_shown(checkpoint, photographs, tmp_path, capsys):
    content = run(checkpoint, data=photographs)
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == FILES
    assert list(content) == ["gray", "half-saturated", "ours", "real"]
    pairs = zip(np.stack(REAL), painted(checkpoint).numpy(), strict=True)
    psnr = np.mean([peak_signal_noise_ratio(r, f) for r, f in pairs])
    assert content["ours"]["psnr"]["value"] == pytest.approx(psnr, rel=1e-5)
    assert content["ours"]["psnr"]["n"] == 3
    assert content["ours"]["psnr"]["low"] < psnr < content["ours"]["psnr"]["high"]
    for candidate in ("gray", "half-saturated", "ours", "real"):  # no weights
        for name in ("fid", "kid", "lpips"):
            assert content[candidate][name]["value"] is None
            assert "no route to host" in content[candidate][name]["reason"]
    printed = capsys.readouterr().out
    for words in ("3 images", "gray", "half-saturated", "ours", "real", "LPIPS was not measured"):
        assert words in printed
    for file in FILES:
        assert f"results/{file}" in printed
    with (tmp_path / "results" / "per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 3
    assert np.mean([float(row["psnr"]) for row in rows if row["candidate"] == "ours"]) == pytest.approx(psnr, rel=1e-5)


def test_the_output_goes_where_it_is_told(checkpoint, photographs, tmp_path):
    options = ("--workers", "0", "--output", str(tmp_path / "a" / "b"), "--protocol", str(rules()))
    evaluate.main([str(checkpoint), "--data", str(photographs), *options])
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == FILES
    assert not (tmp_path / "results").exists()


def test_folders_and_checkpoints_stand_in_one_table(checkpoint, photographs, tmp_path):
    save(tmp_path / "theirs", {f"{i:03d}.jpg": picture for i, picture in enumerate(REAL)})
    options = ("--candidate", f"theirs={tmp_path / 'theirs'}", "--candidate", f"again={checkpoint}")
    content = run(checkpoint, *options, "--against", "theirs", data=photographs, protocol=rules())
    assert list(content) == ["gray", "half-saturated", "ours", "theirs", "again", "real"]
    assert content["ours"] == content["again"]
    assert content["theirs"]["psnr"]["value"] > content["ours"]["psnr"]["value"] + 3
    differences = json.loads((tmp_path / "results" / "differences.json").read_text())
    assert differences["against"] == "theirs"
    found = differences["differences"]["ours"]["psnr"]
    expected = content["ours"]["psnr"]["value"] - content["theirs"]["psnr"]["value"]
    assert found["value"] == pytest.approx(expected, rel=1e-6)
    assert found["judgement"] == "worse"


def test_only_folders_need_no_checkpoint(photographs, tmp_path):
    content = run("--candidate", f"x={photographs}", data=photographs, protocol=rules())
    assert content["x"]["psnr"]["value"] == 60
    assert content["x"]["ab_distance"]["value"] == 0


def test_without_data_the_run_s_validation_images_are_taken(tmp_path, capsys):
    path = trained(tmp_path / "run" / "checkpoints" / "last.ckpt")
    source = {"class_path": "gancolor.data.Scenes", "init_args": {"train": 9, "val": 4, "size": SIZE}}
    (tmp_path / "run" / "config.yaml").write_text(yaml.dump({"data": {"source": source}}))
    assert run(path, protocol=rules())["ours"]["psnr"]["n"] == 4
    assert f"the validation images of {tmp_path / 'run' / 'config.yaml'}" in " ".join(capsys.readouterr().out.split())


def test_only_the_first_images_are_taken(checkpoint, photographs):
    assert run(checkpoint, "--images", 2, data=photographs, protocol=rules())["ours"]["psnr"]["n"] == 2


def test_what_was_measured_is_kept_in_the_cache(checkpoint, photographs, tmp_path, monkeypatch):
    """The second run would fail if it measured anything; the network is looked at for its identity only."""
    protocol = rules(metrics=["fid", "psnr"])
    stand_in(monkeypatch, "inception", Means())
    first = run(checkpoint, data=photographs, protocol=protocol)
    assert list((tmp_path / "cache" / "gancolor" / "records").rglob("*.npz"))
    monkeypatch.setattr(Means, "forward", lambda *_: pytest.fail("measured again"))
    assert run(checkpoint, data=photographs, protocol=protocol) == first
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        run(checkpoint, "--cache", tmp_path / "another", data=photographs, protocol=protocol)


def test_an_output_that_cannot_be_written_to_is_found_before_measuring(checkpoint, photographs, tmp_path):
    (tmp_path / "taken").touch()
    text = complaint(checkpoint, "--data", photographs, "--protocol", rules(), "--output", tmp_path / "taken")
    assert str(tmp_path / "taken") in text
    assert not (tmp_path / "cache").exists()


def test_names_that_are_no_unicode_are_written(checkpoint, photographs, tmp_path):
    Path(photographs, "000.png").rename(os.fsdecode(os.fsencode(photographs) + b"/caf\xe9.png"))
    run(checkpoint, data=photographs, protocol=rules())
    assert r"caf\udce9.png" in (tmp_path / "results" / "per_image.csv").read_text()
    assert (tmp_path / "results" / "report.html").is_file()


def test_a_checkpoint_trained_at_another_size_is_remarked(checkpoint, photographs, capsys):
    run(checkpoint, "--size", 64, data=photographs, protocol=rules())
    assert "ours was trained at 32 pixels and is evaluated at 64." in " ".join(capsys.readouterr().out.split())


def test_as_many_images_as_there_are_is_no_deviation(checkpoint, photographs, capsys):
    run(checkpoint, "--images", 3, data=photographs, protocol=rules())
    assert "changes the protocol" not in capsys.readouterr().out


def test_fid_s_other_real_images_must_be_others(checkpoint, photographs):
    protocol = rules(
        images={"description": "two", "count": 2}, reference={"description": "other", "first": 3, "count": 2}
    )
    text = complaint(checkpoint, "--data", photographs, "--protocol", protocol, "--reference", photographs)
    assert "2 of FID's real images are among the colorized ones" in text


def test_a_cache_that_cannot_be_written_to_asks_for_another(checkpoint, photographs, tmp_path):
    (tmp_path / "full").touch()
    text = complaint(checkpoint, "--data", photographs, "--protocol", rules(), "--cache", tmp_path / "full")
    assert text.endswith("--cache")
    assert str(tmp_path / "full") in text


def test_a_damaged_record_is_named(checkpoint, photographs, tmp_path):
    run(checkpoint, data=photographs, protocol=rules())
    for path in (tmp_path / "cache").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:200])
    assert re.search(
        r"\.npz is damaged .*delete it", complaint(checkpoint, "--data", photographs, "--protocol", rules())
    )


def test_a_list_that_is_not_the_published_one_is_a_doubt(checkpoint, photographs, tmp_path, capsys, monkeypatch):
    """And one that is, is none; the protocol has the name of a published one."""
    published = {"name": "imagenet-val5k-crop", "metrics": ["psnr", "colorfulness_abs"]}
    images = {"description": "three pictures", "count": 3, "sha256": hash_of(["000", "001", "002"])}
    monkeypatch.setattr(evaluate, "PROTOCOLS", tmp_path)  # as if it were shipped
    rules(images=images, **published)
    run(checkpoint, data=photographs, protocol=published["name"])
    assert "NOT comparable" not in capsys.readouterr().out
    markdown = (tmp_path / "results" / "table.md").read_text()
    assert "Comparable with the published rows of imagenet-val5k-crop" in markdown
    assert markdown.index("DDColor") < markdown.index("Comparable with")  # in the table itself
    rules(images=images | {"sha256": "0" * 64}, **published)
    run(checkpoint, data=photographs, protocol=published["name"])
    markdown, printed = (tmp_path / "results" / "table.md").read_text(), " ".join(capsys.readouterr().out.split())
    for text in (markdown, printed):
        assert "NOT comparable with others' numbers under imagenet-val5k-crop" in text
        assert "the list of 3 photographs is not that of three pictures" in text


def test_missing_pictures_are_named_and_nothing_measured_is_lost(photographs, tmp_path, monkeypatch):
    protocol = rules(metrics=["fid"])
    network = Means()
    shown = []
    network.register_forward_hook(lambda _, given, __: shown.append(len(given[0])))
    stand_in(monkeypatch, "inception", network)
    fake = save(tmp_path / "x", numbered([255 - picture for picture in REAL]))
    given = ("--candidate", f"x={fake}", "--data", photographs, "--protocol", protocol, "--batch_size", 1)
    run(*given)
    assert sum(shown) == 4 * 3
    (fake / "001.png").rename(tmp_path / "away.png")
    assert "1 of 3 photographs have no picture" in complaint(*given)
    save(fake, {"001.png": REAL[1][:, :9]})
    text = complaint(*given)
    assert "--candidate x: 1 pictures cannot be used: 001.png: 001.png is 32×9, but its photograph 32×32" in text
    (tmp_path / "away.png").rename(fake / "001.png")
    shown.clear()
    run(*given)
    assert shown == []


def test_photographs_of_which_none_can_be_read_are_an_error(checkpoint, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG half of it")
    assert f"none of all images under {tmp_path} can be read" in complaint(
        checkpoint, "--data", tmp_path, "--protocol", rules()
    )


# What is wrong with the checkpoint, and what must be said of it.
DAMAGE = {
    "missing": (lambda path: path.unlink(), "there is no such checkpoint"),
    "text": (lambda path: path.write_text("hello"), "not a checkpoint"),
    "empty": (lambda path: path.write_bytes(b""), "not a checkpoint"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:2000]), "cut off"),
    "weights": (lambda path: torch.save(UNet(depth=5, width=4).state_dict(), path), "not a checkpoint written by"),
    "a network": (lambda path: torch.save(UNet(depth=5, width=4), path), "cannot be read as a checkpoint"),
    "an empty folder": (lambda path: (path.unlink(), path.mkdir()), "holds no image"),
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
    (["--size", "48"], "size is 48: the network of .*last.ckpt needs a multiple of 32"),
    (["--size", "0"], "--size is 0: it must be at least 1"),
    (["--size", "big"], r'Parser key "size": Expected int.*big'),
    (["--batch_size", "0"], "--batch_size is 0: it must be at least 1"),
    (["--images", "-3"], "--images is -3: it must be at least 1"),
    (["--workers", "-1"], "--workers is -1: it must be at least 0"),
    (["--device", "gpu"], "--device gpu: "),
    (["--device", "cuda:99"], "--device cuda:99: "),
    (["--weights", "typo"], "typo: no such folder"),
    (["--protocol", "tiny-imagenet"], "--protocol tiny-imagenet: .*did you mean 'tiny-imagenet-val'"),
    (["--candidate", "x"], "--candidate x: write NAME=CHECKPOINT or NAME=FOLDER"),
    (["--candidate", "=x"], "--candidate =x: write NAME="),
    (["--candidate", "x="], "--candidate x=: write NAME="),
    (["--candidate", "gray=last.ckpt"], "--candidate gray: a row of this name is in every table"),
    (["--candidate", "real=last.ckpt"], "--candidate real: a row of this name is in every table"),
    (["--candidate", "half-saturated=x"], "--candidate half-saturated: a row of this name"),
    (["--candidate", "ours=last.ckpt"], "--candidate ours is given twice"),
    (["--candidate", "x=nothing"], "nothing: there is no such checkpoint"),
    (["--against", "theirs"], "--against theirs: no such candidate; there are gray, half-saturated, ours$"),
    (["--against", "real"], "--against real: no such candidate"),
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


def test_somebody_must_be_evaluated(photographs):
    assert "nobody to evaluate" in complaint("--data", photographs)


def test_without_data_and_configuration_data_is_asked_for(checkpoint):
    assert complaint(checkpoint).endswith("give --data")


def test_of_folders_alone_the_photographs_are_asked_for(photographs):
    assert complaint("--candidate", f"x={photographs}").endswith("by --data")


def test_of_folders_alone_the_size_is_asked_for(photographs):
    text = complaint("--candidate", f"x={photographs}", "--data", photographs)
    assert text.endswith("the protocol folder leaves the size of the pictures open: give --size")


def assert_same(one: Mapping[str, Mapping[str, Mapping]], other: Mapping[str, Mapping[str, Mapping]]) -> None:
    assert one.keys() == other.keys()
    for candidate, row in one.items():
        assert list(row) == list(other[candidate])
        for metric, found in row.items():
            assert found == pytest.approx(other[candidate][metric], rel=1e-6, abs=1e-6), (candidate, metric)


@pytest.mark.slow
def test_two_processes_write_what_one_does(checkpoint, tmp_path):
    """As started by torchrun, on a number of images that neither 2 nor the batch divides."""
    photographs = save(tmp_path / "many", numbered(scenes(23)))
    protocol = rules()
    alone = run(checkpoint, "--batch_size", 4, data=photographs, protocol=protocol)
    options = ["--data", "many", "--protocol", protocol, "--batch_size", "4", "--workers", "0", "--device", "cpu"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home of two")}
    done = subprocess.run(
        [*launch, ROOT / "evaluate.py", checkpoint, *options, "--output", "two"],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert done.stdout.count("23 images") == 1  # one of them speaks
    assert_same(json.loads((tmp_path / "two" / "table.json").read_text()), alone)
    both = [(tmp_path / folder / "per_image.csv").read_text().splitlines() for folder in ("results", "two")]
    assert both[0] == both[1]


def test_the_batch_size_does_not_matter(checkpoint, tmp_path):
    photographs = save(tmp_path / "many", numbered(scenes(23)))
    tables = [run(checkpoint, "--batch_size", b, data=photographs, protocol=rules()) for b in (3, 23)]
    assert_same(*tables)


def frechet(one, other):
    """The Fréchet distance of two small sets of features (Heusel et al. 2017, eq. 6).

    With centered features X, Y of n images, Tr √(Σ₁Σ₂) is the sum of the singular values of X Yᵀ over n − 1.
    """
    x, y = (features.double() - features.double().mean(dim=0) for features in (one, other))
    mean = (one.double().mean(dim=0) - other.double().mean(dim=0)).square().sum()
    trace = x.square().sum() + y.square().sum() - 2 * torch.linalg.svdvals(x @ y.T).sum()
    return (mean + trace / (len(one) - 1)).item()


@pytest.mark.shared
def test_fid_and_lpips_with_the_real_networks(checkpoint, photographs):
    found = run(checkpoint, "--weights", WEIGHTS, data=photographs, protocol=rules(metrics=["fid", "lpips"]))["ours"]
    ours, real = painted(checkpoint), torch.stack(REAL)
    with torch.inference_mode():
        network = inception(WEIGHTS)
        assert found["fid"]["value"] == pytest.approx(frechet(network(ours), network(real)), abs=1e-2)
        assert found["lpips"]["value"] == pytest.approx(lpips_alex(WEIGHTS)(ours, real).mean().item(), abs=1e-5)
