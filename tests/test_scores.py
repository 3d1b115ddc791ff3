import pytest
import torch
from rich.console import Console

from gancolor.metrics import PSNR, SSIM, Colorfulness
from gancolor.scores import Scores, table

REAL, ONE, TWO = (
    torch.randint(256, (6, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    for seed in range(3)
)
METRICS = {"psnr": PSNR, "ssim": SSIM, "cf": Colorfulness}


def scores():
    result = Scores({"one": METRICS, "two": METRICS})
    for real, one, two in zip(REAL.split(4), ONE.split(4), TWO.split(4), strict=True):
        result.update(real, {"two": two, "one": one})
    return result


def test_each_candidate_gets_what_the_metric_alone_says():
    values = scores().compute()
    assert list(values) == ["one", "two"]
    for candidate, fake in (("one", ONE), ("two", TWO)):
        for name, metric in METRICS.items():
            alone = metric()
            alone.update(fake, REAL)
            assert values[candidate][name] == pytest.approx(alone.compute().item(), rel=1e-5)
    assert values["one"] != values["two"]


def test_images_are_counted_once():
    assert scores().images == 6


def test_table_has_a_row_a_candidate():
    result = table("Validation", {"gray": {"psnr": 23.512345}, "ours": {"psnr": 25.0, "fid": 3.25}})
    console = Console(width=80)
    with console.capture() as capture:
        console.print(result)
    rows = [line.replace("│", " ").replace("┃", " ").split() for line in capture.get().splitlines()]
    assert result.row_count == 2
    assert ["psnr", "fid"] in rows
    assert ["gray", "23.51", "–"] in rows
    assert ["ours", "25", "3.25"] in rows
