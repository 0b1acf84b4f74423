"""`gp-lab status`: how runs stand, and which of them nobody trains."""

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import PATIENCE, config_of, lab_command

from gp_lab.cli import main
from gp_lab.errors import Exit, LabError
from gp_lab.launching import status as of_status
from gp_lab.launching.squeue import SlurmError
from gp_lab.launching.status import Row, rows, short_names, table
from gp_lab.runs.folder import LOCK, RunFolder, State
from gp_lab.runs.identity import folder_of, run_id

Make = Callable[..., RunFolder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A run folder with this status, of this machine unless it says otherwise."""

    def one(seed: int, state: State, **status: Any) -> RunFolder:
        config = config_of(f"seed={seed}", "steps=100", f"out={tmp_path}")
        folder = RunFolder(folder_of(config))
        folder.create(config, run_id(config))
        folder.set_status(state, **{"host": socket.gethostname(), **status})
        return folder

    return one


def only(root: Path) -> Row:
    (row,) = rows(root)
    return row


def in_queue(monkeypatch: pytest.MonkeyPatch, found: dict[str, str] | None) -> None:
    """What squeue would say; None: there is none."""

    def queue(jobs: object) -> dict[str, str]:
        list(jobs)  # type: ignore[call-overload]
        if found is None:
            raise SlurmError("squeue: not here")
        return found

    monkeypatch.setattr(of_status, "queue", queue)


def test_a_running_run_shows_its_rate_and_the_time_that_is_left(make: Make, tmp_path: Path) -> None:
    folder = make(0, State.RUNNING, step=40, rate=0.5)
    folder.lock()
    row = only(tmp_path)
    assert (row.step, row.steps, row.rate, row.seconds_left) == (40, 100, 0.5, 120.0)
    assert not row.lost
    assert row.under_way
    line = table([row]).splitlines()[1]
    for shown in (folder.path.name, "running", "40/100", "0.5", "2m00s"):
        assert shown in line


def test_a_run_whose_process_is_gone_is_lost(make: Make, tmp_path: Path) -> None:
    make(0, State.RUNNING, step=40, rate=0.5)
    row = only(tmp_path)
    assert (row.lost, row.under_way, row.why) == (True, False, "its process is gone")
    assert row.seconds_left is None
    assert "1 run: 1 lost" in table([row])


def test_a_run_that_another_machine_trains_is_not_called_lost(make: Make, tmp_path: Path) -> None:
    make(0, State.RUNNING, host="another")
    assert not only(tmp_path).lost


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_a_run_is_lost_when_its_job_has_left_the_queue(
    state: State, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(0, state, job="12_3")
    in_queue(monkeypatch, {"12_3": "PENDING"})
    row = only(tmp_path)
    assert (row.lost, row.under_way, row.job) == (False, True, "12_3 pending")
    in_queue(monkeypatch, {"12_4": "RUNNING"})
    row = only(tmp_path)
    assert (row.lost, row.why) == (True, "its job is gone from the queue")
    in_queue(monkeypatch, None)
    assert not only(tmp_path).lost


@pytest.mark.parametrize(
    ("why", "queue", "under_way", "lost"),
    [
        ("stopped by SIGUSR2", {"12_3": "COMPLETING"}, True, False),  # its job will requeue it
        ("stopped by SIGUSR2; requeued", {"12_3": "PENDING"}, True, False),
        ("stopped by SIGUSR2; requeued", {}, False, True),
        ("stopped by SIGTERM", {}, False, False),
        ("stopped by SIGTERM", None, False, False),
        ("stopped by SIGTERM; requeued", None, True, False),
    ],
)
def test_a_preempted_run_is_under_way_while_its_job_is_in_the_queue(
    why: str,
    queue: dict[str, str] | None,
    under_way: bool,
    lost: bool,
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_queue(monkeypatch, queue)
    make(0, State.PREEMPTED, job="12_3", why=why)
    row = only(tmp_path)
    assert (row.under_way, row.lost) == (under_way, lost)


def test_the_score_is_the_last_fid_or_else_the_last_loss(make: Make, tmp_path: Path) -> None:
    folder = make(0, State.FINISHED, step=100)
    assert only(tmp_path).score is None
    folder.append_metrics([{"step": 10, "loss_d": 3.0}, {"step": 20, "loss_d": 2.0}])
    assert only(tmp_path).score == ("loss_d", 2.0)
    folder.append_metrics([{"step": 20, "scores/fid": 31.5}, {"step": 20, "scores/kid": 0.1}])
    folder.append_metrics([{"step": 30, "loss_d": 1.0}])
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "loss')  # as a kill leaves it
    assert only(tmp_path).score == ("scores/fid", 31.5)


def test_the_score_of_a_long_run_is_found_at_the_end_of_its_metrics(
    make: Make, tmp_path: Path
) -> None:
    folder = make(0, State.FINISHED, step=100)
    folder.append_metrics([{"step": i, "loss_d": float(i)} for i in range(20_000)])
    assert only(tmp_path).score == ("loss_d", 19_999.0)


def test_a_damaged_folder_is_a_row_that_says_so(make: Make, tmp_path: Path) -> None:
    broken, strange = make(0, State.FINISHED), make(1, State.FINISHED)
    (broken.path / "status.json").write_text("{")
    (strange.path / "config.yaml").write_text("- not\n- a config\n")
    found = {row.name: row for row in rows(tmp_path)}
    assert found[broken.path.name].state == State.FAILED
    assert "not the status of a run" in found[broken.path.name].why
    assert found[strange.path.name].state == State.FINISHED


def test_the_command_prints_why_a_run_failed_and_watches_until_all_have_ended(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(0, State.FAILED, step=7, why="its job 12_3 ended with status 137 (SIGKILL)")
    for command in (["status", str(tmp_path)], ["status", str(tmp_path), "--watch"]):
        assert main(command) == Exit.OK
        shown = capsys.readouterr().out
        assert "its job 12_3 ended with status 137 (SIGKILL)" in shown
        assert shown.endswith("1 run: 1 failed\n")


@pytest.mark.seconds
def test_watching_ends_when_the_last_run_has(make: Make, tmp_path: Path) -> None:
    folder = make(0, State.RUNNING, step=40)
    folder.lock()
    watch = subprocess.Popen(
        lab_command("status", str(tmp_path), "--watch"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert watch.stdout is not None
        first = [watch.stdout.readline() for _ in range(3)]
        assert "1 running" in first[-1]
        folder.set_status(State.FINISHED, step=100)
        output, _ = watch.communicate(timeout=PATIENCE)
    finally:
        watch.kill()
        folder.unlock()
    assert watch.returncode == Exit.OK
    assert output.endswith("1 run: 1 finished\n")


def test_there_is_nothing_to_say_of_an_empty_folder_and_no_folder_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(tmp_path)]) == Exit.OK
    assert capsys.readouterr().out.endswith("0 runs: none\n")
    assert main(["status", str(tmp_path / "nowhere")]) == Exit.BAD_INPUT
    assert main(["status", str(tmp_path), "--wach"]) == Exit.BAD_INPUT


def test_a_strangers_folder_is_shown_and_not_obeyed(make: Make, tmp_path: Path) -> None:
    why = "over\x1b[2J\nand a line of its own"
    make(0, State.RUNNING, why=why, rate="fast", job="1,2 --help", host="another")
    shown = table(rows(tmp_path))
    assert r"over\x1b[2J\nand a line of its own" in shown
    assert len(shown.splitlines()) == 3


def test_filters_choose_the_rows_and_lost_is_a_state(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(0, State.RUNNING, step=40)
    make(1, State.FINISHED, step=100)
    make(2, State.RUNNING, step=60, host="another")

    def seeds(*words: str) -> list[str]:
        assert main(["status", str(tmp_path), *words]) == Exit.OK
        return sorted(re.findall(r"-s(\d)-", capsys.readouterr().out))

    assert seeds("state=lost") == ["0"]
    assert seeds("state=running") == ["2"]
    assert seeds("state=running,finished") == ["1", "2"]
    assert seeds("penalty=one_gp", "step>=60") == ["1", "2"]
    assert seeds("name~-s1-") == ["1"]
    assert seeds("penalty=none") == []
    assert seeds("seed=1", "--watch") == ["1"]
    for word, sentence in (
        ("state=done", "state=done: no such choice; choose from diverged,"),
        ("penaltie=none", "penaltie: no such key; choose from"),
        ("steps>=x", "steps>=x: x is no number"),
    ):
        assert main(["status", str(tmp_path), word]) == Exit.BAD_INPUT
        assert sentence in capsys.readouterr().err


def test_the_newest_run_is_first(make: Make, tmp_path: Path) -> None:
    for seed, created in ((0, "2026-01-02"), (1, "2026-01-03"), (2, "2026-01-01"), (3, "")):
        make(seed, State.FINISHED, created=created)
    found = [re.findall(r"-s(\d)-", row.name) for row in rows(tmp_path)]
    assert found == [["1"], ["0"], ["2"], ["3"]]


def test_runs_of_one_name_are_told_apart_by_their_folders(make: Make, tmp_path: Path) -> None:
    first = make(0, State.FINISHED)
    shutil.copytree(first.path, tmp_path / "copies" / first.path.name)
    names = {row.name for row in rows(tmp_path)}
    assert names == {f"{place}/{first.path.name}" for place in ("runs", "copies")}


def test_in_a_narrow_terminal_names_keep_what_tells_the_runs_apart(
    make: Make, tmp_path: Path
) -> None:
    for seed in range(2):
        make(seed, State.FINISHED, step=100)
    found = rows(tmp_path)
    assert max(map(len, table(found).splitlines())) > 80
    shown = table(found, 80)
    assert max(map(len, shown.splitlines())) <= 80
    for row in found:
        assert re.search(rf"^\.\.\.s\d-{row.name[-12:]} +finished +100/100", shown, re.M)
    assert short_names(["swiss-none-s0-abc", "swiss-one_gp-s0-abd"], 99) == [
        "...none-s0-abc",
        "...one_gp-s0-abd",
    ]
    assert short_names(["a" * 40 + "-s0"], 20) == ["a" * 7 + "..." + "a" * 7 + "-s0"]
    alike = ["x" * 30 + "1" + "y" * 30, "x" * 30 + "2" + "y" * 30]
    assert short_names(alike, 20) == alike


def test_looking_keeps_nobody_from_a_run(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks has the lock for a moment; a run that starts then waits for it."""
    monkeypatch.setattr("gp_lab.runs.lock.LOOKING", PATIENCE)
    folder = make(0, State.RUNNING)
    with (folder.path / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert not folder.taken
        later = threading.Timer(0.1, fcntl.flock, (file, fcntl.LOCK_UN))
        later.start()
        folder.lock()
        later.join()
    assert RunFolder(folder.path).taken
    monkeypatch.undo()
    with pytest.raises(LabError, match="another process"):
        RunFolder(folder.path).lock()


def test_looking_changes_nothing(make: Make, tmp_path: Path) -> None:
    folder = make(0, State.RUNNING, step=40)
    folder.lock()
    folder.unlock()
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")}
    rows(tmp_path)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")} == before
    assert json.loads((folder.path / "status.json").read_text())["state"] == "running"
    assert os.listdir(tmp_path) == ["runs"]
