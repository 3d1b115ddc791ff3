"""The loop: every picture once, nothing twice, by one process or two."""

import multiprocessing
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from pictures import held, numbered, save, scenes
from skimage.color import rgb2lab
from torch import Tensor

from gancolor.benchmark.candidates import Computed, Gray, Real, Stored, stored
from gancolor.benchmark.measures import Measure
from gancolor.benchmark.measuring import Measured, Reading, measure
from gancolor.benchmark.photographs import Cut, Photographs
from gancolor.benchmark.records import Store

CPU = torch.device("cpu")
CUT = Cut(16)
PICTURES = scenes(7, size=16)


@dataclass
class Watched:
    """A measure that counts the pictures it is shown, and may fail at one of its calls."""

    of_itself: bool = True
    weights: str = "of Monday"
    fails_at: int | None = None
    shown: list[int] = field(default_factory=list)

    def __call__(self, fake: Tensor, real: Tensor) -> Mapping[str, Tensor]:
        if len(self.shown) == self.fails_at:
            raise RuntimeError("power cut")
        self.shown.append(len(fake))
        if self.of_itself:
            return {"mean": fake.float().mean(dim=(1, 2, 3)), "color": fake.float().mean(dim=(2, 3))}
        return {"error": (fake.float() - real.float()).abs().mean(dim=(1, 2, 3))}

    @property
    def measure(self) -> Measure:
        return Measure(("mean", "color") if self.of_itself else ("error",), self.weights, self.of_itself, self)


class Inverted(Computed):
    """A candidate that counts the pictures it makes."""

    identity = "inverted"

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, real: Tensor) -> Tensor:
        self.made += len(real)
        return 255 - real


def run(
    store: Store,
    candidates: Mapping[str, Computed | Stored],
    *watched: Watched,
    photographs: Photographs | None = None,
    batch_size: int = 3,
    workers: int = 0,
) -> Measured:
    in_folders = {name: candidate for name, candidate in candidates.items() if isinstance(candidate, Stored)}
    reading = Reading(photographs or held(numbered(PICTURES)), CUT, in_folders)
    what = {name: [it.measure for it in watched] for name in candidates}
    return measure(reading, candidates, what, store, CPU, batch_size, workers)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "records")


def means(pictures: Sequence[Tensor]) -> list[float]:
    return [picture.float().mean().item() for picture in pictures]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_every_picture_is_measured_once(store: Store, batch_size: int, workers: int) -> None:
    own, paired = Watched(), Watched(of_itself=False, weights="of a pair")
    found = run(store, {"inverted": Inverted(), "real": Real()}, own, paired, batch_size=batch_size, workers=workers)
    assert sum(own.shown) == sum(paired.shown) == 14
    assert found.places == list(range(7))
    assert found.sides == {(16, 16)}
    inverted = [255 - picture for picture in PICTURES]
    assert found.records("inverted").column("mean").tolist() == pytest.approx(means(inverted), rel=1e-6)
    assert found.records("real").column("mean").tolist() == pytest.approx(means(PICTURES), rel=1e-6)
    assert found.records("real").column("error").tolist() == [0] * 7
    errors = [(f.float() - r.float()).abs().mean().item() for f, r in zip(inverted, PICTURES, strict=True)]
    assert found.records("inverted").column("error").tolist() == pytest.approx(errors, rel=1e-6)
    rows = np.concatenate([found.records("inverted").rows("color").group(g) for g in range(7)])
    np.testing.assert_allclose(rows, [picture.float().mean(dim=(1, 2)) for picture in inverted], rtol=1e-6)


def test_what_was_measured_is_not_measured_again(store: Store) -> None:
    first, again, inverted = Watched(), Watched(), Inverted()
    before = run(store, {"inverted": Inverted()}, first)
    after = run(store, {"inverted": inverted}, again)
    assert (first.shown, again.shown, inverted.made) == ([3, 3, 1], [], 0)
    np.testing.assert_array_equal(before.records("inverted").column("mean"), after.records("inverted").column("mean"))


