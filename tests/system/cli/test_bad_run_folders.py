"""Run folders that are wrong, damaged or not to be trusted are named in one sentence."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from refusals import SMALL, Refused

from gp_lab.cli import main
from gp_lab.errors import Exit


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output root with one finished run of two steps."""
    root = tmp_path_factory.mktemp("trained") / "out"
    assert main(["train", *SMALL, "probe=[]", f"out={root}"]) == Exit.OK
    return root


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run's folder, in a copy of that root."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, tmp_path / "out")
    (folder,) = (tmp_path / "out" / "runs").iterdir()
    return folder


def test_a_run_is_never_shortened(run: Path, refused: Refused) -> None:
    sentence = refused("resume", str(run), "steps=1")
    assert sentence == "steps=1: the run has 2; it can only be extended"
    assert refused("resume", str(run), "seed=1").startswith(
        "seed=1: only steps and what is kept can change"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"out": "${oc.env:HOME}"}, "interpolations are not resolved"),
        ({"steps": "many"}, "steps=many: not a whole number"),
        ({"penalty": 3}, "penalty=3: not a mapping"),
        ({"wieght": 3}, "wieght: no such key"),
        ({"trust": ["mine"], "loss": {"_target_": "mine.Loss"}}, "loss._target_=mine.Loss: not a"),
    ],
)
def test_a_config_that_was_found_is_data(
    change: dict[str, object], says: str, run: Path, refused: Refused
) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump(config | change))
    assert says in refused("resume", str(run), "steps=4")


def test_trust_in_a_found_config_imports_nothing(
    run: Path, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hostile.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["trust"] = ["hostile"]
    config["loss"]["_target_"] = "hostile.Loss"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert refused("resume", str(run), "steps=4").startswith("loss._target_=hostile.Loss: not a")
    assert "hostile" not in sys.modules


def test_a_damaged_run_folder_is_named_with_its_file(run: Path, refused: Refused) -> None:
    whole = (run / "config.yaml").read_text()
    for damaged in (whole[: len(whole) // 2], "a: [1", "\x00", "3", ""):
        (run / "config.yaml").write_text(damaged)
        assert refused("resume", str(run)).startswith(str(run / "config.yaml"))
    (run / "config.yaml").write_text(whole)
    for damaged in (
        '{"state": "finis',
        "[]",
        '{"state": "asleep"}',
        '{"state": "failed", "step": ""}',
    ):
        (run / "status.json").write_text(damaged)
        assert refused("resume", str(run)).startswith(str(run / "status.json"))
        assert "without it, moved away, the run goes on" in refused("train", *SMALL, "probe=[]")
    assert main(["train", *SMALL, "probe=[]", "force=true"]) == Exit.OK
    assert json.loads((run / "status.json").read_text())["state"] == "finished"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_cannot_go_on_stops_no_sweep(
    processes: int, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = json.loads((run / "status.json").read_text())
    del status["finished_at"]
    (run / "status.json").write_text(json.dumps(status | {"state": "interrupted"}))
    with (run / "metrics.jsonl").open("r+b") as file:
        file.write(bytes(20))  # as a machine that lost power leaves it
    words = [*SMALL, "probe=[]", f"out={run.parents[1]}", "seed=range(4)"]
    launcher = ["hydra/launcher=local", f"hydra.launcher.processes={processes}"]
    assert main(["train", "-m", *words, *launcher]) == Exit.BAD_INPUT
    assert f"{run}/metrics.jsonl" in capsys.readouterr().err
    others = [folder for folder in run.parent.iterdir() if folder != run]
    states = [json.loads((folder / "status.json").read_text())["state"] for folder in others]
    assert states == ["finished"] * 3
