"""TensorBoard, several trackers at once, and one of one's own."""

import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import SMALL, composed, trained

from gp_lab import extras
from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.runs.folder import RunFolder, State
from gp_lab.tracking.base import Tracker, tracking_of
from gp_lab.tracking.several import SeveralTracking

RUN = (*SMALL, "steps=10", "log_every=5", "probe.surface.every=5", "compile=never")


class Writer:
    """Takes the place of torch's: what each was told, by its folder."""

    told: dict[str, list[tuple[Any, ...]]]

    def __init__(self, place: str) -> None:
        Path(place).mkdir(parents=True)
        self.calls = self.told.setdefault(place, [])

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given, **named: self.calls.append((name, *given))

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == name]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[Any, ...]]]:
    """The package is here, as far as the lab can see."""
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(extras, "find_spec", lambda name: module)
    Writer.told = {}
    return Writer.told


def calls(told: dict[str, list[tuple[Any, ...]]], folder: RunFolder, name: str) -> list[Any]:
    return [call[1:] for call in told[str(folder.path / "tensorboard")] if call[0] == name]


def test_tensorboard_has_every_number_image_and_the_config(told: dict, tmp_path: Path) -> None:
    folder = trained("tracking=tensorboard", f"out={tmp_path}", base=RUN)
    found = set(calls(told, folder, "add_scalar"))
    wanted = {
        (k, v, line["step"]) for line in folder.metrics() for k, v in line.items() if k != "step"
    }
    assert wanted <= found
    assert {name for name, _, _ in found - wanted} == {
        f"timing/{k}" for k in folder.timing()[0] if k != "step"
    }
    images = [(name, image.dtype, step) for name, image, step in calls(told, folder, "add_image")]
    assert images == [
        ("surface/surface", "uint8", 5), ("surface/surface", "uint8", 10),
        ("samples/samples", "uint8", 10),
    ]  # fmt: skip
    ((config, scores),) = calls(told, folder, "add_hparams")
    assert (config["penalty.weight"], config["seed"]) == (folder.config["penalty"]["weight"], 0)
    assert not {"out", "force"} & config.keys()
    assert scores["last/loss_d"] == folder.metrics()[-2]["loss_d"]


def test_a_run_that_goes_on_is_told_whole(told: dict, tmp_path: Path) -> None:
    folder = trained("tracking=tensorboard", f"out={tmp_path}", base=RUN)
    told.clear()
    assert main(["resume", str(folder.path), "steps=15"]) == Exit.OK
    steps = [step for name, _, step in calls(told, folder, "add_scalar") if name == "loss_d"]
    assert steps == [5, 10, 15]


def test_a_writer_that_fails_is_said_once_and_ends_no_run(
    told: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: Writer, *_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Writer, "add_scalar", full, raising=False)
    folder = trained("tracking=tensorboard", f"out={tmp_path}", base=RUN)
    assert folder.state == State.FINISHED
    assert caplog.messages == ["TensorBoard: no space left; metrics.jsonl has all"]


@pytest.mark.parametrize("tracking", ["tensorboard", "wandb_and_tensorboard"])
def test_without_the_package_a_sentence_names_the_extra_before_anything_is_computed(
    tracking: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    words = [word for word in RUN if not word.startswith("tracking")]
    assert main(["train", *words, f"tracking={tracking}", f"out={tmp_path}"]) == Exit.BAD_INPUT
    assert "pip install 'gp-lab[tensorboard]'" in capsys.readouterr().err
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_the_real_writer_leaves_event_files(tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorboard") is None:
        pytest.skip("the package tensorboard is not here")
    folder = trained("tracking=tensorboard", f"out={tmp_path}", base=RUN)
    assert list((folder.path / "tensorboard").glob("events.out.tfevents.*"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder.path / "tensorboard")).Reload()
    assert [e.step for e in found.Scalars("loss_d")] == [5, 10]
    assert found.Tags()["images"] == ["surface/surface", "samples/samples"]


# -- several, and one's own ----------------------------------------------------------------


class Told(Tracker):
    def __init__(self, calls: list[str], unsent: str = "") -> None:
        self.calls, self.place = calls, unsent

    def log(self, lines: Any) -> None:
        self.calls.append("log")

    def close(self) -> None:
        self.calls.append("close")

    def abandon(self) -> None:
        self.calls.append("abandon")
        self.unsent = self.place


class Part:
    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def open(self, config: Any, folder: Any) -> Tracker:
        return self.tracker


def test_each_of_several_trackers_is_told_all(tmp_path: Path) -> None:
    one, other = list[str](), list[str]()
    parts = {"one": Part(Told(one)), "other": Part(Told(other, "there"))}
    tracker = SeveralTracking(parts).open({}, RunFolder(tmp_path))
    tracker.log([{"step": 1}])
    tracker.results({"fid": 1.0})
    tracker.close()
    tracker.abandon()
    assert one == other == ["log", "close", "abandon"]
    assert tracker.unsent == "there"


class Failing(Told):
    def close(self) -> None:
        raise RuntimeError("no")


def test_one_of_several_that_fails_at_the_end_holds_up_no_other(tmp_path: Path) -> None:
    calls = list[str]()
    late = Told(calls, "there")
    late.unsent = "there"  # as W&B, which has given up by itself
    parts = {"bad": Part(Failing([])), "good": Part(late), "worse": Part(Failing([]))}
    tracker = SeveralTracking(parts).open({}, RunFolder(tmp_path))
    tracker.close()
    assert (calls, tracker.unsent) == (["close"], "there")


@pytest.mark.parametrize("of", ["wandb", "tensorboard"])
def test_two_that_write_to_one_place_are_refused(of: str) -> None:
    part = composed(("tracking=wandb_and_tensorboard",))["tracking"]["parts"][of]
    target = "gp_lab.tracking.several.SeveralTracking"
    node = {"_target_": target, "parts": {"one": part, "other": dict(part)}}
    with pytest.raises(BadInput, match=f"parts.other: writes to RUN/{of}, as one does"):
        tracking_of({"tracking": node})


def test_w_and_b_and_tensorboard_are_one_choice_with_the_keys_of_both() -> None:
    words = ("tracking=wandb_and_tensorboard", "tracking.parts.wandb.mode=offline")
    node = composed(words)["tracking"]
    alone = composed(("tracking=wandb",))["tracking"]
    assert node["parts"]["wandb"].keys() == alone.keys() - {"name"}
    assert node["parts"]["tensorboard"].keys() == {"_target_"}


def test_what_is_no_tracking_is_refused() -> None:
    node = {"_target_": "gp_lab.tracking.several.SeveralTracking", "parts": {"mine": 3}}
    with pytest.raises(Exception, match=r"tracking.parts.mine: a int is no tracking"):
        tracking_of({"tracking": node})
