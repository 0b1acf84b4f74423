"""Which metrics a comparison shows first, which way each is better, and which group is best."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from helpers import CLONE

from gp_lab.errors import BadInput
from gp_lab.evaluation.intervals import mean_interval
from gp_lab.runs.compare import Group, Score
from gp_lab.runs.scores import BETTER, HIGHER, LOWER, best, better, in_order, telling_metrics
from gp_lab.runs.status import State


def group(scores: Mapping[str, list[float]], settings: str = "", **values: object) -> Group:
    n = max(map(len, scores.values()), default=1)
    return Group(
        values=values,
        folders=(Path("run"),) * n,
        seeds=tuple(range(n)),
        states={State.FINISHED: n},
        steps=(10, 10),
        scores={
            name: Score(
                mean_interval(of),
                (10, 10),
                frozenset({settings}),
                {str(seed): value for seed, value in enumerate(of)},
            )
            for name, of in scores.items()
        },
    )


def test_one_run_that_was_evaluated_hides_no_score_of_the_others() -> None:
    others = {"curve/w1": [1.0, 2.0], "curve/near": [1.0, 2.0], "loss_d": [1.0, 2.0]}
    evaluated = others | {"inception/fid": [3.0]}
    found = telling_metrics([group(others), group(evaluated)])
    assert found == ["curve/near", "curve/w1", "inception/fid"]


def test_where_only_one_run_has_scores_the_losses_of_the_others_are_shown() -> None:
    losses = {"loss_d": [1.0], "loss_g": [1.0]}
    found = telling_metrics([group(losses), group(losses | {"inception/fid": [3.0]})])
    assert found[:2] == ["inception/fid", "loss_d"]


def test_the_best_is_the_lowest_or_the_highest_as_the_score_has_it() -> None:
    groups = [group({"curve/w1": [v], "curve/near": [v], "loss_d": [v]}) for v in (2.0, 1.0, 3.0)]
    assert (better("curve/w1"), better("curve/near"), better("loss_d")) == (LOWER, HIGHER, None)
    assert best(groups, "curve/w1") == [1]
    assert best(groups, "curve/near") == [2]
    assert best(groups, "loss_d") == []
    assert best(groups, "mine/score") == []


def test_nothing_is_best_alone_or_among_equals_or_where_values_are_not_comparable() -> None:
    one, two = group({"curve/w1": [1.0]}), group({"curve/w1": [2.0]}, settings="others")
    assert best([one], "curve/w1") == []
    assert best([one, group({})], "curve/w1") == []
    assert best([one, one], "curve/w1") == []
    assert best([one, two], "curve/w1") == []


def test_the_best_is_found_on_each_data_set() -> None:
    groups = [
        group({"modes/hit": [value]}, dataset=name)
        for name, value in (("eight", 7.0), ("ring", 20.0), ("eight", 8.0), ("ring", 25.0))
    ]
    assert best(groups, "modes/hit") == [2, 3]


def test_groups_are_sorted_by_a_key_too_and_the_other_way_round() -> None:
    groups = [
        group({"loss_d": [loss]} if loss else {}, **{"optimizer.lr": lr})
        for lr, loss in ((0.1, 1.0), (0.001, 3.0), (0.01, None))
    ]

    def rates(by: str) -> list[object]:
        return [one.values["optimizer.lr"] for one in in_order(groups, by)]

    assert rates("optimizer.lr") == rates("lr") == [0.001, 0.01, 0.1]
    assert rates("-lr") == [0.1, 0.01, 0.001]
    assert rates("loss_d") == [0.1, 0.001, 0.01]
    assert rates("-loss_d") == [0.001, 0.1, 0.01]
    with pytest.raises(BadInput, match="--sort=lrs: no such choice; choose from loss_d, opt"):
        in_order(groups, "-lrs")
    with pytest.raises(BadInput, match="--sort -: by what"):
        in_order(groups, "-")


def test_a_score_is_better_as_the_entries_say_that_compare_by_it() -> None:
    signs = {"higher": HIGHER, "lower": LOWER}
    agreed = set()
    for path in (CLONE / "configs" / "figure").rglob("*.yaml"):
        joins = (yaml.safe_load(path.read_text()) or {}).get("joins") or {}
        for name, direction in joins.get("scores", {}).items():
            same = {key for key in BETTER if name in (key.partition("/")[2], key.replace("/", "_"))}
            assert {BETTER[key] for key in same} <= {signs.get(direction)}, (path, name)
            agreed |= same
    assert {"inception/fid", "curve/w1", "modes/hit", "lines/jump"} <= agreed


def test_every_score_with_a_direction_is_of_a_probe_that_there_is() -> None:
    probes = {path.stem: path.read_text() for path in (CLONE / "configs/probe").glob("*.yaml")}
    for key in BETTER:
        probe, _, quantity = key.partition("/")
        (target,) = re.findall(r"^_target_: (gp_lab\.probes\.\w+)\.", probes[probe], re.M)
        code = (CLONE / target.replace(".", "/")).with_suffix(".py").read_text()
        assert quantity in re.findall(r"\w+", code), key
