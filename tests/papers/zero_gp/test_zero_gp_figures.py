"""What the 2-D entries of zero_gp measure and claim, on made-up runs and rows."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lab import config_of
from made_up import changed, claim_of, entry_of, rows_of, told, verdicts

from gp_lab.data.points import SwissRoll
from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.table import Row, Table
from gp_lab.launching.grid import is_at
from gp_lab.papers.zero_gp import _reading, fig5, fig6, robust
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import Config

RADIUS = 10 / 1.414
DRAWN = ("zero_gp/fig2", "zero_gp/fig5", "zero_gp/fig6", "zero_gp/robust")


@pytest.fixture(scope="module")
def ring_config() -> Config:
    return config_of("dataset.distribution.radius=10", "dataset.distribution.std=0.2", "steps=40")


@pytest.fixture
def ring_run(tmp_path: Path, ring_config: Config) -> Run:
    folder = RunFolder(tmp_path / "run")
    folder.create(ring_config | {"out": str(tmp_path)}, "id")
    return Run({"method": "zero_gp"}, 0, folder, "finished", 40)


def on_ring(modes: int, radius: float = RADIUS, n: int = 800) -> np.ndarray:
    """n points on the first so many modes of a ring."""
    angle = 2 * math.pi * (np.arange(n) % modes) / 8
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


# -- reading -------------------------------------------------------------------------------


def test_a_step_is_the_nearest_that_was_probed_and_none_after_the_figures(ring_run: Run) -> None:
    for step in (4, 8, 20, 40, 60):  # the run was extended later
        ring_run.folder.write_arrays("samples", step, {"fake": np.zeros(1)})
    steps = [_reading.step_at(ring_run, "samples", share) for share in (0.1, 0.5, 0.9, 1)]
    assert steps == [4, 20, 40, 40]
    assert ring_run.steps("samples") == [4, 8, 20, 40]


def test_no_step_is_drawn_twice(ring_run: Run) -> None:
    for step in (0, 8, 16, 24, 32, 40):
        ring_run.folder.write_arrays("samples", step, {"fake": np.zeros(1)})
    assert _reading.steps_at(ring_run, "samples", fig5.SHARES) == [0, 8, 16, 24, 40]
    short = replace(ring_run, step=16)
    assert _reading.steps_at(short, "samples", fig5.SHARES) == [0, 8, 16]


def test_fig5_says_its_weights_and_what_its_arrows_are(ring_run: Run) -> None:
    axis, fake = np.linspace(-10, 9, 4), on_ring(8)
    for step in (0, 20, 40):
        ring_run.folder.write_arrays("samples", step, {"real": fake, "fake": fake})
        field = {"axis": axis, "gradient": np.ones((4, 4, 2))}
        ring_run.folder.write_arrays("field", step, field)
    runs = Runs(entry_of("zero_gp/fig5")[1], [ring_run])
    figure = fig5.draw(runs, Table(fig5.ENTRY.rows(runs), runs.grid))
    titles = [axes.get_title() for axes in figure.axes[:5] if axes.axison]
    assert titles == [f"GAN-0-GP, $\\lambda$ = 10\niteration {step}" for step in (0, 20, 40)]
    (legend,) = figure.legends
    assert fig5.ARROWS in [text.get_text() for text in legend.texts]


def test_modes_lie_where_the_runs_own_data_have_them(ring_run: Run) -> None:
    centers = _reading.centers(ring_run)
    np.testing.assert_allclose(np.linalg.norm(centers, axis=1), RADIUS)
    found = _reading.mode_scores(on_ring(3), centers)
    assert (found["modes"], found["ring"]) == (3, 1)
    assert found["balance"] == pytest.approx(math.log(3) / math.log(8), abs=1e-4)
    off = _reading.mode_scores(on_ring(8, 1.2 * RADIUS), centers)
    assert (off["modes"], off["ring"]) == (0, 0)
    assert off["radial_error"] == pytest.approx(0.2)


def test_a_diverged_seed_counts_and_has_nothing_a_failed_one_does_not_count() -> None:
    states = (State.FINISHED, State.DIVERGED, State.FAILED)
    rows: list[Row] = [{"method": "a", "seed": i, "state": s} for i, s in enumerate(states)]
    rows[0]["modes"] = 8
    np.testing.assert_array_equal(Table(rows).outcomes("modes", method="a"), [8, np.nan])


# -- Figure 5 ------------------------------------------------------------------------------


def test_the_circle_comes_before_the_eighth_mode_if_it_is_looked_at_before(ring_run: Run) -> None:
    story = {0: 0.1 * on_ring(8), 10: on_ring(5), 20: on_ring(8), 40: on_ring(8)}
    for step, fake in story.items():
        ring_run.folder.write_arrays("samples", step, {"fake": fake})
    row = fig5.measure(ring_run)
    assert (row["step_circle"], row["step_eighth_mode"], row["circle_first"]) == (10, 20, 1)


@pytest.mark.parametrize(
    ("last", "first"), [(0.1 * on_ring(8), 0), (on_ring(8), 0), (on_ring(5), 0)]
)
def test_an_eighth_mode_that_never_comes_was_not_learnt_and_together_is_not_before(
    ring_run: Run, last: np.ndarray, first: int
) -> None:
    for step, fake in ((0, 0.1 * on_ring(8)), (40, last)):
        ring_run.folder.write_arrays("samples", step, {"fake": fake})
    row = fig5.measure(ring_run)
    assert row["circle_first"] == first


def test_an_order_is_told_by_most_seeds_and_not_by_networks_that_died() -> None:
    text = "WGAN-GP learns the circle first and its eighth mode later"
    never, always, half = (
        [r | {"circle_first": of(r["seed"]), "dead": 0} for r in rows_of("zero_gp/fig5", 10)]
        for of in (lambda _: 0, lambda _: 1, lambda seed: seed % 2)
    )
    for rows, verdict in (
        (always, Verdict.SUPPORTED), (never, Verdict.NOT_SUPPORTED), (half, Verdict.INCONCLUSIVE)
    ):  # fmt: skip
        assert claim_of("zero_gp/fig5", rows, text).test.verdict == verdict
    found = told("zero_gp/fig5", changed(never, {"method": "wgan_gp"}, dead=1))
    assert found.pop(text) == Verdict.INCONCLUSIVE
    assert set(found.values()) == {Verdict.NOT_SUPPORTED}


# -- Figure 6 ------------------------------------------------------------------------------


def roll_and_arms(scale: float) -> tuple[np.ndarray, float]:
    curve = SwissRoll().curve(torch.linspace(0, 1, 1000, dtype=torch.float64)).numpy()
    return scale * curve, 2 * math.pi * scale


@pytest.mark.parametrize("scale", [1 / 7.5, 10 / 7.5])
def test_the_data_themselves_are_learnt_at_both_scales(scale: float) -> None:
    curve, arms = roll_and_arms(scale)
    rng = torch.Generator().manual_seed(0)
    found = fig6.scores(scale * SwissRoll(0.25).sample(rng, 2000).numpy(), curve, arms)
    assert found["learnt"] == 1
    # |N(0, .25)| has the median .6745 * .25; a little less about a curve in the plane.
    assert found["distance_median"] * arms / scale == pytest.approx(0.169, abs=0.02)


def test_half_a_roll_a_cloud_and_a_point_are_not_learnt() -> None:
    curve, arms = roll_and_arms(1.0)
    cloud = np.random.default_rng(0).uniform(-14, 14, (2000, 2))
    found = [fig6.scores(x, curve, arms) for x in (curve[:500], cloud, curve[:1])]
    assert [x["learnt"] for x in found] == [0, 0, 0]
    assert found[0]["distance_median"] < 1e-9
    # Points less than a tenth of the arms' distance beyond the end are near to it.
    assert 0.5 < found[0]["coverage"] < 0.53
    assert found[1]["coverage"] > fig6.COVERED
    assert found[1]["distance_median"] > 2 * fig6.NEAR


def test_one_gp_that_learns_the_large_roll_contradicts_the_paper() -> None:
    rows = rows_of("zero_gp/fig6", 10, learnt=1)
    found = verdicts("zero_gp/fig6", rows)
    assert found.pop("1-GP fails to learn it at scale 10") == Verdict.NOT_SUPPORTED
    assert set(found.values()) == {Verdict.SUPPORTED}
    large = {"method": "one_gp", "scale": "10"}
    diverged = [
        {**large, "seed": r["seed"], "state": "diverged"} if is_at(r, large) else r for r in rows
    ]
    assert set(verdicts("zero_gp/fig6", diverged).values()) == {Verdict.SUPPORTED}


def test_that_a_method_does_not_learn_a_roll_that_none_learns_says_nothing_of_it() -> None:
    rows = rows_of("zero_gp/fig6", 10, learnt=0)
    small = ["1-GP learns the swiss roll at scale 1", "0-GP learns the swiss roll at scale 1"]
    found = verdicts("zero_gp/fig6", rows)
    assert [found[text] for text in small] == [Verdict.INCONCLUSIVE] * 2
    alone = [row | {"learnt": int(row["method"] == "none")} for row in rows]
    found = verdicts("zero_gp/fig6", alone)
    assert [found[text] for text in small] == [Verdict.NOT_SUPPORTED] * 2


# -- the maps of robustness ----------------------------------------------------------------


def test_every_cell_of_the_maps_sets_what_its_levels_say() -> None:
    betas = {"sgd": None, "adam.5": "[0.5,0.9]", "adam.9": "[0.9,0.99]"}
    networks = {
        "relu_2x512": {},
        "relu_3x512": {"architecture.depth": "3"},
        "tanh_2x64": {"architecture": "mlp_tanh_64"},
    }
    for panel in entry_of("zero_gp/robust")[1].panels:
        at, values = panel.cell, dict(o.split("=", 1) for o in panel.overrides)
        assert values["optimizer"] == at["optimizer"].rstrip(".59")
        assert values.get("optimizer.betas") == betas[at["optimizer"]]
        own = {k: v for k, v in values.items() if k in ("architecture", "architecture.depth")}
        assert own == networks[at["network"]]
        assert values["penalty"] == at["method"]
        assert values["optimizer.lr"] == at["lr"]
        assert values["penalty.weight"] == at["weight"]
        assert (at["weight"] == "0") == (at["method"] == "none")
        assert values["dataset"] == at["dataset"]
        for key in ("architecture.discriminator.inputs", "architecture.generator.outputs"):
            assert values.get(key, "2") == at["dim"]
        assert 2 * int(values.get("dataset.distribution.repeats", 1)) == int(at["dim"])


def test_the_maps_use_every_cell_once() -> None:
    _, grid = entry_of("zero_gp/robust")
    places = [*robust.REGIONS.values(), {"dataset": "repeated_ring"}]
    used = [panel.name for where in places for panel in grid.at(**where)]
    assert sorted(used) == sorted(grid.names)


def test_regions_of_all_penalties_have_the_same_number_of_cells() -> None:
    _, grid = entry_of("zero_gp/robust")
    sizes = {
        method: [len(grid.at(method=method, **where)) for where in robust.REGIONS.values()]
        for method in grid.axes["method"]
    }
    assert sizes.pop("none") == [3, 6, 6]
    assert list(sizes.values()) == [[15, 6, 6]] * 3


def test_the_share_of_cells_kept_is_by_seed_and_a_diverged_run_keeps_none() -> None:
    _, grid = entry_of("zero_gp/robust")
    where = {"network": "tanh_2x64"}
    rows = rows_of("zero_gp/robust", 2, modes=8)
    rows = changed(rows, {**where, "method": "one_gp", "lr": "0.003", "seed": "1"}, modes=7)
    lost = {**where, "method": "one_gp", "lr": "0.01", "seed": "1"}

    def ended(state: State) -> Table:
        """One run ended otherwise and measured nothing."""
        cells = [{k: v for k, v in r.items() if k != "modes"} | {"state": state} for r in rows]
        return Table([c if is_at(c, lost) else r for c, r in zip(cells, rows, strict=True)], grid)

    diverged = ended(State.DIVERGED)
    np.testing.assert_allclose(robust.share_kept(diverged, "one_gp", where), [1, 1 / 3])
    both = robust.share_kept(diverged, "one_gp", where, {"network": "relu_3x512"})
    np.testing.assert_allclose(both, [1, 4 / 6])
    failed = ended(State.FAILED)
    np.testing.assert_allclose(robust.share_kept(failed, "one_gp", where), [1, np.nan])
    np.testing.assert_allclose(robust.share_kept(failed, "zero_gp", where), [1, 1])
    np.testing.assert_array_equal(robust.all_kept(failed, **lost | {"seed": "0"}), [1])
    np.testing.assert_array_equal(robust.all_kept(failed, **lost), [np.nan])
    np.testing.assert_array_equal(robust.all_kept(diverged, **lost), [0])


def test_no_penalty_is_the_same_at_each_lambda_and_counts_for_each() -> None:
    _, grid = entry_of("zero_gp/robust")
    cell = {**robust.FIG2, "method": "none", "lr": "0.003"}
    table = Table(changed(rows_of("zero_gp/robust", 1, modes=3), cell, modes=8), grid)
    (share,) = robust.share_kept(table, "none", *robust.REGIONS.values())
    assert share == pytest.approx(5 / 27)


def regions(rows: list[Row]) -> dict[str, Verdict]:
    return {t: v for t, v in verdicts("zero_gp/robust", rows).items() if "region" in t}


def test_a_region_is_compared_where_the_networks_of_the_other_method_live() -> None:
    rows = changed(rows_of("zero_gp/robust", 9, modes=3, dead=0), {"method": "zero_gp"}, modes=8)
    assert set(regions(rows).values()) == {Verdict.SUPPORTED}
    lost = regions(changed(rows, {"method": "zero_gp"}, modes=3))
    assert Verdict.SUPPORTED not in lost.values()
    dead = changed(rows, {"method": "one_gp"}, dead=1)
    found = regions(dead)
    (of_dead,) = (t for t in found if "than with 1-GP" in t)
    assert found.pop(of_dead) == Verdict.INCONCLUSIVE
    assert {t for t, v in found.items() if v == Verdict.INCONCLUSIVE} == {
        t for t in found if "the largest" in t
    }
    some = changed(rows, {"method": "one_gp", "lr": ["0.001", "0.003"]}, dead=1)
    assert set(regions(some).values()) == {Verdict.SUPPORTED}
    (text,) = (t for t in regions(some) if "than with 1-GP" in t)
    assert "(11 of 27)" in claim_of("zero_gp/robust", some, text).test.quantity


def test_a_method_that_has_one_lambda_stands_for_each() -> None:
    _, grid = entry_of("zero_gp/robust")
    own = [p for p in grid.panels if p.cell["method"] != "one_gp" or p.cell["weight"] == "10"]
    rows = [row for row in rows_of("zero_gp/robust", 1, modes=8) if row["weight"] in ("0", "10")
            or row["method"] != "one_gp"]  # fmt: skip
    table = Table(rows, replace(grid, panels=tuple(own)))
    assert robust.share_kept(table, "one_gp", *robust.REGIONS.values()) == [1]


POWERS = {"0.01": 0.5, "1": 0.4, "10": 0.3, "100": 0.2, "10000": 0.0}


def test_power_is_the_difference_of_mean_probabilities_at_the_ends_of_the_segments() -> None:
    logit = np.log([[1 / 4, 9, 3], [1, 1e-9, 1]])  # probabilities at the ends: .2, .75; .5, .5
    assert robust.power(logit) == pytest.approx((0.75 + 0.5 - 0.2 - 0.5) / 2)


def test_a_seed_with_a_diverged_lambda_is_left_out_of_the_correlation() -> None:
    cell = {**robust.FIG2, "method": "zero_gp", "lr": "0.003"}
    rows = rows_of("zero_gp/robust", 9, modes=8)
    for weight, power in POWERS.items():
        rows = changed(rows, {**cell, "weight": weight}, power=power)
    text = "the larger lambda, the less 0-GP's discriminator discriminates"
    assert claim_of("zero_gp/robust", rows, text).test.verdict == Verdict.SUPPORTED
    lost = {**cell, "weight": "1", "seed": "2"}
    rows = [
        {k: v for k, v in r.items() if k not in ("power", "modes")} | {"state": "diverged"}
        if is_at(r, lost)
        else r
        for r in rows
    ]
    assert claim_of("zero_gp/robust", rows, text).test.n_dropped == 1


def test_a_lambda_that_diverges_on_every_seed_leaves_the_others_to_be_compared() -> None:
    cell = {**robust.FIG2, "method": "zero_gp", "lr": "0.003"}
    rows = rows_of("zero_gp/robust", 9, modes=8)
    for weight, power in POWERS.items():
        rows = changed(rows, {**cell, "weight": weight}, power=power)
    rows = changed(rows, {**cell, "weight": "10000"}, power=np.nan)
    text = "the larger lambda, the less 0-GP's discriminator discriminates"
    test = claim_of("zero_gp/robust", rows, text).test
    assert (test.verdict, test.n) == (Verdict.SUPPORTED, 9)
    assert "lambda (0.01, 1, 10, 100) and" in test.quantity
    # The largest at which anything is left to be measured is the one that D's power is lost at.
    text = "as lambda grows 0-GP's discriminator loses its power (lambda 100)"
    assert claim_of("zero_gp/robust", rows, text).test.n == 9


def test_the_largest_region_must_be_larger_than_each_of_the_others() -> None:
    rows = rows_of("zero_gp/robust", 9, modes=3, power=0.0)
    for weight, power in POWERS.items():
        for lr in ("0.0001", "0.0003", "0.001", "0.003"):
            mine = {"method": "zero_gp", "lr": lr, "weight": weight}
            rows = changed(rows, mine, modes=8, power=power)
    before = verdicts("zero_gp/robust", rows)
    assert sum("region" in text for text in before) == 3 + len(robust.REGIONS)
    assert {v for text, v in before.items() if "region" in text} == {Verdict.SUPPORTED}
    assert {v for text, v in before.items() if "lambda grows" in text} == {Verdict.SUPPORTED}
    for optimizer in ("adam.5", "adam.9"):
        rows = changed(rows, {"optimizer": optimizer, "method": "one_gp"}, modes=8)
    after = {text.rpartition(": ")[2]: v for text, v in verdicts("zero_gp/robust", rows).items()}
    assert after["optimiser"] != Verdict.SUPPORTED
    assert after["architecture"] == Verdict.SUPPORTED


def test_dimensions_are_compared_by_which_has_more_modes_seed_by_seed() -> None:
    texts = (
        f"1-GP keeps more modes in {robust.LOW} dimensions than in {robust.HIGH}",
        f"in {robust.HIGH} dimensions 0-GP keeps more modes than 1-GP",
    )
    rows = rows_of("zero_gp/robust", 9, modes=5, power=0.0)

    def found(high: int) -> list[Verdict]:
        there = changed(rows, {"method": "one_gp", "dim": robust.HIGH}, modes=high)
        return [claim_of("zero_gp/robust", there, text).test.verdict for text in texts]

    assert found(1) == [Verdict.SUPPORTED] * 2  # neither has all 8 anywhere
    assert found(8) == [Verdict.NOT_SUPPORTED] * 2
    assert found(5) == [Verdict.INCONCLUSIVE] * 2  # no pair differs: nothing is said


# -- all of them ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_without_a_finished_run_has_its_picture_and_no_claim(name: str) -> None:
    what, grid = entry_of(name)
    rows: list[Row] = [
        {**panel.cell, "seed": s, "state": "failed"} for panel in grid.panels for s in range(5)
    ]
    assert set(verdicts(name, rows).values()) == {Verdict.INCONCLUSIVE}
    assert len(what.draw(Runs(grid, []), Table(rows, grid)).axes) >= 4
