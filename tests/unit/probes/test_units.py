"""Units that never fire, and inputs at which D is exactly flat."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lab import BARE, config_of
from labelled import tree
from torch import nn

from gp_lab.probes.layers import DeadUnits
from gp_lab.runs.identity import run_hash
from gp_lab.training.setup import Setup, setup
from gp_lab.training.views import view_of


def run_of(*overrides: str) -> Setup:
    own = ("architecture=mlp", "architecture.width=16", "architecture.depth=2")
    return setup(config_of(*own, *overrides, base=BARE))


def seen(run: Setup) -> tuple[dict[str, Any], dict[str, float]]:
    state = {
        "d": dict(run.game.discriminator.named_parameters()),
        "g": dict(run.game.generator.named_parameters()),
        "average": None,
        "constraint": {},
    }
    probe = DeadUnits(count=64)
    arrays = probe.measure(view_of(run, state, 0))
    return arrays, probe.scalars(arrays)


def kill(layer: nn.Module, units: int) -> None:
    linear = layer.get_submodule("linear")
    with torch.no_grad():
        linear.bias[:units] = -1e6  # type: ignore[index]


def test_networks_as_they_begin_are_alive() -> None:
    arrays, scalars = seen(run_of())
    assert [len(arrays[net]) for net in ("discriminator", "generator")] == [2, 2]
    assert arrays["flat"] == scalars["dead"] == 0
    assert scalars["dead_units"] < 0.5


def test_units_that_never_fire_are_counted_and_a_layer_of_them_is_a_dead_network() -> None:
    run = run_of()
    kill(run.game.discriminator.hidden[0], 8)  # type: ignore[index]
    arrays, scalars = seen(run)
    assert arrays["discriminator"][0] >= 0.5
    assert scalars["dead"] == 0
    kill(run.game.discriminator.hidden[0], 16)  # type: ignore[index]
    arrays, scalars = seen(run)
    assert arrays["discriminator"][0] == 1
    assert arrays["flat"] == 1  # nothing of the input reaches the logit
    assert scalars["dead"] == 1


def test_a_dead_generator_is_seen_and_a_saturated_discriminator_is_not_dead() -> None:
    run = run_of()
    kill(run.game.generator.hidden[1], 16)  # type: ignore[index]
    assert seen(run)[1]["dead"] == 1
    run = run_of("architecture.activation=tanh")
    with torch.no_grad():
        run.game.discriminator.output.weight *= 1e3  # type: ignore[operator, union-attr]
    arrays, scalars = seen(run)
    assert arrays["flat"] == scalars["dead"] == scalars["dead_units"] == 0


def test_a_dead_layer_that_has_a_way_past_it_is_no_dead_network() -> None:
    own = ("architecture=mlp", "architecture.connection=concatenate", "architecture.depth=3")
    run = setup(config_of(*own, "architecture.width=16", base=BARE))
    for net in (run.game.discriminator, run.game.generator):
        kill(net.hidden[1], 16)  # type: ignore[index]
    arrays, scalars = seen(run)
    assert 1 in arrays["discriminator"]
    assert 1 in arrays["generator"]
    assert arrays["flat"] == scalars["dead"] == 0


@pytest.mark.parametrize("probe", ["[units]", "[]"])
def test_whether_it_was_watched_tells_no_runs_apart(probe: str) -> None:
    assert run_hash(config_of(f"probe={probe}", base=BARE)) == run_hash(config_of(base=BARE))


@pytest.mark.parametrize("kind", ["projection", "ac_gan"])
def test_networks_that_take_classes_are_asked_about_those_of_the_data(
    kind: str, tmp_path: Path
) -> None:
    """D of a projection takes them, and G; of an AC-GAN G alone does."""
    own = [override.replace("ac_gan", kind) for override in tree(tmp_path)]
    run = setup(config_of(*own, base=()))
    arrays, scalars = seen(run)
    assert arrays["flat"] == scalars["dead"] == 0
    assert len(arrays["generator"]) > 0
    with torch.no_grad():
        for parameter in run.game.discriminator.parameters():
            parameter.zero_()
    assert seen(run)[1]["dead"] == 1
