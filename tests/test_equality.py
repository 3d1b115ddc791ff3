"""Several processes against one, in every game: forked here over gloo, as torchrun would start them."""

from functools import partial
from pathlib import Path

import pytest
import torch
from processes import together
from torch import Tensor
from torch.optim import SGD

from gancolor.adversarial import Hinge, LeastSquares, Vanilla
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.discriminators import PatchGAN
from gancolor.generators import UNet
from gancolor.interfaces import Objective
from gancolor.layers import Norm
from gancolor.losses import L1, RarityL1
from gancolor.training import Training

BATCH, STEPS = 12, 4  # later the kinks of ReLU and L1 turn rounding into more than 1e-6
SCENES = ColorData(Scenes(train=48, val=5, size=36), size=32, load_size=36, batch_size=BATCH, workers=0)

GAMES: list[Objective] = [Vanilla(), LeastSquares(), Hinge()]
NORMS: list[Norm] = ["group", "instance"]
CASES = {f"{type(game).__name__}-{norm}": (game, norm) for game in GAMES for norm in NORMS}


def colorizer(game: Objective, norm: Norm, accumulate: int = 1) -> Colorizer:
    """Small networks without noise, and SGD: Adam would blow rounding up to the size of its learning rate."""
    torch.manual_seed(0)
    descend = partial(SGD, lr=1e-3)
    return Colorizer(
        UNet(depth=5, width=8, norm=norm, dropout=0.0),
        PatchGAN(layers=2, width=8, norm=norm),
        game,
        {"l1": L1(50.0), "rarity": RarityL1(50.0)},
        descend,
        descend,
        images=BATCH * STEPS,
        accumulate=accumulate,
        ema_decay=0.9,
    )


def fit_all(folder: Path, accumulate: int, _rank: int) -> dict[str, dict[str, Tensor]]:
    """The trained weights of every game with every norm."""
    result: dict[str, dict[str, Tensor]] = {}
    for name, (game, norm) in CASES.items():
        model = colorizer(game, norm, accumulate)
        Training(accelerator="cpu", validate_every=BATCH * STEPS, log_every=1).fit(model, SCENES, folder / name)
        result[name] = model.state_dict()
    return result


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """What one process makes of them."""
    folder = tmp_path_factory.mktemp("alone")
    [weights] = together(1, folder, partial(fit_all, folder, 1))
    for name, (game, norm) in CASES.items():  # or two that have not learned would be equal, too
        before = colorizer(game, norm).state_dict()
        for role in "generator", "discriminator", "average":
            assert any((weights[name][k] - v).abs().max() > 1e-4 for k, v in before.items() if k.startswith(role))
    return weights


@pytest.mark.parametrize(("processes", "accumulate"), [(2, 1), (2, 3), (3, 2)])
def test_weights_are_those_of_one_process(
    alone: dict[str, dict[str, Tensor]], tmp_path: Path, processes: int, accumulate: int
) -> None:
    for trained in together(processes, tmp_path, partial(fit_all, tmp_path, accumulate)):
        for case, one in alone.items():
            assert trained[case].keys() == one.keys()
            for name, weight in one.items():
                torch.testing.assert_close(
                    trained[case][name], weight, rtol=0, atol=1e-6, msg=lambda m, n=f"{case} {name}": f"{n}: {m}"
                )
