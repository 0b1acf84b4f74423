"""The report's page: what its data say of runs, what it leaves out, and that nothing breaks out."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from compared import Make
from compared import make as make
from report_page import Page, assert_self_contained
from scipy import stats

from gp_lab.errors import printable
from gp_lab.report import clocks, data, edition, pictures
from gp_lab.report.page import json_for_script, write_report
from gp_lab.report.thin import band, extremes, packed, t_quantiles, thinned
from gp_lab.runs.folder import RunFolder, State

ROOT = Path(__file__).parents[3]

BREAKS_OUT = "</script><script>alert(1)</script><!--\u2028\u2029]]>&lt;"


# -- curves --------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [4, 5, 50, 99])
@pytest.mark.parametrize("n", [1, 3, 100, 1001])
def test_a_thinned_curve_keeps_its_ends_and_its_extremes(n: int, most: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    kept = extremes(values, most)
    assert len(kept) <= most
    assert (np.diff(kept) > 0).all()
    assert {0, n - 1, int(values.argmin()), int(values.argmax())} <= set(kept.tolist())
    assert len(kept) == n or n > most


def test_a_spike_in_every_stretch_is_still_to_be_seen() -> None:
    values = np.zeros(1000)
    values[[137, 512, 733]] = [5.0, -7.0, 3.0]
    steps, shown = thinned((np.arange(1000.0), values), 40)
    assert {(137.0, 5.0), (512.0, -7.0), (733.0, 3.0)} <= set(zip(steps, shown, strict=True))


def test_a_band_is_the_mean_and_students_interval_of_the_seeds_that_have_a_step() -> None:
    steps = np.arange(5.0)
    first, second, third = np.random.default_rng(0).normal(size=(3, 5))
    curves = [(steps, first), (steps, second), (steps[:3], third[:3])]
    at, mean, low, high = band(curves, 100)
    assert at.tolist() == steps.tolist()
    for i, values in enumerate([[first, second, third]] * 3 + [[first, second]] * 2):
        x = [row[i] for row in values]
        t = stats.t.interval(0.95, len(x) - 1, np.mean(x), stats.sem(x))
        assert (mean[i], low[i], high[i]) == pytest.approx((np.mean(x), *t))


def test_one_seed_has_a_mean_and_no_band() -> None:
    _, mean, low, high = band([(np.arange(3.0), np.ones(3))], 100)
    assert mean.tolist() == [1, 1, 1]
    assert np.isnan([low, high]).all()


def test_quantiles_are_students() -> None:
    assert t_quantiles(30) == pytest.approx(stats.t.ppf(0.975, np.arange(1, 31)))


def test_curves_are_packed_as_the_page_reads_them() -> None:
    assert packed(np.array([1.0, 2.0])) == "AACAPwAAAEA="


@pytest.mark.parametrize("curves", [1, 1000, 100_000])
def test_many_curves_have_fewer_points_and_together_their_room(curves: int) -> None:
    rows = [np.zeros(1000)] * 2
    most = data.fitting([rows] * curves, 1e6)
    assert data.FEWEST <= most <= data.MOST
    assert most in (data.FEWEST, data.MOST) or curves * most * 2 * data.POINT <= 1e6
    assert (most == data.MOST) == (curves == 1)


def test_the_runs_curves_stand_on_the_page_with_their_extremes(make: Make, tmp_path: Path) -> None:
    values = np.sin(np.arange(3000) / 7)
    values[1234] = 9
    make("seed=0", metrics=[{"step": i, "loss_d": float(v)} for i, v in enumerate(values)])
    page = Page(write_report(tmp_path)).data
    (run,) = page["runs"]
    steps, shown = (unpacked(page, place) for place in run["curves"][metric(page, "loss_d")])
    assert len(steps) == len(shown) <= data.MOST
    assert (shown.max(), shown.min()) == (9, np.float32(values.min()))
    assert steps[shown.argmax()] == 1234


def test_a_run_that_is_cleared_while_the_page_is_made_is_not_on_it(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, cleared = (make(f"seed={n}", metrics=[{"step": 1, "loss_d": n}]) for n in (0, 1))
    alone = make("seed=0", "steps=7", metrics=[{"step": 1, "loss_d": 2.0}])
    monkeypatch.setattr(data, "find_runs", lambda _: [kept])
    page = Page(write_report(tmp_path)).data
    assert [run["name"] for run in page["runs"]] == [kept.path.name]
    assert [group["runs"] for group in page["groups"]] == [[0]]
    assert all(run.path.exists() for run in (cleared, alone))


def unpacked(page: dict[str, Any], place: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(page["packed"][place]), "<f4")


def metric(page: dict[str, Any], name: str) -> str:
    return str(page["metrics"].index(name))


# -- clocks --------------------------------------------------------------------------------


def timed(folder: RunFolder, steps: Sequence[int], pace: float = 2.0, before: int = 0) -> None:
    """Lines of a run that takes so many seconds a step, and was told of them from a step on."""
    for last, step in zip([before, *steps], steps, strict=False):
        assert step > last
        folder.append_timing(
            {"step": step, "seconds": (step - before) * pace, "iterations_per_second": 1 / pace}
        )


def test_a_clock_is_the_seconds_of_training_at_few_steps(make: Make, tmp_path: Path) -> None:
    timed(make("seed=0"), range(10, 10_001, 10))
    make("seed=1")
    page = Page(write_report(tmp_path)).data
    steps, seconds = (unpacked(page, place) for place in page["runs"][0]["clock"])
    assert len(steps) <= clocks.POINTS + 1
    assert (steps[0], steps[1], steps[-1]) == (0, 10, 10_000)
    assert seconds == pytest.approx(2 * steps)
    assert page["runs"][1]["clock"] == []


def test_lines_that_tell_no_time_are_passed_over(make: Make) -> None:
    folder = make("seed=0")
    timed(folder, [10])
    for seconds in ("no", None, -1.0, float("nan")):
        folder.append_timing({"step": 20, "seconds": seconds, "iterations_per_second": 1.0})
    with (folder.path / "timing.jsonl").open("a") as file:
        file.write("{broken}\n")
    timed(folder, [30])
    steps, seconds = clocks.clock_of(folder)
    assert (steps.tolist(), seconds.tolist()) == ([0, 10, 30], [0, 20, 60])


def test_a_run_that_trained_before_its_first_line_has_no_clock(make: Make) -> None:
    timed(folder := make("seed=0"), [510, 520], before=500)
    assert clocks.clock_of(folder) == ()


# -- what is compared ----------------------------------------------------------------------


def test_a_diverged_seed_is_on_the_page_without_a_value_and_not_in_the_band(
    make: Make, tmp_path: Path
) -> None:
    line = [{"step": 10, "loss_d": 1.0}]
    make("seed=0", metrics=line)
    make("seed=1", metrics=line)
    make("seed=2", metrics=[{"step": 10, "loss_d": 1e9}], state=State.DIVERGED)
    page = Page(write_report(tmp_path)).data
    assert [bool(run["last"]) for run in page["runs"]] == [True, True, False]
    assert page["runs"][2]["curves"]
    (group,) = page["groups"]
    assert unpacked(page, group["bands"][metric(page, "loss_d")][1]).tolist() == [1]


def test_values_that_json_does_not_know_can_be_read_back(make: Make, tmp_path: Path) -> None:
    make("seed=0", metrics=[{"step": 10, "loss_d": float("inf"), "loss_g": float("nan")}])
    page = Page(write_report(tmp_path)).data
    (run,) = page["runs"]
    at = {name: str(i) for i, name in enumerate(page["metrics"])}
    assert run["last"][at["loss_d"]] == "inf"
    assert run["last"].get(at["loss_g"]) is None
    assert at["loss_d"] not in run["curves"]


# -- strangers -----------------------------------------------------------------------------


def test_no_text_ends_the_element_that_the_data_stand_in() -> None:
    text = json_for_script({BREAKS_OUT: [BREAKS_OUT]})
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == {BREAKS_OUT: [BREAKS_OUT]}


def test_hostile_names_values_and_reasons_are_text(make: Make, tmp_path: Path) -> None:
    folder = make("seed=0", metrics=[{"step": 10, BREAKS_OUT: 1.0, "loss_d": 1.0}])
    folder.write_config(folder.config | {BREAKS_OUT: BREAKS_OUT, "figure": {"id": BREAKS_OUT}})
    folder.set_status(State.FAILED, why=BREAKS_OUT, engine=BREAKS_OUT, step=10)
    folder.path.rename(folder.path.with_name(f"{folder.path.name}{BREAKS_OUT}".replace("/", "")))
    page = Page(path := write_report(tmp_path))
    assert_self_contained(page)
    assert "alert(1)</script>" not in path.read_text()
    (run,) = page.data["runs"]
    shown = printable(BREAKS_OUT)
    assert (run["why"], run["figures"], page.config(0)[shown]) == (shown, [shown], shown)
    assert shown in page.data["metrics"]


def test_a_value_without_end_is_cut(make: Make, tmp_path: Path) -> None:
    folder = make("seed=0")
    folder.set_status(State.FAILED, why="x" * 10**5)
    (run,) = Page(write_report(tmp_path)).data["runs"]
    assert run["why"] == "x" * data.LONGEST + "..."


def test_a_damaged_line_leaves_the_curves_out_and_says_so(make: Make, tmp_path: Path) -> None:
    folder = make("seed=0", metrics=[{"step": 10, "loss_d": 1.0}])
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write("{broken}\n")
    with pytest.warns(UserWarning, match="line 2 is no line of metrics.*curves are left out"):
        page = Page(write_report(tmp_path)).data
    assert page["runs"][0]["curves"] == {}
    assert page["runs"][0]["last"]


# -- pictures ------------------------------------------------------------------------------

SAMPLES = {"real": np.zeros((5, 2)), "fake": np.ones((5, 2))}


def with_samples(make: Make, *seeds: int, steps: Sequence[int] = (5, 10)) -> list[RunFolder]:
    folders = [make(f"seed={seed}") for seed in seeds]
    for folder in folders:
        for step in steps:
            folder.write_arrays("samples", step, SAMPLES)
    return folders


def test_pictures_of_a_probe_stand_on_the_page_by_step(make: Make, tmp_path: Path) -> None:
    with_samples(make, 0)
    page = Page(path := write_report(tmp_path))
    assert page.data["pictures"] == {"0": {"samples/samples": [[5, 0], [10, 1]]}}
    assert len(page.data["images"]) == 2
    assert "are left out" not in path.read_text()


def test_runs_whose_pictures_have_no_room_are_counted_on_the_page(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "DRAWN", 2)
    folders = with_samples(make, 0, 1, 2)
    folders[1].set_status(State.FINISHED, updated="2999-01-01T00:00:00Z")
    page = Page(path := write_report(tmp_path))
    assert list(page.data["pictures"]) == ["1"]  # the newest
    assert "Pictures of 2 runs are left out" in page.text
    folders[2].write_config(folders[2].config | {"figure": {"id": "zero_gp/fig1"}})
    assert list(Page(write_report(tmp_path)).data["pictures"]) == ["2"]  # a figure's
    assert path.exists()


@pytest.mark.parametrize(
    "arrays",
    [{"real": np.zeros(1)}, {"real": np.zeros((5, 2)), "fake": np.zeros((2**23, 2))}],
    ids=["not those of the probe", "too large"],
)
def test_arrays_that_cannot_be_drawn_are_named(
    make: Make, tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    (folder,) = with_samples(make, 0, steps=())
    folder.write_arrays("samples", 10, arrays)
    with pytest.warns(UserWarning, match="no picture of samples"):
        page = Page(write_report(tmp_path))
    assert page.data["pictures"] == {}


# -- the edition ---------------------------------------------------------------------------


def test_the_papers_settings_stand_beside_ours() -> None:
    papers = {"lr=2": ["1", "3"], "width=8": []}
    rows = edition.beside_the_papers({"not_the_papers": ["lr=2", "width=8"], "papers": papers})
    assert rows == [("lr", "1, 3", "2"), ("width", "", "8")]


def test_the_papers_are_named_as_they_are_cited() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"]
    assert set(edition.PAPERS.values()) == {(of["title"], of["url"]) for of in cited}
    page = (ROOT / "gp_lab" / "papers" / "README.md").read_text()
    for paper, (title, url) in edition.PAPERS.items():
        assert f"`{paper}`: [{title}]({url})" in page
    drawings = [{"figure": name} for name in ("mu_wgan/fig4", "own/fig1")]
    assert [e["of"] for e in edition.entries_of(drawings)] == [edition.PAPERS["mu_wgan"], None]


def test_an_entry_has_an_address_of_its_own() -> None:
    assert edition.anchor("zero_gp/fig2") == "entry-zero_gp-fig2"
    assert edition.anchor("a<b> c/d", "paper") == "entry-a-b-c-d-paper"
