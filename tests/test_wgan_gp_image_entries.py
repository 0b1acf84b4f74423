"""What wgan_gp's Fig. 5b and Table 4 measure in made-up runs, and conclude from them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gp_lab.data.points import Points, UniformSquare
from gp_lab.figures.claims import Claim, Verdict
from gp_lab.figures.registry import Panels, Row, Run
from gp_lab.papers.wgan_gp import fig5b, table4
from gp_lab.objectives.losses import Loss, NonSaturating, Wasserstein
from gp_lab.probes.base import View
from gp_lab.probes.overfitting import CriticLosses
from gp_lab.runs.folder import RunFolder

SEEDS = 5


def made_up_run(
    place: Path, panel: str, seed: int, probe: str, arrays: dict[int, Any], data: str
) -> Run:
    """A finished run whose probe wrote these arrays at these steps."""
    folder = RunFolder(place / f"{panel}-{seed}")
    folder.create({"out": str(place), "dataset": {"name": data}}, f"{panel}-{seed}")
    for step, stored in arrays.items():
        folder.write_arrays(probe, step, {k: np.asarray(v) for k, v in stored.items()})
    return Run(panel, seed, folder, "finished", max(arrays))


def verdicts(claims: list[Claim]) -> list[Verdict]:
    return [claim.test.verdict for claim in claims]


# -- Fig. 5b -------------------------------------------------------------------------------

STEPS = np.arange(0, 2001, 100)
EARLY = np.minimum(STEPS, 500) / 500
"""Rises at first, and is 1 from iteration 500 on."""


def losses(place: Path, rising: float, falling: float, data: str = "mnist_5k") -> Panels:
    """Runs whose training curve goes from 5 to 5 + rising, that of validation to 5 - falling."""
    late = np.maximum(STEPS - 500, 0) / 1500

    def run(panel: str, seed: int) -> Run:
        train, held_out = 5 * EARLY + rising * late, 5 * EARLY - falling * late
        arrays = {
            int(step): {"train_loss": -a - 0.01 * seed, "held_out_loss": -b}
            for step, a, b in zip(STEPS, train, held_out, strict=True)
        }
        return made_up_run(place, panel, seed, "critic_losses", arrays, data)

    return {panel: [run(panel, seed) for seed in range(SEEDS)] for panel in fig5b.PANELS}


def test_curves_that_part_one_rising_and_one_falling_support_all_of_fig_5b(tmp_path: Path) -> None:
    rows = fig5b._measure(losses(tmp_path, rising=2, falling=2))
    claims = fig5b._claims(rows)
    assert verdicts(claims) == [Verdict.SUPPORTED] * 4
    # Over the last tenth, at 1800, 1900 and 2000: 2 (13 + 14 + 15) / 45 above and below 5.
    gap = 2 * 14 / 15
    assert rows[0]["apart"] == pytest.approx(2 * gap / (5 + gap))
    assert (rows[0]["trend_train"], rows[0]["trend_held_out"]) == (1, -1)
    assert (rows[0]["train_end"], rows[0]["held_out_end"]) == (7, 3)


def test_curves_that_fall_together_support_only_that_validation_falls(tmp_path: Path) -> None:
    claims = fig5b._claims(fig5b._measure(losses(tmp_path, rising=-2, falling=2)))
    assert verdicts(claims) == [Verdict.NOT_SUPPORTED] * 3 + [Verdict.SUPPORTED]


def test_the_early_rise_of_a_curve_is_no_trend_and_a_gap_of_under_a_tenth_is_none() -> None:
    late = np.maximum(STEPS - 500, 0) / 1500
    curves = fig5b.Curves(STEPS, 5 * EARLY - 0.1 * late, 5 * EARLY - 0.5 * late)
    assert fig5b.trends(curves) == (-1, -1)
    assert 0 < fig5b.distance_at_the_end(curves) < fig5b.APART
    assert np.isnan(fig5b.trends(fig5b.Curves(STEPS[:1], STEPS[:1], STEPS[:1]))).all()


def view_of(loss: Loss, dataset: Any, critic: Any) -> View:
    """G makes zeros; D is this function."""

    class Nothing:
        shape = (2,)

        def draw(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
            return torch.zeros(n, 2)

    nothing: dict[str, Any] = dict.fromkeys(("discriminator", "d"))
    return View(
        step=1, critic=critic, generate=lambda z: z, dataset=dataset, latent=Nothing(), loss=loss,
        batch_size=32, device=torch.device("cpu"), dtype=torch.float32,
        rng=lambda stream: torch.Generator().manual_seed(sum(stream.encode())), **nothing,
    )  # fmt: skip


@pytest.mark.parametrize("loss", [Wasserstein(), NonSaturating()])
def test_a_critic_that_knows_its_training_set_by_heart_has_a_smaller_loss_on_it(loss: Loss) -> None:
    dataset = Points(UniformSquare(), size=100).prepare(torch.Generator().manual_seed(0))
    seen = dataset.points
    assert seen is not None
    batches = []

    def critic(x: Tensor) -> Tensor:
        batches.append(len(x))
        known = (x[:, None] == seen).all(2).any(1)
        return 2.0 * known

    arrays = CriticLosses(count=100).measure(view_of(loss, dataset, critic))
    one, zero = torch.tensor(2.0), torch.tensor(0.0)
    assert arrays["train"].tolist() == [2.0] * 100
    assert arrays["held_out"].tolist() == arrays["fake"].tolist() == [0.0] * 100
    assert arrays["train_loss"] == pytest.approx(float(loss.phi(zero) + loss.varphi(one)))
    assert arrays["held_out_loss"] == pytest.approx(float(loss.phi(zero) + loss.varphi(zero)))
    # Never more than a batch of the run, and no rest that batch norm could not take.
    assert batches == [25] * 12


# -- Table 4 -------------------------------------------------------------------------------

CHARACTERS = np.array(["\ufffd", *"abcdefg "])


def texts(place: Path, ends: dict[str, float], data: str = "python_topics") -> Panels:
    """Runs whose divergences begin at 1, over a floor of .2, and end at these."""
    rng = np.random.default_rng(0)

    def run(panel: str, seed: int) -> Run:
        arrays = {}
        for step, js in ((0, 1.0), (100, ends[panel] + 0.001 * seed)):
            stored: dict[str, Any] = {part: np.full(4, js) for part in ("train", "held_out")}
            stored |= {f"{part}_floor": np.full(4, 0.2) for part in ("train", "held_out")}
            stored["codes"] = rng.integers(0, 9, (20, 32)).astype(np.int16)
            arrays[step] = stored | {"real": stored["codes"], "characters": CHARACTERS}
        return made_up_run(place, panel, seed, "ngrams", arrays, data)

    return {panel: [run(panel, seed) for seed in range(SEEDS)] for panel in table4.PANELS}


def test_divergences_that_fall_with_the_penalty_alone_support_table_4(tmp_path: Path) -> None:
    rows = table4._measure(texts(tmp_path, {"wgan_gp": 0.36, "gan": 0.92}))
    assert verdicts(table4._claims(rows)) == [Verdict.SUPPORTED] * 9
    assert rows[0]["js4_held_out_left"] == pytest.approx(0.2)
    assert rows[SEEDS]["left_train"] == pytest.approx(0.9)
    assert rows[0]["distinct"] == 1


def test_a_standard_gan_that_writes_better_is_a_result_too(tmp_path: Path) -> None:
    rows = table4._measure(texts(tmp_path, {"wgan_gp": 0.36, "gan": 0.3}))
    claims = table4._claims(rows)
    assert verdicts(claims[:4]) == [Verdict.SUPPORTED] * 4
    assert verdicts(claims[4:]) == [Verdict.NOT_SUPPORTED] * 5


def test_a_seed_that_diverged_is_left_out_and_counted(tmp_path: Path) -> None:
    panels = texts(tmp_path, {"wgan_gp": 0.36, "gan": 0.92})
    rows: list[Row] = table4._measure({"wgan_gp": panels["wgan_gp"], "gan": panels["gan"][1:]})
    rows.append({"panel": "gan", "seed": 0, "state": "diverged"})
    claims = table4._claims(rows)
    assert [c.test.n_dropped for c in claims] == [0] * 4 + [1] * 5
    assert verdicts(claims[4:]) == [Verdict.INCONCLUSIVE] * 5


@pytest.mark.parametrize("module", [fig5b, table4])
def test_a_picture_without_a_finished_run_says_so(module: Any) -> None:
    panels: Panels = dict.fromkeys(module.PANELS, ())
    figure = module._draw(panels, [])
    words = {t.get_text() for axes in figure.axes for t in axes.texts}
    assert "no finished run" in words
