"""Run folders, checkpoints and arrays from strangers are data; secrets stay secret.

Of hostile files of each kind: nothing in them is executed, nothing is written or deleted outside
of the run's folder, and the page shows text as text. Pickled CIFAR batches are in
data/test_published_images.py, configs and names in test_strangers_configs.py.
"""

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import Forked, final, overrides
from report_page import Page, assert_self_contained
from strangers import RUN, changed, refusal, stopped

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.files import write_atomically
from gp_lab.report.page import write_report
from gp_lab.runs.checksum import checksum_path
from gp_lab.runs.cleaning import delete, sweepings
from gp_lab.runs.folder import RunFolder, State


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return stopped(tmp_path_factory)


class Hostile:
    """Leaves a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


# -- links ---------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the reader's own, with what the lab would delete or write over in a run."""
    folder = tmp_path / "outside"
    (folder / "arrays").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    for name in (
        "note",
        "arrays/surface-00000099.npz",
        "arrays/x.tmp",
        "checkpoints/step-00000001.pt",
        "checkpoints/step-00000002.pt",
        "checkpoints/step-00000002.sha256",
    ):
        (folder / name).write_text("mine")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {str(p): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def link(path: Path, target: Path) -> None:
    """Put a symbolic link in the place of a file or folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


LINKS = {"arrays": "arrays", "checkpoints": "checkpoints", "metrics.jsonl": "note",
         "wandb": "arrays", "status.json": "note", "x": "note"}  # fmt: skip


@pytest.mark.parametrize("name", LINKS)
def test_a_link_in_a_run_folder_is_not_written_through(
    run: RunFolder, outside: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before = contents(outside)
    link(run.path / name, outside / LINKS[name])
    said = refusal(capsys, "resume", str(run.path))
    assert said.startswith(str(run.path / name))
    assert contents(outside) == before


def test_a_lock_that_is_a_link_is_not_made_elsewhere(run: RunFolder, tmp_path: Path) -> None:
    link(run.path / ".lock", tmp_path / "made")
    assert main(["resume", str(run.path)]) == Exit.FAILED
    assert not (tmp_path / "made").exists()


def test_links_among_the_arrays_and_checkpoints_are_replaced_and_not_followed(
    run: RunFolder, outside: Path
) -> None:
    before = contents(outside)
    note = outside / "note"
    link(run.path / "checkpoints" / "step-00000020.pt", note)
    link(run.path / "arrays" / "surface-00000020.npz", note)
    link(run.path / "arrays" / ".surface-00000020.npz.1.tmp", note)
    assert main(["resume", str(run.path)]) == Exit.OK
    assert contents(outside) == before
    assert not (run.path / "arrays" / "surface-00000020.npz").is_symlink()


@pytest.mark.parametrize("state", [State.FINISHED, State.FAILED])
def test_gp_lab_clean_deletes_nothing_that_a_link_leads_to(
    run: RunFolder, outside: Path, state: State
) -> None:
    before = contents(outside)
    for name in ("arrays", "checkpoints"):
        link(run.path / name, outside / name)
    run.set_status(state)
    root = run.path.parents[1]
    deleted = delete(sweepings(root))
    assert [item.path for item in deleted] == ([run.path] if state == State.FAILED else [])
    assert contents(outside) == before


def test_starting_over_deletes_nothing_that_a_link_leads_to(run: RunFolder, outside: Path) -> None:
    before = contents(outside)
    link(run.path / "arrays", outside / "arrays")
    out = f"out={run.path.parents[1]}"
    assert main(["train", *overrides(*RUN, out, "force=true")]) == Exit.OK
    assert contents(outside) == before


# -- checkpoints and arrays ----------------------------------------------------------------


def with_checksum(path: Path, data: bytes) -> None:
    write_atomically(path, data)
    write_atomically(checksum_path(path), hashlib.sha256(data).hexdigest().encode())


def hostile_checkpoints(trace: Path) -> dict[str, Any]:
    """What a stranger may put into a checkpoint, with a checksum that matches."""
    whole: dict[str, Any] = {"format": 1, "step": 12, "state": {}, "extra": {}}
    return {
        "a pickle that runs": Hostile(trace),
        "one inside": whole | {"state": {"d": Hostile(trace)}},
        "a list": [1, 2],
        "another step": whole | {"step": 9},
        "no state": whole | {"state": 3},
    }


@pytest.mark.parametrize("what", list(hostile_checkpoints(Path())))
def test_a_hostile_checkpoint_runs_nothing_and_is_passed_over(
    run: RunFolder, tmp_path: Path, what: str
) -> None:
    trace, buffer = tmp_path / "trace", io.BytesIO()
    torch.save(hostile_checkpoints(trace)[what], buffer)
    with_checksum(run.path / "checkpoints" / "step-00000012.pt", buffer.getvalue())
    with pytest.warns(UserWarning, match="passed over") as said:
        assert main(["resume", str(run.path)]) == Exit.OK
    assert all("\n" not in str(w.message) for w in said)
    assert not trace.exists()
    assert final(run)[0] == 20
    aside = run.path / "set-aside" / "1" / "checkpoints" / "step-00000012.pt"
    assert aside.read_bytes() == buffer.getvalue()


def test_arrays_are_never_unpickled(run: RunFolder, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = run.path / "arrays" / "surface-00000012.npz"
    np.savez(path, allow_pickle=True, x=np.array([Hostile(trace)], dtype=object))
    with pytest.raises(BadInput, match=r"surface-00000012\.npz: no readable arrays"):
        run.arrays("surface")
    path.write_bytes(b"PK\x03\x04 half an archive")
    with pytest.raises(BadInput, match="no readable arrays"):
        run.arrays("surface")
    assert not trace.exists()


def test_files_of_other_names_among_arrays_and_checkpoints_are_left_alone(run: RunFolder) -> None:
    strange = [
        run.path / folder / name
        for folder in ("arrays", "checkpoints")
        for name in ("surface-x.npz", "surface-.npz", "-5.npz", "step-x.pt", "step-9e9.pt", "a.txt")
    ]
    for path in strange:
        path.write_text("mine")
    assert main(["resume", str(run.path)]) == Exit.OK
    assert run.array_steps("surface") == [20]
    assert {path.read_text() for path in strange} == {"mine"}


# -- status, metrics and the page ----------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("status.json", '{"state": "failed", "step": -1}'),
        ("status.json", '{"state": "failed", "threads": 1000000000}'),
        ("status.json", '{"state": "failed", "threads": "1"}'),
        ("status.json", '{"state": "failed", "engine": ["eager"]}'),
        ("status.json", '{"state": {}}'),
        ("status.json", "[" * 100_000),
        ("status.json", "9" * 10_000),
        ("metrics.jsonl", "\x00\x00\n"),
        ("metrics.jsonl", '{"loss": 1}\n'),
        ("metrics.jsonl", '{"step": "1"}\n'),
        ("metrics.jsonl", "3\n"),
        ("metrics.jsonl", "[" * 100_000 + "\n"),
        ("metrics.jsonl", "\udcff\n"),
    ],
)
def test_a_hostile_status_or_line_of_metrics_is_named(
    run: RunFolder, capsys: pytest.CaptureFixture[str], file: str, text: str
) -> None:
    (run.path / file).write_bytes(text.encode(errors="surrogateescape"))
    before = (run.path / file).read_bytes()
    said = refusal(capsys, "resume", str(run.path))
    assert said.startswith(str(run.path / file))
    assert ("moved away" if file == "status.json" else "cut it out") in said
    assert (run.path / file).read_bytes() == before


def test_control_characters_never_reach_the_terminal(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, "resume", str(changed(run, "dataset._target_", "\x1b]0;owned\x07").path))
    assert said.isprintable()
    renamed = run.path.rename(run.path.with_name("\x1b[2J-name"))
    RunFolder(renamed).set_status(State.FAILED)
    main(["clean", str(run.path.parents[1])])
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())


def claims(**more: object) -> dict[str, Any]:
    """A claims.json of a figure with one claim."""
    numbers = {"estimate": 1.0, "low": 0.5, "high": None, "n": 5, "n_dropped": 0}
    words = dict.fromkeys(("text", "where", "quantity", "method"), "words")
    return {
        "figure": "a/b", "title": "t", "scale": "miniature", "seeds": 5, "steps": [10],
        "command": "c", "assumptions": ["a"], "settings": {"p": ["steps=1"]}, "made_by": [{}],
        "claims": [{**words, **numbers, "verdict": "supported"}],
    } | more  # fmt: skip


@pytest.mark.parametrize("key", list(claims()))
@pytest.mark.parametrize("value", [None, [[["<b>"]]], "<script>", {"a": 3}, 7])
def test_whatever_stands_in_a_claims_json_the_report_is_made_or_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    (tmp_path / "claims.json").write_text(json.dumps(claims(**{key: value})))
    if main(["report", str(tmp_path)]) == Exit.OK:
        page = (tmp_path / "report.html").read_text()
        assert "<script>" not in page
        assert "<b></b>" not in page
    else:
        said = refusal(capsys, "report", str(tmp_path))
        assert said.startswith(f"{tmp_path}/claims.json: not a figure's claims.json")


def test_the_report_takes_no_picture_from_elsewhere_and_allows_no_script_but_its_own(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_text("the private key")
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "claims.json").write_text(json.dumps(claims()))
    (folder / "figure.png").symlink_to(tmp_path / "secret")
    page = Page(write_report(tmp_path))
    assert "img" not in [tag for tag, _ in page.tags]
    assert_self_contained(page)


def test_a_damaged_run_stands_in_the_report_as_one(run: RunFolder) -> None:
    (run.path / "status.json").write_text("<script>")
    page = write_report(run.path.parents[1]).read_text()
    assert "damaged" in page
    assert "<script>" not in page


# -- secrets -------------------------------------------------------------------------------

KEY = "5ec1e7" * 6 + "5ec1"
SECRET = "hunter2-is-not-a-good-password"


def test_no_key_and_no_variable_of_the_environment_is_written_or_printed(tmp_path: Path) -> None:
    env = {
        "WANDB_API_KEY": KEY,
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "MY_PASSWORD": SECRET,
        "SLURM_JOB_ID": "12",  # W&B keeps Slurm's variables, this one there
        "SLURM_JWT": SECRET,
        "HOME": str(tmp_path),
        "HYDRA_FULL_ERROR": "1",
    }
    out, log = tmp_path / "out", tmp_path / "log"
    run = overrides(*RUN, "tracking=wandb", f"out={out}")
    for status, first, command in (
        (Exit.OK, None, ["train", *run]),
        (Exit.BAD_INPUT, None, ["train", *run, "+penalty.x=${oc.env:MY_PASSWORD}"]),
        (Exit.FAILED, broken, ["train", *run, "seed=9"]),
        (Exit.OK, None, ["report", str(out)]),
    ):
        process = Forked(log, *command, first=first, **env)
        assert process.ended() == status, process.said
    assert "this is a bug" in log.read_text()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in written)
    assert out / "report.html" in written
    assert log.stat().st_size > 0
    for path in written:
        data = path.read_bytes()
        assert KEY.encode() not in data, path
        assert SECRET.encode() not in data, path


def broken() -> None:
    """From now on this process fails in a way that nobody foresaw, with a traceback."""
    RunFolder.append_metrics = None  # type: ignore[method-assign, assignment]