def test_an_evaluation_that_was_cut_off_goes_on(store: Store) -> None:
    cut_off, rest = Watched(fails_at=3), Watched()
    who = {"inverted": Inverted(), "real": Real()}
    with pytest.raises(RuntimeError, match="power cut"):
        run(store, who, cut_off)
    found = run(store, who, rest)
    assert cut_off.shown == [3, 3, 3]
    assert rest.shown == [3, 1, 1]
    assert found.records("real").column("mean").tolist() == pytest.approx(means(PICTURES), rel=1e-6)


def test_another_candidate_does_not_measure_the_photographs_again(store: Store) -> None:
    watched, inverted = Watched(), Inverted()
    run(store, {"inverted": inverted, "real": Real()}, watched)
    watched.shown.clear()
    run(store, {"inverted": inverted, "gray": Gray(), "real": Real()}, watched)
    assert watched.shown == [3, 3, 1]
    assert inverted.made == 7


@pytest.mark.parametrize("change", ["weights", "photograph", "pair"])
def test_what_depends_on_something_else_is_measured_again(store: Store, tmp_path: Path, change: str) -> None:
    folder = save(tmp_path / "fake", numbered(PICTURES))
    photographs = held(numbered(PICTURES))
    who = {"fake": stored("fake", folder, photographs)[0]}
    paired = change == "pair"
    run(store, who, Watched(of_itself=not paired), photographs=photographs)
    again = Watched(of_itself=not paired, weights="of Tuesday" if change == "weights" else "of Monday")
    other = held(numbered([*PICTURES[:4], 255 - PICTURES[4], *PICTURES[5:]])) if change != "weights" else photographs
    found = run(store, who, again, photographs=other)
    # A picture by itself stays what it is, whatever its photograph; with it, the batch is another.
    assert again.shown == {"weights": [3, 3, 1], "photograph": [], "pair": [3]}[change]
    if paired:
        assert (found.records("fake").column("error") > 0).tolist() == [place == 4 for place in range(7)]


def test_the_same_pixels_are_measured_once_whatever_their_name(store: Store, tmp_path: Path) -> None:
    photographs = held(numbered(PICTURES))
    run(store, {"a": stored("a", save(tmp_path / "a", numbered(PICTURES)), photographs)[0]}, Watched())
    renamed = {f"epoch 3/{index:03d}.tiff": picture for index, picture in enumerate(PICTURES)}
    again = Watched()
    run(store, {"b": stored("b", save(tmp_path / "b", renamed), photographs)[0]}, again)
    assert again.shown == []


def test_a_photograph_that_cannot_be_read_is_left_out_of_every_row(store: Store) -> None:
    """One among others, and a whole batch."""
    broken = {name: None if name[:3] in ("001", "003", "004", "005") else p for name, p in numbered(PICTURES).items()}
    found = run(store, {"gray": Gray(), "real": Real()}, Watched(), photographs=held(broken))
    assert found.places == [0, 2, 6]
    assert found.unreadable == {name: f"{name}: is damaged" for name, p in broken.items() if p is None}
    for candidate in ("gray", "real"):
        assert len(found.records(candidate).column("mean")) == 3
    expected = means([PICTURES[place] for place in (0, 2, 6)])
    assert found.records("real").column("mean").tolist() == pytest.approx(expected, rel=1e-6)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "size": (
        lambda path: save(path.parent, {path.name: PICTURES[4][:, :15, :]}),
        r"^004\.png is 16×15, but its photograph 24×20: give it that size, or 16×16, cut as the photograph is$",
    ),
    "damaged": (lambda path: path.write_bytes(path.read_bytes()[:99]), r"004\.png: "),
    "text": (lambda path: path.write_text("to do"), r"004\.png: "),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_faulty_picture_is_named_and_only_its_batch_measured_again(store: Store, tmp_path: Path, kind: str) -> None:
    damage, message = FAULTS[kind]
    large = numbered([picture[:, :20] for picture in scenes(7, size=24)])
    photographs = held(large)
    folder = save(tmp_path / "fake", large)
    who = {"fake": stored("fake", folder, photographs)[0], "gray": Gray()}
    damage(folder / "004.png")
    broken, mended = Watched(), Watched()
    found = run(store, who, broken, photographs=photographs)
    assert list(found.faulty) == ["fake"]
    assert list(found.faulty["fake"]) == ["004.png"]
    assert re.search(message, found.faulty["fake"]["004.png"])
    assert found.places == [0, 1, 2, 3, 5, 6]
    assert broken.shown == [3, 3, 1, 1]  # the batch of the fault waits
    save(folder, {"004.png": large["004.png"]})
    assert run(store, who, mended, photographs=photographs).faulty == {}
    assert mended.shown == [3, 3]


