"""Small runs on images whose probes score them."""

import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import once, trained

from gp_lab.evaluation import inception
from gp_lab.evaluation.inception import Inception, random_inception
from gp_lab.probes import references
from gp_lab.runs.folder import RunFolder

IMAGES = 14
FAKES = 12

PARTS = (
    "dataset=mnist",
    "dataset.source.checksum=false",
    "architecture=mlp_mnist",
    "architecture.width=8",
    "loss=non_saturating",
    "batch_size=5",
    "steps=4",
    "checkpoint_every=2",
    "tracking=none",
    "threads=1",
    "device=cpu",
    "compile=never",
)

INCEPTION = (
    "probe=[inception]",
    f"probe.inception.count={FAKES}",
    "probe.inception.splits=2",
    "probe.inception.subset=6",
    "probe.inception.k=2",
    "probe.inception.every=2",
)

CLASSIFIER = (
    "probe=[classifier,neighbours]",
    "probe.classifier.count=40",
    "probe.classifier.steps=5",
    "probe.neighbours.count=9",
)


def write_mnist(folder: Path, n: int = IMAGES) -> Path:
    """IDX files of n random images to train on and n held out."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for name, array in (
            ("images-idx3", random.integers(0, 256, (n, 28, 28), np.uint8)),
            ("labels-idx1", (np.arange(n) % 10).astype(np.uint8)),
        ):
            head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(head + array.tobytes())
    return folder


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mnist(tmp_path_factory.mktemp("mnist"))


@pytest.fixture(scope="module")
def network() -> Inception:
    return random_inception()


@pytest.fixture
def with_weights(network: Inception, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inception with random weights in place of the published ones, on small images: quicker."""
    use(network, monkeypatch)
    references._inception.cache_clear()
    yield
    references._inception.cache_clear()


def use(network: Inception, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inception, "SIDE", 75)
    patch.setattr(references, "load_inception", lambda weights, device, precision: network)


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No weights are here, and none can be downloaded."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "/none")
    monkeypatch.setattr(Path, "mkdir", _mkdir_elsewhere(Path.mkdir))
    references._inception.cache_clear()
    yield
    references._inception.cache_clear()


def _mkdir_elsewhere(mkdir: Callable[..., None]) -> Callable[..., None]:
    def make(self: Path, *args: Any, **kwargs: Any) -> None:
        if not str(self).startswith("/none"):
            mkdir(self, *args, **kwargs)

    return make


def run_on(mnist: Path, out: Path, *overrides: str) -> RunFolder:
    return trained(f"dataset.root={mnist}", f"out={out}", *overrides, base=PARTS)


@pytest.fixture(scope="module")
def scored(mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output root with a run of 4 iterations that was scored at its end."""

    def make(out: Path) -> None:
        run_on(mnist, out, *CLASSIFIER)

    return once(tmp_path_factory, "scored", make)


@pytest.fixture
def run(scored: Path, tmp_path: Path) -> RunFolder:
    """A copy of the run for a test's own."""
    (path,) = (scored / "runs").iterdir()
    return RunFolder(shutil.copytree(path, tmp_path / "run"))
