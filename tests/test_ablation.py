import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from pictures import numbered, save, scenes

import evaluate
import train
from benchmarks import ablation, steps
from benchmarks.ablation import GANCOLOR, ROWS, Ablation
from benchmarks.ablation_report import Report
from benchmarks.steps import ROOT, Step
from gancolor import config
from gancolor.apps import cli
from gancolor.checkpoint import KEY, read
from gancolor.errors import InputError
from gancolor.losses import RarityL1, RarityMSE

BASELINE = "rarity"
PROGRAMS = {"train.py": train.main, "evaluate.py": evaluate.main, "-c": lambda given: cli.main(given[1:])}
PLAIN = [name for name, row in ROWS.items() if not row.profiles]
PROFILED = [name for name, row in ROWS.items() if row.profiles]


def python(name: str, code: str, after: tuple[str, ...] = (), again: bool = False) -> Step:
    return Step(name, ("-c", code), after, again)


def in_process(todo: Sequence[Step], folder: Path, jobs: int, threads: int = 1) -> dict[str, str]:
    """In steps.run's place: importing torch takes each process seconds."""
    for step in todo:
        program, *given = step.arguments
        PROGRAMS[program](given)
    return {}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the layout of tiny-imagenet-200."""
    root, pictures = tmp_path_factory.mktemp("tiny-imagenet-200"), scenes(24, size=64)
    for kind in ("n01", "n02"):
        save(root / "train" / kind / "images", numbered(pictures[:16]))
    save(root / "val" / "images", {f"val_{i}.png": picture for i, picture in enumerate(pictures[16:])})
    return root


class TestSteps:
    def test_a_step_waits_for_those_that_it_needs(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        first = python("first", f"import time; time.sleep(0.3); open({str(file)!r}, 'w').write('x')")
        second = python("second", f"print(open({str(file)!r}).read() * 3)", ("first",))
        assert steps.run([first, second], tmp_path, jobs=2) == {}
        assert (tmp_path / "second.log").read_text() == f"$ {second.line}\nxxx\n"

    def test_steps_run_side_by_side(self, tmp_path: Path) -> None:
        meet = (
            "import pathlib, time\npathlib.Path({!r}).touch()\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.01)"
        )
        one, two = str(tmp_path / "one"), str(tmp_path / "two")
        todo = [python("1", meet.format(one, two)), python("2", meet.format(two, one))]
        assert steps.run(todo, tmp_path, jobs=2) == {}

    def test_a_failure_takes_only_those_that_need_it(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        todo = [
            python("bad", "import sys; print('working'); sys.exit('out of paint')"),
            python("after", "", ("bad",)),
            python("later", "", ("after",)),
            python("other", ""),
        ]
        failures = steps.run(todo, tmp_path, jobs=1)
        assert list(failures) == ["bad", "after", "later"]
        assert failures["bad"].startswith(f"ended with 1: out of paint (see {tmp_path / 'bad.log'}; python -c ")
        assert failures["after"] == "not begun, as bad failed"
        assert "out of paint" in capsys.readouterr().err
        assert (tmp_path / "other.done").is_file()
        assert not (tmp_path / "bad.done").exists()

    def test_what_was_done_is_not_done_again(self, tmp_path: Path) -> None:
        failing = python("2", "raise SystemExit(3)", ("1",))
        assert list(steps.run([python("1", "print(1)"), failing], tmp_path, jobs=2)) == ["2"]
        mended = python("2", "print(2)", ("1",))
        always = python("3", "print(3)", again=True)
        for _ in range(2):
            assert steps.run([python("1", "print(1)"), mended, always], tmp_path, jobs=2) == {}
        assert [(tmp_path / f"{i}.log").read_text().count("$") for i in (1, 2, 3)] == [1, 2, 2]

    def test_a_result_of_another_command_is_not_taken_for_this_ones(self, tmp_path: Path) -> None:
        steps.run([python("1", "print(1)")], tmp_path, jobs=1)
        with pytest.raises(InputError, match=r"1\.done: 1 was made by another command, .*choose another --work"):
            steps.run([python("1", "print(2)")], tmp_path, jobs=1)

    def test_gancolor_is_a_program(self, tmp_path: Path) -> None:
        assert steps.run([Step("1", (*GANCOLOR, "--version"))], tmp_path, jobs=1) == {}
        assert "\ngancolor " in (tmp_path / "1.log").read_text()

    def test_threads_are_told(self, tmp_path: Path) -> None:
        steps.run([python("1", "import os; print(os.environ['OMP_NUM_THREADS'])")], tmp_path, jobs=2, threads=3)
        assert (tmp_path / "1.log").read_text().endswith("\n3\n")


class TestRows:
    def built(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Run:
        monkeypatch.chdir(ROOT)
        todo = {step.name: step for step in Ablation(tmp_path, tmp_path, 1000, list(ROWS), 2).steps()}
        given = [option for option in todo[name].arguments[1:] if not option.startswith("--start_from")]
        return config.parse(given)

    @pytest.mark.parametrize("name", PLAIN)
    def test_each_is_the_same_network_and_data(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, other = (self.built(n, tmp_path, monkeypatch) for n in (name, BASELINE))
        for attribute in ("depth", "width", "norm", "dropout"):
            assert getattr(run.colorizer.generator, attribute) == getattr(other.colorizer.generator, attribute)
        assert run.data.batch_size == other.data.batch_size
        assert run.colorizer.images == 1000 * ROWS[name].share

    def test_each_sees_as_many_images_in_all(self) -> None:
        for row in ROWS.values():
            start = ROWS[row.start].share if row.start else 0
            assert row.share + start == (1 if row.candidate else 0.5)

    def test_what_makes_each_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        runs = {name: self.built(name, tmp_path, monkeypatch).colorizer for name in PLAIN}
        assert {name for name, run in runs.items() if run.adversarial.weight == 0} == {"l1", "bins"}
        assert [*runs["l1"].losses] == [*runs["gan"].losses] == ["l1"]
        assert isinstance(runs["published"].losses["rarity"], RarityMSE)
        assert isinstance(runs[BASELINE].losses["rarity"], RarityL1)
        assert [*runs["bins"].losses] == ["bins"]
        assert runs["common"].decay_from == 1

    def test_seeds_differ_between_trainings_and_between_halves(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(ROOT)
        todo = {step.name: step.arguments for step in Ablation(tmp_path, tmp_path, 1000, list(ROWS), 2).steps()}
        assert len(todo) == 2 + 2 * (len(ROWS) + 2 * len(PROFILED))
        seeds = {
            name: config.parse(given[1:]).colorizer.seed
            for name, given in todo.items()
            if name.removesuffix("-1") in PLAIN
        }
        assert seeds == dict.fromkeys(PLAIN, 0) | {f"{name}-1": 1 for name in PLAIN}
        halves = [todo[name] for name in ("routed", "routed-1")]
        assert ["--seed=1" in halves[0], "--seed=11" in halves[1]] == [True, True]
        assert f"--start_from={tmp_path}/runs/common-1/checkpoints/last.ckpt" in halves[1]

    def test_the_baseline_half_way_has_its_learning_rate(self) -> None:
        assert ROWS["common"].overlays == ROWS[BASELINE].overlays
        assert "--colorizer.decay_from=0" in ROWS["routed"].options

    def test_a_row_brings_what_it_needs(self, tmp_path: Path) -> None:
        def names(rows: list[str]) -> list[str]:
            return [step.name for step in Ablation(tmp_path, tmp_path, 10, rows, 1).steps()]

        assert names(["l1"]) == ["l1"]
        ways = ["routed-oracle", "routed-mixed"]
        assert names(["routed"]) == ["measure", "profiles", "common", "routed", *ways]

    def test_what_is_made_and_compared(self, tmp_path: Path) -> None:
        found = Ablation(tmp_path, tmp_path, 10, ["gan", "rarity", "routed"], 2)
        runs = {name: tmp_path / "runs" / name / "checkpoints" / "last.ckpt" for name in ("gan", "gan-1")}
        assert found.made["gan"] == runs
        mixed = {name: tmp_path / "colored" / name for name in ("routed-mixed", "routed-mixed-1")}
        assert found.made["routed-mixed"] == mixed
        assert [*found.made] == ["gan", "rarity", "routed", "routed-oracle", "routed-mixed"]
        ways = [(f"routed-{way}", other) for way in ("oracle", "mixed") for other in ("routed", "rarity")]
        assert found.pairs == [("rarity", "gan"), ("routed", "rarity"), *ways]
        both = Ablation(tmp_path, tmp_path, 10, ["conditioned", "routed"], 1, ["oracle"]).pairs
        assert both[1:] == [
            ("routed", "conditioned"),
            ("routed-oracle", "routed"),
            ("routed-oracle", "conditioned-oracle"),
        ]

    def test_fewer_ways_are_fewer_steps(self, tmp_path: Path) -> None:
        found = Ablation(tmp_path, tmp_path, 10, ["routed"], 1, ["oracle"])
        assert [*found.made] == ["routed", "routed-oracle"]
        assert "routed-mixed" not in [step.name for step in found.steps()]
        assert found.pairs == [("routed-oracle", "routed")]

    def test_every_row_is_compared_with_one_that_there_is(self) -> None:
        assert all(row.against or not row.candidate for row in ROWS.values())
        assert {other for row in ROWS.values() for other in row.against} <= {"gray", *ROWS}


PSNR = {  # by row and seed; two trainings of the last failed
    "gan": {"gan": 3.0, "gan-1": 4.0, "gan-2": 5.0},
    "vivid": {"vivid": 4.5, "vivid-1": 6.5, "vivid-2": 7.0},
    "bad": {"bad-2": 1.0},
}


class TestReport:
    def content(self, tmp_path: Path) -> tuple[dict[str, Any], list[list[str]], str]:
        """The data, the lines of the page's tables, and the page."""
        unknown = {"value": None, "low": None, "high": None, "n": 0, "reason": "no weights"}
        numbers = {"gray": {"psnr": {"value": 2.0, "low": 1.0, "high": 3.0, "n": 9}, "fid": unknown}}
        for name, value in (pair for row in PSNR.values() for pair in row.items()):
            numbers[name] = {"psnr": {"value": value, "low": value, "high": value, "n": 9}, "fid": unknown}
            for version, logged in {2: 20.5, 10: 21.0 + value}.items():  # begun, and resumed for the eighth time
                log = tmp_path / "runs" / name / "log" / f"version_{version}" / "metrics.csv"
                log.parent.mkdir(parents=True)
                seen = value if name in ("gan", "gan-1") else ""
                columns = "step,train/l1,val/psnr,val/gray/psnr,val/ssim"
                log.write_text(f"{columns}\n1,0.5,,,\n2,,{logged},24,{seen}\n3,0.4,,,\n")
        (tmp_path / "evaluation").mkdir()
        (tmp_path / "evaluation" / "table.json").write_text(json.dumps(numbers))
        made = {row: [row, f"{row}-1", f"{row}-2"] for row in PSNR}
        pairs = [("vivid", "gan"), ("gan", "gray"), ("bad", "gan")]
        report = Report(dict.fromkeys(PSNR, "a game"), made, pairs, {"bad": "ended with 1", "bad-1": "ended with 1"})
        report.write(tmp_path, tmp_path, {"date": "today"})
        page = (tmp_path / "ablation.md").read_text()
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
        return json.loads((tmp_path / "ablation.json").read_text()), cells, page

    def test_means_over_seeds(self, tmp_path: Path) -> None:
        found, cells, page = self.content(tmp_path)
        assert found["numbers"]["vivid-1"]["psnr"]["value"] == 6.5
        assert found["numbers"]["gray"].keys() == {"psnr"}
        assert found["failures"] == {"bad": "ended with 1", "bad-1": "ended with 1"}
        assert "FID" not in page  # nobody measured it
        assert ["gan", "a game", "3"] in cells
        assert ["bad", "a game", "1"] in cells
        assert ["gray", "2.0 ± 1.0"] in cells  # over images
        assert ["gan", "4.0 ± 2.5"] in cells  # t with 2 degrees is 4.303: 4.303 · 1 / √3
        assert ["vivid", "6.0 ± 3.3"] in cells
        assert ["bad", "1.0"] in cells
        assert "- bad-1 ended with 1" in page

    def test_differences_are_seed_by_seed(self, tmp_path: Path) -> None:
        _, cells, _ = self.content(tmp_path)
        assert ["vivid − gan", "+2.0 [+0.8, +3.2] better"] in cells  # 1.5, 2.5 and 2.0
        assert ["", "PSNR (dB) ↑"] in cells
        assert ["gan − gray", "+2.0 [−0.5, +4.5]"] in cells
        assert ["bad − gan", "−4.000 [–, –]"] in cells  # of the third seed alone

    def test_logs_are_of_what_all_seeds_logged_last(self, tmp_path: Path) -> None:
        found, cells, page = self.content(tmp_path)
        assert found["logs"]["gan-1"] == {"val/psnr": 25.0, "val/ssim": 4.0}
        assert ["gan", "25.0 ± 2.5"] in cells
        assert "val/ssim" not in page  # the third training did not tell


