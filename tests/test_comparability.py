"""The gate, with the mistakes really made on pictures; their colorfulness is computed here, not by the package."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gancolor.benchmark.comparability import doubts, fingerprint_agrees, sort
from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.protocol import Images, Protocol, hash_of
from gancolor.benchmark.published import Published

N = 60
NAMES = [f"set/x_{i:03d}.png" for i in range(N)]
SIZE = 24


def photographs(seed: int, saturation: float = 1.0) -> list[Image.Image]:
    """Twice as wide as high; dull in the middle square, colorful at the sides; a color above, its opposite below."""
    random = np.random.default_rng(seed)
    result = []
    for _ in range(N):
        strength = np.full((32, 64, 1), 70.0 * saturation)
        strength[:, 16:48] = 25.0 * saturation
        color = random.uniform(0.8, 1.2) * np.array([1, -0.5, 0]) + random.normal(0, 0.2, (32, 64, 3))
        color[16:] *= -1
        result.append(Image.fromarray((128 + strength * color).clip(0, 255).astype(np.uint8)))
    return result


def crop(image: Image.Image) -> Image.Image:
    side, left, top = min(image.size), (image.width - min(image.size)) // 2, (image.height - min(image.size)) // 2
    return image.crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.Resampling.BILINEAR)


def squash(image: Image.Image) -> Image.Image:
    return image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)


def colorfulness(image: Image.Image, absolute: bool) -> float:
    r, g, b = np.moveaxis(np.asarray(image, dtype=np.float64), 2, 0)
    rg, yb = r - g, (r + g) / 2 - b
    if absolute:
        rg, yb = np.abs(rg), np.abs(yb)
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def estimate(images: list[Image.Image], absolute: bool = True) -> Estimate:
    values = np.array([colorfulness(image, absolute) for image in images])
    half = 1.96 * values.std(ddof=1) / len(values) ** 0.5
    return Estimate(float(values.mean()), float(values.mean() - half), float(values.mean() + half), len(values))


@pytest.fixture(scope="module")
def originals() -> list[Image.Image]:
    return photographs(0)


@pytest.fixture(scope="module")
def protocol(originals: list[Image.Image]) -> Protocol:
    """Published by somebody who cropped the originals and took the absolute colorfulness."""
    images = Images("sixty pictures", N, "x_{:03d}", 0, hash_of(NAMES))
    fingerprint = estimate([crop(image) for image in originals]).value
    return Protocol(
        "ours", "", images, metrics=["fid_imagenet", "psnr"], fingerprint=round(fingerprint, 2), shipped=True
    )


def published(protocol: str = "ours", metric: str = "psnr") -> Published:
    return Published("method", protocol, metric, 20.0, "a paper", "Table 1", "")


def gate(
    protocol: Protocol,
    cut: list[Image.Image],
    other: list[Image.Image] | None = None,
    names: list[str] = NAMES,
    square: bool = False,
    unreadable: int = 0,
    overrides: tuple[str, ...] = (),
) -> list[str]:
    other_geometry = None if other is None else estimate(other)
    signed = estimate(cut, absolute=False)
    return doubts(
        protocol, [published()], names, unreadable, estimate(cut), signed, square, other_geometry, overrides
    )  # fmt: skip


def test_the_right_run_is_comparable(originals: list[Image.Image], protocol: Protocol):
    assert gate(protocol, [crop(image) for image in originals]) == []


def test_the_pictures_tell_the_mistakes_apart(originals: list[Image.Image], protocol: Protocol):
    """Else the tests below could pass by chance."""
    right = estimate([crop(image) for image in originals])
    half = (right.high - right.low) / 2
    signed = estimate([crop(image) for image in originals], absolute=False)
    other = estimate([squash(image) for image in originals])
    assert min(abs(right.value - signed.value), abs(right.value - other.value), abs(signed.value - other.value)) > half


def test_crop_for_squash_is_named(originals: list[Image.Image], protocol: Protocol):
    cropped, squashed = [crop(image) for image in originals], [squash(image) for image in originals]
    wrong = replace(protocol, geometry="crop", fingerprint=estimate(squashed).value)
    (doubt,) = gate(wrong, cropped, other=squashed)
    assert "crop for squash" in doubt
    assert f"{estimate(cropped).value:.2f}" in doubt
    assert str(wrong.fingerprint) in doubt
    (doubt,) = gate(replace(protocol, geometry="squash"), squashed, other=cropped)
    assert "squash for crop" in doubt
    assert "signed" not in doubt


def test_signed_for_abs_is_named(originals: list[Image.Image], protocol: Protocol):
    cropped = [crop(image) for image in originals]
    wrong = replace(protocol, fingerprint=estimate(cropped, absolute=False).value)
    (doubt,) = gate(wrong, cropped, other=[squash(image) for image in originals])
    assert "signed for abs" in doubt
    assert " for squash" not in doubt


def test_pictures_that_somebody_cut_before_are_named(originals: list[Image.Image], protocol: Protocol):
    squashed = [squash(image) for image in originals]
    wanted = replace(protocol, geometry="squash", fingerprint=estimate(squashed).value)
    cut_before = [crop(image) for image in originals]
    again = [squash(image) for image in cut_before]
    (doubt,) = gate(wanted, again, other=[crop(image) for image in cut_before], square=True)
    assert "squares of one size already" in doubt


def test_other_images_are_named(protocol: Protocol):
    dull = photographs(1, saturation=0.2)
    (doubt,) = gate(protocol, [crop(image) for image in dull], other=[squash(image) for image in dull])
    assert "other images" in doubt


def test_an_unknown_interval_never_agrees(protocol: Protocol):
    assert protocol.fingerprint is not None
    single = Estimate(protocol.fingerprint, float("nan"), float("nan"), 1)
    assert not fingerprint_agrees(protocol, single)
    assert fingerprint_agrees(replace(protocol, fingerprint=None), single)


def test_a_list_that_differs_is_described(originals: list[Image.Image], protocol: Protocol):
    cropped = [crop(image) for image in originals]
    names = [*NAMES[5:], "stranger.png"]
    (doubt,) = gate(protocol, cropped, names=names)
    assert "5 missing (x_000, x_001, x_002, …)" in doubt
    assert "1 extra (stranger)" in doubt
    assert hash_of(names)[:12] in doubt
    assert hash_of(NAMES)[:12] in doubt
    (doubt,) = gate(protocol, cropped, names=[*NAMES, "copy/x_003.jpg"])
    assert "1 twice" in doubt


def test_a_list_without_a_rule_is_told_by_its_hash(originals: list[Image.Image], protocol: Protocol):
    ruleless = replace(protocol, images=replace(protocol.images, names=None))
    cropped, other = [crop(image) for image in originals], [*NAMES[:-1], "stranger"]
    assert gate(ruleless, cropped) == []
    for count in (N, None):
        (doubt,) = gate(replace(ruleless, images=replace(ruleless.images, count=count)), cropped, names=other)
        assert "sixty pictures: the names differ (" in doubt
        assert hash_of(NAMES)[:12] in doubt
    (doubt,) = gate(ruleless, cropped, names=NAMES[1:])
    assert "59 photographs is not that of sixty pictures, which has 60 (" in doubt


def test_a_list_that_nobody_published_cannot_be_verified(originals: list[Image.Image], protocol: Protocol):
    unlisted = replace(protocol, images=Images("sixty pictures", N))
    cropped = [crop(image) for image in originals]
    (doubt,) = gate(unlisted, cropped)
    assert "cannot be verified" in doubt
    count, _ = gate(unlisted, cropped, names=NAMES[1:])
    assert count == "there are 59 photographs, not 60"


def test_unreadable_photographs_and_overrides_are_doubts(originals: list[Image.Image], protocol: Protocol):
    cropped = [crop(image) for image in originals]
    override, unreadable = gate(protocol, cropped, unreadable=2, overrides=("--size 128",))
    assert "--size 128" in override
    assert unreadable == "2 photographs could not be read and are left out"


def test_the_reference_of_fid_is_verified_too(originals: list[Image.Image], protocol: Protocol):
    others = [f"y_{i}" for i in range(7)]
    apart = replace(protocol, reference=Images("seven others", 7, "y_{}", 0, hash_of(others)))
    real = estimate([crop(image) for image in originals])
    assert doubts(apart, [published()], NAMES, 0, real, real, False, reference=others) == []
    (doubt,) = doubts(apart, [published()], NAMES, 0, real, real, False, reference=others[:-1])
    assert "reference" in doubt
    assert "1 missing (y_6)" in doubt


def test_a_file_of_one_s_own_is_not_the_published_protocol(protocol: Protocol):
    """Whatever list and fingerprint it claims to have."""
    value = Estimate(30.0, 29.0, 31.0, 10)
    own = replace(protocol, shipped=False, fingerprint=None)
    found = doubts(own, [published()], NAMES, 0, value, value, square=False)
    assert found == ["ours is a file of your own here, not the published protocol"]


@pytest.mark.parametrize(("width", "tolerance", "agrees"), [(0.5, 0.0, False), (0.9, 0.0, False), (0.1, 0.8, True)])
def test_sampling_error_forgives_less_than_crop_for_squash(width: float, tolerance: float, agrees: bool):
    """0.75 off: of 2,000 images half an interval is 0.9."""
    known = Protocol("x", "", Images("all"), fingerprint=35.0, tolerance=tolerance)
    assert fingerprint_agrees(known, Estimate(35.75, 35.75 - width, 35.75 + width, 2000)) == agrees


def test_a_protocol_without_published_rows_is_not_doubted_and_has_no_rows():
    folder = Protocol("folder", "", Images("all that are given"), metrics=["psnr"])
    value, row = Estimate(30.0, 29.0, 31.0, 10), published("another")
    assert doubts(folder, [row], ["a", "b"], 0, value, value, square=True) == []
    assert sort(folder, [], [row]) == ([], [(row, "another protocol: another")])


def test_rows_of_the_protocol_and_its_metrics_may_stand_beside(protocol: Protocol):
    mine, exact = published(), published(metric="fid_imagenet")
    elsewhere, nowhere = published("another"), published("")
    variant, unknown = published(metric="fid"), published(metric="psnr?")
    beside, others = sort(protocol, [], [mine, elsewhere, variant, exact, unknown, nowhere])
    assert beside == [mine, exact]
    assert others == [
        (elsewhere, "another protocol: another"),
        (variant, "another metric: fid"),
        (unknown, "it is not known which variant of psnr"),
        (nowhere, "none of our protocols"),
    ]


def test_no_row_stands_beside_a_doubtful_run(protocol: Protocol):
    beside, others = sort(protocol, ["--size 128 changes the protocol", "more"], [published(), published("another")])
    assert beside == []
    assert [reason for _, reason in others] == [
        "this run: --size 128 changes the protocol",
        "another protocol: another",
    ]
