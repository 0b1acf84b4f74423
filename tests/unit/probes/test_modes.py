"""The probes of modes and curves: what they count on real data, and which data sets they take."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import built, run_on
from lab import config_of, trained

from gp_lab.data.points import Circles, GaussianRing, Mixture, Points, SwissRoll
from gp_lab.errors import BadInput
from gp_lab.evaluation.points import coverage, distance_to_curve
from gp_lab.launching.compose import compose, hydra_session
from gp_lab.probes.base import View
from gp_lab.probes.modes import Curve, Modes
from gp_lab.training.setup import setup

SCORED = {
    "modes": ("eight_gaussians", "twenty_five_gaussians", "repeated_ring", "mixture"),
    "curve": ("swiss_roll", "s_curve", "circles"),
}
"""The data sets of the plane that bring a score."""

RING = Points(GaussianRing(), scale=0.5)
ROLL = built("dataset", "swiss_roll")


def view_of(dataset: Points, generator: Points) -> View:
    """A run whose fixed generator is a data set."""
    nothing: dict[str, Any] = dict.fromkeys(("critic", "loss", "discriminator", "d", "batch_size"))
    return View(
        step=1,
        generate=lambda z: z,
        dataset=dataset,
        latent=generator,
        device=torch.device("cpu"),
        dtype=torch.float32,
        rng=lambda stream: torch.Generator().manual_seed(sum(stream.encode())),
        **nothing,
    )


@pytest.mark.parametrize("score", SCORED)
def test_data_of_the_plane_bring_their_score_unless_other_probes_are_asked_for(score: str) -> None:
    with hydra_session() as hydra:
        for name in SCORED[score]:
            of_set = compose(hydra, [f"dataset={name}"])["probe"]
            assert list(of_set) == ["surface", "samples", score]
            own = compose(hydra, [f"dataset={name}", "probe=[surface]"])["probe"]
            assert list(own) == ["surface"]


def test_circles_are_a_curve_of_pieces_that_are_not_joined() -> None:
    circles = Points(Circles(radii=(0.5, 1.0), noise=0.0), scale=2.0)
    curve = circles.curve(9)
    assert curve is not None
    radius, angle = curve.norm(dim=1), torch.atan2(curve[:, 1], curve[:, 0])
    np.testing.assert_allclose(radius, [1, 1, 1, 1, np.nan, 2, 2, 2, 2])
    thirds = np.array([0, 1, 2, 0]) * 2 * np.pi / 3
    np.testing.assert_allclose(np.cos(angle[:4] - thirds), 1)
    between = np.array([[1.5, 0.0], [1.0, 0.0], [2.0, 0.0]])
    fine = circles.curve(2000)
    assert fine is not None
    np.testing.assert_allclose(distance_to_curve(between, fine), [0.5, 0, 0], atol=1e-5)
    assert coverage(between, fine, 0.1) < 0.1
    assert coverage(fine[~fine.isnan().any(1)], fine, 1e-9) == 1
    numbers = Curve(radius=0.05).scalars(Curve(radius=0.05).measure(view_of(circles, circles)))
    assert (numbers["near"], numbers["coverage"]) == (1, 1)


@pytest.mark.seconds
def test_the_data_themselves_hit_all_modes_evenly() -> None:
    probe = Modes()
    arrays = probe.measure(view_of(RING, RING))
    numbers = probe.scalars(arrays)
    assert arrays["radius"] == pytest.approx(0.1 * 0.5 * 2)
    assert (numbers["hit"], numbers["near"]) == (8, 1)
    assert 0.999 < numbers["balance"] <= 1
    # Two samples of 500 differ by chance in how many points each mode has.
    assert 0 < numbers["w1"] < 0.15


def test_a_generator_of_two_modes_hits_two_and_is_far_by_its_exact_distance() -> None:
    two = replace(RING, distribution=GaussianRing(2, 2.0, 0.02))
    numbers = Modes().scalars(Modes().measure(view_of(RING, two)))
    assert (numbers["hit"], numbers["near"]) == (2, 1)
    assert numbers["balance"] == pytest.approx(np.log(2) / np.log(8), abs=1e-3)
    # By symmetry an optimal plan sends modes 0, +-1 and half of +-2 to one side: chords of angles
    # 0, 45, 45 and 90 degrees over four equal masses.
    chords = [2 * np.sin(angle / 2) for angle in np.radians([0, 45, 45, 90])]
    assert numbers["w1"] == pytest.approx(np.mean(chords), abs=0.05)


def test_data_about_a_curve_cover_it_and_are_as_far_from_it_as_their_noise() -> None:
    numbers = Curve().scalars(Curve().measure(view_of(ROLL, ROLL)))
    noise = 0.25 / 7.5
    # Of a straight line the mean distance would be noise * sqrt(2 / pi).
    assert numbers["distance"] == pytest.approx(noise * np.sqrt(2 / np.pi), rel=0.03)
    assert numbers["near"] == pytest.approx(0.9973, abs=0.003)
    assert numbers["coverage"] == 1
    assert numbers["w1"] < 0.2


def test_half_of_a_curve_is_covered_by_half() -> None:
    class HalfRoll(SwissRoll):
        def curve(self, u: torch.Tensor) -> torch.Tensor:
            return super().curve(u / 2)

    half = replace(ROLL, distribution=HalfRoll(0.0))
    probe = Curve(radius=0.01, count=3000, points=1000, transport=10)
    numbers = probe.scalars(probe.measure(view_of(ROLL, half)))
    assert numbers["coverage"] == pytest.approx(0.5, abs=0.01)
    assert numbers["distance"] < 1e-4  # the curve bulges that far over its 999 straight pieces


def test_the_curve_of_a_data_set_is_scaled_and_a_data_set_about_none_has_none() -> None:
    curve = Points(SwissRoll(), scale=0.5).curve(3)
    assert curve is not None
    t = 1.5 * np.pi * np.array([1.0, 2, 3])
    expected = 0.5 * t[:, None] * np.stack([np.cos(t), np.sin(t)], 1)
    np.testing.assert_allclose(curve, expected, atol=1e-12)
    assert RING.curve(3) is None


def test_both_write_their_numbers_while_a_run_trains(tmp_path: Path) -> None:
    small = ("steps=4", "log_every=2", f"out={tmp_path}")
    modes = ("probe=[modes]", "probe.modes.every=2", "probe.modes.count=100")
    lines = trained(*small, *modes, base=BARE).metrics()
    assert [line["step"] for line in lines if "modes/hit" in line] == [2, 4]
    curve = ("probe=[curve]", "probe.curve.count=100", "dataset=swiss_roll")
    lines = trained(*small, *curve, base=BARE).metrics()
    assert all(f"curve/{name}" in lines[-1] for name in ("distance", "near", "coverage", "w1"))


def test_data_sets_without_modes_or_curve_are_refused_before_anything_runs() -> None:
    with pytest.raises(BadInput, match=r"probe\.modes: counts modes"):
        setup(config_of("probe=[modes]", "dataset=swiss_roll", base=BARE))
    with pytest.raises(BadInput, match=r"probe\.curve: measures distances"):
        setup(config_of("probe=[curve]", base=BARE))
    with pytest.raises(BadInput, match=r"probe\.modes\.radius: give it"):
        Modes().check("probe.modes", run_on(Points(Mixture((GaussianRing(1),)))))
    Modes(radius=0.1).check("probe.modes", run_on(Points(GaussianRing(1))))
    with pytest.raises(ValueError, match="share=2"):
        Modes(share=2.0)


BARE = ("architecture=mlp_tanh_64", "architecture.width=8", "batch_size=16", "tracking=none",
        "threads=1", "device=cpu")  # fmt: skip
