"""What the files of the entries say that they take: each, the tour, all of them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gp_lab.figures.pilot import unproven
from gp_lab.figures.plan import plan_of
from gp_lab.launching.config_groups import figure_file, figure_ids
from gp_lab.launching.jobs import Job
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import folder_of, run_id

FILES = {name: figure_file(name) for name in figure_ids() if name != "none"}
ALONE = {name: file for name, file in FILES.items() if not file.get("edition", True)}
"""Entries that are run for themselves, as they take hours even in miniature."""

MINUTES = {n: file["minutes"]["miniature"] for n, file in FILES.items() if n not in ALONE}
TRAINED = [name for name in MINUTES if FILES[name].get("grid")]


def test_no_miniature_takes_more_than_twelve_minutes() -> None:
    assert max(MINUTES.values()) <= 12, max(MINUTES, key=MINUTES.__getitem__)


@pytest.mark.parametrize(("of_data", "most"), [(False, 4.0), (True, 8.0)])
def test_those_that_train_take_few_minutes_on_average(of_data: bool, most: float) -> None:
    """Those in the plane, and those on images or texts; of what has run: before its pilot has
    passed, a cost is a guess. The longest are reckoned from their CPU time."""
    known = [
        MINUTES[name]
        for name in TRAINED
        if not unproven(FILES[name]) and ("data" in FILES[name]) == of_data
    ]
    assert sum(known) / len(known) <= most


def test_all_miniatures_take_six_hours_at_most() -> None:
    assert sum(MINUTES.values()) <= 6 * 60


def test_what_is_run_for_itself_takes_three_hours_at_most_and_is_not_in_the_tour() -> None:
    for name, file in ALONE.items():
        assert 12 < file["minutes"]["miniature"] <= 180, name
        assert not file.get("tour"), name


WITH_ANOTHERS_RUNS = {"zero_gp/table1": "zero_gp/fig1"}
"""Entries that train nothing once another one is drawn, and take seconds then."""


@pytest.mark.parametrize(("name", "other"), WITH_ANOTHERS_RUNS.items())
def test_an_entry_that_trains_nothing_after_another_has_its_runs(name: str, other: str) -> None:
    own, others = ({run_id(job.config) for job in jobs(entry)} for entry in (name, other))
    assert own <= others


def jobs(name: str) -> Sequence[Job]:
    sweep = plan_of(name, []).sweep
    assert sweep is not None
    return sweep.jobs


def test_the_tour_takes_fifteen_minutes_at_most_with_every_calculation_and_what_is_trained() -> (
    None
):
    tour = [name for name, file in FILES.items() if file.get("tour")]
    assert sum(MINUTES[name] for name in tour if name not in WITH_ANOTHERS_RUNS) <= 15
    assert set(tour) >= {*WITH_ANOTHERS_RUNS, *WITH_ANOTHERS_RUNS.values()}
    assert {name for name in MINUTES if name not in TRAINED} <= set(tour)
    trained = {name.partition("/")[0] for name in tour if name in TRAINED}
    assert trained >= {"anomalous", "lipschitz", "wgan_gp", "zero_gp"}


@pytest.mark.parametrize("name", FILES)
def test_the_scales_that_are_costed_are_those_there_are(name: str) -> None:
    assert set(FILES[name]["minutes"]) == {"paper", "miniature"} <= set(FILES[name]["scales"])


def test_what_is_left_is_said_by_the_iterations_that_are_left(tmp_path: Path) -> None:
    out, whole = f"out={tmp_path}", FILES["lipschitz/sec32"]["minutes"]["miniature"]
    plan = plan_of("lipschitz/sec32", [out])
    assert plan.minutes_left() == pytest.approx(whole)
    assert plan.sweep is not None
    first, second, *_ = (job.config for job in plan.sweep.jobs)
    for config, state, done in ((first, State.FINISHED, 1.0), (second, State.INTERRUPTED, 0.5)):
        folder = RunFolder(folder_of(config))
        folder.create(config, run_id(config))
        folder.set_status(state, step=int(done * config["steps"]))
    left = len(plan.sweep.jobs) - 1.5
    assert plan.minutes_left() == pytest.approx(whole * left / len(plan.sweep.jobs))
    assert plan_of("lipschitz/sec32", [out, "force=true"]).minutes_left() == pytest.approx(whole)


def test_runs_that_an_entry_before_it_has_trained_cost_nothing(tmp_path: Path) -> None:
    before = set[str]()
    first, second = (plan_of(f"zero_gp/{x}", [f"out={tmp_path}"]) for x in ("fig1", "table1"))
    alone = [FILES[plan.name]["minutes"]["miniature"] for plan in (first, second)]
    assert [plan.minutes_left() for plan in (first, second)] == pytest.approx(alone)
    assert [plan.minutes_left(before) for plan in (first, second)] == pytest.approx([alone[0], 0])


def test_a_finished_run_is_found_whatever_the_digest_of_its_data(tmp_path: Path) -> None:
    plan = plan_of("zero_gp/fig9", [f"out={tmp_path}"])
    assert plan.sweep is not None
    whole, count = plan.minutes_left(), len(plan.sweep.jobs)
    config = plan.sweep.jobs[0].config
    seen = config | {"dataset": config["dataset"] | {"digest": "0123456789ab"}}
    folder = RunFolder(folder_of(seen))
    folder.create(seen, run_id(seen))
    folder.set_status(State.FINISHED, step=seen["steps"])
    assert whole is not None
    assert plan.minutes_left() == pytest.approx(whole * (count - 1) / count)


@pytest.mark.parametrize("word", ["steps=3", "seed=0", "architecture.width=8", "scale=smoke"])
def test_what_settings_of_ones_own_cost_is_not_guessed(word: str, tmp_path: Path) -> None:
    assert plan_of("lipschitz/sec32", [word, f"out={tmp_path}"]).minutes_left() is None


def test_a_method_of_ones_own_adds_what_its_runs_take(tmp_path: Path) -> None:
    own = {"mine": ("penalty.weight=3",)}
    plan = plan_of("lipschitz/sec32", [f"out={tmp_path}"], methods=own)
    assert plan.minutes_left() == pytest.approx(1.5 * FILES[plan.name]["minutes"]["miniature"])
