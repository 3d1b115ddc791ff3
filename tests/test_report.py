import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from math import nan

import numpy as np
import pytest
from evaluations import HARMLESS, bare, evaluation
from PIL import Image

from gancolor.benchmark import report
from gancolor.benchmark.evaluation import Example
from gancolor.benchmark.intervals import Estimate


class Page(HTMLParser):
    """Tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open = tag

    def handle_endtag(self, tag):
        self.open = ""

    def handle_data(self, data):
        if self.open not in ("script", "style"):
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def written(result, folder):
    path = folder / "report.html"
    report.write(result, path)
    return path


def page(result, folder):
    return Page(written(result, folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The report of the usual evaluation: plots take a second."""
    return written(evaluation(), tmp_path_factory.mktemp("usual"))


def visit(chrome, path):
    """Open a file and wait until all of it is there: a new browser's first answer may come earlier."""
    from selenium.webdriver.support.wait import WebDriverWait

    chrome.get(path.as_uri())
    WebDriverWait(chrome, 20).until(lambda _: chrome.execute_script("return document.readyState") == "complete")


def texts(chrome, selector):
    return [element.text for element in chrome.find_elements("css selector", selector)]


def order(chrome):
    return [text.splitlines()[0] for text in texts(chrome, "#numbers tbody th")]


def emulate(chrome, mode):
    features = [{"name": "prefers-color-scheme", "value": mode}]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.mark.parametrize("candidates", [1, 12])
def test_every_candidate_has_a_row_and_every_example_its_picture(candidates, tmp_path):
    names = [f"candidate number {index} with a name that is far too long for a plot" for index in range(candidates)]
    found = page(evaluation(names), tmp_path)
    for name in names:
        assert name in found.text
    assert len(found.all("img")) == 3 * (candidates + 3)


def test_the_same_evaluation_is_the_same_file(usual, tmp_path):
    assert written(evaluation(), tmp_path).read_bytes() == usual.read_bytes()


def test_identifiers_are_unique_and_every_reference_finds_its_own(usual):
    found = Page(usual.read_text(encoding="utf-8"))
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    references = {attrs["xlink:href"] for attrs in found.all("use")}
    assert references
    assert references <= {f"#{name}" for name in ids}


def test_nothing_outside_the_file_is_asked_for(usual):
    found = Page(usual.read_text(encoding="utf-8"))
    assert found.all("link") == []
    sources = [value for _, attrs in found.tags for key, value in attrs.items() if key in ("src", "srcset", "data")]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    style = re.sub("<svg.*?</svg>", "", usual.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.search(r"url\(|@import|https?://", style)


def test_a_name_cannot_become_code(tmp_path):
    result = evaluation([HARMLESS, '" onload="alert(1)', "$\\frac{"])
    result = replace(result, names=[HARMLESS, *result.names[1:]], notes=[HARMLESS], doubts=[HARMLESS])
    pictures = replace(result.examples[0], name=HARMLESS, why=HARMLESS)
    found = page(replace(result, examples=[pictures]), tmp_path)
    assert len(found.all("script")) == 1
    assert not [attrs for _, attrs in found.tags if "onload" in attrs]
    assert HARMLESS in found.text


def test_the_verdict_comes_before_the_numbers(usual, tmp_path):
    text = Page(usual.read_text(encoding="utf-8")).text
    assert text.index("Comparable with the published rows of toy: Kang et al. 2023, Table 1.") < text.index("Numbers")
    doubtful = replace(bare(), doubts=["another list of images"])
    text = page(doubtful, tmp_path).text
    assert text.index("NOT comparable") < text.index("another list of images") < text.index("Numbers")


def test_the_plot_is_of_the_variant_that_the_protocol_has_first(tmp_path):
    result = bare()
    estimates = {
        name: {"psnr_pooled": Estimate(20.0, 19.0, 21.0, 1)} | dict(row) for name, row in result.estimates.items()
    }
    written(replace(result, estimates=estimates), tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "estimates-psnr_pooled-" in text
    assert "estimates-psnr-" not in text


def test_published_rows_that_may_not_stand_beside_ours_have_the_reason(usual):
    text = Page(usual.read_text(encoding="utf-8")).text
    assert text.index("Published, but not comparable") < text.index("Palette") < text.index("disjoint FID")


def test_what_is_not_there_leaves_no_heading(tmp_path):
    text = page(bare(), tmp_path).text
    for heading in ("Examples", "Differences", "From image to image", "not comparable"):
        assert heading not in text
    assert "No published row stands under toy" in text


def test_numbers_that_are_not_known_are_no_obstacle(tmp_path):
    result = evaluation()
    holes = {name: {key: column.copy() for key, column in row.items()} for name, row in result.per_image.items()}
    holes["ours"]["psnr"][:] = nan
    holes["gray"]["psnr"][0] = nan
    unknown = {**result.estimates, "ours": dict.fromkeys(result.estimates["ours"], Estimate(nan, nan, nan, 30))}
    found = page(replace(result, per_image=holes, estimates=unknown), tmp_path)
    assert found.text.count("–") >= len(unknown["ours"])
    assert "nan" not in found.text.lower()


@pytest.mark.parametrize(("side", "kept", "kind"), [(64, 64, "webp"), (200, 200, "jpeg"), (1000, 512, "jpeg")])
def test_pictures_are_what_they_were(side, kept, kind, tmp_path):
    y, x = np.mgrid[:side, :side] / side * 255
    picture = np.stack([x, y, 255 - x], -1).astype(np.uint8)
    result = replace(bare(), examples=[Example("n000", {"gray": picture, "real": picture}, "best")])
    (image, _) = page(result, tmp_path).all("img")
    start = f"data:image/{kind};base64,"
    assert image["src"].startswith(start)
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(image["src"].removeprefix(start)))).convert("RGB"))
    assert decoded.shape == (kept, kept, 3)
    assert ("class" in image) == (side < 128)
    expected = np.asarray(Image.fromarray(picture).resize((kept, kept), Image.Resampling.BICUBIC), float)
    assert np.abs(decoded - expected).max() <= (0 if side < 128 else 6)


