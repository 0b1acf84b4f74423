"""Inception features and FID, against pytorch-fid's own functions on files, with random weights."""

import hashlib
import importlib
import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import normal, uniform
from PIL import Image
from scipy import linalg
from torch import Tensor

from gp_lab.data.torchvision_import import import_torchvision
from gp_lab.errors import BadInput
from gp_lab.evaluation import inception
from gp_lab.evaluation.frechet import Moments, frechet_distance
from gp_lab.evaluation.inception import (
    CLASSES,
    FEATURES,
    Inception,
    as_levels,
    load_inception,
    random_inception,
    scan,
)
from gp_lab.evaluation.inception_score import inception_score
from gp_lab.training.setup import products_in

pytestmark = pytest.mark.skipif(
    find_spec("pytorch_fid") is None or find_spec("torchvision") is None,
    reason="pytorch-fid and torchvision are not here",
)


@pytest.fixture(scope="module")
def network() -> Inception:
    return random_inception()


@pytest.fixture
def fid_score(network: Inception, monkeypatch: pytest.MonkeyPatch) -> Any:
    """pytorch_fid.fid_score with the random weights, and with a square root that new SciPy has."""
    import_torchvision()
    module = importlib.import_module("pytorch_fid.fid_score")
    inception = importlib.import_module("pytorch_fid.inception")
    weights = network.net.state_dict()
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: weights)
    root = linalg.sqrtm

    def sqrtm(matrix: np.ndarray, disp: bool = True) -> Any:
        return root(matrix) if disp else (root(matrix), None)

    monkeypatch.setattr(module.linalg, "sqrtm", sqrtm)
    return module


def pictures(n: int, seed: int, side: int = 32) -> Tensor:
    """Coloured waves with some noise [n, 3, side, side], uint8."""
    at = torch.linspace(0, 1, side, dtype=torch.float64)
    turns = 6 * normal(n, 3, 1, 1, seed=seed)
    waves = torch.sin(turns * at + (seed + 1) * turns.flip(1) * at[:, None])
    levels = 127.5 * (1 + waves) + 20 * normal(n, 3, side, side, seed=seed + 50)
    return levels.round().clamp(0, 255).to(torch.uint8)


def write(folder: Path, images: Tensor) -> Path:
    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i:03d}.png")
    return folder


def scaled(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1


def test_the_distance_is_the_one_of_pytorch_fid_on_the_same_activations(fid_score: Any) -> None:
    a, b = normal(300, 48), normal(200, 48, seed=1) @ normal(48, 48, seed=2) + 0.3
    gaussians = [x.numpy().mean(0) if mean else np.cov(x.T) for x in (a, b) for mean in (1, 0)]
    expected = fid_score.calculate_frechet_distance(*gaussians)
    assert frechet_distance(Moments.of(a), Moments.of(b)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.seconds
def test_pool3_is_the_one_of_pytorch_fid_on_the_same_files(
    network: Inception, fid_score: Any, tmp_path: Path
) -> None:
    images = pictures(2, seed=0)
    files = sorted(write(tmp_path / "images", images).iterdir())
    model = fid_score.InceptionV3([3])
    expected = fid_score.get_activations(files, model, batch_size=2, num_workers=0)
    found, logits = network(scaled(images))
    assert expected.shape == (2, FEATURES)
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert logits.shape == (2, CLASSES)
    torch.testing.assert_close(logits + network.net.fc.bias, network.net.fc(found))


@pytest.mark.slow
def test_fid_of_two_folders_is_the_one_of_pytorch_fid(
    network: Inception, fid_score: Any, tmp_path: Path
) -> None:
    """The images of one folder are in [-1, 1] in the lab, PNG files in pytorch-fid."""
    sets = [pictures(24, seed=0), pictures(20, seed=1)]
    folders = [str(write(tmp_path / str(i), images)) for i, images in enumerate(sets)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its square root is of a singular matrix
        expected = fid_score.calculate_fid_given_paths(folders, 8, "cpu", FEATURES, num_workers=0)
    (a, _, _), (b, sums, _) = (scan(scaled(x).split(8), network, len(x)) for x in sets)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-4)
    assert 1 <= inception_score(sums).mean <= 2


@pytest.mark.seconds
def test_in_bf16_fid_is_nearly_that_of_fp32_and_kept_apart(
    network: Inception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "SIDE", 75)
    low = random_inception(precision="bf16")
    assert low.identity != network.identity
    sets = [scaled(torch.cat([pictures(4, seed=10 * s + i) for i in range(4)])) for s in (0, 1)]
    a, b = ([scan([x], net, len(x)).moments for x in sets] for net in (network, low))
    assert frechet_distance(*b) == pytest.approx(frechet_distance(*a), rel=0.01)
    apart = [frechet_distance(one, other) for one, other in zip(a, b, strict=True)]
    assert 0 < max(apart) < 0.01 * frechet_distance(*a)


@pytest.mark.gpu
@pytest.mark.seconds
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpu_gives_the_features_of_the_cpu(network: Inception, precision: Any) -> None:
    device = os.environ.get("GP_LAB_TEST_DEVICE", "cuda")
    products_in("fp32")
    images = scaled(pictures(3, seed=0))
    found = random_inception(device=device, precision=precision)(images)[0].cpu()
    expected = network(images)[0]
    bound = {"fp32": 1e-4, "bf16": 2e-2}[precision]
    assert (found - expected).norm() < bound * expected.norm()


def test_batch_norm_is_folded_into_a_copy_of_the_network(network: Inception) -> None:
    before = {k: x.clone() for k, x in network.net.state_dict().items()}
    computed = network._as_computed(torch.device("cpu"))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in computed.modules())
    assert network._as_computed(torch.device("cpu")) is computed
    for name, x in network.net.state_dict().items():
        assert torch.equal(x, before[name])


def test_images_go_through_a_gpu_in_large_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception, "AT_ONCE", 10)
    batches = [torch.full((4, 1), i) for i in range(6)]
    cpu, gpu = (list(inception.together(batches, torch.device(d))) for d in ("cpu", "cuda"))
    assert [len(x) for x in cpu] == [4] * 6
    assert [len(x) for x in gpu] == [12, 12]
    assert torch.equal(torch.cat(gpu), torch.cat(batches))


