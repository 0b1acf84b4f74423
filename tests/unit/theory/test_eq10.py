"""Eq. 10 of lipschitz, decided from slopes: for losses known to meet it and losses known not to."""

import numpy as np
import pytest
from helpers import built, names_in

from gp_lab.probes.samples import LossCurves, slope_of
from gp_lab.theory.eq10 import CONDITIONS, conditions, free_offset

AXIS = np.linspace(-10, 10, 2001)


def slopes(name: str) -> tuple[np.ndarray, np.ndarray]:
    loss = built("loss", name)
    return slope_of(loss.phi, AXIS), slope_of(loss.varphi, AXIS)


@pytest.mark.parametrize("name", [name for name in names_in("loss") if name != "relativistic"])
def test_a_loss_meets_all_conditions_exactly_if_it_says_so(name: str) -> None:
    found = conditions(AXIS, *slopes(name))
    assert all(found.values()) == built("loss", name).meets_eq10


@pytest.mark.parametrize(
    ("phi", "varphi", "failing"),
    [
        (2 * (AXIS + 1), 2 * (AXIS - 1), {"phi rises", "varphi falls"}),
        (1 + 0 * AXIS, 0 * AXIS - 2, {"slopes cancel somewhere"}),
        (1 / (1 + AXIS**2), -1 / (1 + AXIS**2), {"phi is convex", "varphi is convex"}),
        (np.exp(AXIS), -np.exp(AXIS), {"varphi is convex"}),
    ],
)
def test_each_condition_fails_where_it_should(
    phi: np.ndarray, varphi: np.ndarray, failing: set[str]
) -> None:
    found = conditions(AXIS, phi, varphi)
    assert {name for name in CONDITIONS if not found[name]} == failing


@pytest.mark.parametrize("rise", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("name", ["vanilla", "sqrt", "exp", "combined", "combined_tenth"])
def test_a_strictly_convex_loss_has_one_best_offset(name: str, rise: float) -> None:
    loss = LossCurves(low=-10, high=10, points=2001)
    phi, varphi = _curves(loss, name)
    # At an optimum the slopes cancel, which by phi(x) = varphi(-x) is at a = -rise / 2.
    assert free_offset(AXIS, phi, varphi, rise) < 1e-9
    best = AXIS[np.argmin(phi[: 2001 - round(100 * rise)] + varphi[round(100 * rise) :])]
    assert best == pytest.approx(-rise / 2, abs=1e-9)


def test_wasserstein_has_every_offset() -> None:
    phi, varphi = _curves(LossCurves(low=-10, high=10, points=2001), "wasserstein")
    assert free_offset(AXIS, phi, varphi, 2.0) == pytest.approx(18)


def test_curves_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="does not ascend"):
        conditions(AXIS[::-1], AXIS, AXIS)
    with pytest.raises(ValueError, match="two functions"):
        conditions(AXIS, AXIS[1:], AXIS)
    with pytest.raises(ValueError, match="does not fit"):
        free_offset(AXIS, AXIS, AXIS, 21.0)


def _curves(probe: LossCurves, name: str) -> tuple[np.ndarray, np.ndarray]:
    class Looked:
        loss = built("loss", name)

    arrays = probe.measure(Looked())  # type: ignore[arg-type]
    return arrays["phi"], arrays["varphi"]
