"""scripts/paper_scale.py: what is left at the papers' scale, and how it is done."""

import runpy
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import CLONE
from lab import config_of

from gp_lab.errors import BadInput, Exit

SCRIPT = runpy.run_path(str(CLONE / "scripts" / "paper_scale.py"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_operations_are_those_of_the_products_of_matrices() -> None:
    node = config_of("architecture=mlp_small", "architecture.depth=2", "architecture.width=8")
    of_g, of_d = SCRIPT["operations"](node["architecture"])
    assert of_g == 2 * (2 * 8 + 8 * 8 + 8 * 2)
    assert of_d == 2 * (2 * 8 + 8 * 8 + 8 * 1)


def test_a_penalty_costs_and_small_networks_cost_no_less_than_their_launches() -> None:
    words = ("architecture=resnet_cifar", "dataset=cifar10", "probe=[]", "steps=1000")
    hours = [
        SCRIPT["hours"](config_of(*words, f"penalty={name}", base=()), {}, 1e12)[1]
        for name in ("none", "one_gp")
    ]
    assert 1.2 < hours[1] / hours[0] < 3
    _, small = SCRIPT["hours"](config_of("steps=3600", "d_steps=1"), {}, 1e15)
    assert small == pytest.approx(2 * SCRIPT["FLOOR"] / SCRIPT["STACK"])


def test_what_is_finished_is_not_reckoned_and_an_item_is_found_by_its_own_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert SCRIPT["main"](["mu_wgan/fig3", "lipschitz/sec32"]) == Exit.OK
    head, calculated, trained, both = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["entry", "runs", "finished"]
    assert calculated.split()[:3] == ["mu_wgan/lemma3", "0", "0"]
    assert trained.split()[:3] == ["lipschitz/sec32", "20", "0"]
    assert both.split()[-1] == trained.split()[-1]
    with pytest.raises(BadInput, match="lipschitz/sec33: no such choice"):
        SCRIPT["main"](["lipschitz/sec33"])


def test_an_entry_that_fails_is_named_at_the_end_and_a_stop_stops(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[list[str]] = []
    ends = iter([2, 0, 0, 130])

    def run(command: Sequence[str], **_: Any) -> SimpleNamespace:
        called.append(list(command[3:]))
        return SimpleNamespace(returncode=next(ends))

    monkeypatch.setattr(SCRIPT["subprocess"], "run", run)
    entries = ["mu_wgan/lemma1", "mu_wgan/lemma2"]
    assert SCRIPT["main"](["--go", *entries, "out=here"]) == Exit.FAILED
    assert called[0] == ["figure", "mu_wgan/lemma1", "scale=paper", "out=here"]
    assert capsys.readouterr().out.endswith("failed: mu_wgan/lemma1\n")
    entries.append("mu_wgan/lemma3")
    assert SCRIPT["main"](["--go", *entries, "out=here"]) == Exit.INTERRUPTED
    assert len(called) == 4  # the third entry is left for the next time
