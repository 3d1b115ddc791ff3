import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from math import nan

import pytest
from evaluations import bare, evaluation
from rich.console import Console

from gancolor.benchmark import rows, tables
from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.rows import Row


def shown(result, width):
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True)
    tables.show(result, console)
    return console.export_text(clear=False), console.export_text(styles=True)


def read_csv(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def cells_of_tex(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))]


@pytest.mark.parametrize(
    ("estimates", "places"),
    [
        ([Estimate(23.456, 23.1, 23.8, 9)], 2),
        ([Estimate(0.18, 0.177, 0.183, 9)], 4),
        ([Estimate(120.0, 90.0, 150.0, 9)], 0),
        ([Estimate(0.0, 0.0, 0.0, 9), Estimate(5.0, 4.7, 5.3, 9)], 2),  # gray is known exactly
        ([Estimate(23.456, nan, nan, 9)], 2),
        ([Estimate(0.1834, nan, nan, 9)], 4),
        ([Estimate(nan, nan, nan, 1)], 2),
    ],
)
def test_a_cell_has_as_many_digits_as_its_interval_justifies(estimates, places):
    assert rows.decimals(estimates) == places


def test_a_cell_says_value_and_half_width_with_real_signs():
    row = Row("ours", {"psnr": Estimate(-1.2345, -1.5345, -0.9345, 9)})
    assert rows.cells([row, Row("real", {})], "psnr") == [("−1.23", " ± 0.30"), ("", "")]


def test_published_numbers_have_the_digits_of_their_paper():
    papers = [("A", 38.0), ("A", 31.6), ("A", 39.74), ("B", 0.5)]
    table = [Row("theirs", {"psnr": Estimate(value, nan, nan, 0)}, source) for source, value in papers]
    ours = Row("ours", {"psnr": Estimate(30.0, 27.0, 33.0, 9)})
    values = [value for value, _ in rows.cells([ours, *table], "psnr")]
    assert values == ["30.0", "38.00", "31.60", "39.74", "0.5"]


def test_a_published_row_without_a_measured_number_stays_out():
    result = evaluation()
    theirs = replace(result.published[0], metric="auc")
    assert rows.comparable(replace(result, published=[theirs])) == []
    assert rows.verdict(replace(result, published=[theirs])).startswith("No published row")


def test_zero_has_no_sign():
    assert rows.number(-0.0001, 2) == "0.00"


@pytest.mark.parametrize(
    ("metric", "low", "high", "judgement"),
    [
        ("fid", -2.9, -1.3, "better"),
        ("fid", 1.3, 2.9, "worse"),
        ("fid", -0.1, 2.9, "no evidence"),
        ("fid", 0.0, 2.9, "no evidence"),
        ("psnr", 0.1, 0.3, "better"),
        ("psnr", -0.3, -0.1, "worse"),
        ("colorfulness_abs", 0.1, 0.3, "different"),
        ("psnr", nan, nan, "no evidence"),
    ],
)
def test_a_difference_is_evidence_only_if_its_interval_excludes_zero(metric, low, high, judgement):
    assert rows.judge(metric, Estimate((low + high) / 2, low, high, 9)) == judgement


def test_rows_made_of_the_truth_are_never_the_best():
    result = evaluation()
    assert result.estimates["half-saturated"]["fid"].value < result.estimates["ours"]["fid"].value
    assert rows.best(result, "fid") == {"ours"}
    assert rows.best(result, "colorfulness_abs") == frozenset()  # neither more nor less is better


def test_gray_may_be_the_best():
    result = evaluation()
    perfect = {**result.estimates["gray"], "psnr": Estimate(60.0, 59.0, 60.0, 9)}
    assert rows.best(replace(result, estimates={**result.estimates, "gray": perfect}), "psnr") == {"gray"}


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_column_is_cut_however_narrow_the_terminal(width):
    text, _ = shown(evaluation(), width)
    for metric in rows.columns(evaluation()):
        assert rows.header(metric) in text
    assert "23.50 ± 0.73" in text
    assert all(len(line) <= width for line in text.splitlines())


def test_a_narrow_terminal_gets_the_names_with_every_block():
    text, _ = shown(evaluation(), 45)
    blocks = len(re.findall("^ *candidate", text, re.MULTILINE))
    assert blocks > 1
    assert len(re.findall("^ *half-saturated", text, re.MULTILINE)) == blocks


def test_the_terminal_says_what_must_be_known():
    text, _ = shown(evaluation(), 100)
    assert "Comparable with the published rows of toy: Kang et al. 2023, Table 1." in text
    assert "DDColor [1]" in text
    assert "[1] Kang et al. 2023, Table 1" in text
    assert "3.92 ?" in text
    assert "? DDColor, FID: a copying error" in text
    assert "LPIPS (VGG) was not measured: its weights are not here" in text
    assert "Fewer than 2,049 images." in text
    assert "ours − pix2pix: FID −1.25 [−1.90, −0.60] better" in text
    assert "ours − pix2pix: LPIPS −0.010 [−0.030, +0.010] no evidence" in text


def test_doubts_forbid_the_word_comparable():
    text, _ = shown(replace(evaluation(), doubts=["another list of images"], published=[]), 100)
    assert "NOT comparable with others' numbers under toy:" in text
    assert "another list of images" in text
    assert "Comparable" not in text


def test_the_best_is_bold_on_the_terminal_and_markup_in_a_name_is_text():
    _, styled = shown(evaluation(["[red]ours[/red]", "other"]), 200)
    best = rows.cells(rows.candidates(evaluation()), "fid")[2][0]
    assert re.search(rf"\x1b\[1m *{best}", styled)
    assert "[red]ours[/red]" in styled


