"""Stacks of runs that differ in more than their seed: same numbers, own folders, clear refusals."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers import names_in
from lab import assert_same_run, config_of, final, signal_at, trained, values
from stacks import BARE, bare

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.local import groups
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import Config
from gp_lab.runs.result import RunResult
from gp_lab.training.stacking import differing, refuse_unlike, structure_key
from gp_lab.training.trainer import train


def alike(a: RunResult, b: RunResult, tolerance: float) -> None:
    """Two runs' final tensors and metrics are equal to a tolerance."""
    (_, of_a), (_, of_b) = final(a.folder), final(b.folder)
    assert of_a.keys() == of_b.keys()
    for name in of_a:
        torch.testing.assert_close(
            of_a[name], of_b[name], rtol=tolerance, atol=tolerance, equal_nan=True, msg=name
        )
    for line, other in zip(a.folder.metrics(), b.folder.metrics(), strict=True):
        assert line == pytest.approx(other, abs=tolerance, rel=tolerance)


def compare(tmp_path: Path, own: list[tuple[str, ...]], *common: str, tolerance: float) -> None:
    """Runs with keys of their own, as one stack and alone; the folders are named alike."""

    def configs(name: str) -> list[Config]:
        return [bare(*common, *keys, f"out={tmp_path / name}") for keys in own]

    together = train(configs("together"), progress=False)
    assert [o.folder.status["stack"] for o in together] == [len(own)] * len(own)
    assert len({tuple(t.flatten().tolist()) for t in [_weights(o) for o in together]}) == len(own)
    for result, config in zip(together, configs("alone"), strict=True):
        (alone,) = train([config], progress=False)
        assert alone.folder.status["stack"] == 1
        assert alone.folder.path.name == result.folder.path.name
        assert alone.folder.config | {"out": ""} == result.folder.config | {"out": ""}
        alike(result, alone, tolerance)


def _weights(result: RunResult) -> torch.Tensor:
    return final(result.folder)[1]["d/output.weight"]


LOSSES = {
    **dict.fromkeys(("non_saturating", "hinge", "combined"), ("rmsprop", "zero_gp")),
    **dict.fromkeys(("least_squares", "exp"), ("sgd", "max_gp")),
}
"""Every loss with some optimiser and penalty; every penalty is run below."""


@pytest.mark.seconds
@pytest.mark.parametrize("loss", names_in("loss"))
def test_runs_of_one_loss_with_weights_and_rates_of_their_own_are_what_they_are_alone(
    loss: str, tmp_path: Path
) -> None:
    optimizer, penalty = LOSSES.get(loss, ("adam", "one_gp"))
    common = (f"loss={loss}", f"optimizer={optimizer}", f"penalty={penalty}", "precision=fp64")
    own = [
        ("seed=0", "penalty.weight=1", "optimizer.lr=1e-3"),
        ("seed=0", "penalty.weight=10", "optimizer.lr=1e-2"),
        ("seed=1", "penalty.weight=0", "optimizer.lr=1e-3"),
    ]
    compare(tmp_path, own, *common, "steps=50", tolerance=1e-9)


@pytest.mark.seconds
@pytest.mark.parametrize("penalty", [name for name in names_in("penalty") if name != "none"])
def test_runs_of_one_penalty_with_numbers_of_their_own_are_what_they_are_alone(
    penalty: str, tmp_path: Path
) -> None:
    squared = config_of(f"penalty={penalty}")["penalty"].get("shape") == "squared"
    center = 0.0 if squared else 0.3
    own = [
        ("penalty.weight=3", f"penalty.center={center}", "penalty.anchor=[1.0]"),
        ("penalty.weight=0.5", f"penalty.center={2 * center}", "penalty.anchor=[-2.0]"),
    ]
    common = (f"penalty={penalty}", "precision=fp64", "optimizer.lr=1e-2", "d_steps=2")
    if penalty == "zero_gp_latent_path":
        common += ("architecture=mlp_zero_gp_encoder",)
    compare(tmp_path, own, *common, "steps=50", tolerance=1e-9)


