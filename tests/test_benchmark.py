import json
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gancolor import benchmark
from gancolor.adversarial import Vanilla
from gancolor.checkpoint import KEY, describe, load
from gancolor.color import Lab, gray, lab_to_rgb, rgb_to_lab
from gancolor.data import Scenes
from gancolor.errors import InputError
from gancolor.features import inception, lpips_alex
from gancolor.generators import UNet

SETTINGS = benchmark.Settings(workers=0, device="cpu", batch_size=3)
SIZE = 32
WEIGHTS = Path(__file__).parents[2] / "shared" / "weights"


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No weights and no network."""

    def refuse(url, *_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GANCOLOR_WEIGHTS", raising=False)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture
def checkpoint(tmp_path):
    """A run with a generator that has seen nothing yet, beside the configuration of its data."""
    torch.manual_seed(1)
    generator = UNet(depth=5, width=4)
    with torch.no_grad():  # an untrained generator paints gray; this one paints
        [*generator.parameters()][-1].copy_(torch.tensor([0.3, -0.2]))
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    about = {"generator": describe(generator), "discriminator": describe(Vanilla()), "size": SIZE, "images": 0}
    state = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    torch.save({KEY: about, "state_dict": state}, path)
    source = {"class_path": "gancolor.data.Scenes", "init_args": {"train": 9, "val": 4, "size": SIZE}}
    (tmp_path / "run" / "config.yaml").write_text(yaml.dump({"data": {"source": source}}))
    return path


def photographs(folder, names):
    """Colorful pictures as PNG files, and their pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = Scenes(train=len(names), val=1, size=SIZE)
    pictures = [scenes.read(name) for name in scenes.names("train")]
    for name, picture in zip(names, pictures, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.movedim(0, 2).numpy()).save(folder / name)
    return torch.stack(pictures)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "photographs"


@pytest.fixture
def real(folder):
    return photographs(folder, [f"{i}.png" for i in range(5)])


def painted(checkpoint, real):
    """Every candidate's pictures, made apart from the benchmark."""
    light = rgb_to_lab(real).light
    return {"gray": gray(real), "ours": lab_to_rgb(Lab(light, load(checkpoint).generator(light).ab))}


def test_psnr_and_ssim_are_scikit_image_s(checkpoint, folder, real):
    report = benchmark.run(checkpoint, folder, None, SETTINGS)
    for candidate, fakes in painted(checkpoint, real).items():
        pairs = [(r.movedim(0, 2).numpy(), f.movedim(0, 2).numpy()) for r, f in zip(real, fakes, strict=True)]
        assert report.values[candidate]["psnr"] == pytest.approx(
            np.mean([peak_signal_noise_ratio(r, f) for r, f in pairs]), abs=1e-3
        )
        expected = [
            structural_similarity(
                r, f, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            )
            for r, f in pairs
        ]
        assert report.values[candidate]["ssim"] == pytest.approx(np.mean(expected), abs=1e-3)
    assert report.values["ours"]["psnr"] != pytest.approx(report.values["gray"]["psnr"], abs=0.1)


def test_colorfulness_is_of_each_candidate_and_of_the_photographs(checkpoint, folder, real):
    values = benchmark.run(checkpoint, folder, None, SETTINGS).values
    assert list(values) == ["gray", "ours", "real"]
    assert set(values["real"]) == {"colorfulness", "colorfulness_abs"}
    assert values["gray"]["colorfulness_abs"] < 1 < values["ours"]["colorfulness_abs"] < 60
    assert values["real"]["colorfulness_abs"] > 10


def test_without_weights_the_other_numbers_are_reported_with_the_reason(checkpoint, folder, real, tmp_path, capsys):
    report = benchmark.run(checkpoint, folder, None, SETTINGS)
    assert set(report.missing) == {"fid", "lpips"}
    report.write(tmp_path / "results")
    content = json.loads((tmp_path / "results" / "table.json").read_text())
    report.show()
    printed = capsys.readouterr().out
    for name in ("fid", "lpips"):
        for candidate in ("gray", "ours", "real"):
            entry = content[candidate][name]
            assert (entry["value"], entry["n"]) == (None, 0)
            assert "no route to host" in entry["reason"]
        assert f"{name} was not measured. " in printed
    assert "no route to host" in printed
    assert content["ours"]["psnr"] == {"value": report.values["ours"]["psnr"], "n": 5}
    assert "FID is paired" not in printed


def test_the_picture_shows_the_first_photographs(checkpoint, folder, real, tmp_path):
    report = benchmark.run(checkpoint, folder, None, SETTINGS)
    report.write(tmp_path / "results")
    with Image.open(tmp_path / "results" / "samples.png") as picture:
        assert np.array_equal(np.asarray(picture), report.picture)
    factor = benchmark.panel({"gray": real}).shape[0] // SIZE
    shown = report.picture[2 * SIZE * factor :: factor, -3 * SIZE * factor :: factor]
    assert np.array_equal(shown, np.concatenate(list(real[:3].movedim(1, 3).numpy()), axis=1))


def test_the_batch_size_does_not_matter(checkpoint, folder, real):
    one, all_ = (
        benchmark.run(checkpoint, folder, None, benchmark.Settings(workers=0, device="cpu", batch_size=b)).values
        for b in (1, 5)
    )
    for candidate, row in one.items():
        assert row == pytest.approx(all_[candidate], rel=1e-4)


