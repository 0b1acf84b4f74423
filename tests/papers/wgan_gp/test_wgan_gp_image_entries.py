"""What wgan_gp's Fig. 5b and Table 4 measure in made-up runs, and conclude from them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gp_lab.data.points import Points, UniformSquare
from gp_lab.figures.claims import Claim, Verdict
from gp_lab.figures.entry import Entry, Run, Runs, entry
from gp_lab.figures.table import Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import Grid, grid_of
from gp_lab.objectives.losses import Loss, NonSaturating, Wasserstein
from gp_lab.papers.wgan_gp import fig5b, table4
from gp_lab.probes.base import View
from gp_lab.probes.overfitting import CriticLosses
from gp_lab.runs.folder import RunFolder

SEEDS = 5


def grid(name: str) -> Grid:
    return grid_of(figure_file(f"wgan_gp/{name}"))


def made_up_run(
    place: Path, method: str, seed: int, probe: str, arrays: dict[int, Any], data: str
) -> Run:
    """A finished run whose probe wrote these arrays at these steps."""
    folder = RunFolder(place / f"{method}-{seed}")
    folder.create({"out": str(place), "dataset": {"name": data}}, f"{method}-{seed}")
    for step, stored in arrays.items():
        folder.write_arrays(probe, step, {k: np.asarray(v) for k, v in stored.items()})
    return Run({"method": method}, seed, folder, "finished", max(arrays))


def table_of(entry: Entry, runs: Runs) -> Table:
    return Table(entry.rows(runs), runs.grid)


def verdicts(claims: list[Claim]) -> list[Verdict]:
    return [claim.test.verdict for claim in claims]


# -- Fig. 5b -------------------------------------------------------------------------------

STEPS = np.arange(0, 2001, 100)
EARLY = np.minimum(STEPS, 500) / 500
"""Rises at first, and is 1 from iteration 500 on."""


def losses(place: Path, rising: float, falling: float, data: str = "mnist_5k") -> Runs:
    """Runs whose training curve goes from 5 to 5 + rising, that of validation to 5 - falling."""
    late = np.maximum(STEPS - 500, 0) / 1500

    def run(method: str, seed: int) -> Run:
        train, held_out = 5 * EARLY + rising * late, 5 * EARLY - falling * late
        arrays = {
            int(step): {"train_loss": -a - 0.01 * seed, "held_out_loss": -b}
            for step, a, b in zip(STEPS, train, held_out, strict=True)
        }
        return made_up_run(place, method, seed, "critic_losses", arrays, data)

    seeds = range(figure_file("wgan_gp/fig5b")["scales"]["miniature"]["seeds"])
    every = [run(method, seed) for method in ("penalty", "clipping") for seed in seeds]
    return Runs(grid("fig5b"), every)


def test_curves_that_part_one_rising_and_one_falling_support_all_of_fig_5b(tmp_path: Path) -> None:
    table = table_of(fig5b.ENTRY, losses(tmp_path, rising=2, falling=2))
    assert verdicts(fig5b.claims(table)) == [Verdict.SUPPORTED] * 4
    row = table.rows[0]
    # Over the last tenth, at 1800, 1900 and 2000: 2 (13 + 14 + 15) / 45 above and below 5.
    gap = 2 * 14 / 15
    assert row["apart"] == pytest.approx(2 * gap / (5 + gap))
    assert (row["trend_train"], row["trend_held_out"]) == (1, -1)
    assert (row["train_end"], row["held_out_end"]) == (7, 3)


def test_of_curves_that_fall_together_it_is_no_finding_that_validation_falls(
    tmp_path: Path,
) -> None:
    table = table_of(fig5b.ENTRY, losses(tmp_path, rising=-2, falling=2))
    *of_penalty, of_clipping = verdicts(fig5b.claims(table))
    assert of_penalty == [Verdict.NOT_SUPPORTED, Verdict.NOT_SUPPORTED, Verdict.INCONCLUSIVE]
    assert of_clipping == Verdict.NOT_SUPPORTED


def test_seeds_that_disagree_decide_nothing_of_fig_5b(tmp_path: Path) -> None:
    table = table_of(fig5b.ENTRY, losses(tmp_path, rising=2, falling=2))
    signs = {"apart": 0.3, "trend_train": 1, "trend_held_out": 1}
    rows = [r | {k: x * (-1) ** r["seed"] for k, x in signs.items()} for r in table.rows]
    assert verdicts(fig5b.claims(Table(rows, table.grid))) == [Verdict.INCONCLUSIVE] * 4


def test_what_a_dead_critic_measures_decides_nothing_about_its_method(tmp_path: Path) -> None:
    table = table_of(fig5b.ENTRY, losses(tmp_path, rising=2, falling=2))
    rows = [r | {"dead": int(r["method"] == "penalty")} for r in table.rows]
    table = Table(rows, table.grid)
    found = [c.at("miniature", table.dead(c.about)) for c in fig5b.claims(table)]
    assert verdicts(found) == [Verdict.INCONCLUSIVE] * 3 + [Verdict.SUPPORTED]


def test_the_early_rise_of_a_curve_is_no_trend_and_a_gap_of_under_a_tenth_is_none() -> None:
    late = np.maximum(STEPS - 500, 0) / 1500
    train, held_out = 5 * EARLY - 0.1 * late, 5 * EARLY - 0.5 * late
    assert fig5b.trend(STEPS, train) == fig5b.trend(STEPS, held_out) == -1
    assert 0 < fig5b.distance_at_the_end(STEPS, train, held_out) < fig5b.APART
    assert np.isnan(fig5b.trend(STEPS[:1], STEPS[:1]))


def view_of(loss: Loss, dataset: Any, critic: Any) -> View:
    """G makes zeros; D is this function."""

    class Nothing:
        shape, follows_reals = (2,), False

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


def texts(place: Path, ends: dict[str, float], data: str = "python_topics") -> Runs:
    """Runs whose divergences begin at 1, over a floor of .2, and end at these."""
    rng = np.random.default_rng(0)

    def run(method: str, seed: int) -> Run:
        arrays = {}
        for step, js in ((0, 1.0), (100, ends[method] + 0.001 * seed * len(method))):
            stored: dict[str, Any] = {part: np.full(4, js) for part in ("train", "held_out")}
            stored |= {f"{part}_floor": np.full(4, 0.2) for part in ("train", "held_out")}
            stored["codes"] = rng.integers(0, 9, (20, 32)).astype(np.int16)
            arrays[step] = stored | {"real": stored["codes"], "characters": CHARACTERS}
        return made_up_run(place, method, seed, "ngrams", arrays, data)

    every = [run(method, seed) for method in ("wgan_gp", "gan") for seed in range(SEEDS)]
    return Runs(grid("table4"), every)


def test_divergences_that_fall_with_the_penalty_alone_support_table_4(tmp_path: Path) -> None:
    table = table_of(table4.ENTRY, texts(tmp_path, {"wgan_gp": 0.36, "gan": 0.92}))
    assert verdicts(table4.claims(table)) == [Verdict.SUPPORTED] * 9
    assert table.rows[0]["js4_held_out_left"] == pytest.approx(0.2)
    assert table.rows[SEEDS]["left_train"] == pytest.approx(0.9)
    assert table.rows[0]["distinct"] == 1
    assert table.rows[0]["js1_train_of_untrained"] == pytest.approx(0.36)


def test_a_standard_gan_that_writes_better_is_a_result_too(tmp_path: Path) -> None:
    claims = table4.claims(table_of(table4.ENTRY, texts(tmp_path, {"wgan_gp": 0.36, "gan": 0.3})))
    assert verdicts(claims[:4]) == [Verdict.SUPPORTED] * 4
    assert verdicts(claims[4:]) == [Verdict.NOT_SUPPORTED] * 5


def test_a_standard_gan_that_fails_as_wgan_gp_does_says_nothing_of_it(tmp_path: Path) -> None:
    claims = table4.claims(table_of(table4.ENTRY, texts(tmp_path, {"wgan_gp": 0.8, "gan": 0.92})))
    assert verdicts(claims[:4]) == [Verdict.NOT_SUPPORTED] * 4
    assert verdicts(claims[4:8]) == [Verdict.INCONCLUSIVE] * 4


def test_what_is_half_way_down_is_not_decided_and_a_dead_gan_is_no_verdict_on_it(
    tmp_path: Path,
) -> None:
    runs = texts(tmp_path, {"wgan_gp": 0.598, "gan": 0.598})  # half of 1 over .2 is .6
    assert verdicts(table4.claims(table_of(table4.ENTRY, runs)))[:8] == [Verdict.INCONCLUSIVE] * 8
    good = table_of(table4.ENTRY, texts(tmp_path / "b", {"wgan_gp": 0.36, "gan": 0.92}))
    table = Table([r | {"dead": int(r["method"] == "gan")} for r in good.rows], good.grid)
    found = [c.at("miniature", table.dead(c.about)) for c in table4.claims(table)]
    assert verdicts(found) == [Verdict.SUPPORTED] * 4 + [Verdict.INCONCLUSIVE] * 5


def test_a_seed_that_diverged_is_left_out_and_counted(tmp_path: Path) -> None:
    runs = texts(tmp_path, {"wgan_gp": 0.36, "gan": 0.92})
    every = [
        replace(run, state="diverged") if (run.cell["method"], run.seed) == ("gan", 0) else run
        for run in runs.every
    ]
    claims = table4.claims(table_of(table4.ENTRY, Runs(runs.grid, every)))
    assert [c.test.n_dropped for c in claims] == [0] * 4 + [1] * 5
    assert verdicts(claims[4:]) == [Verdict.INCONCLUSIVE] * 5


@pytest.mark.parametrize("name", ["fig1a", "fig1b", "fig5b", "table4"])
def test_a_picture_without_a_finished_run_says_so(name: str) -> None:
    what, runs = entry(f"wgan_gp/{name}", {}), Runs(grid(name), ())
    assert isinstance(what, Entry)
    figure = what.draw(runs, table_of(what, runs))
    words = {t.get_text() for axes in figure.axes for t in axes.texts}
    assert "no finished run" in words