def test_json_is_flat_and_knows_no_nan(tmp_path):
    tables.write(evaluation(), tmp_path)
    content = json.loads((tmp_path / "table.json").read_text(), parse_constant=pytest.fail)
    assert list(content) == ["gray", "half-saturated", "ours", "pix2pix", "real"]
    assert content["gray"]["psnr"] == {
        "value": 23.5,
        "low": pytest.approx(22.77),
        "high": pytest.approx(24.23),
        "n": 30,
    }
    missing = {"value": None, "low": None, "high": None, "n": 0, "reason": "its weights are not here"}
    assert content["ours"]["lpips_vgg"] == missing
    tables.write(bare(), tmp_path)
    content = json.loads((tmp_path / "table.json").read_text(), parse_constant=pytest.fail)
    assert content["ours"]["fid"] == {"value": None, "low": None, "high": None, "n": 1}


def test_the_files_and_no_other(tmp_path):
    (tmp_path / "differences.json").write_text("of an earlier evaluation, with a baseline")
    paths = tables.write(bare(), tmp_path)
    assert {path.name for path in paths} == {"table.json", "table.csv", "table.md", "table.tex", "per_image.csv"}
    assert set(tmp_path.iterdir()) == set(paths)


def test_differences_are_written_with_what_they_say(tmp_path):
    tables.write(evaluation(), tmp_path)
    content = json.loads((tmp_path / "differences.json").read_text())
    assert content["against"] == "pix2pix"
    fid = {"value": -1.25, "low": -1.9, "high": -0.6, "n": 30, "judgement": "better"}
    assert content["differences"]["ours"]["fid"] == fid


def test_csv_tells_measured_from_published(tmp_path):
    tables.write(evaluation(["ours, with a comma", "pix2pix"]), tmp_path)
    lines = read_csv(tmp_path / "table.csv")
    by_kind = {kind: [line for line in lines if line["kind"] == kind] for kind in {line["kind"] for line in lines}}
    assert {kind: len(some) for kind, some in by_kind.items()} == {
        "candidate": 4 * 4 + 1,
        "missing": 1,
        "published": 2,
        "not comparable": 1,
    }
    assert {line["candidate"] for line in by_kind["candidate"]} >= {"ours, with a comma"}
    assert by_kind["published"][0]["source"] == "Kang et al. 2023, Table 1"
    assert by_kind["not comparable"][0]["remark"] == "disjoint FID"


def test_per_image_values_are_read_back_as_they_were(tmp_path):
    result = evaluation()
    tables.write(result, tmp_path)
    lines = read_csv(tmp_path / "per_image.csv")
    assert len(lines) == 5 * 30
    ours = [line for line in lines if line["candidate"] == "ours"]
    assert [line["name"] for line in ours] == result.names
    assert [float(line["psnr"]) for line in ours] == result.per_image["ours"]["psnr"].tolist()
    assert {line["psnr"] for line in lines if line["candidate"] == "real"} == {""}


def test_markdown_has_both_tables_and_shows_names_as_they_are():
    text = tables.markdown(evaluation(["a|b_*c*_<i>", "pix2pix"]))
    table = [line for line in text.splitlines() if line.startswith("|")]
    unescaped = [len(re.findall(r"(?<!\\)\|", line)) for line in table]
    assert unescaped == [6] * (2 + 5 + 1) + [6] * (2 + 1)
    assert r"| a\|b\_\*c\*\_\<i\> " in text
    assert "| **5.00 ± 0.50**" in text
    assert text.index("DDColor (Kang et al. 2023, Table 1)") < text.index("## Published, but not comparable")
    assert text.index("## Published, but not comparable") < text.index("disjoint FID")


def test_latex_escapes_names_and_keeps_its_shape():
    text = tables.latex(evaluation([r"50% & $x_1^2$ \#{~}", "[b]"]))
    lines = text.splitlines()
    first, last = lines.index(r"\toprule"), lines.index(r"\bottomrule")
    assert [len(cells_of_tex(line)) for line in lines[first:last] if line.endswith(r"\\")] == [5] * (1 + 5 + 1)
    assert cells_of_tex(lines[first + 5])[0] == r"{}50\% \& \$x\_1\^{}2\$ \textbackslash{}\#\{\textasciitilde{}\}"
    assert cells_of_tex(lines[first + 6])[0] == "{}[b]"  # else \\[b] of the line before
    assert r"FID $\downarrow$" in text
    assert r"\textbf{5.00 $\pm$ 0.50}" in text
    assert lines[last - 2] == r"\midrule"  # before what is published
    assert not re.search("[^\x00-\x7f]", "\n".join(lines[first:last]))


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
def test_latex_compiles(tmp_path):
    table = tables.latex(evaluation([r"50% & $x_1^2$ \#{~}|<", "[b]"]))
    document = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}\n{table}\\end{{document}}"
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    subprocess.run(
        ["pdflatex", "-halt-on-error", "table.tex"], cwd=tmp_path, check=True, capture_output=True, timeout=60
    )


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.json"
    path.write_text("old")

    def interrupted(part, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(path), "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tables.write(bare(), tmp_path)
    assert path.read_text() == "old"


def test_a_bare_evaluation_can_be_written(tmp_path):
    tables.write(bare(), tmp_path)
    text, _ = shown(bare(), 80)
    assert "No published row stands under toy" in text
    assert "–" in (tmp_path / "table.md").read_text(encoding="utf-8")