def test_only_the_first_images_are_taken(checkpoint, folder, real):
    settings = benchmark.Settings(workers=0, device="cpu", images=2)
    assert benchmark.run(checkpoint, folder, None, settings).images == 2


def test_another_size_than_the_training_s(checkpoint, folder, real):
    settings = benchmark.Settings(size=64, workers=0, device="cpu")
    assert benchmark.run(checkpoint, folder, None, settings).picture.shape[0] == 3 * 128


@pytest.mark.parametrize("size", [48, 33, 16])
def test_a_size_that_the_network_cannot_take_is_refused(checkpoint, folder, real, size):
    with pytest.raises(InputError, match=f"^--size is {size}: this network needs a multiple of 32$"):
        benchmark.run(checkpoint, folder, None, benchmark.Settings(size=size, workers=0, device="cpu"))


OUT_OF_RANGE = [("size", 0), ("size", -32), ("images", 0), ("images", -1), ("batch_size", 0), ("workers", -1)]


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_a_setting_out_of_range_is_named(name, value):
    with pytest.raises(InputError, match=f"^--{name} is {value}"):
        benchmark.Settings(**{name: value})


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_named(checkpoint, folder, real, device):
    with pytest.raises(InputError, match=f"^--device {device}: "):
        benchmark.run(checkpoint, folder, None, benchmark.Settings(workers=0, device=device))


def test_an_unreadable_image_is_named_and_left_out(checkpoint, folder, real, caplog):
    (folder / "broken.png").write_bytes(b"\x89PNG half of it")
    report = benchmark.run(checkpoint, folder, None, SETTINGS)
    assert "broken.png is not used" in caplog.text
    assert report.images == 5
    assert set(report.values) == {"gray", "ours", "real"}


def test_a_folder_of_unreadable_images_is_an_error(checkpoint, folder):
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"\x89PNG half of it")
    with pytest.raises(InputError, match=f"^none of all images under {folder} can be read"):
        benchmark.run(checkpoint, folder, None, SETTINGS)


def test_of_a_data_set_with_train_and_val_the_latter_is_taken(checkpoint, folder):
    photographs(folder / "train" / "class", ["a.png", "b.png", "c.png"])
    photographs(folder / "val" / "class", ["d.png"])
    report = benchmark.run(checkpoint, folder, None, SETTINGS)
    assert report.images == 1
    assert report.description == f"all images under {folder / 'val'}"


def test_every_image_of_a_folder_is_taken_at_any_depth(folder):
    photographs(folder, ["a.png", "deep/b.png", "deep/er/c.png"])
    assert benchmark.images_at(folder).names == ["a.png", "deep/b.png", "deep/er/c.png"]


def test_the_images_of_a_list_are_taken(checkpoint, folder, real, tmp_path):
    (folder / "chosen.txt").write_text("3.png\n# not this one\n0.png\n")
    report = benchmark.run(checkpoint, folder / "chosen.txt", None, SETTINGS)
    assert report.images == 2
    assert report.description == f"the images listed in {folder / 'chosen.txt'}"


def test_without_data_the_run_s_validation_images_are_taken(checkpoint):
    report = benchmark.run(checkpoint, None, None, SETTINGS)
    assert report.images == 4
    scenes = Scenes(train=9, val=4, size=SIZE)
    real = torch.stack([scenes.read(name) for name in scenes.names("val")])
    expected = np.mean(
        [peak_signal_noise_ratio(r.numpy(), f.numpy()) for r, f in zip(real, gray(real), strict=True)]
    )  # fmt: skip
    assert report.values["gray"]["psnr"] == pytest.approx(expected, abs=1e-3)


def test_the_run_validates_on_as_many_images_as_its_configuration_says(checkpoint):
    config = checkpoint.parents[1] / "config.yaml"
    content = yaml.safe_load(config.read_text())
    content["data"]["val_images"] = 3
    config.write_text(yaml.dump(content))
    assert benchmark.run(checkpoint, None, None, SETTINGS).images == 3


def test_a_checkpoint_without_its_configuration_asks_for_data(checkpoint):
    (checkpoint.parents[1] / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"config\.yaml .*; give --data$"):
        benchmark.run(checkpoint, None, None, SETTINGS)


def frechet(one, other):
    """The Fréchet distance of two small sets of features (Heusel et al. 2017, eq. 6).

    With centered features X, Y of n images, Tr √(Σ₁Σ₂) is the sum of the singular values of X Yᵀ over n − 1.
    """
    x, y = (features.double() - features.double().mean(dim=0) for features in (one, other))
    mean = (one.double().mean(dim=0) - other.double().mean(dim=0)).square().sum()
    trace = x.square().sum() + y.square().sum() - 2 * torch.linalg.svdvals(x @ y.T).sum()
    return (mean + trace / (len(one) - 1)).item()


@pytest.mark.shared
def test_fid_and_lpips_with_the_real_networks(checkpoint, folder):
    real = photographs(folder, [f"{i}.png" for i in range(8)])
    report = benchmark.run(checkpoint, folder, WEIGHTS, SETTINGS)
    assert report.missing == {}
    ours, network, alex = painted(checkpoint, real)["ours"], inception(WEIGHTS), lpips_alex(WEIGHTS)
    with torch.no_grad():
        distances = alex(ours.float() / 127.5 - 1, real.float() / 127.5 - 1)
        assert report.values["ours"]["fid"] == pytest.approx(frechet(network(ours), network(real)), abs=1e-2)
    assert report.values["ours"]["lpips"] == pytest.approx(distances.mean().item(), abs=1e-4)
