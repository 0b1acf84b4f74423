"""Without the extra `exact` the lab does what it can, and says of the rest what is missing."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import CLONE, normal
from lab import BARE

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.evaluation.points import wasserstein
from gp_lab.extras import EXTRAS
from gp_lab.launching.config_groups import figure_file, figure_ids
from gp_lab.runs.folder import find_runs
from gp_lab.theory.lipschitz import optimal_lipschitz
from gp_lab.theory.transport import exact_critic

EXACT = {"exact_critic", "optimal_lipschitz", "transport_plan"}
"""Functions that cannot do without cvxpy or POT."""


@pytest.fixture
def without_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in EXTRAS["exact"]:
        monkeypatch.setitem(sys.modules, module, None)


def imported(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), alias.name) for alias in node.names)


def reaches_exact(path: Path) -> bool:
    """Whether a module of the papers uses one of `EXACT`, or a private one beside it does."""
    for module, name in imported(path):
        private = path.parent / f"{module.rpartition('.')[2]}.py"
        if name in EXACT or (private.stem.startswith("_against") and reaches_exact(private)):
            return True
    return False


def test_the_entries_that_need_the_extra_and_no_others_say_so() -> None:
    found = {name: figure_file(name).get("extra") for name in figure_ids()}
    paths = {name: CLONE / "gp_lab" / "papers" / f"{name.replace('-', '_')}.py" for name in found}
    assert {n for n in found if reaches_exact(paths[n])} == {n for n in found if found[n]}
    assert {"lipschitz/appA", "lipschitz/fig3", "wgan_gp/fig1a"} <= {n for n in found if found[n]}
    assert {extra for extra in found.values() if extra} == {"exact"}


@pytest.mark.usefixtures("without_exact")
def test_an_entry_that_needs_it_is_refused_in_a_sentence_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("lipschitz/appE", "wgan_gp/fig1a"):
        assert main(["figure", name, "scale=smoke", f"out={tmp_path}"]) == Exit.BAD_INPUT
        said = capsys.readouterr().err.splitlines()
        assert said == [
            f"gp-lab: {name}: needs cvxpy and POT, not here: pip install 'gp-lab[exact]'"
        ]
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("without_exact")
def test_exact_optima_say_what_they_miss() -> None:
    a, b = np.zeros((2, 2)), np.ones((3, 2))
    for call in (
        lambda: exact_critic(a, b),
        lambda: optimal_lipschitz(a, b, "vanilla", weight=1.0),
        lambda: wasserstein(a, b),
    ):
        with pytest.raises(BadInput, match=r"needs cvxpy and POT, not here: pip install 'gp-lab"):
            call()


@pytest.mark.parametrize("order", [1, 2])
def test_the_distance_of_equally_many_samples_is_the_same_without_the_extra(
    order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = normal(60, 2).numpy(), normal(60, 2, seed=1).numpy() + 1.0
    exact = wasserstein(a, b, order)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "ot", None)
    assert wasserstein(a, b, order) == pytest.approx(exact, rel=1e-12)  # type: ignore[arg-type]


@pytest.mark.usefixtures("without_exact")
def test_a_run_with_the_data_sets_own_probe_needs_no_extra(tmp_path: Path) -> None:
    words = ("probe=[modes]", "probe.modes.count=100", "probe.modes.transport=20", "steps=1")
    own = [word for word in BARE if not word.startswith("probe")]
    assert main(["train", *own, *words, f"out={tmp_path}"]) == Exit.OK
    (run,) = find_runs(tmp_path)
    assert run.metrics()[-1]["modes/w1"] > 0


def test_the_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]
    listed = project["optional-dependencies"]
    for extra, packages in EXTRAS.items():
        assert {word.partition(">")[0] for word in listed[extra]} == set(packages.values())
