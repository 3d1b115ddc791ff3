"""From names of records to what measures them."""

import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import Differences, Means, scenes, stand_in
from skimage.metrics import mean_squared_error
from torch import nn

from gancolor import metrics
from gancolor.benchmark import measures as module
from gancolor.benchmark.measures import measures
from gancolor.features import MissingWeights

CPU = torch.device("cpu")
PAIRED = ["mse", "psnr", "ssim", "ssim_uniform", "delta_e", "auc", "auc_cells", "lightness_error"]
OF_ITSELF = ["colorfulness", "colorfulness_abs", "ab_histogram"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [([], []), (["psnr"], PAIRED), (["ab_histogram"], OF_ITSELF), (["colorfulness", "auc"], PAIRED + OF_ITSELF)],
)
def test_only_what_is_wanted_is_measured(wanted: list[str], expected: list[str]) -> None:
    found, missing = measures(wanted, None, CPU, 64)
    assert [record for measure in found for record in measure.records] == expected
    assert missing == {}


def test_numbers_are_those_of_the_metrics() -> None:
    real, fake = torch.stack(scenes(2)), torch.stack(scenes(2, seed=1))
    values = {}
    for measure in measures(["mse", "colorfulness"], None, CPU, 64)[0]:
        found = measure.function(fake, real)
        assert tuple(found) == measure.records
        values |= found
    expected = {
        "mse": [mean_squared_error(r.numpy(), f.numpy()) for r, f in zip(real, fake, strict=True)],
        "psnr": metrics.psnr(fake, real),
        "ssim": metrics.ssim(fake, real),
        "ssim_uniform": metrics.ssim_uniform(fake, real),
        "colorfulness": metrics.colorfulness(fake),
        "colorfulness_abs": metrics.colorfulness(fake, absolute=True),
        "ab_histogram": metrics.ab_histogram(fake),
        **metrics.lab_pairs(fake, real),
    }
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-5, err_msg=name)


def test_what_is_of_a_picture_itself_says_so() -> None:
    """It is kept for a picture whatever the photograph, so it must not look at it."""
    fake, (one, other) = torch.stack(scenes(2)), (torch.stack(scenes(2, seed=s)) for s in (1, 2))
    for measure in measures(["mse", "colorfulness"], None, CPU, 64)[0]:
        same = [measure.function(fake, one)[r].equal(measure.function(fake, other)[r]) for r in measure.records]
        assert all(same) if measure.of_itself else not any(same)


def test_networks_give_records_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "inception", Means())
    stand_in(monkeypatch, "lpips", Differences())
    pair = torch.stack(scenes(2)), torch.stack(scenes(2, seed=1))
    found = {measure.records: measure for measure in measures(["inception", "lpips"], None, CPU, 64)[0]}
    assert found["inception",].of_itself
    assert not found["lpips",].of_itself
    assert found["inception",].function(*pair)["inception"].equal(pair[0].float().mean(dim=(2, 3)) / 255)
    expected = [(a.float() - b.float()).abs().mean().item() for a, b in zip(*pair, strict=True)]
    assert found["lpips",].function(*pair)["lpips"].tolist() == pytest.approx(expected)


def test_identities_tell_networks_and_records_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(record: str, network: nn.Module) -> str:
        stand_in(monkeypatch, record, network)
        return measures([record], None, CPU, 64)[0][0].identity

    assert identity("inception", Means()) == identity("inception", Means())
    others = [identity("inception", Means(2.0)), identity("inception_tf1", Means()), identity("lpips", Differences())]
    own = [measure.identity for measure in measures(["mse", "colorfulness"], None, CPU, 64)[0]]
    assert len({identity("inception", Means()), *others, *own}) == 6


def test_a_photograph_is_looked_at_once_for_all_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Differences()
    stand_in(monkeypatch, "lpips", network)
    compare = measures(["lpips"], None, CPU, 64)[0][0].function
    real, other, fake = (torch.stack(scenes(2, seed=seed)) for seed in range(3))
    first = [compare(it, real)["lpips"] for it in (fake, other, real)]
    assert network.looks == 4
    assert first[2].tolist() == [0, 0]
    assert compare(fake, other)["lpips"].tolist() == pytest.approx(network.distance([fake], [other.float()]).tolist())
    assert not compare(fake, real.clone())["lpips"].equal(compare(fake, other)["lpips"])
    assert compare(fake, real)["lpips"].equal(first[0])


def test_weights_that_are_not_there_are_reported_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("GANCOLOR_WEIGHTS", raising=False)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    stand_in(monkeypatch, "inception_tf1", Means())
    found, missing = measures(["inception", "inception_tf1", "lpips", "psnr"], None, CPU, 64)
    assert [measure.records[0] for measure in found] == ["mse", "inception_tf1"]
    assert set(missing) == {"inception", "lpips"}
    assert all("no route to host" in reason for reason in missing.values())


def test_weights_are_looked_for_where_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Path | None] = []

    def pretrained(weights: Path | None) -> nn.Module:
        asked.append(weights)
        raise MissingWeights("none")

    monkeypatch.setitem(module._NETWORKS, "lpips_vgg", (pretrained, module._distance))
    measures(["lpips_vgg", "psnr"], tmp_path, CPU, 64)
    assert asked == [tmp_path]
