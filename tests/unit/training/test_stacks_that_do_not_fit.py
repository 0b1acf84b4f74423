"""A stack that does not fit is refused, made smaller or trained one run after another."""

import sys
from pathlib import Path

import pytest
from lab import config_of
from stacks import bare

import gp_lab.training.memory
import gp_lab.training.stacking
from gp_lab.errors import BadInput
from gp_lab.launching.local import train_all
from gp_lab.runs.folder import State, find_runs
from gp_lab.training.engine import Engine
from gp_lab.training.iteration import Iteration
from gp_lab.training.setup import setup
from gp_lab.training.stacking import bytes_per_replica
from gp_lab.training.trainer import train


def test_a_stack_that_is_too_large_for_the_memory_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [bare(f"seed={seed}", "steps=2", f"out={tmp_path}") for seed in range(4)]
    each = bytes_per_replica(setup(configs[0]))
    monkeypatch.setattr(gp_lab.training.memory, "free_bytes", lambda device: int(2.5 * each))
    with pytest.raises(BadInput, match=r"max_stack=4: 4 replicas need .* at most 2 fit"):
        train_all(configs, max_stack=4)
    assert not list(find_runs(tmp_path))
    monkeypatch.setattr(gp_lab.training.memory, "free_bytes", lambda device: int(4.5 * each))
    results = train_all(configs, max_stack="auto")  # half of the memory is for two
    assert [o.folder.status["stack"] for o in results] == [2] * 4


def test_what_a_replica_takes_is_worked_out_for_those_alone_that_can_be_stacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred architectures, each in one run, would cost minutes before the first one trains."""
    asked = []
    stacking = gp_lab.training.stacking
    monkeypatch.setattr(stacking, "bytes_per_replica", lambda run: asked.append(run) or 1)
    words = [("seed=0",), ("seed=1",), ("architecture.width=4",), ("architecture.depth=1",)]
    configs = [bare(*one, "steps=1", f"out={tmp_path}") for one in words]
    results = train_all(configs, max_stack="auto")
    assert [o.folder.status["stack"] for o in results] == [2, 2, 1, 1]
    assert len(asked) == 1


def test_a_stack_that_runs_out_of_memory_is_halved_until_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    once = Iteration.__call__

    def short_of_memory(self: Iteration, engine: Engine, state: dict, step: int) -> object:
        if engine.stack > 1:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate")
        return once(self, engine, state, step)

    monkeypatch.setattr(Iteration, "__call__", short_of_memory)
    configs = [bare(f"seed={seed}", "steps=2", f"out={tmp_path}") for seed in range(4)]
    results = train(configs, progress=True)
    assert [(o.state, o.folder.status["stack"]) for o in results] == [(State.FINISHED, 1)] * 4
    assert "a stack of 4 does not fit the memory: 2 of 2 instead" in capsys.readouterr().err


NET = """
import torch
from torch import nn

class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.dropout = nn.Dropout(0.5)
    def forward(self, x):
        return self.linear(self.dropout(x))[:, 0]

class Seeded(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.register_buffer("features", torch.randn(2, 2))
    def forward(self, x):
        return self.linear(x @ self.features)[:, 0]
"""


@pytest.mark.parametrize(
    ("net", "why"),
    [("Noisy", "cannot be stacked"), ("Seeded", "has buffers that depend on the seed")],
)
def test_networks_that_cannot_be_stacked_are_trained_one_after_another_and_it_is_said(
    net: str,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "my_nets.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    configs = []
    for seed in range(3):
        config = bare(f"seed={seed}", "steps=2", "trust=[my_nets]", f"out={tmp_path}")
        own = {"discriminator": {"_target_": f"my_nets.{net}"}}
        configs.append(config | {"architecture": config["architecture"] | own})
    results = train(configs, progress=True)
    sys.modules.pop("my_nets")
    assert [(o.state, o.folder.status["stack"]) for o in results] == [(State.FINISHED, 1)] * 3
    assert f"architecture=mlp_tanh_64 {why}" in capsys.readouterr().err


def test_a_stack_of_networks_that_fill_the_cpu_is_trained_one_after_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    big = ("architecture.width=512", "architecture.depth=2", "steps=1")
    results = train(
        [bare(*big, f"seed={seed}", f"out={tmp_path}") for seed in range(2)], progress=True
    )
    assert [o.folder.status["stack"] for o in results] == [1, 1]
    assert "fills the CPU, stacked or not: trained one after another" in capsys.readouterr().err


def test_the_estimate_of_memory_grows_with_the_networks_and_the_batch(tmp_path: Path) -> None:
    def bytes_of(*overrides: str) -> int:
        return bytes_per_replica(setup(config_of(*overrides)))

    assert bytes_of("architecture.width=64") > bytes_of("architecture.width=32")
    assert bytes_of("batch_size=4096") > 1.5 * bytes_of("batch_size=1024")
    assert bytes_of("precision=fp64") == 2 * bytes_of()
