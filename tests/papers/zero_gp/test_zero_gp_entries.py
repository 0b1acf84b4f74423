"""What the entries of zero_gp conclude from rows that are made up."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from gp_lab.figures.claims import Verdict
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.papers.zero_gp import alg1, prop2, prop3, table1

GAPS = np.array([0.20, 0.22, 0.19, 0.21, 0.20])
TINY = np.array([0.0, 0.001, -0.001, 0.002, -0.002])
WOBBLE = np.array([0.0, 0.05, -0.05, 0.06, -0.06])


def table(held_out: float = 0.7, **gaps: np.ndarray) -> Table:
    """Rows of table1 with these gaps by penalty; those left out are as without a penalty. With any
    D has an accuracy of `held_out` on held-out samples, without .6."""
    grid = grid_of(figure_file("zero_gp/table1"))
    rows: list[Row] = [
        {"method": method, "seed": seed, "accuracy_gap": float(gap)}
        | {"accuracy_held_out": (0.6 if method == "none" else held_out) + 0.001 * (seed % 2) * gap}
        for method in grid.axes["method"]
        for seed, gap in enumerate(gaps.get(method, GAPS))
    ]
    return Table(rows + table1.exact(), grid)


@pytest.mark.parametrize(
    ("gaps", "mark"),
    [
        (GAPS - 0.1 + TINY, True),
        (GAPS + TINY, False),
        (GAPS + 0.1 + TINY, False),
        (GAPS - 0.01 + WOBBLE, None),
    ],
)
def test_a_tick_is_a_gap_smaller_by_more_than_a_point_and_a_cross_one_that_is_not(
    gaps: np.ndarray, mark: bool | None
) -> None:
    assert table1.mark(table(one_gp=gaps), "one_gp", "generalises") is mark


def test_what_1_gp_does_for_generalisation_decides_between_table_1_and_section_6_1() -> None:
    for gaps, verdicts in (
        (GAPS - 0.1 + TINY, (Verdict.NOT_SUPPORTED, Verdict.SUPPORTED)),
        (GAPS + TINY, (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED)),
    ):
        claims = table1.claims(table(one_gp=gaps))
        of_table, of_text = (
            next(c for c in claims if c.text.startswith(text)).test.verdict
            for text in ("1-GP does not improve", "1-GP helps to improve")
        )
        assert (of_table, of_text) == verdicts


def test_a_gap_that_falls_says_nothing_of_a_d_that_is_no_better_on_held_out_samples() -> None:
    smaller = table(one_gp=GAPS - 0.1 + TINY, held_out=0.6)
    assert table1.mark(smaller, "one_gp", "generalises") is None
    larger = table(one_gp=GAPS + TINY, held_out=0.6)
    assert table1.mark(larger, "one_gp", "generalises") is False


def test_each_cell_of_table_1_is_a_claim() -> None:
    claims = table1.claims(table())
    cells = [c for c in claims if c.where == "zero_gp, Table 1"]
    assert [c.paper for c in cells].count("tick") == 5
    assert [c.paper for c in cells].count("cross") == 4


def test_the_exact_columns_of_table_1_are_told_from_the_theory() -> None:
    rows = table()
    exact = {
        (method, what): table1.mark(rows, method, what)
        for method in ("zero_gp", "one_gp", "zero_gp_sample", "none")
        for what in table1.WORDS
        if what != "generalises"
    }
    assert {cell for cell, holds in exact.items() if holds} == {
        ("zero_gp", "prevents"),
        ("zero_gp", "converges"),
        ("one_gp", "prevents"),
        ("zero_gp_sample", "converges"),
    }


def test_prop2_tells_a_derivative_that_grows_as_1_over_distance_from_one_that_does_not() -> None:
    for exponent, verdict in ((-1.0, Verdict.SUPPORTED), (-0.5, Verdict.NOT_SUPPORTED)):
        rows: list[Row] = [
            {
                "case": "set", "seed": seed, "exponent": exponent + 0.001 * seed,
                "eps": 0.5, "eps_at_k_enough": 0.5, "least_over_bound": 1.4,
            }
            for seed in range(6)
        ]  # fmt: skip
        rows += [{"case": "size", "parameters": 60, "formula": 60}]
        rows += [{"case": name, "parameters": 1e8} for name in prop2.DATA]
        (claim,) = (c for c in prop2.claims(Table(rows)) if "1/distance" in c.text)
        assert claim.test.verdict == verdict


def test_prop3_takes_a_count_that_stays_bounded_for_what_it_is() -> None:
    def verdicts(exponent: float) -> set[Verdict]:
        rows: list[Row] = [
            {
                "case": "distance", "distance": d, "steps_exact": d**exponent,
                "ratio_wasserstein": d**2, "ratio_vanilla": d**2,
            }
            for d in (1.0, 0.1, 0.01)
        ]  # fmt: skip
        claims = prop3.claims(Table([*rows, {"case": "floor", "distance": 0.0}]))
        return {c.test.verdict for c in claims if "D steps back" in c.text}

    assert verdicts(-4.0) == {Verdict.SUPPORTED}
    assert verdicts(0.0) == {Verdict.NOT_SUPPORTED}


RING = {
    "_target_": "gp_lab.data.points.Points",
    "distribution": {
        "_target_": "gp_lab.data.points.GaussianRing", "modes": 8, "radius": 10.0, "std": 0.2
    },
    "scale": 0.7,
}  # fmt: skip


def made_up_run(logit: float, spread: float) -> Any:
    """A run whose fakes are the 8 Gaussians, `spread` times as wide; D has one value everywhere."""
    rng, n = np.random.default_rng(0), 1500
    angle = rng.integers(0, 8, 3 * n) * np.pi / 4
    points = 7 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    wide = np.repeat([0.14, spread * 0.14], [n, 2 * n])
    real, fake, train = np.split(points + wide[:, None] * rng.normal(size=(3 * n, 2)), 3)
    arrays = {
        "held_out_real": real, "held_out_fake": fake, "train_fake": train,
        "held_out_real_logit": np.full(n, logit), "held_out_fake_logit": np.full(n, logit),
    }  # fmt: skip
    folder = SimpleNamespace(config={"dataset": RING})
    return SimpleNamespace(
        cell={"method": "zero_gp"}, seed=0, state="finished", folder=folder,
        arrays=lambda probe: arrays,
    )  # fmt: skip


def test_alg1_measures_no_error_where_d_is_1_2_and_the_fakes_are_like_the_reals() -> None:
    row = alg1.measure(made_up_run(0.0, 1.0))
    assert row["modes"] == 8
    assert row["share_near"] > 0.99
    assert row["rmse_optimal"] < 0.05
    assert alg1.measure(made_up_run(50.0, 1.0))["rmse_optimal"] == pytest.approx(0.5, abs=0.02)


def test_alg1_measures_an_error_of_1_2_where_d_is_1_2_and_the_fakes_are_far_off() -> None:
    assert alg1.measure(made_up_run(0.0, 100.0))["rmse_optimal"] == pytest.approx(0.5, abs=0.05)


def test_the_density_of_equal_gaussians_is_scipys() -> None:
    rng = np.random.default_rng(0)
    x, means = rng.normal(size=(9, 2)), rng.normal(size=(4, 2))
    density = np.mean([multivariate_normal(m, 0.3**2 * np.eye(2)).pdf(x) for m in means], axis=0)
    np.testing.assert_allclose(np.exp(alg1.log_mixture(x, means, 0.3)), density, rtol=1e-12)
