"""What is found out once a run has ended reaches its dashboard."""

from pathlib import Path

import pytest
from lab import trained, values
from offline_runs import exit_code, history, summary
from test_tracking import TRACKED

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder

pytestmark = pytest.mark.usefixtures("no_account")
MODES = ("probe=modes", "probe.modes.count=50")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return trained("tracking.mode=offline", "steps=20", f"out={tmp_path / 'out'}", base=TRACKED)


@pytest.mark.seconds
def test_what_evaluate_finds_reaches_the_offline_run_beside_all_that_was_there(
    run: RunFolder,
) -> None:
    before, ended = history(run), summary(run)
    assert main(["evaluate", str(run.path), *MODES]) == Exit.OK
    found, (line,) = summary(run), run.evaluations()
    assert found["evaluated/modes/step"] == 20
    for name, value in line["scores"].items():
        assert found[f"evaluated/modes/{name}"] == pytest.approx(value)
    assert (found["state"], found["loss_d"]) == (ended["state"], ended["loss_d"])
    assert exit_code(run) == Exit.OK
    steps = [(item["step"], item.get("surface.caption")) for item in history(run)]
    assert steps == [(item["step"], item.get("surface.caption")) for item in before]


@pytest.mark.seconds
def test_a_run_that_goes_on_keeps_what_evaluate_found(run: RunFolder) -> None:
    assert main(["evaluate", str(run.path), *MODES]) == Exit.OK
    assert main(["resume", str(run.path), "steps=24"]) == Exit.OK
    assert summary(run)["evaluated/modes/step"] == 20
    assert summary(run)["loss_d"] == values(run, "loss_d")[-1]


def test_where_w_and_b_is_disabled_nothing_is_told(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {p: p.stat().st_mtime_ns for p in run.path.rglob("*.wandb")}
    from gp_lab.tracking import wandb_inside

    wandb_inside.end_service()  # as in a process of its own
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main(["evaluate", str(run.path), *MODES]) == Exit.OK
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*.wandb")} == before


def test_a_run_that_trains_elsewhere_is_left_alone(run: RunFolder) -> None:
    from gp_lab.training.dashboard import tell_again

    (log,) = (run.path / "wandb").glob("offline-run-*")
    run.lock()
    try:
        tell_again(RunFolder(run.path))
    finally:
        run.unlock()
    assert log.is_dir()
