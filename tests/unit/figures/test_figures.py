"""Figures of runs that are known: what is drawn, what is claimed, what the report shows."""

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from figure_files import UNDECIDED, claims_of, densities, rows_of
from lab import once
from report_page import Page, assert_self_contained

from gp_lab.cli import main
from gp_lab.figures.entry import Entry, Run, Runs, entry
from gp_lab.figures.sentences import claims_table, interval_text, summary_table
from gp_lab.figures.table import Table
from gp_lab.launching import local
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.report.page import write_report
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import Config, folder_of, run_id
from gp_lab.runs.result import RunResult, result_of

pytestmark = pytest.mark.seconds

# -- made-up runs, where the truth is known ------------------------------------------------

SEEDS = range(6)
Writer = Callable[[RunFolder, str, int], None]


def made_up(out: Path, name: str, write: Writer, diverged: Sequence[tuple[str, int]]) -> None:
    """A figure of runs that nobody trained: `write` stores the arrays of (panel, seed)."""

    def pretend(
        configs: Sequence[Config], processes: int = 1, max_stack: int = 1
    ) -> list[RunResult]:
        results = []
        for config in configs:
            folder = RunFolder(folder_of(config))
            panel, seed = config["panel"], config["seed"]
            folder.path.mkdir(parents=True)
            folder.create(config, run_id(config))
            if (panel, seed) in diverged:
                folder.set_status(State.DIVERGED, step=7, why="loss_d is nan at step 7")
            else:
                write(folder, panel, seed)
                folder.set_status(State.FINISHED, step=config["steps"])
            results.append(result_of(folder))
        return results

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "train_all", pretend)
        seeds = "seed=" + ",".join(map(str, SEEDS))
        assert main(["figure", name, "scale=miniature", seeds, f"out={out}"]) == 0


ERROR = {
    "none-probability-100": 0.20, "none-probability-1000": 0.15, "one_gp-probability-100": 0.10,
    "zero_gp_sample-probability-100": 0.20, "zero_gp-probability-100": 0.0,
    "one_gp-logit-100": 0.10, "zero_gp_sample-logit-100": 0.05, "zero_gp-logit-100": 0.30,
}  # fmt: skip
"""How far above D* each panel's surface lies; on the logit 0-GP is the worst."""

EXACT = "zero_gp-probability-100"

WOBBLE = 2e-3


def wobble(panel: str, seed: int) -> float:
    """What a seed adds to a panel's error, except where it is 0."""
    return WOBBLE * seed * (1 + len(panel) / 100) if panel != EXACT else 0.0


STEEP = {"none-probability-100": 0.02, "zero_gp_sample-probability-100": 0.5}
"""The slope of D on training points; on the grid it is 1 at most."""

GAP = {0: 0.5, 1: -0.5, 2: 0.5, 3: -0.5, 4: 0.5, 5: -0.5}
"""Accuracy on training minus on held-out samples of panel (b), by seed: of no sign."""


def write_fig1(folder: RunFolder, panel: str, seed: int) -> None:
    axis = np.linspace(-2.5, 4.5, 20)
    real, fake = densities(axis)
    probability = real / (real + fake) + ERROR[panel] + wobble(panel, seed)
    slope = np.full_like(probability, 0.5)
    slope[3, 4] = 1.0
    surface = {"axis": axis, "probability": probability, "probability_slope": slope}
    step = folder.config["steps"]
    folder.write_arrays("surface", step, surface)
    # Logits of +-1e-12 have D = 1/2, where |grad D| = |grad f| / 4.
    right, half = np.full(10, 1e-12), np.tile([1e-12, -1e-12], 5)
    train, held_out = (right, half) if GAP[seed] > 0 else (half, right)
    slopes = np.full(10, 4 * STEEP.get(panel, 0.3) + 1e-3 * seed)
    points = np.random.default_rng(seed).normal(size=(10, 2))
    held = {"train_real": points, "train_fake": points + 1}
    for part, logit in (("train", train), ("held_out", held_out)):
        for kind, sign in (("real", 1), ("fake", -1)):
            steep = slopes if part == "train" else 8 * slopes
            held |= {f"{part}_{kind}_logit": sign * logit, f"{part}_{kind}_slope": steep}
    folder.write_arrays("held_out", step, held)


DIVERGED = [(EXACT, 2), *(("zero_gp_sample-logit-100", seed) for seed in SEEDS)]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(out: Path) -> None:
        made_up(out, "zero_gp/fig1", write_fig1, DIVERGED)

    out = once(tmp_path_factory, "known", make)
    (folder,) = (out / "figures" / "zero_gp" / "fig1").iterdir()
    return folder


def claim(folder: Path, *words: str) -> dict:
    (found,) = (c for c in claims_of(folder)["claims"] if all(w in c["text"] for w in words))
    return found


