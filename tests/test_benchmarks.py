import json
import time
from functools import partial
from itertools import repeat
from math import isfinite
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tqdm import tqdm

from benchmarks import photographs, throughput, weightings
from benchmarks.ambiguity import AMBIGUOUS, Drawn, look
from benchmarks.limits import decoders, step_flops
from benchmarks.machine import about
from benchmarks.pix2pix import Photographs, Pix2Pix
from benchmarks.seeds import over_seeds
from benchmarks.throughput import Section, rows_of
from benchmarks.turns import Pace, Turn, take_turns
from gancolor.color import AB_SCALE, Lab, gray, lab_to_rgb, rgb_to_lab
from gancolor.data import Scenes
from gancolor.data.decoding import decode
from gancolor.data.paint import CAR_COLORS, Label
from gancolor.discriminators import PatchGAN
from gancolor.errors import InputError
from gancolor.generators import UNet


def sleepy(seconds: float, pace: Pace) -> None:
    """A contender; here, where its process finds it."""
    for _ in pace(repeat(None)):
        time.sleep(seconds)


def broken(pace: Pace) -> None:
    raise ValueError("out of paint")


class TestReference:
    def test_its_networks_are_ours_with_batch_norm(self) -> None:
        theirs = Pix2Pix("cpu")
        generator, discriminator = UNet(), PatchGAN(norm="batch")
        for ours, other in ((generator, theirs.generator), (discriminator, theirs.discriminator)):
            values = other.state_dict().values()
            ours.load_state_dict(dict(zip(ours.state_dict(), values, strict=True)))
        light, ab = torch.rand(2, 1, 256, 256) * 2 - 1, torch.rand(2, 2, 256, 256) - 0.5
        torch.manual_seed(0)
        expected = generator(light).ab
        torch.manual_seed(0)
        torch.testing.assert_close(theirs.generator(light), expected)
        lab = torch.cat([light, ab], 1)
        torch.testing.assert_close(theirs.discriminator(lab), discriminator(lab)[0])

    def test_it_learns(self) -> None:
        torch.manual_seed(0)
        model = Pix2Pix("cpu")
        light, ab = torch.rand(1, 1, 256, 256) * 2 - 1, torch.full((1, 2, 256, 256), 0.3)
        distances, judged = zip(*(model.step(light, ab) for _ in range(6)), strict=True)
        assert distances[-1] < 0.8 * distances[0]
        assert all(isfinite(loss) for loss in judged)

    def test_it_reads_lab_as_we_do(self, tmp_path: Path) -> None:
        color = np.array([200, 120, 40], dtype=np.uint8)
        Image.fromarray(np.tile(color, (300, 400, 1))).save(tmp_path / "a.png")
        light, ab = Photographs(tmp_path, 256)[0]
        expected = rgb_to_lab(torch.from_numpy(color).view(1, 3, 1, 1).expand(1, 3, 256, 256).contiguous())
        torch.testing.assert_close(light, expected.light[0], atol=1e-4, rtol=0)
        torch.testing.assert_close(ab, expected.ab[0], atol=1e-4, rtol=0)

    def test_a_step_costs_what_its_convolutions_cost(self) -> None:
        # Counted by hand: multiply-adds of G (18.1 G) and of D (3.2 G a pass); a backward pass costs its forward twice.
        assert step_flops(256) == pytest.approx(86.0e9, rel=0.01)


class TestPhotographs:
    def test_cuts_are_jpeg_files_of_imagenets_size_and_always_the_same(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        first, second = (photographs.cut(tmp_path / name, 6) for name in ("a", "b"))
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
        assert len({path.read_bytes() for path in first}) == 6
        assert all(decode(path).shape == (3, 375, 500) for path in first)
        assert 60_000 < np.mean([path.stat().st_size for path in first]) < 140_000

    def test_links_repeat_what_there_is(self, tmp_path: Path) -> None:
        found = photographs.cut(tmp_path, 2)
        photographs.link(found, tmp_path / "links", 5)
        links = sorted((tmp_path / "links").iterdir())
        assert [link.resolve() for link in links] == [path.resolve() for path in found * 2 + found[:1]]

    def test_a_folder_without_any_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=f"{tmp_path}: no JPEG file"):
            photographs.find(tmp_path, 3)

    def test_every_plain_decoder_reads_them(self, tmp_path: Path) -> None:
        path = photographs.cut(tmp_path, 1)[0]
        assert "pillow" in decoders()
        for plainly in decoders().values():
            plainly(path)
            with pytest.raises(FileNotFoundError):
                plainly(tmp_path / "missing.jpg")


