"""What each color idea does: the same networks trained on Tiny ImageNet with one idea more or another, then compared.

Every row sees as many photographs, by the same schedule, and is trained with several seeds; with one seed all see them
in the same order, but that halves have orders of their own. One command does all of it, also the measuring of the
colors and the profiles, which all seeds share; given again, it goes on where it stopped. A row that fails leaves the
others.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ablation_report import Report
from benchmarks.machine import about
from benchmarks.steps import Step, run
from gancolor import arguments
from gancolor.errors import InputError

HERE = Path(__file__).parent
CONFIGS = ("configs/pix2pix.yaml", "configs/tiny-imagenet.yaml")
SIZES = ("depth=6", "width=24", "dropout=0")  # of the U-Net, as in tiny-imagenet.yaml
GANCOLOR = ("-c", "from gancolor.apps.cli import main; main()")  # this folder's, wherever the installed one is from
PROFILES = 4
WAYS = {"oracle": "own", "mixed": "mixed"}  # what else a row with profiles is measured with → colorize --profile
PACKAGES = ("gancolor", "torch", "torchvision", "pytorch-lightning", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Row:
    """A training.

    Attributes:
        about: what it is, in a few words.
        against: the rows that it is compared with.
        overlays: YAML files below ``configs``, on those that all rows share.
        options: further options of train.py.
        profiles: whether it knows color profiles; it is then measured with the predicted one, and in other WAYS.
        start: the run whose networks it starts from.
        share: of the images, that it sees itself.
        candidate: whether it is compared, or only started from.
    """

    about: str
    against: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    profiles: bool = False
    start: str | None = None
    share: float = 1.0
    candidate: bool = True


ROWS = {
    # The baseline's first half, to start the experts from: the learning rate falls in the second half only.
    "common": Row("the baseline, half-way", options=("--colorizer.decay_from=1",), share=0.5, candidate=False),
    "l1": Row("L1 alone, weight 100", ("gray",), ("losses/l1.yaml", "adversarial/none.yaml")),
    "gan": Row("L1 100 + GAN: pix2pix", ("l1",), ("losses/l1.yaml",)),
    # The overlay's MSE is the publication's. In the scale of ab it is about a tenth of an L1 of the same weight, and
    # the weighted share nearly vanishes: of all terms the game is the strongest here.
    "published": Row("MSE 35 + rarity-weighted MSE 65 as published + GAN", ("gan",), ("losses/rarity_published.yaml",)),
    "rarity": Row("L1 50 + rarity-weighted L1 50 (mean weight 1) + GAN: configs/pix2pix.yaml", ("gan", "published")),
    "bins": Row(
        "classification into 261 bins, rebalanced; no GAN, as in the paper",
        ("l1", "rarity"),
        ("losses/bins.yaml",),
        ("--colorizer.generator.init_args.head.init_args.reduction=2",),
    ),
    "conditioned": Row(
        "the baseline, told the color profile",
        ("rarity",),
        ("generator/profiles.yaml",),
        tuple(f"--colorizer.generator.init_args.generator.init_args.{size}" for size in SIZES),
        profiles=True,
    ),
    "routed": Row(
        f"half-way the baseline, then {PROFILES} experts, one a profile; their predictor learns in that half only",
        ("rarity", "conditioned"),
        ("generator/experts.yaml",),
        (
            *(f"--colorizer.generator.init_args.generator.init_args.expert.init_args.{size}" for size in SIZES),
            "--colorizer.decay_from=0",
        ),
        profiles=True,
        start="common",
        share=0.5,
    ),
}


@dataclass(frozen=True)
class Ablation:
    """All that is to be done, as commands.

    Attributes:
        data: ``tiny-imagenet-200``.
        work: folder for runs, logs and everything else that is not published.
        images: that each row sees.
        rows: those asked for.
        seeds: how many times each is trained.
        ways: further WAYS to use the rows with profiles.
    """

    data: Path
    work: Path
    images: int
    rows: Sequence[str]
    seeds: int
    ways: Sequence[str] = tuple(WAYS)

    def checkpoint(self, name: str) -> Path:
        """What a training ends with."""
        return self.work / "runs" / name / "checkpoints" / "last.ckpt"

    @property
    def profiles(self) -> Path:
        """The file of profiles."""
        return self.work / "colors" / "profiles.json"

    @property
    def colored(self) -> Path:
        """Folder of the validation images, colored in further ways."""
        return self.work / "colored"

    def steps(self) -> list[Step]:
        """Everything before the evaluation; those that others wait for first."""
        rows = [ROWS[name] for name in self.rows]
        wanted = {*self.rows, *(row.start for row in rows)}
        result = self._colors() if any(row.profiles for row in rows) else []
        for seed in range(self.seeds):
            result += [self._training(name, seed) for name in ROWS if name in wanted]
            result += [self._colored(name, seed, way) for name in self.rows if ROWS[name].profiles for way in self.ways]
        return result

    @property
    def made(self) -> dict[str, dict[str, Path]]:
        """Row, also each further way to use its networks → the steps that make it, seed by seed → what each makes."""
        found: dict[str, dict[str, Path]] = {}
        for name in self.rows:
            found[name] = {run: self.checkpoint(run) for run in self._seeded(name)}
            for way in self.ways if ROWS[name].profiles else ():
                found[f"{name}-{way}"] = {step: self.colored / step for step in self._seeded(f"{name}-{way}")}
        return found

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Row, or way, and what it is compared with."""
        found: list[tuple[str, str]] = []
        for name in self.rows:
            others = [other for other in ROWS[name].against if other in ("gray", *self.rows)]
            found += [(name, other) for other in others]
            for way in self.ways if ROWS[name].profiles else ():
                alike = [f"{other}-{way}" if ROWS[other].profiles else other for other in others]
                found += [(f"{name}-{way}", other) for other in (name, *alike)]
        return found

    def _seeded(self, name: str) -> list[str]:
        return [seeded(name, seed) for seed in range(self.seeds)]

    def evaluation(self, candidates: Mapping[str, Path], protocol: str, weights: Path | None, images: int) -> Step:
        """The comparison of those candidates that there are; what was measured before is not measured again."""
        options = ["evaluate.py", "--protocol", protocol, "--data", str(self.data), "--images", str(images)]
        options += [f"--candidate={name}={path}" for name, path in candidates.items()]
        options += ["--weights", str(weights)] if weights else []
        options += ["--cache", str(self.work / "records"), "--output", str(self.work / "evaluation")]
        return Step("evaluation", tuple(options), again=True)

    def _colors(self) -> list[Step]:
        colors = str(self.work / "colors")
        return [
            Step("measure", (*GANCOLOR, "measure", str(self.data), "--output", colors, "--size=64", "--describe=5000")),
            Step("profiles", (*GANCOLOR, "profiles", colors, "--count", str(PROFILES)), ("measure",)),
        ]

    def _training(self, name: str, seed: int) -> Step:
        row, run = ROWS[name], seeded(name, seed)
        images = round(row.share * self.images)
        options = ["train.py", *(word for config in CONFIGS for word in ("--config", config))]
        options += [word for overlay in row.overlays for word in ("--config", f"configs/{overlay}")]
        options += [f"--data.source.root={self.data}", f"--colorizer.images={images}"]
        options += [f"--training.validate_every={max(1, images // 4)}", *row.options]
        # A second half has an order of its own, or it would see the first half's batches again.
        options += [f"--seed={10 * seed + 1 if row.start else seed}"] if row.start or seed else []
        if row.profiles:
            options += [f"--colorizer.guide.init_args.profiles.init_args.path={self.profiles}"]
        start = seeded(row.start, seed) if row.start else None
        options += [f"--start_from={self.checkpoint(start)}"] if start else []
        options += ["--resume=auto", f"--run_dir={self.work / 'runs' / run}"]
        after = (*(["profiles"] if row.profiles else []), *([start] if start else []))
        return Step(run, tuple(options), after)

    def _colored(self, name: str, seed: int, way: str) -> Step:
        """The validation images in the profile of their own colors, as good as a predictor could make it; or mixed."""
        step, run = seeded(f"{name}-{way}", seed), seeded(name, seed)
        options = [*GANCOLOR, "colorize", str(self.data / "val"), "--profile", WAYS[way], "--overwrite"]
        options += ["--checkpoint", str(self.checkpoint(run)), "--output", str(self.colored / step)]
        return Step(step, tuple(options), (run,))


