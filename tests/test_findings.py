"""From pictures on disk to numbers, differences, doubts and remarks: each against what the pictures say themselves."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pictures import SIZE, Differences, Means, held, numbered, save, scenes, stand_in
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from gancolor.benchmark.candidates import Computed, Gray, Real
from gancolor.benchmark.evaluate import Asked, evaluate
from gancolor.benchmark.evaluation import Evaluation
from gancolor.benchmark.examples import examples
from gancolor.benchmark.measuring import Reading
from gancolor.benchmark.numbers import METRICS
from gancolor.benchmark.photographs import Cut
from gancolor.benchmark.protocol import Images, Protocol, hash_of, read
from gancolor.color import gray

COUNT = 24  # images: enough for every group of the jackknife
NUMBERS = Protocol("toy", "scenes", Images("all"), size=SIZE, metrics=tuple(METRICS))
QUICK = Protocol("toy", "scenes", Images("all"), size=SIZE, metrics=("psnr", "colorfulness_abs"))


@pytest.fixture(autouse=True, scope="module")
def networks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for factor, record in enumerate(("inception", "inception_tf1", "inception_imagenet"), 1):
            stand_in(patch, record, Means(float(factor)))
        for record in ("lpips", "lpips_vgg"):
            stand_in(patch, record, Differences())
        yield


def run(
    folder: Path,
    real: Mapping[str, Tensor] | Path,
    candidates: Mapping[str, Mapping[str, Tensor]],
    protocol: Protocol = QUICK,
    **options: Any,
) -> Evaluation:
    """Write everything to disk and evaluate it."""
    found = evaluate(
        Asked(
            protocol,
            {name: save(folder / name, pictures) for name, pictures in candidates.items()},
            real if isinstance(real, Path) else save(folder / "photographs", real),
            folder / "cache",
            batch_size=7,
            workers=0,
            device="cpu",
            **options,
        )
    )
    assert found is not None
    return found


REAL = scenes(COUNT)
PALE = [(picture.float() * 0.6 + 60).byte() for picture in REAL]
SWAPPED = [picture.flip(0) for picture in REAL]  # red for blue


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    candidates = {"pale": numbered(PALE), "swapped": numbered(SWAPPED)}
    return run(tmp_path_factory.mktemp("whole"), numbered(REAL), candidates, NUMBERS, against="swapped")


def images(pictures: list[Tensor]) -> list[np.ndarray]:
    return [picture.movedim(0, 2).numpy() for picture in pictures]


def colorfulness(rgb: np.ndarray, absolute: bool) -> float:
    """Hasler & Süsstrunk 2003, written out."""
    red, green, blue = np.moveaxis(rgb.astype(float), 2, 0)
    opponents = [red - green, (red + green) / 2 - blue]
    opponents = [np.abs(it) for it in opponents] if absolute else opponents
    return float(np.hypot(*(it.std() for it in opponents)) + 0.3 * np.hypot(*(it.mean() for it in opponents)))


def frechet(fake: list[Tensor], real: list[Tensor], scale: float) -> float:
    """Heusel et al. 2017, eq. 6, on the stand-in's features; √(Σ₁Σ₂) by its eigenvalues."""
    x, y = (scale * torch.stack(it).double().mean(dim=(2, 3)) / 255 for it in (fake, real))
    product = torch.cov(x.T) @ torch.cov(y.T)
    roots = torch.linalg.eigvals(product).real.clamp(min=0).sqrt().sum()
    apart = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    return (apart + torch.cov(x.T).trace() + torch.cov(y.T).trace() - 2 * roots).item()


def discrepancy(fake: list[Tensor], real: list[Tensor]) -> float:
    """Gretton et al. 2012, eq. 3, pair by pair."""
    x, y = (torch.stack(it).double().mean(dim=(2, 3)) / 255 for it in (fake, real))
    within = [((z @ z.T / 3 + 1) ** 3).fill_diagonal_(0).sum().item() / (COUNT * (COUNT - 1)) for z in (x, y)]
    return sum(within) - 2 * ((x @ y.T / 3 + 1) ** 3).mean().item()


def cells(rgb: list[np.ndarray]) -> np.ndarray:
    """The share of all pixels in each cell of 10 × 10 of the ab plane."""
    ab = np.concatenate([rgb2lab(it)[..., 1:].reshape(-1, 2) for it in rgb])
    return np.histogramdd(ab, [np.arange(-115, 125, 10)] * 2)[0] / len(ab)


