import pytest
import torch

from gancolor.devices import device
from gancolor.errors import InputError


def test_by_default_a_gpu_if_there_is_one_a_process_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda size, device: asked.append(device) or empty(size))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    device(None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    device(None)
    monkeypatch.setenv("LOCAL_RANK", "3")
    device(None)
    device("cpu")
    assert asked == ["cpu", "cuda:0", "cuda:3", "cpu"]


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_one_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"^--device {name}: .+"):
        device(name)
