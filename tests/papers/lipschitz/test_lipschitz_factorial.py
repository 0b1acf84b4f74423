"""lipschitz, Figs. 8 to 12: roughness, the factorial's effects, and what is said of them."""

from itertools import product

import numpy as np
import pytest

from gp_lab.figures.claims import Verdict
from gp_lab.figures.table import Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.papers.lipschitz import fig8_12
from gp_lab.theory.surfaces import roughness


def test_roughness_of_planes_checkerboards_and_constants() -> None:
    x, y = np.meshgrid(np.arange(5.0), np.arange(4.0))
    assert roughness(x) == roughness(7 - 3 * x + 2 * y) == 0  # a plane, however steep
    # 12 second differences along x of 2 sixteenths of the range each, 10 along y of none.
    assert roughness(x**2) == pytest.approx(12 * 2 / 16 / 22)
    assert roughness((x + y) % 2) == 2
    assert roughness(0 * x + 3) == 0
    for bad in (x[0], x[:2], np.where(x > 3, np.nan, x)):
        with pytest.raises(ValueError, match="finite grid"):
            roughness(bad)


EFFECTS = {"capacity": 1.0, "activation": -0.5, "optimiser": 0.25, "rate": 2.0}


def test_effects_of_the_factorial_are_those_that_were_put_in() -> None:
    rows = []
    for levels in product(*fig8_12.FACTORS.values()):
        cell = dict(zip(fig8_12.FACTORS, levels, strict=True))
        high = [factor for factor, of in fig8_12.FACTORS.items() if cell[factor] == of[1]]
        exponent = sum(EFFECTS[factor] for factor in high)
        for seed in range(3):
            row = {**cell, "seed": seed, "roughness": 2.0 ** (exponent + seed), "error": 0.01}
            if seed == 1 and levels == ("4x1024", "selu", "sgd", "1e-4"):
                del row["roughness"], row["error"]  # it diverged
            rows.append(row)
    rows += [  # Figs. 10 to 12 are not of the factorial
        {"capacity": "64x128", "activation": "selu", "optimiser": "sgd", "rate": "1e-4",
         "seed": seed, "roughness": 1e9}
        for seed in range(3)
    ]  # fmt: skip
    table = Table(rows, grid_of(figure_file("lipschitz/fig8-12")))
    for factor, expected in EFFECTS.items():
        np.testing.assert_allclose(
            fig8_12.effect(table, factor), [expected, np.nan, expected], atol=1e-12
        )


def test_critics_that_have_not_fitted_are_not_held_against_those_that_have() -> None:
    table = surfaces()
    for row in table.rows:  # whoever has learnt less is smoother for that
        if row["optimiser"] == "sgd":
            row["roughness"] /= 4
            row["error"] = 0.2 if row["activation"] == "relu" else 0.05
        if row["optimiser"] == "sgd" and row["activation"] == "selu":
            row["roughness"] *= 8
    np.testing.assert_allclose(fig8_12.effect(table, "optimiser"), 1, atol=0.2)  # of SELU alone
    for row in table.rows:
        row["error"] = 0.2
    assert np.isnan(fig8_12.effect(table, "optimiser")).all()


def surfaces(**roughness_of: float) -> Table:
    """Rows of all settings, log2 roughness -4 but for the paper's figures: f8=-6 and so on."""
    grid = grid_of(figure_file("lipschitz/fig8-12"))
    at = {fig8_12.FIGURES[f"Fig. {name[1:]}"]: value for name, value in roughness_of.items()}
    rows = []
    for panel in grid.panels:
        value = at.get(tuple(panel.cell[factor] for factor in fig8_12.FACTORS), -4.0)
        for seed in range(6):
            off = 0.1 * np.sin(7 * seed + sum(panel.name.encode()))
            row = {"seed": seed, "roughness": 2.0 ** (value + off), "error": 0.01}
            rows.append(panel.cell | row)
    return Table(rows, grid)


def test_figs_11_and_12_are_held_against_each_of_figs_8_to_10() -> None:
    def found(**roughness_of: float) -> list[Verdict]:
        claims = fig8_12.claims(surfaces(**roughness_of))
        return [claim.test.verdict for claim in claims if "each of Figs. 8 to 10" in claim.text]

    yes, no, open_ = Verdict.SUPPORTED, Verdict.NOT_SUPPORTED, Verdict.INCONCLUSIVE
    simple: dict[str, float] = {"f8": -6, "f9": -5, "f10": -5}
    assert found(**simple, f11=-3, f12=-2) == [yes, yes]
    assert found(**simple, f11=-5.5, f12=-2) == [no, yes]  # rougher than Fig. 8 alone
    assert found(**simple | {"f10": -2.02}, f11=-3, f12=-2) == [no, open_]
    assert found(**simple | {"f9": -np.inf}, f11=-3, f12=-2) == [open_, open_]  # a dead one


def test_dead_networks_leave_open_what_the_factorial_says() -> None:
    table = surfaces(f8=-6, f9=-5, f10=-5, f11=-3, f12=-2)
    alive = {claim.text: table.dead(claim.about) for claim in fig8_12.claims(table)}
    assert set(alive.values()) == {""}
    for row in table.rows:
        row["dead"] = int(row["capacity"] == "4x1024" and row["rate"] == "1e-2")  # Fig. 9
    assert all(table.dead(claim.about) for claim in fig8_12.claims(table))
    for row in table.rows:
        row["dead"] = int(row["rate"] == "1e-5")  # Fig. 10 is not of the factorial
    dead = {claim.text for claim in fig8_12.claims(table) if table.dead(claim.about)}
    assert len(dead) == 2
    assert all("Figs. 8 to 10" in text for text in dead)
    for row in table.rows:
        row["dead"] = int(row["rate"] == "1e-3")  # Fig. 11, whose plane is not what is claimed
    dead = {claim.text for claim in fig8_12.claims(table) if table.dead(claim.about)}
    assert dead == {"Fig. 11's surface is more complex than each of Figs. 8 to 10"}


def test_each_cell_of_the_factorial_trains_what_its_name_says() -> None:
    grid = grid_of(figure_file("lipschitz/fig8-12"))
    assert list(fig8_12.FACTORS) == list(grid.axes)
    cells = {*product(*fig8_12.FACTORS.values()), *fig8_12.FIGURES.values()}
    assert {tuple(panel.cell.values()) for panel in grid.panels} == cells
    assert len(grid.panels) == len(cells) == 16 + 3  # Figs. 8 and 9 are of the factorial
    says = {
        "1x1024": {"architecture.depth=1"}, "4x1024": {"architecture.depth=4"},
        "64x1024": {"architecture.depth=64"},
        "64x128": {"architecture.depth=64", "architecture.width=128"},
        "relu": {"architecture.activation=relu"}, "selu": {"architecture.activation=selu"},
        "adam": {"optimizer=adam", "optimizer.betas=[0,0.9]"}, "sgd": {"optimizer=sgd"},
    }  # fmt: skip
    for panel in grid.panels:
        *levels, rate = panel.cell.values()
        wanted = {f"optimizer.lr={rate}"}.union(*(says[level] for level in levels))
        assert wanted == set(panel.overrides)
