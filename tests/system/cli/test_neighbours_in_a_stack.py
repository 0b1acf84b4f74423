"""A run of a stack that cannot go on, or begins anew, takes nothing from its neighbours."""

import shutil
from pathlib import Path

import pytest
from damaged import RUN, contents, newest
from lab import assert_same_run, config_of, signal_at

from gp_lab.errors import LabError
from gp_lab.runs.folder import RunFolder, State
from gp_lab.training.resuming import grouped
from gp_lab.training.trainer import train


def stack(out: Path) -> list[dict]:
    return [config_of(*RUN, f"seed={seed}", f"out={out}") for seed in range(4)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    configs = stack(tmp_path_factory.mktemp("undisturbed"))
    return [outcome.folder for outcome in train(configs, progress=False)]


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunFolder]:
    """Four runs in a stack, stopped at step 18."""
    with monkeypatch.context() as patch:
        signal_at(18, patch)
        return [outcome.folder for outcome in train(stack(tmp_path), progress=False)]


def test_a_run_without_checkpoints_begins_anew_alone_and_its_neighbours_go_on(
    stopped: list[RunFolder],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.rmtree(stopped[2].path / "checkpoints")
    began: list[tuple[str, int]] = []
    real = RunFolder.cut_metrics

    def noted(self: RunFolder, step: int) -> None:
        began.append((self.path.name, step))
        real(self, step)

    monkeypatch.setattr(RunFolder, "cut_metrics", noted)
    with pytest.warns(UserWarning, match="starts over"):
        ends = train(stack(tmp_path))
    assert [end.state for end in ends] == [State.FINISHED] * 4
    steps = dict(began)
    assert [steps[folder.path.name] for folder in stopped] == [18, 18, -1, 18]
    assert "go on apart: 3 runs from 18, 1 run begin anew" in capsys.readouterr().err


def test_a_run_whose_newest_checkpoint_is_damaged_takes_nobodys_away(
    stopped: list[RunFolder], tmp_path: Path, undisturbed: list[RunFolder]
) -> None:
    """All have 15 in common and go on from there, together and bit for bit."""
    newest(stopped[1]).write_bytes(b"damaged")
    kept = newest(stopped[0]).read_bytes()
    with pytest.warns(UserWarning, match="passed over"):
        ends = train(stack(tmp_path), progress=False)
    for end, other in zip(ends, undisturbed, strict=True):
        assert_same_run(end.folder, other)
    aside = stopped[0].path / "set-aside" / "1" / "checkpoints" / "step-00000018.pt"
    assert aside.read_bytes() == kept


def test_runs_of_a_stack_are_grouped_by_the_newest_checkpoints_that_most_of_them_share() -> None:
    assert grouped([{15, 18}] * 3) == [(18, [0, 1, 2])]
    assert grouped([{15, 18}, {15, 18}, {10, 15}]) == [(15, [0, 1, 2])]
    assert grouped([{18}, {18}, set(), {15}]) == [(18, [0, 1]), (15, [3]), (None, [2])]
    assert grouped([set(), set()]) == [(None, [0, 1])]


def test_an_error_of_one_run_of_a_stack_changes_no_other(
    stopped: list[RunFolder], tmp_path: Path, undisturbed: list[RunFolder]
) -> None:
    path = newest(stopped[3])
    data = path.read_bytes()
    path.unlink()
    path.mkdir()
    before = [contents(folder.path) for folder in stopped]
    with pytest.raises(LabError, match="nothing is changed"):
        train(stack(tmp_path), progress=False)
    assert [contents(folder.path) for folder in stopped] == before
    path.rmdir()
    path.write_bytes(data)
    for end, other in zip(train(stack(tmp_path), progress=False), undisturbed, strict=True):
        assert_same_run(end.folder, other)
