"""W&B: what an offline run holds, what an unreachable server costs, what never gets there."""

import logging
import os
import signal
import socket
import subprocess
from functools import partial
from pathlib import Path

import pytest
from lab import (
    PATIENCE,
    SMALL,
    Forked,
    SignalAt,
    act_at,
    config_of,
    environment,
    lab,
    lab_command,
    trained,
)
from offline_runs import exit_code, history, records, run_of, summary
from wandb_server import KEY

from gp_lab.errors import Exit
from gp_lab.launching.jobs import merged
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import folder_of, setting_id
from gp_lab.tracking import wandb_inside, weights_and_biases
from gp_lab.tracking.base import NoTracking, Tracker
from gp_lab.tracking.weights_and_biases import WandbTracking

TRACKED = (
    *SMALL,
    "tracking=wandb",
    "steps=40",
    "log_every=3",
    "checkpoint_every=7",
    "probe.surface.every=9",
)
pytestmark = pytest.mark.usefixtures("no_account")
NOWHERE = "http://127.0.0.1:9"


def by_step(lines: list[dict]) -> dict[int, dict]:
    """The lines of metrics.jsonl, those of one step as one."""
    found: dict[int, dict] = {}
    for line in lines:
        found.setdefault(line["step"], {}).update(line)
    return found


# -- an offline run ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_a_figure(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run as a figure asks for it, written offline."""
    modes = ("probe=[surface,samples,modes]", "probe.modes.every=10", "probe.modes.count=20")
    config = config_of(*modes, f"out={tmp_path_factory.mktemp('figure')}", base=TRACKED)
    config |= {"figure": {"id": "zero_gp/fig1"}, "panel": "critic"}
    config["tracking"] |= {"mode": "offline"}
    from gp_lab.training.trainer import train

    wandb_inside.end_service()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        return train([config], progress=False)[0].folder


@pytest.mark.seconds
def test_an_offline_run_has_the_runs_id_setting_and_tags(of_a_figure: RunFolder) -> None:
    run = run_of(of_a_figure)
    assert run["run_id"] == of_a_figure.status["id"]
    assert run["display_name"] == of_a_figure.path.name
    assert run["run_group"] == setting_id(of_a_figure.config)
    assert run["tags"] == ["eight_gaussians", "wasserstein", "one_gp", "zero_gp/fig1", "critic"]
    assert run["project"] == "gp_lab"


@pytest.mark.seconds
def test_an_offline_run_has_the_config_without_paths_and_trust(of_a_figure: RunFolder) -> None:
    run = next(r["run"] for r in records(of_a_figure) if r["type"] == "run")
    config = {k: v for k, v in run["config"]["update"].items() if k != "_wandb"}
    kept = {k: v for k, v in of_a_figure.config.items() if k not in ("out", "trust", "force")}
    made_by = config.pop("made_by")
    assert config == kept | {"setting": setting_id(of_a_figure.config)}
    status = of_a_figure.status
    assert made_by["versions"] == status["versions"]
    for key in ("commit", "dirty", "device", "engine", "threads", "stack", "ranks"):
        assert made_by[key] == status[key]
    assert "host" not in made_by


@pytest.mark.seconds
def test_a_finished_run_says_so_and_keeps_its_scores_best_values(of_a_figure: RunFolder) -> None:
    assert exit_code(of_a_figure) == 0
    found = summary(of_a_figure)
    assert (found["state"], found["why"]) == ("finished", "")
    assert "diverged_at" not in found
    values = [line["modes/w1"] for line in of_a_figure.metrics() if "modes/w1" in line]
    assert len(values) > 2
    assert found["modes/w1"] == {"min": min(values), "last": values[-1]}
    assert found["loss_d"] == of_a_figure.metrics()[-2]["loss_d"]  # no score: the last alone


@pytest.mark.seconds
def test_charts_have_the_step_as_their_axis(of_a_figure: RunFolder) -> None:
    metrics = [r["metric"] for r in records(of_a_figure) if r["type"] == "metric"]
    assert {m.get("step_metric") for m in metrics if m.get("name") != "step"} == {"step"}
    assert [item["step"] for item in history(of_a_figure)] == [
        item["_step"] for item in history(of_a_figure)
    ]


@pytest.mark.seconds
def test_a_run_that_diverged_is_not_finished_on_the_dashboard(tmp_path: Path) -> None:
    explodes = ("loss=exp", "optimizer=sgd", "optimizer.lr=1.0", "penalty=none")
    folder = trained(*explodes, "tracking.mode=offline", f"out={tmp_path}", base=TRACKED)
    assert exit_code(folder) == Exit.DIVERGED
    found, status = summary(folder), folder.status
    assert (found["state"], found["why"]) == ("diverged", status["why"])
    assert found["diverged_at"] == status["step"]
    assert run_of(folder)["tags"][-1] == "diverged"


