"""Runs to sample from: of images by networks of one's own, of points and of texts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lab import trained

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder

SIDE, CLASSES = 8, 3
BASE = ("tracking=none", "threads=1", "device=cpu", "steps=2", "batch_size=4", "penalty=none")

NETS = '''
import torch
from torch import nn

class Generator(nn.Module):
    """Brightness is the class: dark, grey, bright."""
    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, z, labels=None):
        level = z.mean(1) if labels is None else labels.to(z.dtype) - 1
        return (level + self.shift)[:, None, None, None].expand(-1, 1, 8, 8).tanh()

class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.slope * x.mean((1, 2, 3))
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with grey images of three classes, networks of its own, and a text."""
    home = tmp_path_factory.mktemp("sample")
    (home / "sample_nets.py").write_text(NETS)
    images = np.random.default_rng(0).integers(0, 256, (30, 1, SIDE, SIDE), dtype=np.uint8)
    np.save(home / "train.npy", images)
    np.save(home / "train_labels.npy", np.arange(30) % CLASSES)
    (home / "text.txt").write_text("".join(f"line number {i}\n" for i in range(20)))
    group = home / "configs" / "architecture"
    group.mkdir(parents=True)
    for name, classes in (("plain", 0), ("conditional", CLASSES)):
        (group / f"{name}.yaml").write_text(
            f"name: {name}\nlatent: {{_target_: gp_lab.data.latent.Normal, dim: 5}}\n"
            f"generator: {{_target_: sample_nets.Generator, classes: {classes}}}\n"
            "discriminator: {_target_: sample_nets.Discriminator}\n"
        )
    return home


@pytest.fixture(scope="module")
def made(home: Path) -> Callable[..., RunFolder]:
    """Trains a run of two steps with these overrides; its folder."""

    def make(*overrides: str) -> RunFolder:
        out = home / "out"
        before = set((out / "runs").glob("*")) if out.exists() else set()
        own = f"--config-dir={home / 'configs'}"
        assert main(["train", own, *BASE, f"out={out}", *overrides]) == Exit.OK
        (path,) = set((out / "runs").glob("*")) - before
        return RunFolder(path)

    return make


IMAGES = ("dataset=image_array", f"dataset.source.image_size={SIDE}", "dataset.source.channels=1")


@pytest.fixture(scope="module", autouse=True)
def own_networks(home: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        yield


@pytest.fixture(scope="module")
def plain(home: Path, made: Callable[..., RunFolder]) -> RunFolder:
    return made(*IMAGES, f"dataset.root={home}", "architecture=plain", "trust=[sample_nets]")


@pytest.fixture(scope="module")
def conditional(home: Path, made: Callable[..., RunFolder]) -> RunFolder:
    return made(*IMAGES, f"dataset.root={home}", "architecture=conditional", "trust=[sample_nets]")


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained("steps=2", f"out={tmp_path_factory.mktemp('points')}")


def sampled(capsys: pytest.CaptureFixture[str], folder: RunFolder, *flags: str) -> Path:
    """The file that the command says it wrote."""
    capsys.readouterr()
    assert main(["sample", str(folder.path), "trust=sample_nets", *flags]) == Exit.OK
    return Path(capsys.readouterr().out.strip())