def expected(fake: list[Tensor]) -> dict[str, float]:
    pairs = list(zip(images(fake), images(REAL), strict=True))
    labs = [(rgb2lab(f), rgb2lab(r)) for f, r in pairs]
    color, color_abs = ([[colorfulness(it, a) for it in pair] for pair in pairs] for a in (False, True))
    window: dict[str, Any] = {"channel_axis": 2, "data_range": 255}
    gaussian: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    closeness = [1 - np.minimum(np.hypot(*np.moveaxis((f - r)[..., 1:], 2, 0)), 150) / 150 for f, r in labs]
    differences = [np.abs(f.astype(float) - r).mean() for f, r in pairs]
    return {
        "fid": frechet(fake, REAL, 1),
        "fid_tf1": frechet(fake, REAL, 2),
        "fid_imagenet": frechet(fake, REAL, 3),
        "kid": discrepancy(fake, REAL),
        "lpips": float(np.mean(differences)),
        "lpips_vgg": float(np.mean(differences)),
        "psnr": float(np.mean([peak_signal_noise_ratio(r, f) for f, r in pairs])),
        "psnr_pooled": float(10 * np.log10(255**2 / np.mean([mean_squared_error(r, f) for f, r in pairs]))),
        "ssim": float(np.mean([structural_similarity(r, f, **window, **gaussian) for f, r in pairs])),
        "ssim_uniform": float(np.mean([structural_similarity(r, f, **window) for f, r in pairs])),
        "colorfulness": float(np.mean([f for f, _ in color])),
        "colorfulness_abs": float(np.mean([f for f, _ in color_abs])),
        "delta_colorfulness": abs(float(np.mean([f - r for f, r in color]))),
        "delta_colorfulness_abs": abs(float(np.mean([f - r for f, r in color_abs]))),
        "colorfulness_error": float(np.mean([abs(f - r) for f, r in color])),
        "colorfulness_error_abs": float(np.mean([abs(f - r) for f, r in color_abs])),
        "auc": float(np.mean(closeness)),
        "delta_e": float(np.mean([deltaE_ciede2000(r, f) for f, r in labs])),
        "ab_distance": float(np.abs(cells(images(fake)) - cells(images(REAL))).sum() / 2),
        "lightness_error": float(np.mean([np.abs(f - r)[..., 0] for f, r in labs])),
    }


@pytest.mark.parametrize(("candidate", "fake"), [("pale", PALE), ("swapped", SWAPPED)])
def test_every_number_is_what_the_pictures_say(whole: Evaluation, candidate: str, fake: list[Tensor]) -> None:
    found = whole.estimates[candidate]
    assert list(found) == list(METRICS)
    for name, value in expected(fake).items():
        # scikit-image's Lab has a white of its own.
        tolerance = {"ab_distance": 5e-3, "auc": 1e-3, "delta_e": 2e-2, "lightness_error": 1e-2}
        assert found[name].value == pytest.approx(value, rel=1e-4, abs=tolerance.get(name, 1e-6)), name
        assert found[name].low <= found[name].value <= found[name].high
        assert found[name].n == COUNT


def test_rows_are_in_order_and_photographs_have_only_what_is_of_themselves(whole: Evaluation) -> None:
    assert list(whole.estimates) == list(whole.per_image) == ["gray", "half-saturated", "pale", "swapped", "real"]
    assert list(whole.estimates["real"]) == ["colorfulness", "colorfulness_abs"]
    real = [colorfulness(it, absolute=True) for it in images(REAL)]
    assert whole.estimates["real"]["colorfulness_abs"].value == pytest.approx(np.mean(real), rel=1e-5)
    np.testing.assert_allclose(whole.per_image["real"]["colorfulness_abs"], real, rtol=1e-4)
    assert "psnr" not in whole.per_image["real"]
    assert "inception" not in whole.per_image["pale"]


def test_trivial_rows_are_what_they_say(whole: Evaluation) -> None:
    bare, half = whole.estimates["gray"], whole.estimates["half-saturated"]
    assert bare["colorfulness_abs"].value < 1
    fakes = images(list(gray(torch.stack(REAL))))
    psnr = np.mean([peak_signal_noise_ratio(r, f) for f, r in zip(fakes, images(REAL), strict=True)])
    assert bare["psnr"].value == pytest.approx(psnr, rel=1e-5)
    assert bare["delta_e"].value > 1.5 * half["delta_e"].value > 0
    assert bare["lightness_error"].value < 0.3