def seeded(name: str, seed: int) -> str:
    """What a row is called with a seed: by the row's name alone with the first."""
    return f"{name}-{seed}" if seed else name


def main(given: list[str]) -> None:
    """Parse, train, evaluate, write."""
    command_line = arguments.parser("benchmarks/ablation.py", "Train and compare the color ideas on Tiny ImageNet.")
    option = command_line.add_argument
    known = [name for name, row in ROWS.items() if row.candidate]
    option("--data", type=Path, required=True, help="tiny-imagenet-200, or a folder of its layout")
    option("--work", type=Path, required=True, help="folder for runs, logs and pictures")
    option("--weights", type=Path | None, help="folder of the networks behind LPIPS and FID")
    option("--images", type=int, default=48_000, help="that each row sees in training")
    option("--val", type=int, default=2_500, help="validation images to evaluate on; FID wants more than 2,048")
    option("--seeds", type=int, default=3, help="trainings of each row; the intervals are over them")
    option("--rows", type=list[str], default=known, help="a list as [l1,gan]; by default all of them")
    option(
        "--ways", type=list[str], default=[*WAYS], help="to measure rows with profiles in, besides the predicted one"
    )
    option("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="trainings at a time, of one thread each")
    option("--protocol", default="tiny-imagenet-val", help="of evaluate.py")
    option("--output", type=Path, default=HERE / "results", help="folder for ablation.md and ablation.json")
    asked = arguments.parse(command_line, given)
    if unknown := [name for name in asked.rows if name not in known]:
        raise InputError(f"--rows: there is no {unknown[0]!r}; there are {', '.join(known)}")
    if unknown := [way for way in asked.ways if way not in WAYS]:
        raise InputError(f"--ways: there is no {unknown[0]!r}; there are {', '.join(WAYS)}")
    if asked.seeds < 1:
        raise InputError(f"--seeds is {asked.seeds}: it must be at least 1")
    weights = asked.weights.resolve() if asked.weights else None
    ablation = Ablation(asked.data.resolve(), asked.work.resolve(), asked.images, asked.rows, asked.seeds, asked.ways)
    logs = ablation.work / "logs"
    failures = run(ablation.steps(), logs, asked.jobs)
    for profile in WAYS.values():  # evaluate.py knows photographs by their names, colorize adds the profile to them
        for picture in ablation.colored.rglob(f"*-{profile}.png"):
            picture.replace(picture.with_name(picture.name.replace(f"-{profile}.png", ".png")))
    there = {step: path for made in ablation.made.values() for step, path in made.items() if step not in failures}
    if there:
        evaluation = ablation.evaluation(there, asked.protocol, weights, asked.val)
        failures |= run([evaluation], logs, 1, asked.jobs)
    if "evaluation" not in failures and there:
        described = about("-m benchmarks.ablation", given, asked.jobs, PACKAGES)
        described |= {"images": f"{asked.images:,} seen by each row in all; {asked.val:,} evaluated"}
        report = Report(
            {name: ROWS[name].about for name in asked.rows},
            {row: [*made] for row, made in ablation.made.items()},
            ablation.pairs,
            failures,
        )
        report.write(ablation.work, asked.output, described)
    if failures:
        sys.exit("\n".join(f"{name} {reason}" for name, reason in failures.items()))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (InputError, OSError) as error:
        sys.exit(f"benchmarks/ablation.py: {error}")
