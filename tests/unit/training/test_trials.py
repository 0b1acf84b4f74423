"""What is timed where a run begins: its threads, and whether a stack pays."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from stacks import bare

from gp_lab.training import engine_selection
from gp_lab.training.trainer import train
from gp_lab.training.trials import quickest_threads, seconds_each


def test_the_least_seconds_of_each_way_are_found_by_turns() -> None:
    calls = list[str]()

    def way(name: str, seconds: float) -> None:
        calls.append(name)
        time.sleep(seconds)

    quick, slow = seconds_each([lambda: way("quick", 0.001), lambda: way("slow", 0.03)])
    assert 0.001 <= quick < 0.03 <= slow
    assert calls[:4] == ["quick", "slow"] * 2


@pytest.mark.parametrize(("slow", "best"), [(1, 2), (2, 1)])
def test_the_quicker_number_of_threads_is_chosen_and_none_is_set(slow: int, best: int) -> None:
    before = torch.get_num_threads()

    def iterate() -> None:
        time.sleep(0.03 if torch.get_num_threads() == slow else 0.001)

    threads, why = quickest_threads(iterate, 2)
    assert threads == best
    assert "with 1 thread and" in why
    assert torch.get_num_threads() == before


@pytest.mark.seconds
def test_runs_that_would_be_slower_in_a_stack_go_one_after_another_also_when_they_are_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def timed(ways: Sequence[Callable[[], object]]) -> list[float]:
        for way in ways:
            way()
        return [0.3, 0.1]  # of two runs in a stack, and of one alone

    monkeypatch.setattr(engine_selection, "seconds_each", timed)
    monkeypatch.setattr(engine_selection, "SURELY_STACKED", 0)
    monkeypatch.setattr(engine_selection, "quickest_threads", lambda iterate, most: (1, "a test"))
    words = ("steps=100", "compile=never", f"out={tmp_path}")
    configs = [bare(f"seed={seed}", *words) for seed in range(2)]
    said = "an iteration of a run takes 0.15 s in a stack of 2 and 0.1 s alone"
    for steps in (100, 102):
        results = train([config | {"steps": steps} for config in configs], progress=True)
        assert f"{said}: trained one after another" in capsys.readouterr().err
        for result in results:
            assert (result.step, result.folder.status["stack"]) == (steps, 1)
            assert result.folder.status["stack_reason"] == said


@pytest.mark.seconds
@pytest.mark.parametrize(("kind", "answer"), [("fits_a_core", False), ("convolves", True)])
def test_a_long_run_of_large_or_convolutional_networks_keeps_the_threads_that_were_quicker(
    kind: str, answer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_selection, "cores", lambda: 2)
    monkeypatch.setattr(engine_selection, kind, lambda game: answer)
    monkeypatch.setattr(engine_selection, "quickest_threads", lambda iterate, most: (1, "a test"))
    config = bare("steps=100", "compile=never", "threads=0", f"out={tmp_path}")
    (first,) = train([config])
    assert (first.folder.status["threads"], first.folder.status["threads_reason"]) == (1, "a test")
    monkeypatch.setattr(engine_selection, "quickest_threads", lambda iterate, most: (2, "changed"))
    (longer,) = train([config | {"steps": 300}])
    assert (longer.step, longer.folder.status["threads"]) == (300, 1)
    assert longer.folder.status["threads_reason"] == "a test"