@pytest.mark.browser
def test_a_click_on_a_header_sorts_best_first_and_a_second_turns_it_round(chrome, tmp_path):
    visit(chrome, written(evaluation(["worst", "middle", "best"][::-1]), tmp_path))
    before = order(chrome)
    head = next(h for h in chrome.find_elements("css selector", "#numbers thead th") if h.text.startswith("FID"))
    assert head.get_attribute("aria-sort") == "none"
    head.find_element("tag name", "button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert order(chrome) == ["half-saturated", "DDColor", "best", "middle", "worst", "gray", "real"]
    head.find_element("tag name", "button").click()
    assert head.get_attribute("aria-sort") == "descending"
    # What has no such number stays last.
    assert order(chrome) == ["gray", "worst", "middle", "best", "DDColor", "half-saturated", "real"]
    assert before == ["gray", "half-saturated", "best", "middle", "worst", "real", "DDColor"]


@pytest.mark.browser
def test_examples_sort_by_a_chosen_number(chrome, usual):
    from selenium.webdriver.support.select import Select

    result = evaluation()
    visit(chrome, usual)
    Select(chrome.find_element("id", "order")).select_by_visible_text("PSNR of ours")
    expected = sorted(result.names[:3], key=lambda name: result.per_image["ours"]["psnr"][result.names.index(name)])
    assert [text.split()[0] for text in texts(chrome, ".example h3")] == expected
    Select(chrome.find_element("id", "direction")).select_by_visible_text("highest")
    assert [text.split()[0] for text in texts(chrome, ".example h3")] == expected[::-1]
    Select(chrome.find_element("id", "order")).select_by_visible_text("as chosen")
    assert [text.split()[0] for text in texts(chrome, ".example h3")] == result.names[:3]


@pytest.mark.browser
def test_the_browser_runs_no_foreign_code_and_asks_for_nothing(chrome, tmp_path):
    path = written(evaluation([HARMLESS, "pix2pix"]), tmp_path)
    chrome.get_log("performance")  # what came before
    visit(chrome, path)
    assert "caught" not in chrome.title
    assert chrome.get_log("browser") == []
    asked = re.findall(r'"url":"([a-z]+):', "".join(entry["message"] for entry in chrome.get_log("performance")))
    assert set(asked) == {"file", "data"}


@pytest.mark.browser
def test_pictures_are_seen_and_ink_stands_out_in_light_and_dark(chrome, usual):
    visit(chrome, usual)
    seen = "return [...document.images].every(image => image.complete && image.naturalWidth > 0)"
    assert chrome.execute_script(seen)
    inks = []
    for mode in ("light", "dark"):
        emulate(chrome, mode)
        style = "getComputedStyle(document.querySelector('{}')).{}"
        page_color, ink = (
            chrome.execute_script(f"return {style.format(*what)}")
            for what in (("body", "backgroundColor"), ("svg text", "fill"))
        )
        levels = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in (page_color, ink)]
        assert abs(levels[0] - levels[1]) > 500
        inks.append(ink)
    assert inks[0] != inks[1]


@pytest.mark.browser
def test_only_the_table_scrolls_sideways(chrome, tmp_path):
    path = written(evaluation([f"candidate-{index}_" + "x" * 40 for index in range(4)]), tmp_path)
    for width in (500, 1200):
        chrome.set_window_size(width, 900)
        visit(chrome, path)
        sizes = "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
        needed, given = chrome.execute_script(sizes)
        assert needed <= given
