import dataclasses
import hashlib
import socket
import tarfile
import urllib.error
import warnings
from pathlib import Path

import lpips
import pytest
import pytorch_fid.inception as pytorch_fid
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import interpolate
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
from torchvision.models import AlexNet_Weights, Inception_V3_Weights, VGG16_Weights, inception_v3
from torchvision.transforms.v2.functional import pil_to_tensor

from gancolor.features import (
    DamagedWeights,
    MissingWeights,
    fingerprint,
    frechet,
    inception,
    inception_imagenet,
    inception_tf1,
    lpips_alex,
    lpips_vgg,
    perceptual,
)

SHARED = Path(__file__).parents[2] / "shared"
WEIGHTS = SHARED / "weights"
PUBLISHED = {
    inception: (frechet, "FID_INCEPTION", URL_INCEPTION_V3, "91 MB"),
    inception_tf1: (frechet, "FID_INCEPTION", URL_INCEPTION_V3, "91 MB"),
    inception_imagenet: (frechet, "IMAGENET_INCEPTION", Inception_V3_Weights.IMAGENET1K_V1.url, "104 MB"),
    lpips_alex: (perceptual, "ALEXNET", AlexNet_Weights.IMAGENET1K_V1.url, "233 MB"),
    lpips_vgg: (perceptual, "VGG16", VGG16_Weights.IMAGENET1K_V1.url, "528 MB"),
}

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared")
each_loader = pytest.mark.parametrize("load", PUBLISHED, ids=lambda load: load.__name__)
each_lpips = pytest.mark.parametrize(("load", "net"), [(lpips_alex, "alex"), (lpips_vgg, "vgg")], ids=["alex", "vgg"])


def official(load):
    """The name of a loader's official file."""
    return PUBLISHED[load][2].rsplit("/", 1)[1]


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


@pytest.fixture
def genuine(tmp_path, monkeypatch):
    """Puts weights into a folder under their official name, as if they were the official ones."""
    folder = tmp_path / "weights"
    folder.mkdir()

    def put(load, state):
        path = folder / official(load)
        torch.save(state, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        module, name, *_ = PUBLISHED[load]
        monkeypatch.setattr(module, name, dataclasses.replace(getattr(module, name), sha256={path.name: digest[:8]}))
        return folder

    return put


def random_pictures(height, width):
    """A light and a dark one."""
    pictures = torch.randint(0, 256, (2, 3, height, width), generator=torch.Generator().manual_seed(3))
    return (pictures // torch.tensor([1, 4])[:, None, None, None]).to(torch.uint8)


def lively(network):
    """Random weights under which activations neither die out nor grow, and statistics that are not 0 and 1."""
    torch.manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.running_var):
                nn.init.uniform_(values, 0.8, 1.2)
            for values in (module.bias, module.running_mean):
                nn.init.uniform_(values, -0.1, 0.1)
    return network.eval()


def fid_state():
    return lively(inception_v3(num_classes=1008, aux_logits=False, init_weights=False)).state_dict()


def pytorch_fid_features(state, images, monkeypatch):
    """pytorch-fid's own network, given images as its own data set gives them."""
    monkeypatch.setattr(pytorch_fid, "load_state_dict_from_url", lambda url, progress: state)
    with torch.no_grad():
        return pytorch_fid.InceptionV3().eval()(images.float() / 255)[0].flatten(1)


def torch_fidelity_features(state, images, tmp_path):
    torch.save(state, tmp_path / "full.pth")
    return FeatureExtractorInceptionV3("reference", ["2048"], str(tmp_path / "full.pth"))(images)[0]


def frozen(network):
    """Without gradients and without what training would change."""
    parameters = [parameter.requires_grad for parameter in network.parameters()]
    return not any(parameters + [module.training for module in network.modules()])


def close(found, expected, tolerance):
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def test_inception_is_pytorch_fid_s(genuine, monkeypatch):
    state = fid_state()
    images = random_pictures(64, 320)  # enlarged and reduced
    expected = pytorch_fid_features(state, images, monkeypatch)
    assert (expected[0] - expected[1]).abs().max() > 0.01
    network = inception(genuine(inception, state))
    close(network(images), expected, 1e-5 * expected.max())
    assert frozen(network)


def test_inception_tf1_is_torch_fidelity_s(genuine, tmp_path):
    state = fid_state()
    images = random_pictures(64, 80)
    expected = torch_fidelity_features(state, images, tmp_path)
    close(inception_tf1(genuine(inception_tf1, state))(images), expected, 1e-5 * expected.max())


def test_inception_imagenet_is_torchvision_s_network_on_the_pale_images_of_ddcolor(genuine):
    reference = lively(inception_v3(transform_input=True, init_weights=False))  # scales by mean and deviation itself
    folder = genuine(inception_imagenet, reference.state_dict())
    reference.fc = nn.Identity()
    images = random_pictures(64, 80)
    with torch.no_grad():
        expected = reference(interpolate(images / 255, (299, 299), mode="bilinear") * 0.5 + 0.5)
    assert (expected[0] - expected[1]).abs().max() > 0.01
    close(inception_imagenet(folder)(images), expected, 1e-5 * expected.max())


def package_lpips(net):
    """The lpips package's own network, and its random backbone in torchvision's names."""
    torch.manual_seed(5)
    with warnings.catch_warnings(action="ignore"):
        network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).requires_grad_(False)
    return network, {f"features.{key.split('.', 1)[1]}": value for key, value in network.net.state_dict().items()}