OWN = {
    "adam": [("optimizer.betas=[0.5,0.9]", "optimizer.eps=1e-4", "schedule=ttur"),
             ("optimizer.betas=[0,0.99]", "optimizer.weight_decay=0.1", "schedule=inverse")],
    "adam_fast": [("optimizer.betas=[0.5,0.9]",), ("optimizer.betas=[0,0.99]",)],
    "rmsprop": [("optimizer.alpha=0.9", "optimizer.momentum=0.5", "optimizer.weight_decay=0.1"),
                ("optimizer.alpha=0.99", "optimizer.momentum=0.9", "optimizer.accumulator=1")],
    "sgd": [("optimizer.momentum=0.5", "dataset.scale=2"), ("optimizer.momentum=0.9",)],
}  # fmt: skip
"""Numbers of each update rule; the data and the schedule differ too."""


@pytest.mark.parametrize("optimizer", names_in("optimizer"))
def test_runs_of_one_update_rule_with_numbers_of_their_own_are_what_they_are_alone(
    optimizer: str, tmp_path: Path
) -> None:
    common = (f"optimizer={optimizer}", "optimizer.lr=1e-3", "precision=fp64", "steps=50")
    compare(tmp_path, OWN[optimizer], *common, "average=0.9", tolerance=1e-9)


def test_clipping_values_data_sets_and_loss_constants_may_differ_in_a_stack(tmp_path: Path) -> None:
    own = [
        ("constraint.value=0.1", "loss.alpha=0", "dataset=swiss_roll", "dataset.size=null"),
        ("constraint.value=0.2", "loss.beta=2", "dataset=eight_gaussians", "dataset.size=64"),
    ]
    common = ("constraint=clipping", "loss=least_squares", "penalty=none", "optimizer=rmsprop")
    compare(tmp_path, own, *common, "precision=fp64", "steps=50", tolerance=1e-9)


def test_in_fp32_one_step_with_numbers_of_their_own_is_the_one_alone_to_1e_5(
    tmp_path: Path,
) -> None:
    own = [("penalty.weight=1", "optimizer.lr=1e-3"), ("penalty.weight=10", "optimizer.lr=1e-2")]
    compare(tmp_path, own, "optimizer.betas=[0.5,0.999]", "steps=1", tolerance=1e-5)


def test_a_run_alone_keeps_its_numbers_as_plain_floats(tmp_path: Path) -> None:
    folder: RunFolder = trained("steps=1", f"out={tmp_path}")
    assert folder.config["penalty"]["weight"] == 10.0


# -- compiled ------------------------------------------------------------------------------


@pytest.mark.seconds
@pytest.mark.usefixtures("needs_compiler")
def test_a_compiled_stack_is_the_runs_alone_and_is_compiled_once_for_all_stacks_of_its_structure(
    tmp_path: Path,
) -> None:
    from torch._dynamo.utils import counters

    def configs(name: str, weights: tuple[int, ...], how: str, steps: int = 50) -> list[Config]:
        keys = ("precision=fp64", f"compile={how}", f"steps={steps}", f"out={tmp_path / name}")
        return [bare(*keys, f"penalty.weight={w}") for w in weights]

    counters.clear()
    first = train(configs("first", (1, 10), "always"), progress=False)
    assert {o.folder.status["engine"] for o in first} == {"compiled"}
    graphs = counters["stats"]["unique_graphs"]
    assert graphs == 2  # of D's step and of G's: 50 iterations caused no third
    train(configs("second", (3, 5), "always", steps=20), progress=False)
    assert counters["stats"]["unique_graphs"] == graphs
    for result, config in zip(first, configs("alone", (1, 10), "never"), strict=True):
        (alone,) = train([config], progress=False)
        alike(result, alone, 1e-9)