@pytest.mark.seconds
def test_an_offline_run_has_every_metric_at_its_step(of_a_figure: RunFolder) -> None:
    wanted, found = by_step(of_a_figure.metrics()), history(of_a_figure)
    assert [item["_step"] for item in found] == sorted(wanted)
    for item in found:
        for name, value in wanted[item["_step"]].items():
            if name != "step":
                assert item[name] == pytest.approx(value, rel=1e-12)


@pytest.mark.seconds
def test_an_offline_run_has_surfaces_and_samples_as_images(of_a_figure: RunFolder) -> None:
    def steps_with(image: str) -> list[int]:
        return [i["_step"] for i in history(of_a_figure) if i.get(f"{image}._type")]

    assert steps_with("surface") == [9, 18, 27, 36, 40]
    assert steps_with("samples") == [40]
    last = history(of_a_figure)[-1]
    (root,) = (of_a_figure.path / "wandb").glob("offline-run-*")
    for image in ("surface", "samples"):
        assert last[f"{image}._type"] == "image-file"
        assert last[f"{image}.caption"] == f"{image}, step 40"
        data = (root / "files" / last[f"{image}.path"]).read_bytes()
        assert data.startswith(b"\x89PNG")


@pytest.mark.seconds
def test_after_a_kill_and_a_resume_the_offline_run_holds_every_step_and_image_once(
    tmp_path: Path,
) -> None:
    overrides = [o for o in TRACKED if not o.startswith("steps")]
    overrides += ["steps=300", "probe.surface.every=30", f"out={tmp_path}"]
    folder = RunFolder(folder_of(config_of(*overrides, base=())))
    env = environment(tmp_path)
    killed = lab("train", *overrides, env=env, signal_at=SignalAt(102, signal.SIGKILL))
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    resumed = lab("train", *overrides, env=env)
    assert resumed.returncode == 0, resumed.stdout
    found, wanted = history(folder), by_step(folder.metrics())
    assert [item["_step"] for item in found] == sorted(wanted)
    assert {*range(3, 301, 3)} <= wanted.keys()
    with_image = [item["_step"] for item in found if item.get("surface._type")]
    assert with_image == list(range(30, 301, 30))


@pytest.mark.seconds
def test_many_runs_of_one_process_have_a_dashboard_run_each(tmp_path: Path) -> None:
    folders = [
        trained("tracking.mode=offline", f"seed={s}", f"out={tmp_path}", base=TRACKED) for s in "01"
    ]
    ids = [r["run"]["run_id"] for f in folders for r in records(f) if r["type"] == "run"]
    assert ids == [f.status["id"] for f in folders]
    assert all(history(f)[-1]["_step"] == 40 for f in folders)


def service_of(pid: int) -> int:
    """The process of W&B's that belongs to a process of ours."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (service,) = (p for p in children if b"wandb-core" in Path(f"/proc/{p}/cmdline").read_bytes())
    return int(service)


def without_its_service() -> None:
    """From now on: W&B's process is killed at step 21, this one asked to stop at step 120."""
    patch = pytest.MonkeyPatch()
    act_at(21, lambda: os.kill(service_of(os.getpid()), signal.SIGKILL), patch)
    act_at(120, partial(os.kill, os.getpid(), signal.SIGTERM), patch)


@pytest.mark.seconds
def test_when_w_and_b_s_process_is_killed_the_run_goes_on_and_a_resume_makes_up_for_it(
    tmp_path: Path,
) -> None:
    run = merged([*TRACKED, "steps=500", "probe.surface.every=100", f"out={tmp_path}"])
    folder = RunFolder(folder_of(config_of(*run, base=())))
    env = {"WANDB_MODE": "offline", "HOME": str(tmp_path)}
    process = Forked(tmp_path / "log", "train", *run, first=without_its_service, **env)
    assert process.ended() == 4, process.said
    assert folder.state == State.PREEMPTED
    first, last = process.said
    assert first.endswith("goes on without it; metrics.jsonl has all")
    assert "W&B's own process has died" in first
    assert last.startswith("preempted at step ")
    again = Forked(tmp_path / "log", "train", *run, **env)
    assert again.ended() == 0
    assert again.said[-1] == f"finished at step 500: {folder.path}"
    assert [item["_step"] for item in history(folder)] == sorted(by_step(folder.metrics()))