def test_differences_are_those_of_the_numbers_image_by_image(whole: Evaluation) -> None:
    assert whole.against == "swapped"
    assert list(whole.differences) == ["gray", "half-saturated", "pale"]
    for candidate, row in whole.differences.items():
        assert list(row) == list(METRICS)
        for name, difference in row.items():
            apart = whole.estimates[candidate][name].value - whole.estimates["swapped"][name].value
            assert difference.value == pytest.approx(apart, rel=1e-6, abs=1e-9), (candidate, name)
            assert difference.low <= difference.value <= difference.high
    paired = whole.per_image["pale"]["psnr"] - whole.per_image["swapped"]["psnr"]
    reach = 1.96 * paired.std(ddof=1) / COUNT**0.5  # of the mean, by the central limit theorem
    difference = whole.differences["pale"]["psnr"]
    assert difference.high - difference.low == pytest.approx(2 * reach, rel=0.15)


def test_examples_are_the_best_and_the_worst_by_lpips(whole: Evaluation) -> None:
    order = np.argsort(whole.per_image["pale"]["lpips"])
    by_kind = {why: [it.name for it in whole.examples if it.why == why] for why in {it.why for it in whole.examples}}
    assert by_kind["best of pale"] == [whole.names[place] for place in order[:4]]
    assert by_kind["worst of pale"] == [whole.names[place] for place in order[: -4 - 1 : -1]]
    assert len(by_kind["most disagreeing"]) == 4
    for example in whole.examples:
        place = int(example.name[:3])
        assert list(example.rgb) == ["gray", "half-saturated", "pale", "swapped", "real"]
        assert np.array_equal(example.rgb["real"], images(REAL)[place])
        assert np.array_equal(example.rgb["swapped"], images(SWAPPED)[place])


class Inverted(Computed):
    identity = "inverted"

    def __call__(self, real: Tensor) -> Tensor:
        return 255 - real


def chosen(per_image: Mapping[str, Mapping[str, list[float]]]) -> dict[str, list[int]]:
    """Kind → places, of photographs of which the third and the sixth could not be read."""
    photographs = held(numbered(scenes(12, size=16)))
    places = [place for place in range(12) if place not in (2, 5)]
    who = {name: {"gray": Gray(), "real": Real()}.get(name, Inverted()) for name in per_image}
    values = {name: {key: np.array(it, np.float32) for key, it in row.items()} for name, row in per_image.items()}
    found = examples(Reading(photographs, Cut(16), {}), who, places, values, torch.device("cpu"))
    kinds: dict[str, list[int]] = {}
    for example in found:
        place = int(example.name[:3])
        expected = photographs.source.read(example.name).movedim(0, 2).numpy()
        assert np.array_equal(example.rgb["real"], expected)
        assert np.array_equal(example.rgb["a"], 255 - expected)
        kinds.setdefault(example.why, []).append(place)
    return kinds


ERRORS = [0.5, 0.1, 0.9, 0.3, 0.2, 0.8, 0.7, 0.4, 0.6, 0.0]  # of the places 0 1 3 4 6 7 8 9 10 11


def test_examples_are_named_by_their_places_in_the_list() -> None:
    kinds = chosen({"gray": {"lpips": ERRORS[::-1]}, "a": {"lpips": ERRORS, "psnr": ERRORS}, "real": {}})
    assert kinds == {"best of a": [11, 1, 6, 4], "worst of a": [3, 7, 8, 10]}


def test_without_lpips_the_best_have_the_highest_psnr() -> None:
    kinds = chosen({"gray": {}, "a": {"psnr": ERRORS}, "real": {}})
    assert kinds == {"best of a": [3, 7, 8, 10], "worst of a": [11, 1, 6, 4]}


def test_candidates_disagree_where_their_errors_are_furthest_apart() -> None:
    """The first has chosen 1, 4, 6, 11 and 3, 7, 8, 10: of all others, 9 before 0."""
    other = [error + 0.01 for error in ERRORS]
    other[1] += 5  # the most, but shown already
    other[0] -= 0.2
    other[7] -= 0.3
    kinds = chosen({"gray": {"lpips": [9.0] * 10}, "a": {"lpips": ERRORS}, "b": {"lpips": other}, "real": {}})
    assert kinds["most disagreeing"] == [9, 0]
    assert set(kinds) == {"best of a", "worst of a", "most disagreeing"}


@pytest.mark.parametrize("count", [1, 3, 5])
def test_few_photographs_are_shown_once_each(tmp_path: Path, count: int) -> None:
    found = run(tmp_path, numbered(REAL[:count]), {"pale": numbered(PALE[:count])})
    assert sorted(example.name for example in found.examples) == found.names


