"""W&B's sweeps: `gp-lab train` joins the run that `wandb agent` asks for, and it goes on there."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import CLONE
from lab import PATIENCE, composed, environment, trained
from offline_runs import read_log
from wandb_server import KEY, WandbServer
from where_runs_go import server as server

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder, find_runs
from gp_lab.runs.scores import LOWER, better
from gp_lab.tracking import wandb_inside
from gp_lab.tracking.sweeps import OF_AN_AGENT

pytestmark = pytest.mark.usefixtures("no_account")

FILE = CLONE / "configs" / "wandb_sweep.yaml"

BARE = ("architecture=mlp_tanh_64", "architecture.width=8", "batch_size=16", "probe=modes",
        "probe.modes.count=20", "steps=6", "log_every=2", "compile=never", "threads=1",
        "penalty=zero_gp", "device=cpu", "tracking=wandb")  # fmt: skip

Ask = Callable[[str], None]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """What an agent sets before it starts a process for a run; "" for none."""

    def asks(run: str) -> None:
        wandb_inside.end_service()  # as in a process of its own
        for name in (*OF_AN_AGENT, "WANDB_PROJECT"):
            monkeypatch.delenv(name, raising=False)
        if run:
            (tmp_path / "asked.yaml").write_text("penalty:\n  value: zero_gp\n")
            values = ("a-sweep", run, str(tmp_path / "asked.yaml"), "of-the-sweep")
            for name, value in zip((*OF_AN_AGENT, "WANDB_PROJECT"), values, strict=True):
                monkeypatch.setenv(name, value)

    monkeypatch.setenv("WANDB_MODE", "offline")
    return asks


def logged(folder: RunFolder, run: str) -> dict[str, Any]:
    """What the one offline log of a run there says of it, and the steps of its history."""
    (log,) = folder.path.glob(f"wandb/offline-run-*-{run}/*.wandb")
    records = read_log(log)
    first = next(r["run"] for r in records if r["type"] == "run")
    steps = [r["history"]["item"]["_step"] for r in records if r["type"] == "history"]
    return first | {"steps": steps}


@pytest.mark.seconds
def test_wandb_agent_s_runs_join_the_sweep_also_one_that_has_finished_before(
    tmp_path: Path, server: WandbServer
) -> None:
    out = f"out={tmp_path / 'out'}"
    before = trained("optimizer.lr=0.5", "tracking=none", out, base=BARE)
    server.sweep = {"command": ["gp-lab", "train", "${args_no_hyphens}", *BARE[:-1], out]}
    asked: dict[str, dict[str, Any]] = {
        "a-new-one": {"penalty": "one_gp"}, "one-that-is-there": {"optimizer.lr": 0.5},
    }  # fmt: skip
    server.commands = [
        [{"type": "run", "run_id": run, "program": "gp-lab",
          "args": {k: {"value": v} for k, v in of_it.items()}} for run, of_it in asked.items()],
        [{"type": "exit"}],
    ]  # fmt: skip
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = environment(tmp_path, WANDB_BASE_URL=server.url, WANDB_API_KEY=KEY, PATH=path)
    agent = [str(Path(sys.executable).with_name("wandb")), "agent", "someone/of-the-sweep/a-sweep"]
    ran = subprocess.run(
        agent, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert server.runs.keys() == asked.keys()
    for run, of_it in asked.items():
        told = server.runs[run]
        assert (told["sweep"], told["project"]) == ("a-sweep", "of-the-sweep")
        assert told["exit_code"] == 0
        assert server.steps(run) == [2, 4, 6]
        assert any("modes/w1" in line for line in server.history(run))
        config = json.loads(told["config"])
        assert {key: config[key]["value"] for key in of_it} == of_it
    ids = {f.path: f.status["wandb"]["id"] for f in find_runs(tmp_path / "out")}
    assert sorted(ids.values()) == sorted(asked)
    assert ids[before.path] == "one-that-is-there"


@pytest.mark.seconds
def test_an_agent_s_run_goes_on_as_that_also_without_the_agent(tmp_path: Path, ask: Ask) -> None:
    ask("of-an-agent")
    folder = trained(f"out={tmp_path / 'out'}", base=BARE)
    assert folder.status["id"] != "of-an-agent"
    assert folder.status["wandb"]["id"] == "of-an-agent"
    ask("")
    assert main(["resume", str(folder.path), "steps=10"]) == Exit.OK
    found = logged(folder, "of-an-agent")
    assert (found["sweep_id"], found["project"]) == ("a-sweep", "of-the-sweep")
    assert found["config"]["update"]["penalty"] == "zero_gp"  # as the sweep has it
    assert found["steps"] == [2, 4, 6, 8, 10]
    assert len([*folder.path.glob("wandb/offline-run-*")]) == 1


@pytest.mark.seconds
def test_a_second_agent_s_run_is_told_all_and_the_first_one_s_log_stays(
    tmp_path: Path, ask: Ask
) -> None:
    words = [*BARE, f"out={tmp_path / 'out'}"]
    for run in ("first", "second"):
        ask(run)
        assert main(["train", *words]) == Exit.OK
    (folder,) = find_runs(tmp_path / "out")
    assert logged(folder, "first")["steps"] == logged(folder, "second")["steps"] == [2, 4, 6]
    assert folder.status["wandb"]["id"] == "second"


@pytest.mark.seconds
def test_many_runs_of_one_command_are_of_their_own(
    tmp_path: Path, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    ask("of-an-agent")
    assert main(["train", "-m", *BARE, "seed=0,1", f"out={tmp_path / 'out'}"]) == Exit.OK
    folders = find_runs(tmp_path / "out")
    assert [logged(f, f.status["id"])["steps"] for f in folders] == [[2, 4, 6]] * 2
    assert "the agent asks for one run, and this command is about 2 runs" in caplog.text


@pytest.mark.parametrize("found", [None, 3, {"id": 5}, {"project": "p"}, {"id": "", "config": 1}])
def test_what_is_no_place_of_a_run_is_passed_over(tmp_path: Path, found: object) -> None:
    from gp_lab.tracking.sweeps import place_of

    (tmp_path / "status.json").write_text(json.dumps({"state": "queued", "wandb": found}))
    assert place_of(RunFolder(tmp_path)) == {}


def test_the_sweep_that_ships_asks_for_runs_that_there_are_and_a_score_that_they_have() -> None:
    sweep = yaml.safe_load(FILE.read_text())
    command, parameters = sweep["command"], sweep["parameters"]
    assert command[:3] == ["gp-lab", "train", "${args_no_hyphens}"]
    for end in (0, -1):
        asked = [
            f"{k}={(of.get('values') or [of['min'], of['max']])[end]}"
            for k, of in parameters.items()
        ]
        config = composed([*asked, *command[3:]])
        assert "modes" in config["probe"]
    metric = sweep["metric"]
    assert (metric["name"].partition("/")[0], metric["goal"]) == ("modes", "minimize")
    assert better(metric["name"]) == LOWER