def asked_to_stop_with_its_service() -> None:
    """From now on: both are told at step 21, as Slurm does when a job is cancelled."""
    patch = pytest.MonkeyPatch()
    act_at(21, lambda: os.kill(service_of(os.getpid()), signal.SIGTERM), patch)
    act_at(21, partial(os.kill, os.getpid(), signal.SIGTERM), patch)


@pytest.mark.seconds
def test_a_run_whose_dashboard_was_ended_with_it_says_so_in_a_line(tmp_path: Path) -> None:
    run = merged([*TRACKED, "steps=500", f"out={tmp_path}"])
    env = {"WANDB_MODE": "offline", "HOME": str(tmp_path)}
    process = Forked(tmp_path / "log", "train", *run, first=asked_to_stop_with_its_service, **env)
    assert process.ended() == 4, process.said
    said, last = process.said
    assert said.startswith("W&B")
    assert said.endswith("metrics.jsonl has all")
    assert last.startswith("preempted at step ")


def impatient() -> None:
    weights_and_biases.INIT_SECONDS = 2


@pytest.mark.seconds
def test_a_server_that_never_answers_is_waited_for_once_and_the_runs_are_offline(
    tmp_path: Path,
) -> None:
    run = merged([*TRACKED, "seed=0,1", f"out={tmp_path}"])
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        process = Forked(
            tmp_path / "log", "train", "-m", *run, first=impatient,
            WANDB_MODE="online", WANDB_API_KEY=KEY, HOME=str(tmp_path),
            WANDB_BASE_URL=f"http://127.0.0.1:{deaf.getsockname()[1]}",
        )  # fmt: skip
        assert process.ended() == 0, process.said
    assert sum("runs are written offline" in line for line in process.said) == 1
    for folder in find_runs(tmp_path):
        assert history(folder)[-1]["_step"] == 40


# -- without a server ----------------------------------------------------------------------


@pytest.mark.seconds
def test_an_unreachable_server_neither_stops_a_run_nor_asks_anything(tmp_path: Path) -> None:
    overrides = [*TRACKED, f"out={tmp_path / 'out'}"]
    process = subprocess.Popen(
        lab_command("train", *overrides),
        stdin=subprocess.PIPE,  # a prompt would wait here for ever
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(tmp_path, WANDB_API_KEY=KEY, WANDB_BASE_URL=NOWHERE),
    )
    assert process.stdout is not None
    assert f"{NOWHERE} cannot be reached" in process.stdout.read()
    assert process.wait(timeout=PATIENCE) == 0
    folder = RunFolder(folder_of(config_of(*overrides, base=())))
    assert folder.state == State.FINISHED
    assert history(folder)  # an offline log
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert [p for p in files if KEY.encode() in p.read_bytes()] == []


# -- a dashboard that fails -------------------------------------------------------------------


class Broken:
    """A dashboard that fails whenever it is used."""

    step = 0

    def log(self, values: object, step: int) -> None:
        raise RuntimeError("the dashboard is full")

    def finish(self, exit_code: int) -> None:
        raise RuntimeError("the dashboard is gone")


def test_a_dashboard_that_fails_is_no_reason_for_a_run_to_die(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import wandb

    monkeypatch.setattr(wandb, "init", lambda **_: Broken())
    with caplog.at_level(logging.WARNING):
        folder = trained(f"out={tmp_path}", "steps=6", base=TRACKED)
    assert folder.state == State.FINISHED
    assert "the dashboard is full" in caplog.text
    assert "the dashboard is gone" in caplog.text


@pytest.mark.seconds
def test_a_picture_that_cannot_be_drawn_is_no_reason_for_a_run_to_die(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from gp_lab.probes.plane import ValueSurface

    def undrawable(self: ValueSurface, arrays: object) -> dict:
        raise ValueError("nothing to draw")

    monkeypatch.setattr(ValueSurface, "pictures", undrawable)
    folder = trained(f"out={tmp_path}", "steps=3", base=TRACKED)
    assert folder.state == State.FINISHED
    assert "nothing to draw" in caplog.text


def test_no_tracking_leads_nowhere_and_draws_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    tracker = NoTracking().open({}, RunFolder(folder))
    assert type(tracker) is Tracker
    tracker.pictures(0, "samples", lambda: pytest.fail("drawn for nobody"))
    tracker.log([{"step": 1}])
    tracker.close()
    assert list(folder.iterdir()) == []


def test_a_tracker_that_wandb_refuses_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import wandb

    def refuse(**_: object) -> None:
        raise wandb.errors.CommError("not today")

    monkeypatch.setattr(wandb, "init", refuse)
    folder = trained(f"out={tmp_path}", "steps=3", base=TRACKED)
    assert type(WandbTracking().open(folder.config, folder)) is Tracker
    assert "not today" in caplog.text
