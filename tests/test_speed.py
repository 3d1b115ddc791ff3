"""What is to be faster computes the same, and leaves the same checkpoints."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from gancolor.adversarial import Vanilla
from gancolor.checkpoint import load
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.discriminators import PatchGAN
from gancolor.errors import InputError
from gancolor.generators import BinHead, UNet
from gancolor.interfaces import Penalty
from gancolor.layers import Norm
from gancolor.losses import L1, BinCrossEntropy
from gancolor.penalties import R1
from gancolor.training import Training
from gancolor.training.speed import prepare

BATCH, SIZE = 4, 32


def colorizer(
    images: int = 3 * BATCH,
    ema_decay: float = 0.0,
    norm: Norm = "batch",
    penalty: Penalty | None = None,
    bins: bool = False,
) -> Colorizer:
    torch.manual_seed(0)
    return Colorizer(
        UNet(depth=5, width=4, dropout=0.5, head=BinHead(reduction=2) if bins else None),
        PatchGAN(layers=1, width=4, norm=norm),
        Vanilla(),
        {"bins": BinCrossEntropy()} if bins else {"l1": L1()},
        penalty,
        images=images,
        decay_from=1.0,
        ema_decay=ema_decay,
    )


def fit(run_dir: Path, model: Colorizer, resume: Path | None = None, **options: object) -> Colorizer:
    data = ColorData(Scenes(train=16, val=4, size=36), size=SIZE, load_size=36, batch_size=BATCH, workers=0)
    training = Training(**{"accelerator": "cpu", "validate_every": 2 * BATCH, "log_every": 1, **options})  # type: ignore[arg-type]
    training.fit(model, data, run_dir, resume)
    return model


def last(run_dir: Path) -> Path:
    return run_dir / "checkpoints" / "last.ckpt"


def assert_close(a: dict[str, Tensor], b: dict[str, Tensor], atol: float) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=0, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_layout_changes_no_number(tmp_path: Path, average: float) -> None:
    planar = fit(tmp_path / "planar", colorizer(ema_decay=average), channels_last=False)
    inner = fit(tmp_path / "inner", colorizer(ema_decay=average), channels_last=True)
    weights = [p for p in inner.parameters() if p.dim() == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
    assert_close(planar.state_dict(), inner.state_dict(), atol=1e-6)
    used = [load(last(tmp_path / name)).generator.state_dict() for name in ("planar", "inner")]
    assert_close(*used, atol=1e-6)


@pytest.mark.parametrize("before", [True, False])
def test_layout_may_change_when_resuming(tmp_path: Path, before: bool) -> None:
    """Fused Adam reads weights and moments in the order of memory: of different layouts it makes a mess in silence."""
    whole = fit(tmp_path / "whole", colorizer(), channels_last=before)
    fit(tmp_path / "cut", colorizer(2 * BATCH), channels_last=before)
    resumed = fit(tmp_path / "cut", colorizer(), last(tmp_path / "cut"), channels_last=not before)
    assert_close(whole.state_dict(), resumed.state_dict(), atol=1e-6)
    first = next(resumed.generator.parameters())
    assert first.is_contiguous(memory_format=torch.contiguous_format if before else torch.channels_last)


def test_by_default_a_cpu_keeps_channels_outside(tmp_path: Path) -> None:
    assert fit(tmp_path, colorizer()).generator.get_parameter("down.1.1.weight").is_contiguous()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # a compiler's remarks
@pytest.mark.parametrize("bins", [False, True])
def test_compiled_networks_learn_the_same(tmp_path: Path, bins: bool) -> None:
    eager = fit(tmp_path / "eager", colorizer(ema_decay=0.9, bins=bins))
    counters.clear()
    compiled = fit(tmp_path / "compiled", colorizer(2 * BATCH, ema_decay=0.9, bins=bins), compile=True)
    assert counters["stats"]["unique_graphs"] >= 3  # the generator, and the discriminator with and without gradients
    assert copy.deepcopy(compiled.generator)._compiled_call_impl is None
    fit(
        tmp_path / "compiled", resumed := colorizer(ema_decay=0.9, bins=bins), last(tmp_path / "compiled"), compile=True
    )
    assert_close(eager.state_dict(), resumed.state_dict(), atol=1e-4)
    generator = load(last(tmp_path / "compiled")).generator
    assert_close(generator.state_dict(), load(last(tmp_path / "eager")).generator.state_dict(), atol=1e-4)


def test_compiling_a_judge_that_is_differentiated_twice_is_refused() -> None:
    model = colorizer(norm="instance", penalty=R1())
    with pytest.raises(InputError, match=r"training\.compile: colorizer\.penalty differentiates"):
        prepare(model, cuda=False, tf32=True, channels_last=False, compiled=True)
    assert model.discriminator._compiled_call_impl is None


def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gancolor.training.speed.shutil.which", lambda _: None)
    with pytest.raises(InputError, match=r"training\.compile needs a C\+\+ compiler"):
        prepare(colorizer(), cuda=False, tf32=True, channels_last=False, compiled=True)


def test_half_precision_needs_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"training\.precision is 16-mixed, which only GPUs have") as error:
        fit(tmp_path / "run", colorizer(), precision="16-mixed")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
