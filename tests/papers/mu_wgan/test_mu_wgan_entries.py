"""Entries of mu_wgan on made-up arrays and rows, and at their smallest scale."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_files import judged, those

from gp_lab.figures.claims import Verdict, seeds_for_share
from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of, is_at
from gp_lab.papers.mu_wgan import fig4, lemma1, lemma2, lemma3, table1, thm1
from gp_lab.runs.folder import RunFolder


def settings(name: str, scale: str) -> dict[str, Any]:
    text = figure_file(name)
    return text["settings"] | text["scales"][scale]["settings"]


# Fig. 4


def made_up(
    tmp_path: Path, method: str, dataset: str, seed: int, hit: int = 3, near: float = 0.9
) -> Run:
    folder = RunFolder(tmp_path / f"{method}-{dataset}-{seed}")
    folder.path.mkdir()
    config = {"dataset": {"name": dataset}, "seed": seed, "out": str(tmp_path), "panel": None}
    folder.create(config, f"{method}{dataset}{seed}")
    real = np.random.default_rng(seed).normal(size=(40, 2))
    folder.write_arrays("samples", 5, {"real": real, "fake": real + 1})
    scores = {"w1": np.array(0.3), "near": np.array(near), "coverage": np.array(0.95)}
    modes = {"hit": np.arange(3) < hit, "balance": np.array(0.7)}
    probe = "curve" if dataset == "swiss_roll" else "modes"
    folder.write_arrays(probe, 5, scores if probe == "curve" else scores | modes)
    return Run({"dataset": dataset, "method": method}, seed, folder, "finished", 5)


def test_fig_4_reads_from_a_run_whether_it_has_learnt_its_data(tmp_path: Path) -> None:
    def learnt(dataset: str, **scores: Any) -> int:
        seed = len(list(tmp_path.iterdir()))
        return int(fig4.measure(made_up(tmp_path, "fake", dataset, seed, **scores))["learnt"])

    assert learnt("eight_gaussians") == 1
    assert learnt("eight_gaussians", hit=2) == 0
    assert learnt("swiss_roll", near=0.5) == 1
    assert learnt("swiss_roll", near=0.49) == 0


def test_fig_4_draws_each_method_on_each_data_set_with_its_distance(tmp_path: Path) -> None:
    grid = grid_of(figure_file("mu_wgan/fig4"))
    runs = Runs(grid, [made_up(tmp_path, **panel.cell, seed=0) for panel in grid.panels])
    titles = [axes.get_title() for axes in fig4.draw(runs, Table(fig4.ENTRY.rows(runs), grid)).axes]
    assert sum(title.endswith("0.30") for title in titles) == 3 * 7


SEEDS = seeds_for_share(24)


def fig4_verdicts(
    *changes: tuple[dict[str, str], dict[str, Any]], seeds: int = SEEDS
) -> dict[str, Verdict]:
    """Of the claims when all methods have learnt all data alike, but for these rows' changes.

    A changed value may be a function of the seed.
    """
    grid = grid_of(figure_file("mu_wgan/fig4"))
    rows: list[Row] = []
    for panel, seed in product(grid.panels, range(seeds)):
        noise = 0.01 * np.random.default_rng((len(rows), seed)).normal()
        row: Row = {**panel.cell, "seed": seed, "state": "finished", "learnt": 1}
        row |= {"w1": 0.3 + noise, "quality": 0.9 + noise}
        for where, changed in changes:
            if is_at(panel.cell, where):
                row |= {k: v(seed) if callable(v) else v for k, v in changed.items()}
        if row["state"] != "finished":
            row = {k: row[k] for k in ("dataset", "method", "seed", "state")}
        rows.append(row)
    return judged(fig4.ENTRY, Table(rows, grid))


def test_measures_that_learn_all_that_wgan_gp_learns_are_similar_to_it() -> None:
    said = fig4_verdicts()
    # Five measures and all of them together: modes of two mixtures, quality and W1 of the roll.
    assert len(said) == 6 * 4
    assert set(said.values()) == {Verdict.SUPPORTED}
    assert figure_file("mu_wgan/fig4")["scales"]["miniature"]["seeds"] == SEEDS
    assert set(fig4_verdicts(seeds=SEEDS - 1).values()) >= {Verdict.INCONCLUSIVE}


def test_a_measure_that_misses_a_mode_or_strays_from_the_roll_is_not_similar() -> None:
    said = fig4_verdicts(
        ({"method": "fake", "dataset": "eight_gaussians"}, {"learnt": 0}),
        ({"method": "real", "dataset": "eight_gaussians"}, {"learnt": lambda seed: seed % 2}),
        ({"method": "midpoint", "dataset": "swiss_roll"}, {"quality": 0.6, "w1": 0.31}),
        ({"method": "anchor", "dataset": "swiss_roll"}, {"w1": lambda seed: 0.3 + 0.05 * seed}),
    )
    assert those(said, "8 Gaussians", "fake") == {Verdict.NOT_SUPPORTED}
    assert those(said, "8 Gaussians", "real") == {Verdict.INCONCLUSIVE}
    assert those(said, "Swiss Roll", "midpoint", "share") == {Verdict.NOT_SUPPORTED}
    assert those(said, "Swiss Roll", "midpoint", "W1") == {Verdict.SUPPORTED}
    assert those(said, "Swiss Roll", "anchor", "W1") == {Verdict.INCONCLUSIVE}
    assert those(said, "8 Gaussians", "each other") == {Verdict.NOT_SUPPORTED}
    assert those(said, "Swiss Roll", "each other", "share") == {Verdict.NOT_SUPPORTED}
    assert those(said, "Swiss Roll", "each other", "W1") == {Verdict.INCONCLUSIVE}
    assert list(said.values()).count(Verdict.SUPPORTED) == 24 - 4 - 3


def test_measures_that_lie_on_both_sides_of_wgan_gp_are_similar_to_it_and_not_to_each_other() -> (
    None
):
    said = fig4_verdicts(
        ({"method": "midpoint", "dataset": "swiss_roll"}, {"quality": 0.93, "w1": 0.38}),
        ({"method": "anchor", "dataset": "swiss_roll"}, {"quality": 0.82, "w1": 0.24}),
    )
    assert those(said, "similar to WGAN-GP") == {Verdict.SUPPORTED}
    assert those(said, "Swiss Roll", "each other") == {Verdict.NOT_SUPPORTED}
    assert those(said, "Gaussians", "each other") == {Verdict.SUPPORTED}


def test_to_fail_as_wgan_gp_does_is_not_to_be_similar_to_it() -> None:
    said = fig4_verdicts(({"dataset": "twenty_five_gaussians"}, {"learnt": 0}),
                         ({"dataset": "swiss_roll"}, {"learnt": 0}))  # fmt: skip
    assert those(said, "25 Gaussians") == those(said, "Swiss Roll") == {Verdict.INCONCLUSIVE}
    assert those(said, "8 Gaussians") == {Verdict.SUPPORTED}
    only_wgan_gp = {"method": "one_gp", "dataset": "eight_gaussians"}, {"state": "diverged"}
    assert those(fig4_verdicts(only_wgan_gp), "8 Gaussians") == {Verdict.INCONCLUSIVE}


def test_that_wgan_gp_learns_is_a_premise_and_no_claim_of_the_family() -> None:
    missed = {"method": "one_gp"}, {"learnt": lambda seed: int(seed > 0)}  # on one seed of ten
    assert set(fig4_verdicts(missed).values()) == {Verdict.SUPPORTED}
    missed = {"method": "one_gp"}, {"learnt": lambda seed: int(seed > 1)}
    assert set(fig4_verdicts(missed).values()) == {Verdict.INCONCLUSIVE}


def test_a_measure_that_diverges_where_wgan_gp_learns_is_not_similar() -> None:
    said = fig4_verdicts(({"method": "real"}, {"state": "diverged"}))
    alone = "measure real"
    assert those(said, alone, "modes") == those(said, alone, "share") == {Verdict.NOT_SUPPORTED}
    assert those(said, alone, "W1") == {Verdict.INCONCLUSIVE}
    assert those(said, "each other", "W1") == {Verdict.INCONCLUSIVE}


def test_it_is_said_that_wgan_gp_itself_has_not_learnt_the_data() -> None:
    grid = grid_of(figure_file("mu_wgan/fig4"))
    rows = [
        {**p.cell, "seed": s, "state": "finished", "learnt": int(s < 2), "w1": 0.3, "quality": 0.9}
        for p in grid.panels for s in range(SEEDS)
    ]  # fmt: skip
    for claim in fig4.claims(Table(rows, grid)):
        assert f"WGAN-GP itself learns the data on 2 of {SEEDS} seeds" in claim.test.quantity
        assert claim.about["method"][0] == "one_gp"


# Calculations


def test_lemma_2s_claims_hold_for_the_lemma_and_fail_for_another_spectrum() -> None:
    rows, _ = lemma2.calculate(settings("mu_wgan/lemma2", "smoke"))
    assert {c.test.verdict for c in lemma2.claims(Table(rows))} == {Verdict.SUPPORTED}
    rows[0]["update_trace_error"] = 1e-8
    rows[0]["update_largest_real"] = 0.1
    failed = [c.text for c in lemma2.claims(Table(rows)) if c.test.verdict != Verdict.SUPPORTED]
    assert len(failed) == 2
    assert "update" in failed[0]
    assert "stable" in failed[1]


def test_lemma_3_starts_from_no_equilibrium_and_its_ends_are_its_limits() -> None:
    rows, arrays = lemma3.calculate(settings("mu_wgan/lemma3", "smoke"))
    assert all(row["theta"] != 0 for row in rows)
    assert {c.test.verdict for c in lemma3.claims(Table(rows))} == {Verdict.SUPPORTED}
    assert arrays["curves"].shape[::2] == (len(rows), 2)
    rows[0]["end_psi"] = 0.0
    assert lemma3.claims(Table(rows))[-1].test.verdict == Verdict.NOT_SUPPORTED


def test_a_curve_that_stays_on_one_side_does_not_swing() -> None:
    aside = thm1.ending(np.concatenate([[1.0, 0.5], np.full(8, -2.0)]))
    assert aside == {"last_distance": 2.0, "last_swing": 0.0}
    about = thm1.ending(np.tile([0.5, -0.25], 10))
    assert about == {"last_distance": 0.5, "last_swing": 0.25}


def test_rates_are_compared_within_a_measure_and_in_the_order_of_the_weights() -> None:
    rates = [
        {"measure": measure, "weight": weight, "rate": scale * rate}
        for measure, scale in zip(thm1.MEASURES, (1, 5, 0.1, 2, 3), strict=True)
        for weight, rate in ((2.0, 3.0), (1.0, 2.0), (4.0, 9.0))
    ]
    assert thm1.least_growth(rates) == pytest.approx(1.5)


def test_the_scattered_points_are_those_of_table_1() -> None:
    rows, arrays = table1.calculate(settings("mu_wgan/table1", "smoke"))
    assert [row["method"] for row in rows] == list(table1.METHODS)
    np.testing.assert_allclose(
        arrays["midpoint"], 0.5 * arrays["real"] + 0.5 * arrays["fake"], rtol=1e-6
    )
    anchor = arrays["fixed_anchor"][0]
    along = (arrays["anchor"] - arrays["fake"]) / (anchor - arrays["fake"])
    np.testing.assert_allclose(along[:, 0], along[:, 1], atol=1e-3)
    assert ((along[:, 0] >= 0) & (along[:, 0] <= 1)).all()


@pytest.mark.parametrize(
    ("inscribed", "farthest", "verdict"),
    [
        (1.001, 1.002, Verdict.SUPPORTED),
        (1.0, 1.5, Verdict.NOT_SUPPORTED),  # it holds the ball, and reaches beyond it
        (0.5, 0.5, Verdict.NOT_SUPPORTED),
        (np.nan, np.nan, Verdict.INCONCLUSIVE),
    ],
)
def test_a_basin_is_the_ball_if_it_reaches_to_r_and_no_farther(
    inscribed: float, farthest: float, verdict: Verdict
) -> None:
    radii = {"guaranteed_radius": 1.0, "measured_radius": inscribed, "farthest": farthest}
    rows: list[Row] = [
        {"mass": lemma1.GAUSSIAN, "rho": 1.0, **radii},
        {"mass": lemma1.NOTHING, "rho": 1.0, "radius_variation": 0.0},
    ]
    found = {claim.text: claim.test.verdict for claim in lemma1.claims(Table(rows))}
    assert found["the basin is that ball, and no more"] == verdict