@pytest.mark.seconds
def test_batches_and_ranks_add_up_to_one_pass_over_all(network: Inception) -> None:
    images = scaled(pictures(3, seed=2))
    whole, whole_sums, kept = scan([images], network, 3, splits=2, keep=2)
    first = scan([images[:1]], network, 3, splits=2, keep=2)
    second = scan([images[1:2], images[2:]], network, 3, start=1, splits=2, keep=2)
    torch.testing.assert_close(kept, network(images)[0][:2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.cat([first[2], second[2]]), kept, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close((first[0] + second[0]).flat(), whole.flat(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close((first[1] + second[1]).flat(), whole_sums.flat())


def test_levels_are_those_of_a_file() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(as_levels(scaled(levels)), levels.float())
    assert as_levels(torch.tensor([-7.0, 0.0011, 1.2])).tolist() == [0, 128, 255]


def test_grey_images_are_repeated_over_three_channels(network: Inception) -> None:
    grey = 2 * uniform(1, 1, 28, 28) - 1
    found, same = network(grey)[0], network(grey.expand(-1, 3, -1, -1))[0]
    torch.testing.assert_close(found, same)
    with pytest.raises(ValueError, match=r"got \[1, 2, 28, 28\]"):
        network(grey.expand(-1, 2, -1, -1))


def test_the_network_stays_in_evaluation_mode_without_gradients(network: Inception) -> None:
    network.train()
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())


@pytest.mark.seconds
def test_weights_come_from_a_file_with_the_right_checksum(
    network: Inception, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(network.net.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = load_inception(path, sha256=digest[:8])
    assert loaded.identity == f"inception-{digest}"
    for name, x in network.net.state_dict().items():
        assert torch.equal(loaded.net.state_dict()[name], x)


def test_other_weights_or_none_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(BadInput, match=r"weights=.*weights.pth: no such file; download it from "):
        load_inception(path)
    path.write_bytes(b"<html>404</html>")
    begins = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    with pytest.raises(BadInput, match=f"begins with {begins}, not 6726825d") as caught:
        load_inception(path)
    assert "\n" not in str(caught.value)


def test_a_download_that_fails_says_where_the_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def offline(url: str, *_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(BadInput, match=r"\(no route to host\); put https://.*-6726825d.pth"):
        load_inception()


def test_half_a_download_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(inception, "WEIGHTS_SHA256", hashlib.sha256(b"whole").hexdigest()[:8])
    fetched: list[str] = []

    def download(url: str, target: str, *_: object, **__: object) -> None:
        fetched.append(url)
        Path(target).write_bytes(b"whole")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    path = tmp_path / "checkpoints" / "weights.pth"
    path.parent.mkdir()
    path.write_bytes(b"who")
    for _ in range(2):  # the second time it is there
        assert inception._download("https://example.org/weights.pth").read_bytes() == b"whole"
    assert len(fetched) == 1


def test_a_download_is_checked_and_one_that_is_not_whole_is_not_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    asked = []

    def download(url: str, path: str, prefix: str, progress: bool) -> None:
        asked.append((url.rsplit("/", 1)[1], prefix))
        Path(path).write_bytes(b"damaged since")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for _ in range(2):
        with pytest.raises(BadInput, match="not the Inception weights"):
            load_inception()
    assert asked == [("pt_inception-2015-12-05-6726825d.pth", "6726825d")] * 2


def test_random_weights_are_the_same_for_the_same_seed(network: Inception) -> None:
    state = torch.random.get_rng_state()
    again, other = random_inception(0), random_inception(1)
    assert torch.equal(again.net.fc.weight, network.net.fc.weight)
    assert not torch.equal(other.net.fc.weight, network.net.fc.weight)
    assert again.identity == network.identity != other.identity
    assert torch.equal(torch.random.get_rng_state(), state)
