"""An entry's picture, data and claims are replaced together, by one at a time, and read back."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lab import Forked
from matplotlib.figure import Figure
from PIL import Image

from gp_lab import files
from gp_lab.cli import main
from gp_lab.errors import Exit, LabError
from gp_lab.figures.publishing import animated, belonging, publish, published, summary_of
from gp_lab.files import write_together
from gp_lab.launching.compose import hydra_session, sweep_of
from gp_lab.report.page import write_report
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import folder_of, run_id

SUMMARY = {
    "figure": "a/b", "title": "t", "scale": "smoke", "command": "c", "seeds": 1, "steps": [],
    "claims": [], "assumptions": [], "settings": {}, "made_by": [],
}  # fmt: skip


def drawn(number: int) -> dict[str, Figure]:
    picture = Figure(figsize=(1, 1))
    picture.subplots().plot([0, number])
    return {"figure": picture}


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.iterdir()) if path.suffix != ".lock")
    return {path.name: path.read_bytes() for path in found}


def test_what_is_published_belongs_together(tmp_path: Path) -> None:
    publish(tmp_path, drawn(1), [{"seed": 0, "x": 1.5}], SUMMARY, {"arrays.npz": b"arrays"})
    (path,) = published(tmp_path)
    summary = summary_of(path)
    assert {k: summary[k] for k in SUMMARY} == SUMMARY
    names = ["figure.png", "figure.pdf", "data.csv", "arrays.npz"]
    assert sorted(summary["files"]) == sorted(names)
    for name in names:
        assert belonging(path, name, summary) == (tmp_path / name).read_bytes()
    assert sorted(contents(tmp_path)) == sorted([*names, "claims.json"])


def test_the_same_drawing_is_the_same_files(tmp_path: Path) -> None:
    rows = [{"seed": 0, "x": 1.5}]
    publish(tmp_path, drawn(1), rows, SUMMARY)
    before = contents(tmp_path)
    publish(tmp_path, drawn(1), rows, SUMMARY)
    assert contents(tmp_path) == before


def test_a_picture_of_another_drawing_is_not_shown_beside_these_claims(tmp_path: Path) -> None:
    folder = tmp_path / "figures" / "a" / "b" / "smoke"
    publish(folder, drawn(1), [], SUMMARY)
    whole = write_report(tmp_path).read_text()
    assert "data:image/png" in whole
    for change in (b"half a picture", None):
        if change is None:
            (folder / "figure.png").unlink()
        else:
            (folder / "figure.png").write_bytes(change)
        with pytest.warns(UserWarning, match=r"figure\.png: .*left out of the report"):
            page = write_report(tmp_path).read_text()
        assert "data:image/png" not in page
        assert "a/b" in page


@pytest.mark.parametrize("at", range(5))
def test_a_kill_while_files_are_written_is_seen_or_has_changed_nothing(
    tmp_path: Path, at: int
) -> None:
    """Killed before the at-th of the files was replaced."""
    publish(folder := tmp_path / "f", drawn(1), [{"x": 1}], SUMMARY)
    before = contents(folder)
    pid = os.fork()
    if pid == 0:
        left = [at]

        def killed(self: Path, target: Path, real: Callable = Path.replace) -> Path:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return real(self, target)

        Path.replace = killed
        publish(folder, drawn(2), [{"x": 2}], SUMMARY)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    summary = summary_of(folder / "claims.json")
    if at == 4:  # there are four files
        assert status == 0
        assert contents(folder) != before
    elif at == 0:
        assert {k: v for k, v in contents(folder).items() if not k.startswith(".")} == before
    else:
        with pytest.raises(LabError, match="of another drawing"):
            belonging(folder / "claims.json", list(summary["files"])[at - 1], summary)
    publish(folder, drawn(2), [{"x": 2}], SUMMARY)  # the same command mends it
    summary = summary_of(folder / "claims.json")
    assert all(belonging(folder / "claims.json", name, summary) for name in summary["files"])


def test_what_does_not_fit_on_the_disk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_together(tmp_path, {"a": b"old", "b": b"old"})
    real = files.flush

    def full(path: Path) -> None:
        if path.name.startswith(".b."):
            raise OSError(28, "No space left on device")
        real(path)

    monkeypatch.setattr(files, "flush", full)
    with pytest.raises(OSError, match="No space left"):
        write_together(tmp_path, {"a": b"new", "b": b"new"})
    assert contents(tmp_path) == {"a": b"old", "b": b"old"}


@pytest.mark.seconds
def test_an_entry_whose_runs_another_process_trains_is_not_drawn_from_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Some of its seeds were never measured: claims with n=0 would be published."""
    command = ["figure", "lipschitz/fig1", "scale=smoke", f"out={tmp_path}"]
    with hydra_session() as hydra:
        overrides = ["figure=lipschitz/fig1", *command[2:], "hydra/launcher=replicas"]
        wanted = sweep_of(hydra, overrides).jobs
    config = wanted[0].config
    other = RunFolder(folder_of(config))
    other.make(tmp_path)
    other.create(config, run_id(config))
    other.set_status(State.RUNNING)
    assert main(command) == Exit.FAILED
    said = capfd.readouterr().err
    assert f"{other.path}: another process is training this run" in said
    assert f"1 run of {len(wanted)} not finished, such as {other.path} (running)" in said
    assert not published(tmp_path)
    other.unlock()
    assert main(command) == Exit.OK
    assert len(published(tmp_path)) == 1


@pytest.mark.seconds
def test_nobody_else_draws_an_entry_at_the_same_time(tmp_path: Path) -> None:
    """The second one waits, and finds what the first one drew."""
    log = tmp_path / "log"
    command = ("figure", "mu_wgan/lemma2", "scale=smoke", f"out={tmp_path / 'out'}")
    both = [Forked(log, *command) for _ in range(2)]
    assert [process.ended() for process in both] == [0, 0]
    (path,) = published(tmp_path / "out")
    summary = summary_of(path)
    assert all(belonging(path, name, summary) for name in summary["files"])
    assert not [p for p in path.parent.iterdir() if p.name.endswith(".tmp")]
    assert json.loads(path.read_text())["claims"]


def test_an_animation_has_its_frames_and_a_digest(tmp_path: Path) -> None:
    frames = [np.full((4, 6, 3), shade, dtype=np.uint8) for shade in (0, 128, 255)]
    publish(tmp_path, drawn(1), [], SUMMARY, animated(frames))
    with Image.open(tmp_path / "animation.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (3, (6, 4), 0)
    assert "animation.gif" in summary_of(tmp_path / "claims.json")["files"]
    assert animated([]) == {}
