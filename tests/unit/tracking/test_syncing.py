"""`gp-lab wandb-sync`: offline runs are uploaded once; what fails is a sentence and stays to do."""

import json
from pathlib import Path

import pytest
from lab import trained
from offline_runs import history
from wandb_server import KEY, WandbServer
from where_runs_go import logged_in
from where_runs_go import server as server

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.launching.slurm import freeze
from gp_lab.runs.folder import RunFolder
from gp_lab.tracking import syncing, wandb_inside

pytestmark = [pytest.mark.usefixtures("no_account"), pytest.mark.seconds]

BARE = ("architecture=mlp_tanh_64", "architecture.width=8", "batch_size=16", "probe=[]",
        "steps=6", "log_every=2", "compile=never", "threads=1", "tracking=wandb",
        "tracking.mode=offline")  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run(out: Path, seed: int = 0) -> RunFolder:
    return trained(f"out={out}", f"seed={seed}", base=BARE)


def synced(out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    wandb_inside.end_service()  # as in a process of its own
    capsys.readouterr()
    status = main(["wandb-sync", str(out)])
    said = capsys.readouterr()
    return status, [*said.out.splitlines(), *said.err.splitlines()]


def test_offline_runs_are_uploaded_once_and_again_only_when_they_have_gone_on(
    out: Path,
    server: WandbServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folders = [run(out, seed) for seed in range(2)]
    logged_in(server, monkeypatch)
    status, said = synced(out, capsys)
    assert (status, said[-1]) == (Exit.OK, "2 offline logs: 2 uploaded, 0 before")
    assert {line.partition("] ")[2] for line in said[:-1]} == {
        f"{folder.path.name}: uploaded" for folder in folders
    }
    assert [line[:5] for line in said[:-1]] == ["[1/2]", "[2/2]"]
    for folder in folders:
        assert server.steps(folder.status["id"]) == [2, 4, 6]
    asked = len(server.requests)
    assert synced(out, capsys) == (Exit.OK, ["2 offline logs: 0 uploaded, 2 before"])
    assert len(server.requests) == asked
    assert main(["resume", str(folders[0].path), "steps=10"]) == Exit.OK
    assert synced(out, capsys)[1][-1] == "3 offline logs: 1 uploaded, 2 before"
    assert server.steps(folders[0].status["id"]) == [2, 4, 6, 8, 10]
    assert server.runs[folders[0].status["id"]]["exit_code"] == 0
    evaluate = ["evaluate", str(folders[1].path), "probe=modes", "probe.modes.count=50"]
    assert main(evaluate) == Exit.OK
    assert synced(out, capsys)[1][-1] == "4 offline logs: 1 uploaded, 3 before"
    assert server.steps(folders[1].status["id"]) == [2, 4, 6]
    (found,) = server.files[folders[1].status["id"]]["wandb-summary.json"]
    held = json.loads(found)
    assert held["evaluated/modes/step"] == 6
    assert held["loss_d"] == folders[1].metrics()[-1]["loss_d"]


def test_an_online_run_that_goes_on_offline_writes_only_what_came_later(
    out: Path,
    server: WandbServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    logged_in(server, monkeypatch)
    folder = trained(f"out={out}", "tracking.mode=online", base=BARE)
    assert server.steps(folder.status["id"]) == [2, 4, 6]
    wandb_inside.end_service()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main(["resume", str(folder.path), "steps=10"]) == Exit.OK
    assert [item["_step"] for item in history(folder)] == [8, 10]


@pytest.mark.parametrize("in_a_job", [False, True])
def test_a_run_that_starts_over_is_another_one_there_and_goes_on_as_that(
    in_a_job: bool, out: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job's config no longer says force=true, or each life of the job would start over."""
    logged_in(server, monkeypatch)
    words = (f"out={out}", "tracking.mode=online")
    folder = trained(*words, base=BARE)
    if in_a_job:
        freeze(folder.config | {"force": True}, folder, "1_0")
        trained(*words, base=BARE)
    else:
        trained(*words, "force=true", base=BARE)
    assert main(["resume", str(folder.path), "steps=8"]) == Exit.OK
    (other,) = server.runs.keys() - {folder.status["id"]}
    assert server.steps(folder.status["id"]) == [2, 4, 6]
    assert server.steps(other) == [2, 4, 6, 8]
    assert other == folder.status["wandb"]["id"]


def test_a_run_that_cannot_be_sent_is_said_and_stays_to_do(
    out: Path,
    server: WandbServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, damaged = run(out, 0), run(out, 1)
    (log,) = damaged.path.glob("wandb/offline-run-*/*.wandb")
    log.write_bytes(b"nonsense")
    logged_in(server, monkeypatch)
    status, said = synced(out, capsys)
    assert status == Exit.FAILED
    assert [line for line in said if f"{damaged.path.name}: not uploaded (" in line]
    assert [line for line in said if line.endswith(f"{whole.path.name}: uploaded")]
    assert said[-1].endswith("W&B: 1 run not uploaded; 1 uploaded, 0 before; try again later")
    assert KEY not in "".join(said)
    assert not syncing.is_synced(log)


@pytest.mark.parametrize("why", ["no key", "disabled", "unreachable"])
def test_what_cannot_work_is_one_sentence_and_nothing_is_started(
    out: Path,
    server: WandbServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    why: str,
) -> None:
    run(out)
    if why != "no key":
        logged_in(server, monkeypatch)
    if why == "disabled":
        monkeypatch.setenv("WANDB_MODE", "disabled")
    if why == "unreachable":
        server.behave("refuses")
    monkeypatch.setattr(syncing, "_sent", lambda log: pytest.fail("was started"))
    status, said = synced(out, capsys)
    assert status == Exit.FAILED
    (sentence,) = said
    assert {"no key": "no key for", "disabled": "say disabled", "unreachable": "cannot be reached"}[
        why
    ] in sentence


def test_a_server_that_hangs_is_given_up_with_all_that_was_started(
    out: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(out)
    logged_in(server, monkeypatch)
    server.behave("hangs")
    monkeypatch.setattr(syncing, "SECONDS", 4.0)
    (log,) = syncing.offline_logs(out)[0]
    assert syncing._sent(log) == "not within 4 seconds"
    assert not syncing.is_synced(log)
    assert folder.state == "finished"


def test_a_run_that_trains_just_now_and_a_link_are_left_alone(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(out)
    folder.lock()
    assert synced(out, capsys) == (
        Exit.OK, ["1 offline log: 0 uploaded, 0 before, 1 under way"]
    )  # fmt: skip
    folder.unlock()
    (folder.path / "wandb").rename(tmp_path / "elsewhere")
    (folder.path / "wandb").symlink_to(tmp_path / "elsewhere")
    assert synced(out, capsys) == (Exit.OK, ["0 offline logs: 0 uploaded, 0 before"])