# -- divergence and resuming ---------------------------------------------------------------


@pytest.mark.seconds
def test_a_replica_whose_rate_makes_it_diverge_leaves_the_others_as_they_are(
    tmp_path: Path,
) -> None:
    def configs(name: str) -> list[Config]:
        keys = ("loss=least_squares", "optimizer=sgd", "penalty=none", "steps=30", "log_every=1")
        return [
            bare(*keys, "precision=fp64", f"optimizer.lr={lr}", f"out={tmp_path / name}")
            for lr in (1e-3, 1e6, 1e-2)
        ]

    together = train(configs("together"), progress=False)
    alone = [train([config], progress=False)[0] for config in configs("alone")]
    assert [o.state for o in together] == [State.FINISHED, State.DIVERGED, State.FINISHED]
    assert together[1].folder.status["step"] == alone[1].folder.status["step"] < 30
    assert f"at step {together[1].step}" in together[1].why
    assert all(map(math.isfinite, values(together[1].folder, "loss_d")))
    alike(together[0], alone[0], 1e-9)
    alike(together[2], alone[2], 1e-9)


@pytest.mark.seconds
def test_a_stack_of_different_runs_that_was_stopped_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def configs(name: str) -> list[Config]:
        keys = ("steps=60", "checkpoint_every=20", "log_every=10", f"out={tmp_path / name}")
        return [config_of(*keys, f"penalty.weight={w}", "probe.surface.every=20") for w in (1, 10)]

    with monkeypatch.context() as patch:
        signal_at(30, patch)
        stopped = train(configs("killed"), progress=False)
    assert [o.state for o in stopped] == [State.PREEMPTED] * 2
    ((first, second),) = groups(configs("killed"), 64)
    again = train([first, second], progress=False)
    for a, b in zip(again, train(configs("whole"), progress=False), strict=True):
        assert_same_run(a.folder, b.folder)


# -- which runs can be one stack -----------------------------------------------------------


