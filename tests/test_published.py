import re
from collections import Counter
from pathlib import Path

import pytest

from gancolor.benchmark.numbers import METRICS
from gancolor.benchmark.published import UNKNOWN, Published, rows

ROOT = Path(__file__).parents[1]
ROWS = rows()
FINGERPRINTS = {
    "imagenet-val5k-crop": 38.21,
    "imagenet-val50k-squash": 39.09,
    "coco-val5k-squash": 38.24,
    "ade20k-val2k-squash": 35.04,
}


def value(method: str, protocol: str, metric: str, source: str = "") -> Published:
    found = [r for r in ROWS if (r.method, r.protocol, r.metric) == (method, protocol, metric) and source in r.source]
    assert len(found) == 1
    return found[0]


def test_each_block_has_its_numbers():
    # Counted by hand: rows of a block times numbers in each.
    assert Counter(row.source.split()[0] for row in ROWS) == {
        "Kang": 4 * (10 + 10 + 7 + 10),  # three methods have no COCO-Stuff
        "Cong": 5 * 9 * 2,
        "Saharia": 6 + 4 + 2,
        "Wu": 2 * 3,
        "Xia": 2,
        "Du": 2 * 4,
        "SeAda,": 4,
        "L-CAD,": 6,
        "UniColor": 3,
        "Zhang": 1,
    }


@pytest.mark.shared
def test_the_field_notes_hold_as_many_in_their_tables():
    text = (ROOT.parent / "shared" / "FIELD.md").read_text(encoding="utf-8").split("## 3.")[1].split("### Others")[0]
    cells = re.findall(r"(?<=\| )[\d.]+(?:/[\d.]+)+(?= \|)", text)
    assert sum(len(cell.split("/")) for cell in cells) == sum(row.source[:4] in ("Kang", "Cong") for row in ROWS)
    numbers = Counter(float(number) for cell in cells for number in cell.split("/"))
    assert numbers == Counter(row.value for row in ROWS if row.source[:4] in ("Kang", "Cong"))


@pytest.mark.parametrize(
    ("method", "protocol", "metric", "number"),
    [
        ("CIC", "imagenet-val5k-crop", "fid_imagenet", 8.72),
        ("ColTran", "imagenet-val50k-squash", "psnr", 22.30),
        ("BigColor", "ade20k-val2k-squash", "colorfulness_abs", 35.85),
        ("ColorFormer", "coco-val5k-squash", "delta_colorfulness_abs", 1.90),
        ("DDColor-large", "imagenet-val5k-crop", "fid_imagenet", 3.92),
        ("DDColor-tiny", "imagenet-val50k-squash", "psnr", 23.63),
        ("ColTran", "cong2024", "psnr?", 8.65),
        ("Imagination", "cong2024-coco", "lpips?", 0.180),
        ("DISCO", "cong2024", "colorfulness?", 44.5),
        ("real images", "coltran-5k-disjoint", "fid_tf1", 14.68),
        ("Palette", "", "fool_rate", 47.80),
        ("regression", "imagenet-ctest10k", "fid?", 5.5),
        ("DISCO-rand", "", "fid?", 10.25),
        ("MultiColor", "imagenet-val50k-squash", "fid?", 0.42),
        ("SeAda", "imagenet-val5k-crop", "psnr?", 24.53),
        ("L-CAD", "imagenet-val5k-crop", "colorfulness?", 34.04),
        ("UniColor", "", "lpips", 0.1945),
        ("CIC", "", "fool_rate", 32),
    ],
)
def test_numbers_typed_again(method: str, protocol: str, metric: str, number: float):
    assert value(method, protocol, metric).value == number


def test_gcp_has_both_geometries():
    found = {(row.table, row.metric): row.value for row in ROWS if "README" in row.source and row.method == "GCP"}
    assert found["w/o center crop", "fid?"] == 1.325
    assert found["w/ center crop", "fid?"] == 1.262
    assert (found["w/o center crop", "colorfulness?"], found["w/ center crop", "colorfulness?"]) == (34.89, 34.74)


def test_no_number_is_there_twice():
    keys = Counter((row.method, row.protocol, row.metric, row.source, row.table) for row in ROWS)
    assert max(keys.values()) == 1


def test_every_protocol_has_its_file():
    names = {path.stem for path in (ROOT / "configs" / "benchmark").glob("*.yaml")}
    assert {row.protocol for row in ROWS} - {""} <= names


def test_every_metric_is_ours_or_says_that_its_variant_is_unknown():
    others = {row.metric for row in ROWS} - set(METRICS)
    assert others - {"fool_rate"} == {m for m in others if m.endswith(UNKNOWN)}
    assert {m.removesuffix(UNKNOWN) for m in others} - {"fool_rate"} <= set(METRICS)


def test_every_row_has_a_source_and_a_place_that_can_be_checked():
    assert all(row.method and row.source for row in ROWS)
    assert all(row.table or "second-hand" in row.doubt for row in ROWS)


def test_colorfulness_and_its_difference_give_the_photographs_own():
    """In every row: the published differences are of means, and the colorfulness is one and the same definition."""
    pairs = {(row.method, row.protocol): row.value for row in ROWS if row.metric == "colorfulness_abs" and row.protocol}
    assert len(pairs) == 37 + 3
    for (method, protocol), mean in pairs.items():
        difference = value(method, protocol, "delta_colorfulness_abs").value
        closest = min(abs(mean + difference - FINGERPRINTS[protocol]), abs(mean - difference - FINGERPRINTS[protocol]))
        assert closest < 0.0101, (method, protocol)  # each is rounded to 0.01


def test_doubts_are_noted():
    for method in ("DDColor-tiny", "DDColor-large"):
        assert "copying error" in value(method, "coco-val5k-squash", "colorfulness_abs").doubt
    assert "far below what aligned outputs get" in value("ColTran", "cong2024", "psnr?").doubt
    assert "in-the-wild" in value("GCP", "cong2024", "colorfulness?").doubt
    second_hand = {row.method for row in ROWS if "second-hand" in row.doubt}
    assert {"MultiColor", "SeAda", "L-CAD", "UniColor", "Imagination"} <= second_hand