def test_a_surface_that_is_d_star_has_error_0_and_one_beside_it_its_offset(known: Path) -> None:
    for (panel, seed), row in rows_of(known).items():
        if row["state"] == "finished":
            offset = ERROR[panel] + wobble(panel, seed)
            assert float(row["rmse_weighted"]) == pytest.approx(offset, abs=1e-12)
            assert float(row["rmse_plain"]) == pytest.approx(offset, abs=1e-12)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (("0-GP comes nearer to D* than 1-GP", "logit"), "not supported"),
        (("1-GP comes nearer to D* than no penalty", "logit"), "supported"),
        (("without penalty still overfits",), "inconclusive"),
        (("no penalty: gradients on training points are tiny",), "supported"),
        (("0-GP-sample: gradients on training points are tiny",), "not supported"),
    ],
)
def test_claims_come_out_as_the_runs_were_made(
    known: Path, words: tuple[str, ...], verdict: str
) -> None:
    assert claim(known, *words)["verdict"] == verdict


def test_a_diverged_seed_is_dropped_with_its_partner_and_counted(known: Path) -> None:
    found = next(
        c for c in claims_of(known)["claims"] if c["text"] == "0-GP comes nearer to D* than 1-GP"
    )
    kept = [s for s in SEEDS if s != 2]
    assert (found["verdict"], found["n"], found["n_dropped"]) == ("supported", 5, 1)
    worse = "one_gp-probability-100"
    expected = np.mean([ERROR[worse] + wobble(worse, s) for s in kept])
    assert found["estimate"] == pytest.approx(expected)
    row = rows_of(known)[EXACT, 2]
    assert (row["state"], row["rmse_weighted"]) == ("diverged", "")
    (run,) = (r for r in claims_of(known)["runs"] if (r["panel"], r["seed"]) == (EXACT, 2))
    assert (run["state"], run["step"], run["why"]) == ("diverged", 7, "loss_d is nan at step 7")


def test_a_panel_without_any_whole_run_is_drawn_empty_and_decides_nothing(known: Path) -> None:
    found = claim(known, "0-GP-sample does not help", "logit")
    assert (found["verdict"], found["n"], found["n_dropped"]) == ("inconclusive", 0, 6)
    assert found["estimate"] is None
    assert (known / "figure.png").stat().st_size > 10_000


def test_panels_are_drawn_with_what_was_measured_and_empty_where_nothing_was(known: Path) -> None:
    text = figure_file("zero_gp/fig1")
    grid, what = grid_of(text), entry("zero_gp/fig1", text)
    assert isinstance(what, Entry)
    found = []
    for folder in find_runs(known.parents[3] / "runs"):
        config = folder.config
        cell = grid.names[config["panel"]].cell
        found.append(Run(cell, config["seed"], folder, str(folder.state), config["steps"]))
    runs = Runs(grid, sorted(found, key=lambda run: run.seed))
    figure = what.draw(runs, Table(what.rows(runs), grid))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    first = 0.1 + wobble("one_gp-probability-100", min(SEEDS))  # of the run that is drawn
    assert len(titles) == 9
    assert {"(f) D*, Eq. 2", "(e) 0-GP\nRMSE 0.000", f"(c) 1-GP\nRMSE {first:.3f}"} <= set(titles)
    texts = {axes.get_title(): [t.get_text() for t in axes.texts] for axes in figure.axes}
    assert [title for title, found in texts.items() if found == ["no finished run"]] == [
        "0-GP-sample, logit"
    ]


# -- the report ----------------------------------------------------------------------------


def test_the_report_is_one_file_with_its_pictures_inside(known: Path) -> None:
    path = write_report(known.parents[3])
    page = Page(path)
    assert_self_contained(page)
    assert not [style for style in page.styles if "url(" in style or "@import" in style]
    (image,) = (a["src"] for tag, a in page.tags if tag == "img")
    assert image is not None
    data = base64.b64decode(image.partition(",")[2])
    assert data == (known / "figure.png").read_bytes()


def test_the_report_lists_every_claim_with_its_verdict_and_every_run(known: Path) -> None:
    out = known.parents[3]
    page = Page(write_report(out))
    cells = [text.strip() for text in page.text.splitlines() if text.strip()]
    for found in claims_of(known)["claims"]:
        place = cells.index(f"{found['text']}{found['where']}")
        assert cells[place - 1] == found["verdict"] + " at these settings"
    for assumption in claims_of(known)["assumptions"]:
        assert assumption in page.text
    runs = list(find_runs(out))
    assert len(runs) == 48
    assert [run["name"] for run in page.data["runs"]] == [run.path.name for run in runs]
    why = [run["why"] for run in page.data["runs"]]
    assert why.count("loss_d is nan at step 7") == len(DIVERGED)
    assert all("zero_gp/fig1" in run["figures"] for run in page.data["runs"])


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><a href='http://evil'>&amp;"


