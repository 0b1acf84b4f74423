"""Many runs are watched without anybody waiting for a look at them."""

from pathlib import Path

import pytest

from gp_lab.errors import BadInput
from gp_lab.launching import watching
from gp_lab.launching.local import going_on
from gp_lab.launching.workers import Refusals
from gp_lab.runs.folder import RunFolder


class Clock:
    """Time that passes where it is told to."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    return clock


def test_workers_and_signals_do_not_wait_for_a_look_at_the_folders(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looks = []

    def slow(folder: RunFolder) -> dict[str, int]:  # a slow disk, or a Ctrl-Z in its middle
        clock.now += 100
        looks.append(clock.now)
        return {"step": 1}

    monkeypatch.setattr(RunFolder, "status", property(slow))
    monkeypatch.setattr(watching, "folder_of", lambda config: tmp_path)
    asked = []

    def over() -> bool:
        asked.append(clock.now)
        return len(asked) == 300

    watching.watch([{"steps": 1}], over)
    assert clock.slept == pytest.approx(0.5 * 299)  # 299 times asked in vain
    assert len(looks) == 4  # at the start, after a minute each, at the end


@pytest.mark.parametrize(("takes", "rests"), [(0.001, 0.02), (2, 40), (100, 60)])
def test_a_look_takes_a_twentieth_of_the_time(clock: Clock, takes: float, rests: float) -> None:
    pace = watching.Pace()
    assert pace.due
    with pace.looking():
        clock.now += takes
    clock.now += 0.99 * rests
    assert not pace.due
    clock.now += 0.02 * rests
    assert pace.due


def test_a_status_that_cannot_be_read_for_a_moment_ends_no_sweep(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looks = iter(["broken", "whole", "broken"])

    def now_and_then(folder: RunFolder) -> dict[str, object]:
        if next(looks) == "broken":
            raise BadInput("a stale handle")
        return {"step": 3, "state": "finished"}

    monkeypatch.setattr(RunFolder, "status", property(now_and_then))
    monkeypatch.setattr(watching, "folder_of", lambda config: tmp_path)
    monkeypatch.setattr(watching.Pace, "due", True)
    monkeypatch.setattr(watching.time, "sleep", lambda seconds: None)
    over = iter([False, False, True])
    watching.watch([{"steps": 3}], lambda: next(over))
    assert next(looks, None) is None


def test_what_goes_on_after_a_stop() -> None:
    assert going_on([{"force": False}]) == "the same command goes on from there"
    forced = going_on([{"force": True}])
    assert forced == "the same command without force=true goes on from there"


def test_what_two_are_refused_for_in_the_same_words_stops_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusals = Refusals()
    assert not refusals.add(BadInput("the first's file is damaged"))
    assert not refusals.add(BadInput("no such data"))
    assert refusals.add(BadInput("no such data"))
    assert str(refusals.first) == "the first's file is damaged"
    assert capsys.readouterr().err == "no such data\n"  # the first is raised in the end