def test_a_picture_is_cut_as_its_photograph_or_is_the_square_already(store: Store, tmp_path: Path) -> None:
    large = numbered([picture[:, :20] for picture in scenes(7, size=24)])
    photographs = held(large)
    mixed = {name: CUT(p) if name in ("001.png", "004.png") else p for name, p in large.items()}
    who = {"fake": stored("fake", save(tmp_path / "fake", mixed), photographs)[0], "real": Real()}
    found = run(store, who, Watched(of_itself=False), photographs=photographs)
    assert found.faulty == {}
    assert found.sides == {(20, 24)}
    assert found.records("fake").column("error").tolist() == [0] * 7


@pytest.mark.parametrize("keep_light", [True, False])
def test_pictures_can_be_given_the_photographs_lightness(tmp_path: Path, keep_light: bool) -> None:
    photographs = held(numbered(PICTURES))
    folder = save(tmp_path / "fake", numbered([picture // 2 for picture in PICTURES]))
    reading = Reading(photographs, CUT, {"fake": stored("fake", folder, photographs)[0]}, keep_light)
    taken = reading[range(2)]
    fake, real = (rgb2lab(p.movedim(1, 3).numpy()) for p in (taken.stored["fake"], taken.real))
    dark = rgb2lab(torch.stack(PICTURES[:2]).movedim(1, 3).numpy() // 2)
    light, color = np.abs(fake - real)[..., 0].mean(), np.abs(fake - dark)[..., 1:].mean()
    assert light < 0.3 if keep_light else light > 10
    assert color < 0.3


def work(rank: int, folder: Path, processes: int, images: int) -> None:
    """What one of several processes does."""
    torch.set_num_threads(1)  # those of the parent are not here
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=processes)
    pictures = {name: None if name == "002.png" else p for name, p in numbered(scenes(images, size=16)).items()}
    watched = Watched()
    found = run(Store(folder / "records"), {"gray": Gray(), "real": Real()}, watched, photographs=held(pictures))
    rows = [found.records("gray").rows("color").group(number) for number in range(20)]
    torch.save(
        {
            "shown": watched.shown,
            "places": found.places,
            "unreadable": found.unreadable,
            "mean": torch.from_numpy(found.records("gray").column("mean")),
            "color": torch.from_numpy(np.concatenate(rows)),
        },
        folder / f"{rank}.pt",
    )
    dist.destroy_process_group()


def together(folder: Path, processes: int, images: int) -> list[dict]:
    folder.mkdir()
    started = [
        multiprocessing.get_context("fork").Process(target=work, args=(rank, folder, processes, images))
        for rank in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
        assert process.exitcode == 0
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(processes)]


@pytest.mark.parametrize("images", [13, 3])  # the latter are one batch: the second process has nothing to do
def test_two_processes_find_what_one_does(tmp_path: Path, images: int) -> None:
    [alone] = together(tmp_path / "one", 1, images)
    both = together(tmp_path / "two", 2, images)
    assert sum(alone["shown"]) == sum(sum(each["shown"]) for each in both) == 2 * (images - 1)
    for each in both:
        assert each["places"] == alone["places"] == [place for place in range(images) if place != 2]
        assert each["unreadable"] == alone["unreadable"] == {"002.png": "002.png: is damaged"}
        assert each["mean"].equal(alone["mean"])
        assert each["color"].equal(alone["color"])
    if images == 13:
        assert all(each["shown"] for each in both)  # they shared the work
