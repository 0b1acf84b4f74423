"""Groups beside a baseline: differences over pairs of the same seed."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from compared import Make
from compared import make as make
from scipy import stats

import gp_lab
from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.runs.baseline import baseline_of, difference
from gp_lab.runs.compare import Group
from gp_lab.runs.folder import State

NONE, ONE = [3.0, 5.0, 4.0], [2.0, 4.5, 2.5]


@pytest.fixture
def runs(make: Make, tmp_path: Path) -> Path:
    """Runs of two penalties at two rates, the second without a baseline; of one seed only once."""
    for name, values in (("none", NONE), ("one_gp", ONE)):
        for seed, value in enumerate(values):
            make(f"penalty={name}", f"seed={seed}", metrics=[{"step": 10, "curve/w1": value}])
    make("penalty=one_gp", "seed=3", metrics=[{"step": 10, "curve/w1": 1.0}])
    make("penalty=one_gp", "optimizer.lr=0.5", metrics=[{"step": 10, "curve/w1": 9.0}])
    return tmp_path


def penalties(groups: list[Group]) -> dict[tuple[object, bool], Group]:
    return {(g.values["penalty"], g.values["optimizer.lr"] == 0.5): g for g in groups}


def test_a_difference_is_the_mean_over_pairs_of_seeds_with_its_t_interval(runs: Path) -> None:
    groups = gp_lab.compare(runs)
    of = penalties(groups)
    beside = dict(zip(map(id, groups), baseline_of(groups, ["penalty=none"]).partners, strict=True))
    none, one, alone = of["none", False], of["one_gp", False], of["one_gp", True]
    assert beside[id(none)] is none
    assert beside[id(one)] is none
    assert beside[id(alone)] is None
    found = difference(one, none, "curve/w1")
    assert found is not None
    gaps = np.subtract(ONE, NONE)
    low, high = stats.t.interval(0.95, 2, loc=gaps.mean(), scale=stats.sem(gaps))
    assert (found.interval.n, found.unpaired) == (3, 1)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert difference(one, none, "loss_d") is None


def test_a_diverged_run_leaves_its_partner_without_a_pair(runs: Path, make: Make) -> None:
    make("penalty=none", "seed=3", state=State.DIVERGED, metrics=[{"step": 10, "curve/w1": 99.0}])
    of = penalties(gp_lab.compare(runs))
    found = difference(of["one_gp", False], of["none", False], "curve/w1")
    assert found is not None
    assert (found.interval.n, found.unpaired) == (3, 1)


def test_differences_stand_in_the_table_and_the_csv(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", str(runs), "curve/w1", "--baseline", "penalty=none"]
    assert main(words) == Exit.OK
    shown = capsys.readouterr().out
    assert "-1.0 +- 1.2 (3 pairs, 1 unpaired)" in shown
    assert "baseline" in shown
    assert "minus penalty=none with the same other settings" in shown
    assert "1 group without one" in shown
    assert main([*words, "--csv"]) == Exit.OK
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    found = {(line["penalty"], line["optimizer.lr"]): line for line in lines}
    (one,) = [v for k, v in found.items() if k[0] == "one_gp" and k[1] != "0.5"]
    assert float(one["curve/w1.difference.mean"]) == pytest.approx(-1.0)
    assert one["curve/w1.difference.n"] == "3"
    assert one["curve/w1.difference.unpaired"] == "1"
    assert found["one_gp", "0.5"]["curve/w1.difference.n"] == "0"


def test_a_baseline_that_is_none_ends_in_a_sentence(runs: Path, make: Make) -> None:
    groups = gp_lab.compare(runs)
    for words, sentence in (
        (["penalty=nope"], "--baseline penalty=nope: no such choice; choose from none, one_gp"),
        (["steps=3"], "--baseline steps=3: steps does not tell these groups apart; choose from"),
        (["penalty"], "not an override; write key=value"),
        (["penalty=none", "optimizer.lr=0.5"], "no group has all of this"),
    ):
        with pytest.raises(BadInput, match=sentence):
            baseline_of(groups, words)


def test_a_choice_of_several_groups_is_a_baseline_with_what_tells_them_apart(
    make: Make, tmp_path: Path
) -> None:
    make("penalty=none")
    make("penalty=one_gp", "penalty.weight=1")
    make("penalty=one_gp", "penalty.weight=10")
    groups = gp_lab.compare(tmp_path)
    with pytest.raises(BadInput, match=r"2 groups have it, which differ in penalty\.weight; add"):
        baseline_of(groups, ["penalty=one_gp"])
    found = baseline_of(groups, ["penalty=one_gp", "penalty.weight=1"])
    weights = [partner.values["penalty.weight"] for partner in found.partners if partner]
    assert weights == [1, 1, 1]