class TestTurns:
    def test_a_turn_is_timed_from_asking_for_a_batch_to_asking_for_the_next(self) -> None:
        here, there = Pipe()
        here.send((2, 3))
        batches = Pace(there, "cpu")(iter(range(100)))
        assert [next(batches) for _ in range(2)] == [0, 1]  # leading in
        assert [next(batches) for _ in range(3)] == [2, 3, 4]
        assert not here.poll()  # the last batch is still being used
        here.send((0, 1))
        assert next(batches) == 5
        assert here.poll(1)
        turn = here.recv()
        assert 0 <= turn.waiting <= turn.seconds

    def test_contenders_take_turns(self, tmp_path: Path) -> None:
        contenders = {"fast": partial(sleepy, 0.01), "slow": partial(sleepy, 0.05)}
        with tqdm(disable=True) as bar:
            taken = take_turns(contenders, "cpu", 1, 2, 3, 0, tmp_path, bar)
        assert [len(turns) for turns in taken.values()] == [2, 2]
        assert all(turn.seconds >= 0.15 for turn in taken["slow"])
        assert all(turn.seconds >= 0.03 for turn in taken["fast"])

    def test_what_a_failed_one_said_is_told(self, tmp_path: Path) -> None:
        with tqdm(disable=True) as bar, pytest.raises(RuntimeError, match=r"painter ended with[\s\S]*out of paint"):
            take_turns({"painter": broken}, "cpu", 1, 1, 1, 0, tmp_path, bar)


class TestTable:
    def test_ratios_are_medians_of_rounds(self) -> None:
        rows = [("step, fp32", "reference", ["low", "high"])]
        images = {"step, fp32": 8.0, "reference": 8.0, "low": 8.0, "high": 80.0}
        section = Section({}, images, rows, 1, 2)
        seconds = {"step, fp32": [1, 2, 4], "reference": [2, 6, 4], "low": [1, 1, 1], "high": [1, 2, 4]}
        taken = {name: [Turn(float(s), 0.25 * s) for s in its] for name, its in seconds.items()}
        row = rows_of(section, taken, {"step, fp32": 1.1})[0]
        assert row.our_rates == [8, 4, 2]
        assert row.ratios == [2, 3, 1]
        assert (row.limit, row.shares, row.our_wait, row.goal) == ("high", [0.1, 0.1, 0.1], [0.25] * 3, 1.1)

    def test_no_absolute_path_is_published(self) -> None:
        command = about("x.py", ["--peer", "/a/b/c", "--photographs=/d/e/", "--steps", "1"], 1, ["torch"])["command"]
        assert command == "python x.py --peer c --photographs=e --steps 1"

    def test_a_device_that_is_not_there_is_named(self) -> None:
        with pytest.raises(InputError, match="--device is tpu"):
            throughput.main(["--device", "tpu"])
        if not torch.cuda.is_available():
            with pytest.raises(InputError, match="no CUDA device is here"):
                throughput.main(["--device", "cuda"])

    @pytest.mark.slow
    def test_every_row_has_finite_positive_numbers(self, tmp_path: Path) -> None:
        small = ["--turns=1", "--steps=1", "--batch=1", "--threads=1", "--images=8"]
        throughput.main([*small, f"--output={tmp_path}"])
        found = json.loads((tmp_path / "throughput.json").read_text())
        rows = {row["ours"]: row for row in found["rows"]}
        assert set(throughput.GOALS["cpu"]) <= set(rows)
        for row in rows.values():
            for rate in row["our_rates"] + row["their_rates"] + row["limit_rates"]:
                assert isfinite(rate)
                assert rate > 0
            assert 0 <= row["our_wait"][0] < 1
        text = (tmp_path / "throughput.txt").read_text()
        assert all(name in text for name in rows)
        assert str(tmp_path.parent) not in text


