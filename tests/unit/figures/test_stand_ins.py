"""Figures of other data than the paper's say so in picture, table, claims and report."""

import itertools
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from gp_lab.figures import make
from gp_lab.figures.claims import Claim, computed
from gp_lab.figures.entry import Entry, Runs
from gp_lab.figures.make import changes, make_figure, stand_ins
from gp_lab.figures.plan import Plan
from gp_lab.figures.sentences import claims_table, summary_table
from gp_lab.figures.table import Table
from gp_lab.launching.compose import Sweep
from gp_lab.launching.config_groups import choices, figure_file, figure_ids
from gp_lab.launching.jobs import Job
from gp_lab.report.page import write_report
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.result import RunResult, result_of

DIGITS = "5000 digits of MNIST's 70 000"
CLOTHES = "clothes instead of digits"
TEXT: dict[str, Any] = {
    "title": "Digits",
    "data": "mnist",
    "stand_ins": {"mnist_5k": DIGITS, "fashion_mnist": CLOTHES},
    "common": [],
    "grid": {"digits": {"a": [], "b": [], "c": []}},
    "scales": {"miniature": {"seeds": 1, "overrides": []}},
}

IDX_FILES = {"_target_": "gp_lab.data.digits.MNIST"}
MNIST = {"name": "mnist", "source": IDX_FILES | {"checksum": True}}
UNCHECKED = {"name": "mnist", "source": IDX_FILES | {"checksum": False}}
WORDS = {"name": "billion_word", "_target_": "gp_lab.data.billion_word.BillionWord"}
NODES = {"mnist": MNIST, "billion_word": WORDS}


def draw(runs: Runs, table: Table) -> Figure:
    figure = Figure()
    figure.add_subplot().plot([0, 1])
    return figure


ENTRY = Entry(
    measure=lambda run: {"steps": run.step},
    claims=lambda table: [Claim("It is so.", computed(1.0, above=0.0), "wgan_gp, Fig. 9")],
    draw=draw,
)


def made(
    out: Path,
    patch: pytest.MonkeyPatch,
    datasets: Mapping[str, str],
    *user: str,
    scale: str = "miniature",
    seeds: Sequence[int] = (0,),
) -> Path:
    """The figure of a run for each panel and seed, on these data sets; its folder."""
    patch.setattr(make, "entry", lambda name, file, trust: ENTRY)
    jobs: list[Job] = []
    results: list[RunResult] = []
    for (panel, dataset), seed in itertools.product(datasets.items(), seeds):
        config = {
            "dataset": NODES.get(dataset, {"name": dataset}), "scale": {"name": "miniature"},
            "tracking": {"_target_": "gp_lab.tracking.base.NoTracking"},
            "out": str(out), "seed": seed, "steps": 3,
        }  # fmt: skip
        folder = RunFolder(out / "runs" / f"{panel}{seed}")
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.create(config, panel)
        folder.set_status(State.FINISHED, step=3)
        jobs.append(Job(config=config, panel=panel, overrides=()))
        results.append(result_of(folder))
    plan = Plan("wgan_gp/fig9", TEXT, scale, user, out, [], Sweep(jobs, None, {}))
    return Path(make_figure(plan, results).rpartition(": ")[2])


def test_a_stand_in_is_named_in_claims_table_picture_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(make, "header", lambda figure, text: texts.append(text))
    folder = made(tmp_path, monkeypatch, {"a": "mnist_5k", "b": "fashion_mnist"})
    assert texts == [f"stand-in: {DIGITS}; {CLOTHES}"]
    summary = json.loads((folder / "claims.json").read_text())
    assert summary["stand_ins"] == [DIGITS, CLOTHES]
    (claim,) = summary["claims"]
    assert (claim["verdict"], claim["stand_in"]) == ("supported", True)
    table = claims_table(summary)
    assert f"stand-in: {DIGITS}" in table
    assert "supported in miniature (stand-in)  It is so." in table
    assert "wgan_gp/fig9 (stand-in)" in summary_table(tmp_path, {})
    page = write_report(tmp_path).read_text()
    assert f"<b>Stand-in: {CLOTHES}</b>" in page
    assert "supported in miniature (stand-in)</td>" in page
    assert "wgan_gp/fig9 (stand-in)</a>" in page