def hostile_claims() -> dict:
    numbers = {"estimate": 1.0, "low": 0.5, "high": None, "n": 5, "n_dropped": 1}
    words = dict.fromkeys(("text", "where", "quantity", "method"), HOSTILE)
    return {
        "figure": HOSTILE, "title": HOSTILE, "scale": HOSTILE, "seeds": 5, "steps": [10],
        "command": HOSTILE, "assumptions": [HOSTILE], "settings": {HOSTILE: [HOSTILE]},
        "made_by": [{"device": HOSTILE}], "cost": {}, "runs": [],
        "claims": [{**words, **numbers, "verdict": "supported"}],
    }  # fmt: skip


def test_the_report_shows_hostile_text_as_text(tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "")
    folder = RunFolder(tmp_path / "runs" / name)
    folder.path.mkdir(parents=True)
    folder.create({"out": str(tmp_path)}, HOSTILE)
    folder.set_status(State.FAILED, why=HOSTILE, engine=HOSTILE, step=3)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "claims.json").write_text(json.dumps(hostile_claims()))
    page = Page(write_report(tmp_path))
    assert_self_contained(page)
    assert not [tag for tag, _ in page.tags if tag == "img"]
    (run,) = page.data["runs"]
    assert (run["name"], run["why"]) == (name, HOSTILE)
    assert page.text.count(HOSTILE) >= 10


@pytest.mark.parametrize("text", ["{", "[]", '{"claims": 3}', "{}"])
def test_a_broken_claims_json_is_named(tmp_path: Path, text: str) -> None:
    """It is left out, and does not hide the others."""
    whole = tmp_path / "figures" / "a" / "one" / "claims.json"
    broken = tmp_path / "figures" / "b" / "two" / "claims.json"
    for path, content in ((whole, json.dumps(verdicts_of("a/one", []))), (broken, text)):
        path.parent.mkdir(parents=True)
        path.write_text(content)
    with pytest.warns(UserWarning, match=r"two/claims\.json: not a figure's"):
        page = Page(write_report(tmp_path))
    assert "a/one" in page.text
    with pytest.warns(UserWarning, match=r"two/claims\.json: not a figure's"):
        assert "a/one" in summary_table(tmp_path, {})


def verdicts_of(name: str, verdicts: Sequence[str]) -> dict:
    """A claims.json with nothing but verdicts."""
    empty = {"title": "", "command": "", "steps": [], "assumptions": [], "settings": {}}
    claims = {"claims": [{"verdict": v} for v in verdicts]}
    return {"figure": name, "scale": "miniature", "seeds": 5, "made_by": []} | empty | claims


def test_one_seed_has_no_interval_and_is_not_called_seeds() -> None:
    numbers = {"estimate": 0.1234, "low": None, "high": None, "n": 1, "n_dropped": 0}
    assert interval_text(numbers) == "0.123, no interval, n=1"
    assert interval_text(numbers | {"n_dropped": 2}) == "0.123, no interval, n=1, 2 left out"
    several = {"low": -0.5, "high": 2.0, "n": 5}
    assert interval_text(numbers | several) == "0.123 [-0.5, 2], n=5"
    words = {"where": "", "text": "", "quantity": "", "verdict": "supported"}
    summary = {"figure": "a/b", "scale": "smoke", "stand_ins": [], "claims": [numbers | words]}
    assert claims_table(summary | {"seeds": 1}).startswith("a/b at scale smoke, 1 seed\n")
    assert claims_table(summary | {"seeds": 2}).startswith("a/b at scale smoke, 2 seeds\n")


# -- the table -----------------------------------------------------------------------------


def test_the_table_counts_verdicts_and_says_what_an_entry_took(tmp_path: Path) -> None:
    verdicts = {"a/one": ["supported", "supported", "inconclusive"], "b/two": ["not supported"]}
    for name, found in verdicts.items():
        folder = tmp_path / "figures" / name / "miniature"
        folder.mkdir(parents=True)
        (folder / "claims.json").write_text(json.dumps(verdicts_of(name, found)))
    header, *lines = summary_table(tmp_path, {("a/one", "miniature"): 1.26}).splitlines()
    columns = ["entry", "scale", "seeds", "supported", "not supported", "inconclusive", UNDECIDED]
    starts = [header.index(name) for name in columns]
    assert starts == sorted(starts)
    assert [line.split() for line in lines] == [
        ["a/one", "miniature", "5", "2", "0", "1", "0", "0", "1.3"],
        ["b/two", "miniature", "5", "0", "1", "0", "0", "0"],
    ]
    assert [line.index("miniature") for line in lines] == [header.index("scale")] * 2


def test_other_seeds_than_the_scales_own_have_a_folder_and_stand_in_the_command(
    known: Path,
) -> None:
    summary = claims_of(known)
    assert known.name.startswith("miniature-seed")
    assert summary["overrides"] == ["seed=0,1,2,3,4,5"]
    assert summary["command"].endswith("scale=miniature seed=0,1,2,3,4,5")
    assert not [own for own in summary["not_the_papers"] if own.startswith("seed")]
