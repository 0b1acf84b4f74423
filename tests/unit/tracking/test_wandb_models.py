"""`tracking.artifact=final`: the last checkpoint of a run that has finished, as a model on W&B."""

import json
from pathlib import Path
from typing import Any

import pytest
from lab import config_of, trained
from offline_runs import exit_code, records
from wandb_server import WandbServer
from where_runs_go import logged_in
from where_runs_go import server as server

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import run_hash, setting_id
from gp_lab.tracking import wandb_inside, weights_and_biases

pytestmark = [pytest.mark.usefixtures("no_account"), pytest.mark.seconds]

BARE = ("architecture=mlp_tanh_64", "architecture.width=8", "batch_size=16", "probe=modes",
        "probe.modes.count=20", "steps=6", "log_every=2", "compile=never", "threads=1",
        "device=cpu", "tracking=wandb", "tracking.artifact=final")  # fmt: skip


def arrived(server: WandbServer, folder: RunFolder) -> dict[str, Any]:
    """What is said of the run's model on the server, where its files are what they are here."""
    files = {path.name: path for path in (folder.path / "checkpoints").iterdir()}
    files["config.yaml"] = folder.path / "config.yaml"
    assert len(files) == 3
    for name, path in files.items():
        assert server.uploads[f"artifact/{name}"] == path.read_bytes()
    return server.artifacts[f"model-{folder.status['id']}"]


def is_a_model(found: dict[str, Any], folder: RunFolder) -> None:
    assert found["artifactTypeName"] == "model"
    assert {a["alias"] for a in found["aliases"]} == {"latest", "step-6"}
    said = json.loads(found["metadata"])
    scores = said.pop("scores")
    assert said == {"setting": setting_id(folder.config), "seed": 0, "step": 6}
    assert scores["modes/w1"] == folder.metrics()[-1]["modes/w1"]
    assert "loss_d" not in scores


def test_the_last_checkpoint_of_an_online_run_is_a_model_with_what_it_is(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in(server, monkeypatch)
    folder = trained(f"out={tmp_path}", base=BARE)
    is_a_model(arrived(server, folder), folder)
    assert server.runs[folder.status["id"]]["exit_code"] == 0


def test_that_of_an_offline_run_comes_with_wandb_sync(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = trained("out=out", "tracking.mode=offline", base=BARE)
    logged_in(server, monkeypatch)
    wandb_inside.end_service()  # as in a process of its own
    assert main(["wandb-sync", "out"]) == Exit.OK
    is_a_model(arrived(server, folder), folder)


def test_a_run_that_diverged_makes_no_model(tmp_path: Path) -> None:
    explodes = ("loss=exp", "optimizer=sgd", "optimizer.lr=1.0", "penalty=none", "steps=40")
    folder = trained(f"out={tmp_path}", "tracking.mode=offline", *explodes, base=BARE)
    assert folder.state == "diverged"
    assert not [r for r in records(folder) if r["type"] == "artifact"]


def test_a_model_that_cannot_be_made_is_no_reason_for_a_run_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(weights_and_biases, "model_of", fails)
    folder = trained(f"out={tmp_path}", "tracking.mode=offline", base=BARE)
    assert (folder.state, exit_code(folder)) == ("finished", 0)
    assert f"W&B: {folder.path.name} was not made an artifact: no room" in caplog.text


def test_a_model_is_asked_for_and_tells_no_runs_apart() -> None:
    assert config_of(base=BARE[:-1])["tracking"]["artifact"] == "none"
    assert run_hash(config_of(base=BARE)) == run_hash(config_of("tracking=none", base=BARE[:-1]))
