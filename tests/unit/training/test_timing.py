"""`timing.jsonl`: how fast each run goes, alone, stopped and in stacks."""

import os
import signal
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from lab import SMALL, act_at, assert_same_run, config_of, trained

from gp_lab.runs.folder import State
from gp_lab.training.trainer import train

RUN = ("steps=20", "log_every=5", "compile=never", "batch_size=16", "d_steps=2")


def test_a_line_for_each_line_of_metrics_says_how_fast_the_run_went(tmp_path: Path) -> None:
    schedule = ("schedule=ttur", "optimizer.lr=0.01")
    began = time.monotonic()
    folder = trained(*RUN, *schedule, f"out={tmp_path}")
    took = time.monotonic() - began
    lines = folder.timing()
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    seconds = [0.0] + [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    assert seconds[-1] < took
    ratio = folder.config["schedule"]["d_ratio"]
    for line, before, after in zip(lines, seconds, seconds[1:], strict=False):
        assert line["iterations_per_second"] == pytest.approx(5 / (after - before), rel=1e-6)
        assert line["samples_per_second"] == pytest.approx(48 * line["iterations_per_second"])
        assert (line["lr_d"], line["lr_g"]) == (pytest.approx(0.01 * ratio), 0.01)
        assert line["peak_memory_mb"] > 10


def test_the_rates_are_those_of_the_iteration_before_the_line(tmp_path: Path) -> None:
    folder = trained(*RUN, "schedule=inverse", "optimizer.lr=1.0", f"out={tmp_path}")
    assert [line["lr_g"] for line in folder.timing()] == pytest.approx(
        [1 / 5, 1 / 10, 1 / 15, 1 / 20]
    )


def test_a_run_against_a_fixed_generator_has_no_rate_of_g(tmp_path: Path) -> None:
    fixed = ("architecture=fixed_gaussian", "dataset=two_gaussians", "g_steps=0")
    folder = trained(*RUN, *fixed, f"out={tmp_path}", base=SMALL[-3:])
    assert all("lr_g" not in line and line["lr_d"] for line in folder.timing())


def test_the_clock_goes_on_where_a_stopped_run_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*RUN, "log_every=6", f"out={tmp_path / 'stopped'}")
    act_at(12, lambda: os.kill(os.getpid(), signal.SIGTERM), monkeypatch)
    folder = trained(*command)
    assert folder.state == State.PREEMPTED
    stopped = folder.timing()
    assert stopped[-1]["step"] == folder.status["step"] >= 12
    monkeypatch.undo()
    trained(*command)
    lines = folder.timing()
    assert lines[: len(stopped)] == stopped
    steps, seconds = ([line[key] for line in lines] for key in ("step", "seconds"))
    assert steps == sorted({6, 12, stopped[-1]["step"], 18, 20})
    assert seconds == sorted(seconds)
    assert len(set(seconds)) == len(seconds)
    assert_same_run(folder, trained(*RUN, "log_every=6", f"out={tmp_path / 'whole'}"))


def test_each_run_of_a_stack_has_its_own_lines(tmp_path: Path) -> None:
    configs = [config_of(*RUN, f"seed={seed}", f"out={tmp_path}") for seed in range(2)]
    folders = [result.folder for result in train(configs, progress=False)]
    assert [folder.status["stack"] for folder in folders] == [2, 2]
    one, other = (folder.timing() for folder in folders)
    assert one == other  # they go at one pace
    assert len(one) == 4


@pytest.mark.parametrize(
    "damage", ['{"step": 5, "sec', "nonsense\n", '{"step": 5, "seconds": null}\n']
)
def test_a_damaged_file_keeps_no_run_from_going_on(tmp_path: Path, damage: str) -> None:
    folder = trained(*RUN, "steps=10", f"out={tmp_path}")
    folder.inside("timing.jsonl").write_text(damage)
    with pytest.warns() if "nonsense" in damage else nullcontext():
        (ended,) = train([folder.config | {"steps": 20}], [folder], progress=False)
    assert ended.state == State.FINISHED
    assert folder.timing()[-1]["step"] == 20