SCENES = Drawn.held_out(Scenes(train=0, val=24, size=64))


def repainted(label: Label, ab: tuple[float, float]) -> torch.Tensor:
    """The scenes, with one thing in one color."""
    lab = rgb_to_lab(SCENES.rgb)
    color = torch.tensor(ab).view(1, 2, 1, 1) / AB_SCALE
    return lab_to_rgb(Lab(lab.light, torch.where(SCENES.labels[:, None] == label, color, lab.ab)))


class TestAmbiguity:
    def test_real_colors_are_perfect_and_gray_ones_have_nothing(self) -> None:
        perfect, dull = look(SCENES.rgb, SCENES), look(gray(SCENES.rgb), SCENES)
        saturations = [name for name in perfect if name.startswith("saturation")]
        assert len(saturations) == len(AMBIGUOUS) + 2
        for name in (*saturations, "cf_ratio", "rare_recall"):
            assert perfect[name] == pytest.approx(1)
            assert dull[name] < (0.3 if name == "rare_recall" else 0.02)
        assert (perfect["ab_distance"], dull["cars like cars"]) == (0, 0)
        assert perfect["cars like cars"] > 0.99

    def test_hedged_cars_are_dull_and_like_no_car(self) -> None:
        likely = [(share, color) for share, color in CAR_COLORS.values()]
        a, b = (sum(share * color[i] for share, color in likely) for i in range(2))
        found = look(repainted(Label.CAR, (a, b)), SCENES)
        real = sum(share * np.hypot(*color) for share, color in likely)
        assert found["saturation of cars"] == pytest.approx(np.hypot(a, b) / real, abs=0.1)  # these scenes' own cars
        assert found["cars like cars"] == 0
        assert found["saturation of cars"] < found["saturation of ambiguous"] < 1
        for other in ("balloons", "leaves", "the rest"):
            assert found[f"saturation of {other}"] == pytest.approx(1, abs=1e-3)

    def test_another_color_that_cars_have_is_as_good(self) -> None:
        found = look(repainted(Label.CAR, CAR_COLORS["green"][1]), SCENES)
        assert found["cars like cars"] == 1
        assert found["psnr"] < look(SCENES.rgb, SCENES)["psnr"]

    def test_the_scenes_shown_have_cars_and_balloons(self) -> None:
        shown = SCENES.telling(8)
        assert 4 <= len(shown) <= 8
        assert shown == sorted(set(shown))
        for label in (Label.CAR, Label.BALLOON):
            assert ((SCENES.labels[shown] == label).float().mean((1, 2)) > 0.01).sum() >= 2


class TestWeightings:
    def test_a_row_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="there is no 'L3'; there are L1, "):
            weightings.main(["--rows", '["L3"]', f"--work={tmp_path}"])

    def test_a_training_that_fails_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match=r"L1, seed 0: train\.py: .*they are 0, 1"):
            weightings.train_all({("L1", 0): tmp_path}, 0, 1)

    def test_seconds_of_it_leave_a_table_and_a_picture(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        given = ["--rows", '["L1"]', "--seeds=2", "--images=8", "--scenes=24", "--jobs=2"]
        given += [f"--work={tmp_path / 'work'}", f"--output={tmp_path / 'out'}"]
        weightings.main(given)
        found = json.loads((tmp_path / "out" / "weightings.json").read_text())
        assert list(found["values"]) == ["gray", "L1"]
        first, second = found["values"]["L1"]["psnr"]
        assert first != second  # another seed is another training
        text = (tmp_path / "out" / "weightings.txt").read_text()
        mean = over_seeds([first, second])
        assert f"{mean.value:.2f} ± {mean.high - mean.value:.2f}" in text
        assert str(tmp_path) not in text
        picture = np.asarray(Image.open(tmp_path / "out" / "weightings.png"))
        assert picture.shape[0] == 3 * 128

        def trained_again(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(weightings, "train", trained_again)
        weightings.main(given)
        assert json.loads((tmp_path / "out" / "weightings.json").read_text())["values"] == found["values"]