def remark(evaluation: Evaluation, words: str) -> str:
    """The one note that has these words."""
    [found] = [note for note in evaluation.notes if words in note]
    return found


def test_a_gray_picture_of_a_colored_photograph_is_named(tmp_path: Path) -> None:
    """As a file of one channel, which some write for what came out gray; a gray photograph may have a gray picture."""
    real = numbered([*REAL[:4], REAL[4][:1].expand(3, -1, -1)])
    fake = save(tmp_path / "pale", numbered([*PALE[:4], real["004.png"]]))
    for name in ("001.png", "004.png"):
        with Image.open(fake / name) as image:
            lightness = image.convert("L")
        lightness.save(fake / name)
    found = run(tmp_path, real, {"pale": {}})
    assert remark(found, "are gray") == "pale: 1 pictures are gray, though their photographs are not: 001.png."


def test_lightness_that_is_not_kept_is_told(tmp_path: Path) -> None:
    candidates = {"pale": numbered(PALE[:3]), "good": numbered([picture // 2 * 2 for picture in REAL[:3]])}
    found = run(tmp_path, numbered(REAL[:3]), candidates)
    moved = np.mean(
        [np.abs(rgb2lab(f) - rgb2lab(r))[..., 0] for f, r in zip(images(PALE[:3]), images(REAL), strict=False)]
    )
    assert f"it is {moved:.1f} of 100 off" in remark(found, "does not keep the photographs' lightness")
    assert found.notes[-1].startswith("pale ")


def test_with_the_input_s_lightness_nothing_is_off(tmp_path: Path) -> None:
    protocol = Protocol("toy", "scenes", Images("all"), size=SIZE, metrics=("lightness_error",), lightness="input")
    found = run(tmp_path, numbered(REAL[:3]), {"pale": numbered(PALE[:3])}, protocol)
    assert found.estimates["pale"]["lightness_error"].value < 0.3
    assert found.notes == []


def test_a_photograph_that_cannot_be_read_is_a_remark_and_a_doubt(tmp_path: Path) -> None:
    photographs = save(tmp_path / "photographs", numbered(REAL[:4]))
    (photographs / "002.png").write_bytes((photographs / "002.png").read_bytes()[:300])
    found = run(tmp_path, photographs, {"pale": numbered(PALE[:4])})
    assert found.names == ["000.png", "001.png", "003.png"]
    assert {row["colorfulness_abs"].n for row in found.estimates.values()} == {3}
    kept = [peak_signal_noise_ratio(*images([PALE[i], REAL[i]])) for i in (0, 1, 3)]
    assert found.estimates["pale"]["psnr"].value == pytest.approx(np.mean(kept), rel=1e-5)
    note = remark(found, "cannot be used")
    assert note.startswith("1 photographs cannot be used and are left out for everybody: 002.png (")
    assert "1 photographs could not be read and are left out" in found.doubts


@pytest.mark.parametrize("metric", ["fid", "fid_tf1", "fid_imagenet", "psnr"])
def test_few_images_are_a_remark_where_there_is_fid(tmp_path: Path, metric: str) -> None:
    protocol = Protocol("toy", "scenes", Images("all"), size=SIZE, metrics=(metric,))
    notes = run(tmp_path, numbered(REAL[:3]), {"swapped": numbered(SWAPPED[:3])}, protocol).notes
    few = "FID over 3 images, fewer than 2049, compares only with FID over as many."
    assert (few in notes) == (metric != "psnr")
    assert any("FID and KID are paired" in note for note in notes) == (metric != "psnr")


def test_files_of_no_photograph_and_doubts_about_the_protocol_are_remarks(tmp_path: Path) -> None:
    protocol = Protocol("toy", "scenes", Images("all"), size=SIZE, metrics=("psnr",), doubt="Nobody knows.")
    fake = numbered(PALE[:3]) | {"grid.png": PALE[0]}
    notes = run(tmp_path, numbered(REAL[:3]), {"pale": fake}, protocol).notes
    assert notes[0] == "pale: 1 files belong to no photograph and are ignored: grid.png."
    assert notes[-1] == "Doubt about the protocol itself: Nobody knows."


def test_fid_s_real_images_may_be_others(tmp_path: Path) -> None:
    """The first half is colorized, the second is what it is compared with."""
    protocol = Protocol(
        "toy", "scenes", Images("a", 12), size=SIZE, metrics=("fid", "psnr"), reference=Images("b", 12, first=13)
    )
    found = run(tmp_path, numbered(REAL), {"pale": numbered(PALE)}, protocol)
    assert len(found.names) == 12
    assert found.estimates["pale"]["fid"].value == pytest.approx(frechet(PALE[:12], REAL[12:], 1), rel=1e-4)
    psnr = [peak_signal_noise_ratio(*pair) for pair in zip(images(PALE[:12]), images(REAL[:12]), strict=True)]
    assert found.estimates["pale"]["psnr"].value == pytest.approx(np.mean(psnr), rel=1e-5)
    assert "of their own" in remark(found, "FID and KID have")


PUBLISHED = Protocol(
    "imagenet-val5k-crop", "a published table", Images("three", 3, sha256=hash_of(["000", "001", "002"])), size=SIZE,
    metrics=("psnr", "colorfulness_abs"), shipped=True,
)  # fmt: skip


def test_a_run_by_all_the_rules_stands_beside_published_rows(tmp_path: Path) -> None:
    found = run(tmp_path, numbered(REAL[:3]), {"pale": numbered(PALE[:3])}, PUBLISHED)
    assert found.doubts == []
    assert {row.metric for row in found.published} == {"psnr", "colorfulness_abs"}


@pytest.mark.parametrize(
    ("options", "doubt"),
    [
        ({"images": 2}, "--images 2 changes the protocol"),
        ({"size": 16}, "--size 16 changes the protocol"),
        ({}, "the list of 4 photographs is not that of three"),
    ],
)
def test_a_run_that_deviates_does_not(tmp_path: Path, options: dict[str, int], doubt: str) -> None:
    count = 3 if options else 4
    protocol = PUBLISHED if options else replace(PUBLISHED, images=Images("three", sha256="0" * 64))
    found = run(tmp_path, numbered(REAL[:count]), {"pale": numbered(PALE[:count])}, protocol, **options)
    side = options.get("size", SIZE)
    assert found.protocol.size == side
    assert found.examples[0].rgb["pale"].shape == (side, side, 3)
    assert any(doubt in it for it in found.doubts)
    assert found.published == []
    assert any(reason.startswith("this run: ") for _, reason in found.others)


def colorful_in_the_middle(seed: int) -> Tensor:
    """Twice as wide as high: what the crop takes is colored, what the squash adds is not."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.full((3, SIZE, 2 * SIZE), 120, dtype=torch.uint8)
    middle = torch.randint(0, 256, (3, 4, 4), generator=generator, dtype=torch.uint8)
    picture[:, :, SIZE // 2 : 3 * SIZE // 2] = middle.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)
    return picture


WIDE = [colorful_in_the_middle(seed) for seed in range(6)]
CROPPED = images([picture[:, :, SIZE // 2 : 3 * SIZE // 2] for picture in WIDE])
SQUASHED = [np.asarray(Image.fromarray(it).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for it in images(WIDE)]
FINGERPRINTS = {
    "agrees": (np.mean([colorfulness(it, absolute=True) for it in CROPPED]), ""),
    "squash": (np.mean([colorfulness(it, absolute=True) for it in SQUASHED]), "so it looks like crop for squash"),
    "signed": (np.mean([colorfulness(it, absolute=False) for it in CROPPED]), "so it looks like signed for abs"),
    "other": (1.0, "they are other images, or somebody resized them"),
}


@pytest.mark.parametrize("kind", FINGERPRINTS)
def test_the_photographs_colorfulness_tells_how_they_were_cut(tmp_path: Path, kind: str) -> None:
    value, words = FINGERPRINTS[kind]
    images = {"description": "wide ones"}
    rules = {"name": "toy", "description": "wide", "images": images, "size": SIZE, "metrics": ["psnr"]}
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(rules | {"fingerprint": round(float(value), 2)}))
    found = run(tmp_path, numbered(WIDE), {"same": numbered(WIDE)}, read(tmp_path / "toy.yaml"))
    doubts = [doubt for doubt in found.doubts if "colorfulness_abs is" in doubt]
    assert len(doubts) == (kind != "agrees")
    for doubt in doubts:
        others = [w for _, w in FINGERPRINTS.values() if w and w != words]
        assert words in doubt
        assert not any(other in doubt for other in others)


def test_squares_that_were_cut_before_are_suspected(tmp_path: Path) -> None:
    protocol = Protocol("toy", "squares", Images("all"), size=SIZE, metrics=("psnr",), fingerprint=1.0)
    found = run(tmp_path, numbered(REAL[:6]), {"pale": numbered(PALE[:6])}, protocol)
    assert any("squares of one size already" in doubt for doubt in found.doubts)