@each_lpips
def test_lpips_is_the_package_s(genuine, load, net):
    reference, state = package_lpips(net)
    fake, real = random_pictures(64, 80)[:, None].expand(2, 2, 3, 64, 80).clone()
    real[1] = real[1].flip(-1)
    expected = reference(fake / 127.5 - 1, real / 127.5 - 1).flatten()
    assert expected.min() > 0.01
    assert expected[0] != expected[1]
    network = load(genuine(load, state))
    assert frozen(network)
    close(network(fake, real), expected, 1e-6)
    close(network.distance(network.activations(fake), network.activations(real)), expected, 1e-6)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_the_learned_weights_of_lpips_have_a_root(net):
    learned = torch.load(Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth", "cpu", weights_only=True)
    assert len(learned) == 5
    assert all(weight.min() >= 0 for weight in learned.values())


def test_a_picture_is_at_no_distance_from_itself(genuine):
    black = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    _, state = package_lpips("alex")
    for key in state:
        state[key].zero_()  # activations of length 0 have no direction
    assert lpips_alex(genuine(lpips_alex, state))(black, random_pictures(64, 64)[:1]) == 0


def test_the_environment_names_a_folder(genuine, monkeypatch, offline):
    monkeypatch.setenv("GANCOLOR_WEIGHTS", str(genuine(lpips_alex, package_lpips("alex")[1])))
    lpips_alex()
    assert not offline


def test_the_cache_is_looked_at_after_the_folder(genuine, cache, offline):
    folder = genuine(lpips_alex, package_lpips("alex")[1])
    (folder / official(lpips_alex)).rename(cache / official(lpips_alex))
    lpips_alex(folder)
    assert not offline


def test_a_download_lands_in_the_cache(genuine, monkeypatch, tmp_path):
    file = genuine(lpips_alex, package_lpips("alex")[1]) / official(lpips_alex)
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda url, dst, hash_prefix: file.rename(dst))
    lpips_alex()
    assert (tmp_path / "home" / "hub" / "checkpoints" / file.name).is_file()


def test_loading_draws_no_random_numbers_and_is_silent(genuine, capfd):
    folder = genuine(lpips_alex, package_lpips("alex")[1])
    genuine(inception, fid_state())
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    for load in (lpips_alex, inception):
        load(folder)
    assert torch.equal(torch.rand(3), expected)
    assert capfd.readouterr() == ("", "")


def test_a_fingerprint_tells_what_computes(genuine):
    folder = genuine(inception, fid_state())
    networks = [inception(folder), inception(folder), inception_tf1(folder)]
    one, same, other = map(fingerprint, networks)
    assert one == same == fingerprint(networks[0].to(memory_format=torch.contiguous_format))
    assert one != other  # the same weights on other images
    next(networks[1].parameters())[0, 0, 0, 0] += 1e-6
    assert fingerprint(networks[1]) != one
    assert len(one) == 64


def test_a_fingerprint_takes_in_names_shapes_and_types():
    whole = [{"a": torch.zeros(2)}, {"b": torch.zeros(2)}, {"a": torch.zeros(1, 2)}, {"a": torch.zeros(4).half()}]
    modules = [nn.Module() for _ in whole]
    for module, [(name, values)] in zip(modules, map(dict.items, whole), strict=True):
        module.register_buffer(name, values)
    assert len(set(map(fingerprint, modules))) == len(whole)


@each_loader
def test_missing_weights_say_which_file_goes_where(load, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(MissingWeights) as error:
        load(folder)
    cache = tmp_path / "home" / "hub" / "checkpoints"
    for part in (*PUBLISHED[load][2:], official(load), str(folder), str(cache), "no route to host", "--weights"):
        assert part in str(error.value)


@each_loader
def test_the_hub_is_asked_once_with_the_hash_and_a_timeout(load, tmp_path, offline):
    with pytest.raises(MissingWeights):
        load()
    [(url, path, prefix, timeout)] = offline
    assert path == tmp_path / "home" / "hub" / "checkpoints" / official(load)
    assert url.endswith(path.name)
    assert path.stem.endswith(prefix)
    assert timeout == 10
    assert socket.getdefaulttimeout() is None


@each_loader
def test_a_damaged_file_is_named(load, cache, offline):
    path = cache / official(load)
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
def test_the_features_of_photographs_are_those_of_both_packages(tmp_path, monkeypatch):
    state = torch.load(WEIGHTS / "fid_inception_v3_2015-12-05_nofc.pth", weights_only=True)
    state |= {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    images = photographs()
    found = inception(WEIGHTS)(images)
    assert 0.2 < found.mean() < 0.6  # pool3 of natural pictures
    close(found, pytorch_fid_features(state, images, monkeypatch), 1e-4)
    close(inception_tf1(WEIGHTS)(images), torch_fidelity_features(state, images, tmp_path), 1e-4)


@pytest.mark.shared
@needs_shared
def test_lpips_of_photographs_is_the_package_s():
    reference, state = package_lpips("alex")
    real_state = torch.load(WEIGHTS / "torchvision_alexnet_features.pth", weights_only=True)
    assert state.keys() == {key for key in real_state if key.startswith("features")}
    reference.net.load_state_dict(
        {key: real_state["features." + key.split(".", 1)[1]] for key in reference.net.state_dict()}
    )
    fake, real = photographs()[:, None]
    expected = reference(fake / 127.5 - 1, real / 127.5 - 1).flatten()
    close(lpips_alex(WEIGHTS)(fake, real), expected, 1e-6)
    assert 0.5 < expected < 1  # two unrelated photographs