def test_what_is_not_the_papers_is_named_in_claims_table_picture_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below: list[str] = []
    monkeypatch.setattr(make, "footer", lambda figure, text, left_out: below.append(text))
    own = ["steps=3", "optimizer.lr=1", "architecture.width=8"]
    monkeypatch.setitem(TEXT["scales"]["miniature"], "overrides", own)
    cells = [{"panel": p, "set": [f"batch_size={n}"]} for p, n in (("a", 8), ("b", 9))]
    monkeypatch.setitem(TEXT["scales"]["miniature"], "cells", cells)
    user = ("dataset=mnist", "optimizer.lr=3", "steps=3", "probe.samples.every=1")
    folder = made(tmp_path, monkeypatch, {"a": "mnist"}, *user)
    apart = "not the paper's: optimizer.lr=3, architecture.width=8, batch_size=8, batch_size=9"
    assert below[0].endswith(f"; {apart}")
    summary = json.loads((folder / "claims.json").read_text())
    own = ["optimizer.lr=3", "architecture.width=8", "batch_size=8", "batch_size=9"]
    assert summary["not_the_papers"] == own
    assert apart in claims_table(summary)
    assert f"{', '.join(own)}</b>" in write_report(tmp_path).read_text()


@pytest.mark.parametrize("singles", [True, False])
def test_only_a_picture_of_single_runs_says_below_that_they_are_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, singles: bool
) -> None:
    below: list[str] = []
    monkeypatch.setattr(make, "footer", lambda figure, text, left_out: below.append(text))
    monkeypatch.setitem(globals(), "ENTRY", replace(ENTRY, singles=singles))
    made(tmp_path, monkeypatch, {"a": "mnist", "b": "mnist"}, seeds=(0, 1))
    said = "3 iterations, 2 seeds" + "; of single runs the first is drawn" * singles
    assert below == [f"wgan_gp/fig9, scale miniature: {said}"]


def test_the_papers_own_data_are_not_called_a_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = ("dataset=mnist", "dataset.root=/data", "dataset.download=true")
    folder = made(tmp_path, monkeypatch, {"a": "mnist", "b": "mnist"}, *user)
    summary = json.loads((folder / "claims.json").read_text())
    assert summary["stand_ins"] == summary["overrides"] == []
    assert folder.name == "miniature-mnist"  # beside that of the entry's own data set
    assert summary["command"] == "gp-lab figure wgan_gp/fig9 scale=miniature dataset=mnist"
    assert summary["claims"][0]["verdict"] == "supported"
    assert not summary["claims"][0]["stand_in"]
    assert "stand-in" not in claims_table(summary)
    assert "tand-in" not in write_report(tmp_path).read_text()


def test_a_paper_s_data_without_checksums_keep_the_verdict_and_the_command_says_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TEXT, "data", "billion_word")
    user = ("dataset=billion_word", "dataset.root=/words")
    folder = made(tmp_path, monkeypatch, {"a": "billion_word"}, *user)
    summary = json.loads((folder / "claims.json").read_text())
    assert summary["claims"][0]["verdict"] == "supported"
    assert summary["command"] == f"gp-lab figure wgan_gp/fig9 scale=miniature {' '.join(user)}"


def test_the_label_stands_above_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    own = Entry(ENTRY.measure, ENTRY.claims, lambda p, r: figures.append(draw(p, r)) or figures[-1])
    monkeypatch.setattr(f"{__name__}.ENTRY", own)
    made(tmp_path, monkeypatch, {"a": "mnist_5k", "b": "mnist"})
    above = [text for text in figures[0].texts if text.get_position()[1] > 1]
    assert [text.get_text() for text in above] == [f"stand-in: {DIGITS}"]


PUBLISHED, OWN = [MNIST], [{"name": "image_folder"}]


