"""Whatever stands in the place of a run's files: readers end, name it and serve the rest."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from lab import PATIENCE, trained

import gp_lab
from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.runs.folder import RunFolder, find_runs
from gp_lab.runs.metrics import last_values

FILES = ("status.json", "config.yaml", "metrics.jsonl", "evaluations.jsonl")


@pytest.fixture(autouse=True)
def _no_waiting_for_ever() -> Iterator[None]:
    """A reader that hangs fails its test."""
    signal.alarm(int(PATIENCE))
    yield
    signal.alarm(0)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output root with two finished runs."""
    out = tmp_path_factory.mktemp("two")
    for seed in (0, 1):
        trained("steps=4", "log_every=1", f"seed={seed}", f"out={out}")
    return out


@pytest.fixture
def root(two: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(two, tmp_path / "out"))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link(path: Path) -> None:
    (other := path.with_name("elsewhere")).write_text("{}")
    path.symlink_to(other)


def folder(path: Path) -> None:
    path.mkdir()


def terabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 3 + b"\n")


def digits(path: Path) -> None:
    number = "9" * 5000
    path.write_text(f'{{"state": "finished", "step": {number}, "loss_d": {number}}}\n')


def numbers(path: Path) -> None:
    number = "9" * 4000
    text = f'{{"state": "running", "step": {number}, "rate": {number}, "loss_d": 1e999}}\n'
    path.write_text(text)


def escapes(path: Path) -> None:
    path.write_text('{"state": "\\u001b[2J", "step": 1, "why": "\\u001b]0;x\\u0007"}\n')


REPLACED = [
    pipe,
    device,
    link,
    folder,
    terabyte,
    nothing,
    noise,
    digits,
    numbers,
    escapes,
]


@pytest.mark.parametrize("command", ["status", "compare", "report", "clean"])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("replaced", REPLACED)
def test_one_bad_folder_is_passed_over_or_named_and_the_other_is_served(
    root: Path,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
    command: str,
    file: str,
    replaced: Callable[[Path], None],
) -> None:
    bad, good = find_runs(root)
    (bad.path / file).unlink(missing_ok=True)
    replaced(bad.path / file)
    assert main([command, str(root)]) == Exit.OK
    captured = capfd.readouterr()
    assert "Traceback" not in captured.err
    said = captured.out if command != "report" else (root / "report.html").read_text()
    assert command == "clean" or command == "compare" or good.path.name in said
    if command == "compare":
        assert "run" in said
    assert "\x1b" not in captured.out
    assert bad.path.is_dir()
    assert good.path.is_dir()


@pytest.mark.parametrize("command", ["resume", "sample", "evaluate"])
@pytest.mark.parametrize("file", ["status.json", "config.yaml", "metrics.jsonl", "checkpoints"])
@pytest.mark.parametrize("replaced", [pipe, device, link, noise, digits])
def test_commands_on_one_run_end_in_a_sentence(
    root: Path,
    capfd: pytest.CaptureFixture[str],
    command: str,
    file: str,
    replaced: Callable[[Path], None],
) -> None:
    bad, _ = find_runs(root)
    path = bad.path / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    replaced(path)
    more = {"resume": ["steps=6"], "sample": [], "evaluate": ["probe=[held_out]"]}[command]
    status = main([command, str(bad.path), *more])
    said = capfd.readouterr().err
    assert "Traceback" not in said
    if status != Exit.OK:  # sample and evaluate read neither status nor metrics
        assert str(bad.path) in said.splitlines()[-1]
    else:
        assert command != "resume" or file == "checkpoints"


def test_arrays_are_read_from_regular_files_of_the_folder_alone(root: Path, tmp_path: Path) -> None:
    run, _ = find_runs(root)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    path = run.path / "arrays" / "surface-00000004.npz"
    for make in (pipe, device, lambda p: p.symlink_to(tmp_path / "other.npz")):
        path.unlink()
        make(path)
        with pytest.raises(BadInput, match="surface-00000004"):
            run.arrays("surface")
    shutil.rmtree(run.path / "arrays")
    (run.path / "arrays").symlink_to(tmp_path)
    with pytest.raises(BadInput, match="a symbolic link"):
        run.array_steps("surface")


def test_the_last_values_of_a_pipe_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.jsonl")
    assert last_values(tmp_path / "metrics.jsonl", ["modes"]) == {}


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0, 0.0, 1e-320, "fast", [1]])
def test_a_rate_that_is_none_is_not_reckoned_with(
    root: Path, capsys: pytest.CaptureFixture[str], rate: object
) -> None:
    run, _ = find_runs(root)
    status = json.loads((run.path / "status.json").read_text())
    status |= {"state": "running", "rate": rate, "host": "another"}
    (run.path / "status.json").write_text(json.dumps(status))
    assert run.status["step"] == 4
    assert main(["status", str(root)]) == Exit.OK
    assert "running" in capsys.readouterr().out


# -- half lines, and who writes ------------------------------------------------------------


