import dataclasses
import hashlib
import socket
import tarfile
import urllib.error
import warnings
from pathlib import Path

import lpips
import pytest
import torch
from PIL import Image
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
from torchvision.models import AlexNet_Weights, alexnet
from torchvision.transforms.v2.functional import pil_to_tensor

from gancolor import features
from gancolor.features import DamagedWeights, MissingWeights, inception, lpips_alex

SHARED = Path(__file__).parents[2] / "shared"
WEIGHTS = SHARED / "weights"
LOADERS = [inception, lpips_alex]
OFFICIAL = {
    inception: "weights-inception-2015-12-05-6726825d.pth",
    lpips_alex: "alexnet-owt-7be5be79.pth",
}

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared")
each_loader = pytest.mark.parametrize("load", LOADERS, ids=lambda load: load.__name__)


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """An empty cache and no network; the calls to the hub are recorded."""
    calls = []

    def refuse(url, dst, hash_prefix):
        calls.append((url, Path(dst), hash_prefix, socket.getdefaulttimeout()))
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GANCOLOR_WEIGHTS", raising=False)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return calls


@pytest.fixture
def cache(tmp_path):
    folder = tmp_path / "home" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def photographs():
    """Two photographs of 224×224."""
    with tarfile.open(SHARED / "data" / "imagenette224-subset.tar") as tar:
        jpegs = [member for member in tar if member.name.endswith(".JPEG")][:2]
        return torch.stack([pil_to_tensor(Image.open(tar.extractfile(jpeg)).convert("RGB")) for jpeg in jpegs])


def reference_lpips(backbone):
    """The lpips package's own network with the convolutions of a torchvision AlexNet, copied one by one."""
    with warnings.catch_warnings(action="ignore"):
        network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    theirs = [module for module in network.net.modules() if isinstance(module, nn.Conv2d)]
    ours = [module for module in backbone.features if isinstance(module, nn.Conv2d)]
    for target, source in zip(theirs, ours, strict=True):
        target.load_state_dict(source.state_dict())
    return network.eval()


@pytest.fixture
def small_alexnet(tmp_path, monkeypatch):
    """A folder with random AlexNet weights that count as genuine, and the network that has them."""
    torch.manual_seed(5)
    backbone = alexnet(weights=None)
    state = {key: value for key, value in backbone.state_dict().items() if "weight" not in key or "features" in key}
    folder = tmp_path / "weights"
    folder.mkdir()
    path = folder / OFFICIAL[lpips_alex]
    torch.save(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    genuine = dataclasses.replace(features._ALEXNET, sha256={path.name: digest[:8]})
    monkeypatch.setattr(features, "_ALEXNET", genuine)
    return folder, backbone


def test_lpips_gets_the_backbone_of_the_file(small_alexnet):
    folder, backbone = small_alexnet
    fake, real = torch.rand(2, 3, 3, 64, 80) * 2 - 1
    expected = reference_lpips(backbone)(fake, real)
    network = lpips_alex(folder)
    torch.testing.assert_close(network(fake, real), expected, rtol=0, atol=0)
    assert expected.min() > 0
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_environment_names_a_folder(small_alexnet, monkeypatch, offline):
    monkeypatch.setenv("GANCOLOR_WEIGHTS", str(small_alexnet[0]))
    lpips_alex()
    assert not offline


def test_the_cache_is_looked_at_after_the_folder(small_alexnet, cache, tmp_path, offline):
    name = OFFICIAL[lpips_alex]
    (small_alexnet[0] / name).rename(cache / name)
    lpips_alex(small_alexnet[0])
    assert not offline


def test_a_download_lands_in_the_cache(small_alexnet, monkeypatch, tmp_path):
    file = small_alexnet[0] / OFFICIAL[lpips_alex]
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda url, dst, hash_prefix: file.rename(dst))
    lpips_alex()
    assert (tmp_path / "home" / "hub" / "checkpoints" / file.name).is_file()


def test_loading_draws_no_random_numbers_and_is_silent(small_alexnet, capfd):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    lpips_alex(small_alexnet[0])
    assert torch.equal(torch.rand(3), expected)
    assert capfd.readouterr() == ("", "")


@each_loader
def test_missing_weights_say_which_file_goes_where(load, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(MissingWeights) as error:
        load(folder)
    message = str(error.value)
    official = {inception: (URL_INCEPTION_V3, "91 MB"), lpips_alex: (AlexNet_Weights.DEFAULT.url, "233 MB")}
    cache = tmp_path / "home" / "hub" / "checkpoints"
    for part in (*official[load], OFFICIAL[load], str(folder), str(cache), "no route to host", "--weights"):
        assert part in message


@each_loader
def test_the_hub_is_asked_once_with_the_hash_and_a_timeout(load, tmp_path, offline):
    with pytest.raises(MissingWeights):
        load()
    [(url, path, prefix, timeout)] = offline
    assert path == tmp_path / "home" / "hub" / "checkpoints" / OFFICIAL[load]
    assert url.endswith(path.name)
    assert path.stem.endswith(prefix)
    assert timeout == 10
    assert socket.getdefaulttimeout() is None


@each_loader
def test_a_damaged_file_is_named(load, cache, offline):
    path = cache / OFFICIAL[load]
    path.write_bytes(b"half of it")
    with pytest.raises(DamagedWeights, match=r"is damaged or another file.*Delete it and fetch it again") as error:
        load()
    assert str(path) in str(error.value)
    assert not offline


@each_loader
def test_a_folder_that_is_not_there_is_an_error(load, tmp_path):
    with pytest.raises(NotADirectoryError, match="typo: no such folder"):
        load(tmp_path / "typo")


@pytest.mark.shared
@needs_shared
def test_inception_is_torch_fidelity_s(tmp_path):
    state = torch.load(WEIGHTS / "fid_inception_v3_2015-12-05_nofc.pth", weights_only=True)
    torch.save(state | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, tmp_path / "full.pth")
    reference = FeatureExtractorInceptionV3("reference", ["2048"], str(tmp_path / "full.pth"))
    images = photographs()
    network = inception(WEIGHTS)
    found = network(images)
    torch.testing.assert_close(found, reference(images)[0], rtol=0, atol=0)
    assert 0.2 < found.mean() < 0.6  # pool3 of natural pictures
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.shared
@needs_shared
def test_lpips_is_the_package_s_on_the_real_backbone():
    backbone = alexnet(weights=None)
    state = torch.load(WEIGHTS / "torchvision_alexnet_features.pth", weights_only=True)
    missing, unexpected = backbone.load_state_dict(state, strict=False)
    assert all(key.startswith("classifier") for key in missing)
    assert not unexpected
    fake, real = photographs().float() / 127.5 - 1
    expected = reference_lpips(backbone)(fake[None], real[None])
    torch.testing.assert_close(lpips_alex(WEIGHTS)(fake[None], real[None]), expected, rtol=0, atol=0)