@pytest.mark.parametrize(
    ("override", "datasets", "changed"),
    [
        ("dataset=mnist", PUBLISHED, False),
        ("dataset=fashion_mnist", PUBLISHED, False),
        ("dataset=cifar10", [{"name": "cifar10"}], True),
        ("dataset.source.root=/data", PUBLISHED, False),
        ("dataset.root=/data", OWN, True),
        ("dataset.root=/data", [UNCHECKED], True),
        ("dataset.size=10", PUBLISHED, True),
        ("device=cpu", PUBLISHED, False),
        ("penalty.weight=3", PUBLISHED, True),
    ],
)
def test_overrides_that_leave_an_entry_what_it_is(
    override: str, datasets: list[dict[str, Any]], changed: bool
) -> None:
    assert changes([override], TEXT, datasets) == ([override] if changed else [])


def test_every_entry_names_data_sets_that_there_are() -> None:
    for name in figure_ids():
        text = figure_file(name)
        known = choices("dataset")
        assert set(text.get("stand_ins", {})) <= set(known)
        assert text.get("data") in (None, *known)
        assert not text.get("stand_ins") or text.get("data")
        assert all(stand_ins(text, [{"name": stand}]) for stand in text.get("stand_ins", {}))


def test_settings_of_ones_own_have_a_folder_of_their_own_and_the_report_shows_how_verdicts_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_s = made(tmp_path, monkeypatch, {"a": "mnist"})
    assert entry_s.name == "miniature"
    assert "Verdicts by budget" not in write_report(tmp_path).read_text()
    own = made(tmp_path, monkeypatch, {"b": "mnist"}, "steps=7", "optimizer.lr=.1")
    other = made(tmp_path, monkeypatch, {"c": "mnist"}, "steps=7", "optimizer.lr=.2")
    assert own.name.startswith("miniature-steps=7_optimizer.lr=.1-")
    assert len({entry_s, own, other}) == 3
    assert json.loads((entry_s / "claims.json").read_text())["overrides"] == []
    summary = json.loads((own / "claims.json").read_text())
    assert "supported at these settings  It is so." in claims_table(summary)
    page = write_report(tmp_path).read_text()
    (table,) = page.split("Verdicts by budget")[1:]
    assert "<th>miniature, steps=7, optimizer.lr=.1, 1 seed</th>" in table
    assert table.count("<td>It is so.</td><td>supported</td><td>supported</td>") == 1


def test_a_picture_at_smoke_scale_says_that_it_shows_nothing_of_the_papers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(make, "header", lambda figure, text: texts.append(text))
    monkeypatch.setitem(TEXT["scales"], "smoke", {"seeds": 1, "overrides": []})
    made(tmp_path, monkeypatch, {"a": "mnist"}, scale="smoke")
    assert texts == ["scale=smoke: a trial of the code, nothing of the paper's"]


def test_a_pilot_that_nothing_has_passed_is_named_in_picture_table_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(make, "header", lambda figure, text: texts.append(text))
    monkeypatch.setitem(TEXT, "pilot", {"tried": ["1 fails: a 0"]})
    summary = json.loads((made(tmp_path, monkeypatch, {"a": "mnist"}) / "claims.json").read_text())
    (said,) = summary["unproven"]
    assert texts == [said]
    assert said in claims_table(summary)
    assert f"<b>{said}</b>" in write_report(tmp_path).read_text()


def test_what_is_undefined_is_said_and_numpy_warns_nobody_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Entry(lambda run: {"w1": float(np.mean([]))}, ENTRY.claims, ENTRY.draw)
    monkeypatch.setitem(globals(), "ENTRY", nothing)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        folder = made(tmp_path, monkeypatch, {"a": "mnist"})
    summary = json.loads((folder / "claims.json").read_text())
    assert summary["left_out"] == ["w1 undefined in 1 finished run"]
    assert "left out: w1 undefined in 1 finished run" in claims_table(summary)
    assert "<b>Left out: w1 undefined in 1 finished run</b>" in write_report(tmp_path).read_text()