def test_half_a_line_of_evaluations_hides_neither_the_run_nor_what_comes_after(root: Path) -> None:
    run, _ = find_runs(root)
    line = {"step": 4, "probe": "modes", "scores": {"hit": 8.0}}
    run.append_evaluations([line])
    with (run.path / "evaluations.jsonl").open("ab") as file:
        file.write(b'{"step": 4, "probe": "mo')
    run.append_evaluations([line | {"scores": {"hit": 7.0}}])
    assert [found["scores"]["hit"] for found in run.evaluations()] == [8.0, 7.0]
    (group,) = gp_lab.compare(root)
    assert group.scores["modes/hit"].interval.n == 1


def test_a_damaged_line_of_evaluations_is_passed_over_with_a_word(root: Path) -> None:
    run, _ = find_runs(root)
    whole = json.dumps({"step": 4, "probe": "modes", "scores": {"hit": 8.0}})
    (run.path / "evaluations.jsonl").write_text(f'{{"step": 4, "pro\n{whole}\n')
    with pytest.warns(UserWarning, match=r"evaluations\.jsonl: line 1 passed over"):
        assert len(run.evaluations()) == 1
    with pytest.warns(UserWarning, match="line 1 passed over"):
        (group,) = gp_lab.compare(root)
    assert len(group.folders) == 2


@pytest.mark.parametrize("name", ["evaluations.jsonl", "samples"])
def test_what_is_made_of_a_run_later_does_not_leave_its_folder(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run, _ = find_runs(root)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine\n")
    (run.path / name).symlink_to(outside / "mine" if "." in name else outside)
    command = {
        "evaluations.jsonl": ["evaluate", str(run.path), "probe=[held_out]"],
        "samples": ["sample", str(run.path), "-n", "5"],
    }[name]
    assert main(command) == Exit.BAD_INPUT
    assert "a symbolic link; inside a run's folder none is followed" in capsys.readouterr().err
    assert [path.name for path in outside.iterdir()] == ["mine"]
    assert (outside / "mine").read_text() == "mine\n"


def test_a_link_that_has_the_temporary_name_of_a_sample_leads_nowhere(
    root: Path, tmp_path: Path
) -> None:
    run, _ = find_runs(root)
    (tmp_path / "mine").write_text("mine")
    samples = run.path / "samples"
    samples.mkdir()
    picture = "samples-step4-seed0.png"
    (samples / f".{picture}.{os.getpid()}.tmp").symlink_to(tmp_path / "mine")
    assert main(["sample", str(run.path), "-n", "5"]) == Exit.OK
    assert (tmp_path / "mine").read_text() == "mine"
    assert (samples / picture).is_file()
    assert not (samples / picture).is_symlink()


def test_a_found_config_leads_nothing_elsewhere(root: Path, tmp_path: Path) -> None:
    run, _ = find_runs(root)
    config = run.config
    config["out"] = str(tmp_path / "theirs")
    config["probe"]["inception"] = {"_target_": "x", "cache": str(tmp_path / "theirs")}
    run.write_config(config)
    found = run.found_config
    assert found["out"] == str(root)
    assert found["probe"]["inception"]["cache"] == str(root / "cache")
    moved = RunFolder(run.path.rename(tmp_path / "moved"))
    assert moved.found_config["out"] == str(tmp_path)


# -- runs behind links ---------------------------------------------------------------------


@pytest.mark.parametrize("linked", ["runs", "outputs", "a folder of runs", "a run"])
def test_runs_on_another_disk_are_found_by_all_commands(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], linked: str
) -> None:
    outputs, scratch = tmp_path / "outputs", tmp_path / "scratch"
    if linked == "outputs":
        outputs.symlink_to(root)
    elif linked == "runs":
        shutil.move(root, scratch)
        outputs.mkdir()
        (outputs / "runs").symlink_to(scratch / "runs")
    else:
        (outputs / "runs").mkdir(parents=True)
        places = [root / "runs"] if linked == "a folder of runs" else (root / "runs").iterdir()
        for place in places:
            (outputs / "runs" / place.name).symlink_to(place)
    (outputs / "runs" / "again").symlink_to(".")  # leads back
    found = find_runs(outputs)
    assert len(found) == 2
    assert main(["status", str(outputs)]) == Exit.OK
    assert "2 runs: 2 finished" in capsys.readouterr().out
    assert main(["compare", str(outputs)]) == Exit.OK
    assert "2 runs in 1 group" in capsys.readouterr().out
    assert main(["report", str(outputs)]) == Exit.OK
    page = (outputs / "report.html").read_text()
    assert all(run.path.name in page for run in found)
    for run in found:
        status = {k: v for k, v in run.status.items() if k != "finished_at"}
        (run.path / "status.json").write_text(json.dumps(status | {"state": "failed"}))
    assert main(["clean", str(outputs)]) == Exit.OK
    # A run that is itself a link lies elsewhere, and stays.
    count = "0 items" if linked == "a run" else "2 items"
    assert count in capsys.readouterr().out


def test_hidden_folders_and_what_is_inside_a_run_are_no_runs(root: Path) -> None:
    run, other = find_runs(root)
    shutil.copytree(run.path, root / "runs" / ".trash" / run.path.name)
    shutil.copytree(other.path, run.path / "set-aside" / "1" / "a-run")
    assert [found.path for found in find_runs(root)] == [run.path, other.path]
