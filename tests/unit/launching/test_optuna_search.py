"""scripts/optuna_search.py: a search over the lab's runs that goes on where it was stopped."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from helpers import CLONE
from lab import BARE

import gp_lab
from gp_lab.errors import BadInput
from gp_lab.runs.folder import find_runs

optuna = pytest.importorskip("optuna")
SEARCH = runpy.run_path(str(CLONE / "scripts" / "optuna_search.py"))
WORDS = [
    *BARE, "compile=never", "log_every=1", "steps=2", "penalty=one_gp,zero_gp",
    "optimizer.lr=tag(log,interval(1e-4,1e-2))", "d_steps=int(interval(1,2))",
    "--metric=loss_d", "--seeds=2",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.seconds
@pytest.mark.parametrize("storage", ["search.log", "sqlite:///search.db"])
def test_a_search_is_cut_off_and_goes_on_with_the_trial_that_it_was_at(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, trained = [*WORDS, f"--storage={storage}"], gp_lab.train
    calls: list[Any] = []

    def cut_off(overrides: list[str]) -> Any:
        calls.append(overrides)
        if len(calls) == 4:  # the second seed of the second trial
            raise KeyboardInterrupt
        return trained(overrides)

    with monkeypatch.context() as patch:
        patch.setattr(gp_lab, "train", cut_off, raising=False)
        with pytest.raises(KeyboardInterrupt):
            SEARCH["main"]([*words, "--trials=3"])
    study = SEARCH["main"]([*words, "--trials=3"])
    done = [t for t in study.trials if t.state.name == "COMPLETE"]
    failed = [t for t in study.trials if t.state.name == "FAIL"]
    assert (len(done), len(failed)) == (3, 1)
    assert done[1].params == failed[0].params
    assert len(list(find_runs(Path("outputs")))) == 6  # two seeds of three trials
    for trial in done:
        chosen = [f"{k}={v}" for k, v in trial.params.items() if k != "optimizer.lr"]
        groups = gp_lab.compare("outputs", chosen)
        losses = [group.scores["loss_d"].interval.estimate for group in groups]
        assert any(trial.value == pytest.approx(loss) for loss in losses)
    assert SEARCH["main"]([*words, "--trials=3"]).best_value == min(t.value for t in done)


def test_runs_that_diverge_are_the_worst_and_wrong_words_are_refused() -> None:
    words = [*WORDS, "optimizer=sgd", "steps=30", "loss=exp", "--storage=other.log"]
    words = [w for w in words if not w.startswith("optimizer.lr")] + ["optimizer.lr=1e30"]
    study = SEARCH["main"]([*words, "--trials=1"])
    assert study.best_value == float("inf")
    with pytest.raises(BadInput, match="nothing to search over"):
        SEARCH["main"](["--metric=loss_d", "seed=1"])
    with pytest.raises(BadInput, match=r"--metric loss_x: no run has it; it has .*loss_d"):
        SEARCH["main"]([*WORDS, "--metric=loss_x", "--storage=third.log"])
