"""`gp-lab wandb-view`: the workspace as W&B's own package has it, of what the runs have."""

import json
from pathlib import Path
from typing import Any

import pytest
from lab import trained
from offline_runs import history, summary
from wandb_server import WandbServer
from where_runs_go import logged_in
from where_runs_go import server as server

from gp_lab import extras
from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.tracking import wandb_inside
from gp_lab.tracking.workspaces import CURVES, FILE, PICTURES, SCORES

pytestmark = pytest.mark.usefixtures("no_account")

BARE = ("architecture=mlp_tanh_64", "architecture.width=8", "batch_size=16",
        "probe=[surface,modes]", "probe.modes.count=20", "probe.surface.points=8", "steps=6",
        "log_every=2", "compile=never", "threads=1", "device=cpu", "tracking=wandb",
        "tracking.project=ours")  # fmt: skip


def view(out: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The command's status, and what it says."""
    wandb_inside.end_service()  # as in a process of its own
    capsys.readouterr()
    status = main(["wandb-view", str(out), *words])
    said = capsys.readouterr()
    return status, said.out + said.err


def panels(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Section -> the configs of its panels."""
    sections = spec["section"]["panelBankConfig"]["sections"]
    return {s["name"]: [panel["config"] for panel in s["panels"]] for s in sections}


@pytest.mark.seconds
def test_offline_it_writes_what_the_package_would_send_and_all_of_it_is_in_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    internal = pytest.importorskip("wandb_workspaces.workspaces.internal")
    run = trained(f"out={tmp_path}", "tracking.mode=offline", base=BARE)
    evaluate = ["evaluate", str(run.path), "probe=modes", "probe.modes.count=30"]
    assert main(evaluate) == Exit.OK
    status, said = view(tmp_path, capsys, "--entity", "us")
    assert (status, said.strip().endswith(f"is in {tmp_path / FILE}")) == (Exit.OK, True)
    found = json.loads((tmp_path / FILE).read_text())
    assert (found["entity"], found["project"], found["url"]) == ("us", "ours", "")
    read = internal.View.model_validate(found)
    assert read.model_dump(mode="json", by_alias=True, exclude_none=True) == {
        k: v for k, v in found.items() if k != "url"
    }
    shown = panels(found["spec"])
    assert list(shown) == [CURVES, PICTURES, SCORES]
    lines, held = history(run), summary(run)
    curves = [name for panel in shown[CURVES] for name in panel["metrics"]]
    assert {"loss_d", "gradient_norm", "modes/w1"} <= set(curves)
    for name in curves:
        assert any(name in line for line in lines)
    assert {panel["groupBy"] for panel in shown[CURVES]} == {"penalty.value.name"}
    assert [panel["mediaKeys"] for panel in shown[PICTURES]] == [["surface"]]
    assert any("surface.path" in line for line in lines)
    scores = [name for panel in shown[SCORES] for name in panel["metrics"]]
    assert {"modes/w1.last", "modes/balance", "evaluated/modes/w1"} <= set(scores)
    for name in scores:
        key, _, inside = name.partition(".")
        assert key in held
        assert not inside or inside in held[key]
    assert {panel["groupBy"] for panel in shown[SCORES]} == {"setting.value"}
    (runs,) = found["spec"]["section"]["runSets"]
    assert [key["name"] for key in runs["grouping"]] == ["setting.value"]


@pytest.mark.seconds
def test_online_it_is_saved_and_saved_again_in_the_same_place(
    tmp_path: Path,
    server: WandbServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("wandb_workspaces")
    trained(f"out={tmp_path}", "tracking.mode=offline", base=BARE)
    logged_in(server, monkeypatch)
    for _ in range(2):
        status, said = view(tmp_path, capsys)
        (saved,) = server.views.values()
        address = f"{server.url}/someone/ours?nw={saved['name'][3:-2]}"
        assert (status, said) == (Exit.OK, f"workspace: {address}\n")
        written = json.loads((tmp_path / FILE).read_text())
        assert written["url"] == address
        assert (saved["displayName"], saved["type"]) == ("gp_lab", "project-view")
        assert panels(json.loads(saved["spec"])) == panels(written["spec"])
    assert saved["id"] == "v"


@pytest.mark.seconds
def test_what_cannot_be_saved_is_a_sentence_and_the_file(
    tmp_path: Path,
    server: WandbServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ws = pytest.importorskip("wandb_workspaces.workspaces")
    trained(f"out={tmp_path}", "tracking=none", base=BARE[:-1])
    logged_in(server, monkeypatch)
    monkeypatch.setattr(ws.Workspace, "save", lambda self: (_ for _ in ()).throw(OSError("full")))
    status, said = view(tmp_path, capsys, "--entity=us", "--project=theirs")
    path = tmp_path / FILE
    assert said.startswith("gp-lab: W&B: the workspace was not saved (full); what it would be is ")
    assert status == Exit.FAILED
    assert json.loads(path.read_text())["project"] == "theirs"


@pytest.mark.parametrize("why", ["no package", "no runs", "no folder", "two folders"])
def test_what_it_cannot_do_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    why: str,
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: why != "no package" or None)
    words = ["more"] if why == "two folders" else []
    out = tmp_path / "nowhere" if why == "no folder" else tmp_path
    status, said = view(out, capsys, *words)
    assert (status, said.count("\n")) == (Exit.BAD_INPUT, 1)
    assert {
        "no package": "pip install 'gp-lab[wandb-view]'",
        "no runs": "no runs there yet",
        "no folder": "no such folder",
        "two folders": "unrecognized arguments: more",
    }[why] in said
    assert not (tmp_path / FILE).exists()