@pytest.mark.filterwarnings("ignore:The number of training batches")  # fewer than from log to log
class TestCommand:
    def protocol(self, folder: Path) -> Path:
        path = folder / "toy.yaml"
        toy = {"name": "toy", "description": "a toy", "images": {"description": "scenes"}, "metrics": ["psnr", "ssim"]}
        path.write_text(yaml.safe_dump(toy))
        return path

    def given(self, photographs: Path, tmp_path: Path, *more: str) -> list[str]:
        given = [f"--data={photographs}", f"--work={tmp_path / 'work'}", f"--output={tmp_path / 'results'}"]
        return [*given, "--images=32", "--val=4", "--seeds=1", f"--protocol={self.protocol(tmp_path)}", *more]

    def seen(self, work: Path, name: str) -> int:
        return read(work / "runs" / name / "checkpoints" / "last.ckpt")[KEY]["images"]

    def test_no_seeds_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="--seeds is 0: it must be at least 1"):
            ablation.main(self.given(tmp_path, tmp_path, "--seeds=0"))

    def test_an_unknown_way_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="--ways: there is no 'own'; there are oracle, mixed"):
            ablation.main(self.given(tmp_path, tmp_path, "--ways=[own]"))

    def test_an_unknown_row_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"--rows: there is no 'common'; there are l1, gan"):
            ablation.main(self.given(tmp_path, tmp_path, "--rows=[common]"))

    def test_plain_rows_from_photographs_to_the_page(
        self, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(ablation, "run", in_process)
        wanted = ["l1", "published", BASELINE]
        ablation.main(self.given(photographs, tmp_path, f"--rows=[{','.join(wanted)}]"))
        found = json.loads((tmp_path / "results" / "ablation.json").read_text())
        assert found["logs"].keys() == set(wanted)
        assert found["logs"]["published"]["losses.rarity.weights/mean"] < 1e-3
        assert found["logs"][BASELINE]["losses.rarity.weights/mean"] == pytest.approx(1)
        assert found["numbers"][BASELINE]["psnr"]["n"] == 4
        page = (tmp_path / "results" / "ablation.md").read_text()
        assert all(f"| {name} " in page for name in wanted)
        assert str(tmp_path) not in page

    def test_profiled_rows_from_photographs_to_the_page(
        self, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(ablation, "run", in_process)
        ablation.main(self.given(photographs, tmp_path, f"--rows=[{','.join([BASELINE, *PROFILED])}]"))
        found = json.loads((tmp_path / "results" / "ablation.json").read_text())
        images = {name: self.seen(tmp_path / "work", name) for name in ("common", BASELINE, *PROFILED)}
        assert images == {"common": 16, BASELINE: 32, "conditioned": 32, "routed": 16}
        profiled = {f"{name}{way}" for name in PROFILED for way in ("", "-oracle", "-mixed")}
        assert set(found["numbers"]) >= {"gray", BASELINE} | profiled

    def test_a_row_that_failed_is_left_out_and_told(
        self, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failing(todo: Sequence[Step], folder: Path, jobs: int, threads: int = 1) -> dict[str, str]:
            in_process([step for step in todo if step.name != "gan"], folder, jobs)
            return {step.name: "ended with 1" for step in todo if step.name == "gan"}

        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(ablation, "run", failing)
        with pytest.raises(SystemExit, match="gan ended with 1"):
            ablation.main(self.given(photographs, tmp_path, "--rows=[l1,gan]"))
        found = json.loads((tmp_path / "results" / "ablation.json").read_text())
        assert list(found["logs"]) == ["l1"]
        assert "gan" not in found["numbers"]
        assert "- gan ended with 1" in (tmp_path / "results" / "ablation.md").read_text()
