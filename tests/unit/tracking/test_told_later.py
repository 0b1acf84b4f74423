"""What is found out once a run has ended reaches its dashboard."""

from pathlib import Path

import pytest
from lab import composed, trained, values
from offline_runs import exit_code, history, records, run_of, summary
from PIL import Image
from test_tracking import TRACKED

from gp_lab import extras
from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder
from gp_lab.tracking import syncing
from gp_lab.tracking.wandb_figures import tell_figure

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
    from gp_lab.tracking import wandb_inside

    wandb_inside.end_service()  # as in a process of its own; it may close its files only now
    before = {p: p.read_bytes() for p in run.path.rglob("*.wandb")}
    assert before
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main(["evaluate", str(run.path), *MODES]) == Exit.OK
    assert {p: p.read_bytes() for p in run.path.rglob("*.wandb")} == before


def test_a_run_that_trains_elsewhere_is_left_alone(run: RunFolder) -> None:
    from gp_lab.training.dashboard import tell_again

    (log,) = (run.path / "wandb").glob("offline-run-*")
    run.lock()
    try:
        tell_again(RunFolder(run.path))
    finally:
        run.unlock()
    assert log.is_dir()


CLAIM = {"text": "it holds", "verdict": "supported", "estimate": 0.5, "low": None, "n": 5}
SUMMARY = {"figure": "zero_gp/fig1", "title": "A figure", "scale": "smoke", "command": "gp-lab ...",
           "claims": [CLAIM, CLAIM], "runs": [{"id": "a-run", "seed": 0}]}  # fmt: skip


@pytest.mark.parametrize("tracking", ["wandb", "wandb_and_tensorboard"])
def test_a_figure_s_picture_and_claims_are_a_run_of_their_own_that_knows_its_runs(
    tmp_path: Path, tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: name)
    config = composed((f"tracking={tracking}",))
    folder = RunFolder(tmp_path / "figures" / "zero_gp" / "fig1" / "smoke")
    folder.path.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder.path / "figure.png")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for _ in range(2):  # drawn again, it is written anew
        tell_figure(config, folder.path, SUMMARY)
    run = run_of(folder)
    assert (run["run_group"], run["job_type"]) == ("zero_gp/fig1", "figure")
    assert run["tags"] == ["zero_gp/fig1", "smoke"]
    said = next(r["run"] for r in records(folder) if r["type"] == "run")["config"]["update"]
    assert (said["runs"], said["command"]) == (["a-run"], "gp-lab ...")
    (item,) = history(folder)
    assert item["figure.caption"] == "zero_gp/fig1-smoke"
    assert item["claims.nrows"] == 2
    assert summary(folder)["claims/supported"] == 2
    assert exit_code(folder) == 0
    assert len(syncing.offline_logs(tmp_path)[0]) == 1


@pytest.mark.parametrize("why", ["none", "disabled"])
def test_a_figure_whose_runs_are_not_tracked_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "disabled":
        monkeypatch.setenv("WANDB_MODE", "disabled")
    words = ("tracking=none",) if why == "none" else ()
    tell_figure(composed(words), tmp_path, SUMMARY)
    assert not (tmp_path / "wandb").exists()