@pytest.mark.seconds
def test_forty_eight_runs_in_one_command_leave_forty_eight_folders(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sweep = ("penalty=zero_gp,one_gp,none", "seed=range(16)", "hydra/launcher=replicas")
    small = (*BARE, "steps=2", "hydra.launcher.processes=1", f"out={tmp_path}")
    assert main(["train", "-m", *sweep, *small]) == Exit.OK
    runs = list(find_runs(tmp_path / "runs"))
    assert len(runs) == 48
    assert {(r.state, r.status["step"], r.status["stack"]) for r in runs} == {
        (State.FINISHED, 2, 16)
    }
    said = capfd.readouterr()
    assert "48 runs in 3 stacks of 16; kept apart by penalty._target_, penalty.output" in said.err
    assert "48 runs: 48 finished" in said.out


@pytest.mark.parametrize(
    ("other", "key"),
    [
        ("architecture.width=9", "architecture.discriminator.width"),
        ("penalty=zero_gp", "penalty.output"),
        ("penalty.measure=real", "penalty.measure"),
        ("optimizer=sgd", "optimizer._target_"),
        ("loss=hinge", "loss._target_"),
        ("batch_size=8", "batch_size"),
        ("precision=fp64", "precision"),
        ("penalty.anchor=[1.0,2.0]", "penalty.anchor"),
        ("tracking=wandb", "tracking."),
    ],
)
def test_what_keeps_two_runs_from_one_stack_is_named(other: str, key: str, tmp_path: Path) -> None:
    configs = [config_of(f"out={tmp_path}"), config_of(other, f"out={tmp_path}")]
    assert any(name.startswith(key) for name in differing(configs))
    with pytest.raises(BadInput, match="the runs of one stack cannot differ in"):
        train(configs, progress=False)
    assert not list(find_runs(tmp_path))
    assert [len(stack) for stack in groups(configs, 64)] == [1, 1]


def test_momentum_of_one_run_alone_keeps_it_from_a_stack_and_classes_name_what_they_share(
    tmp_path: Path,
) -> None:
    def named(*words: str) -> list[str]:
        return differing([config_of(word, f"out={tmp_path}", "optimizer=sgd") for word in words])

    assert named("optimizer.momentum=0.5", "optimizer.momentum=0") == ["optimizer.momentum"]
    assert named("penalty=none", "penalty=one_gp") == ["penalty._target_"]
    keys = ["penalty._target_", "penalty.output", "penalty.shape"]
    assert named("penalty=none", "penalty=one_gp", "penalty=zero_gp") == keys


def test_the_sentence_names_the_key_its_values_and_what_may_differ() -> None:
    with pytest.raises(BadInput) as refusal:
        refuse_unlike([config_of("batch_size=8"), config_of("batch_size=16")])
    said = str(refusal.value)
    assert said.startswith("batch_size=8,16: the runs of one stack cannot differ in batch_size;")
    assert "optimizer.lr" in said


def test_stacks_of_one_structure_are_of_even_size_and_follow_one_another(tmp_path: Path) -> None:
    configs = [
        config_of(f"seed={seed}", f"penalty={penalty}", f"out={tmp_path}")
        for seed in range(5)
        for penalty in ("one_gp", "none")
    ]
    stacks = groups(configs, 3)
    assert [len(stack) for stack in stacks] == [3, 2, 3, 2]
    keys = [structure_key(stack[0]) for stack in stacks]
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_of_parts_of_different_classes_only_the_class_is_named() -> None:
    configs = [bare("loss=least_squares", "optimizer=sgd"), bare("loss=hinge", "optimizer=adam")]
    assert differing(configs) == ["loss._target_", "optimizer._target_"]


OWN_LOSSES = """
from dataclasses import dataclass
from typing import Annotated
from gp_lab.objectives.losses import Wasserstein
from gp_lab.fields import Positive, Stackable

@dataclass(frozen=True)
class Strong(Wasserstein):
    strength: Annotated[Positive, Stackable] = 1.0
    alpha: Positive = 1.0
    def varphi(self, f):
        return -self.alpha * self.strength * f

class Plain(Wasserstein):
    def __init__(self, alpha: Annotated[Positive, Stackable] = 1.0):
        object.__setattr__(self, "alpha", alpha)
    def varphi(self, f):
        return -self.alpha * f
"""


@pytest.fixture
def own_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_losses.py").write_text(OWN_LOSSES)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_losses")


def with_loss(name: str, out: Path, **numbers: float) -> Config:
    config = bare("steps=2", "precision=fp64", "trust=[my_losses]", f"out={out}")
    return config | {"loss": {"name": name, "_target_": f"my_losses.{name}", **numbers}}


@pytest.mark.seconds
def test_a_number_of_ones_own_part_that_says_so_differs_in_a_stack(
    tmp_path: Path, own_losses: None
) -> None:
    strengths = (1.0, 2.0, 5.0)
    together = train([with_loss("Strong", tmp_path / "a", strength=s) for s in strengths], False)
    assert [o.folder.status["stack"] for o in together] == [3] * 3
    for result, strength in zip(together, strengths, strict=True):
        (alone,) = train([with_loss("Strong", tmp_path / "b", strength=strength)], False)
        alike(result, alone, 1e-9)


@pytest.mark.parametrize("name", ["Strong", "Plain"])
def test_a_number_that_no_stack_can_take_as_a_tensor_keeps_runs_apart_whatever_it_is_called(
    name: str, tmp_path: Path, own_losses: None
) -> None:
    configs = [with_loss(name, tmp_path, alpha=alpha) for alpha in (1.0, 2.0)]
    assert differing(configs) == ["loss.alpha"]
    assert [len(stack) for stack in groups(configs, 2)] == [1, 1]
