"""What wgan_gp's Fig. 1a and 1b measure, and what they conclude from made-up rows."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from figure_files import judged, those
from helpers import normal, small_mlp
from torch import nn

from gp_lab.figures.claims import Verdict, seeds_for_share
from gp_lab.figures.entry import Entry
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.objectives.losses import Wasserstein
from gp_lab.papers.wgan_gp import fig1a, fig1b
from gp_lab.probes.base import View
from gp_lab.probes.layers import LayerGradients, WeightHistogram
from gp_lab.theory.transport import exact_critic

SAID = dict[str, Verdict]


def verdicts(entry: Entry, name: str, rows: list[Row]) -> SAID:
    return judged(entry, Table(rows, grid_of(figure_file(f"wgan_gp/{name}"))))


# -- Fig. 1a -------------------------------------------------------------------------------


def critics(**of_clipping: float) -> SAID:
    """Verdicts on rows of 10 seeds in which only the clipped critic is what it is said to be."""
    grid, rows = grid_of(figure_file("wgan_gp/fig1a")), list[Row]()
    penalised = {"simplicity": 0.7, "unexplained": 0.1, "w1_share": 0.9}
    clipped = {"simplicity": 0.9, "unexplained": 0.6, "w1_share": 0.4} | of_clipping
    for panel, seed in product(grid.panels, range(10)):
        noise = 1 + 0.01 * np.random.default_rng((len(rows), seed)).normal()
        own = clipped if panel.cell["method"] == "clipping" else penalised
        row: Row = {**panel.cell, "seed": seed, "state": "finished"}
        row |= {k: v * noise for k, v in own.items()}
        rows.append(row | {"simplicity_exact": 0.6 * noise, "exact_slope_error": 1e-9})
    return verdicts(fig1a.ENTRY, "fig1a", rows)


def test_clipped_critics_that_are_simple_and_far_from_the_optimum_support_fig_1a() -> None:
    said = critics()
    assert len(said) == 3 * 4 + 1
    assert set(said.values()) == {Verdict.SUPPORTED}


def test_clipped_critics_that_are_as_good_as_penalised_ones_do_not() -> None:
    better = critics(simplicity=0.5, unexplained=0.05, w1_share=0.95)
    assert list(better.values()) == [Verdict.NOT_SUPPORTED] * 12 + [Verdict.SUPPORTED]
    alike = critics(simplicity=0.7, unexplained=0.1, w1_share=0.9)
    assert those(alike, "than a penalised") == {Verdict.INCONCLUSIVE}
    assert those(alike, "than the optimal") == {Verdict.SUPPORTED}


def test_a_penalised_critic_that_is_as_simple_is_told_beside_what_the_optimum_is() -> None:
    found = critics(simplicity=0.65)
    assert those(found, "simpler than the optimal") == {Verdict.SUPPORTED}
    assert those(found, "simpler than a penalised") == {Verdict.NOT_SUPPORTED}


def test_a_critic_that_is_flat_is_left_out_and_supports_nothing() -> None:
    assert np.isnan(fig1a.simplicity(np.full(8, 3.0), np.zeros(8)))
    assert those(critics(simplicity=np.nan), "simpler") == {Verdict.INCONCLUSIVE}


def test_a_plane_is_simpler_than_a_bowl_and_a_bowl_than_the_optimal_critic_of_a_ring() -> None:
    angle = np.arange(8) * np.pi / 4
    real = np.repeat(np.stack([np.cos(angle), np.sin(angle)], 1) * np.sqrt(2), 50, axis=0)
    fake = real + np.random.default_rng(0).normal(size=real.shape)
    points = np.concatenate([real, fake])
    x, radius = points[:, 0], np.linalg.norm(points, axis=1)
    of_a_plane = fig1a.simplicity(5 + 3 * x, np.full(len(x), 3.0))
    of_a_bowl = fig1a.simplicity(-(radius**2), 2 * radius)
    of_the_optimum = fig1a.simplicity(exact_critic(real, fake)(points), np.ones(len(x)))
    assert of_a_plane == pytest.approx(x.std())
    assert of_a_plane > of_a_bowl > of_the_optimum


# -- Fig. 1b -------------------------------------------------------------------------------


class Fixed:
    """A data set and a latent that are the same points whoever asks."""

    def __init__(self, points: torch.Tensor) -> None:
        self.points = points

    @property
    def shape(self) -> torch.Size:
        return self.points.shape[1:]

    def draw(self, rng: object, count: int, partners: object = None) -> torch.Tensor:
        return self.points


def view(net: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> View:
    return View(
        step=0, critic=net, generate=lambda z: z, dataset=Fixed(real), latent=Fixed(fake),
        loss=Wasserstein(), discriminator=net, d=dict(net.named_parameters()),
        batch_size=len(real), device=torch.device("cpu"), dtype=torch.float64,
        rng=lambda stream: torch.Generator(),
    )  # fmt: skip


def test_gradients_with_respect_to_what_relus_put_out_are_those_of_backpropagation_by_hand() -> (
    None
):
    net = small_mlp(depth=3, width=8, activation="relu")
    real, fake = normal(16, 2), normal(16, 2, seed=1)
    found = LayerGradients().measure(view(net, real, fake))
    x = torch.cat([real, fake])
    of_f = torch.cat([torch.full((16,), -1 / 16), torch.full((16,), 1 / 16)]).double()
    masks = []
    for layer in net.hidden:
        x = layer.linear(x)
        masks.append(x > 0)
        x = x * masks[-1]
    after = [of_f[:, None] * net.output.weight]
    for mask, layer in zip(masks[:0:-1], list(net.hidden)[:0:-1], strict=True):
        after.insert(0, (after[0] * mask) @ layer.linear.weight)
    expected = [g.norm().item() for g in after]
    before = [(g * mask).norm().item() for g, mask in zip(after, masks, strict=True)]
    assert list(found["nonlinearities"]) == [f"hidden.{i}.activation" for i in range(3)]
    assert found["after"] == pytest.approx(expected, rel=1e-9)
    assert found["activations"] == pytest.approx([*before, float(of_f.norm())], rel=1e-9)


def test_the_slope_is_that_of_an_exponential_and_a_gradient_that_has_underflown_is_steep() -> None:
    norms = 3 * np.exp(-0.7 * np.arange(12))
    assert fig1b.slope(norms) == pytest.approx(-0.7, rel=1e-9)
    vanished = np.array([0.0, 0.0, 1e-20, 1.0])
    assert fig1b.slope(vanished) > fig1b.slope(np.array([1e-30, 1e-30, 1e-20, 1.0])) > 20
    assert np.isnan(fig1b.slope(np.zeros(3)))
    assert fig1b.slope(np.array([np.inf, 1e20, 1.0])) < -20


def test_what_gradients_do_is_said_by_their_slope_where_they_have_one() -> None:
    said = [fig1b.behaviour(s) for s in (0.6, -0.6, 0.4, -0.4, float("nan"))]
    assert said == ["vanish", "explode", "neither", "neither", ""]


def test_the_share_at_the_bound_counts_weights_of_tensors_that_reach_it() -> None:
    net = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2)).double()
    with torch.no_grad():
        net[0].weight.copy_(0.01 * torch.tensor([[1.0, -1, 0.995, 0.98]] * 5))
        net[0].bias.zero_()
        net[1].weight.fill_(0.005)
        net[1].bias.fill_(-0.01)
    some = normal(2, 4)
    stored = WeightHistogram().measure(view(net, some, some))
    share = fig1b.share_at_bound(stored, 0.01)
    assert share == pytest.approx((3 * 5 + 2) / (20 + 5 + 10 + 2))


def test_the_share_of_weights_that_clipping_moves_to_its_bound_at_once() -> None:
    edges = np.linspace(-0.2, 0.2, 101)
    weights = {
        "edges": np.stack([edges, np.linspace(-0.5, 0.5, 101)]),  # the second: biases that are 0
        "counts": np.stack([np.full(100, 3), 50 * (np.arange(100) == 50)]),
        "largest": np.array([0.2, 0.0]),
    }
    share = fig1b.share_once_clipped(weights, 0.1)
    assert share == pytest.approx((300 * (1 - 0.099 / 0.2)) / 350)


SEEDS = seeds_for_share(11)


def deep(**changed: Any) -> list[Row]:
    """Rows of critics as the paper says they are, but for these methods' `gradients` or state.

    A change may be a function of the seed.
    """
    rows: list[Row] = []
    for panel, seed in product(grid_of(figure_file("wgan_gp/fig1b")).panels, range(SEEDS)):
        method = panel.cell["method"]
        found = changed.get(method, "neither" if method == "penalty" else "vanish")
        found = found(seed) if callable(found) else found
        row: Row = {"method": method, "seed": seed, "state": "finished", "gradients": found}
        row |= {"share_at_bound": 0.8 + 0.01 * seed, "share_at_bound_untrained": 0.6}
        if found in ("diverged", "failed"):
            row = {"method": method, "seed": seed, "state": found}
        rows.append(row)
    return rows


def deep_verdicts(**changed: Any) -> SAID:
    return verdicts(fig1b.ENTRY, "fig1b", deep(**changed))


def test_gradients_as_the_paper_says_support_all_of_fig_1b_with_no_more_seeds_than_it_has() -> None:
    said = deep_verdicts(weight_norm="explode")
    assert len(said) == 11
    assert set(said.values()) == {Verdict.SUPPORTED}
    assert figure_file("wgan_gp/fig1b")["scales"]["miniature"]["seeds"] >= SEEDS


def test_gradients_that_do_not_vanish_are_evidence_against_it_and_so_is_a_steep_penalty() -> None:
    said = deep_verdicts(**{"clipping_1e-2": "neither"}, penalty="vanish")
    assert those(said, "0.01", "exponentially") == {Verdict.NOT_SUPPORTED}
    assert those(said, "penalty") == {Verdict.NOT_SUPPORTED}
    assert list(said.values()).count(Verdict.NOT_SUPPORTED) == 2


def test_weights_that_no_gradient_reaches_do_not_speak_against_clipping() -> None:
    still = [row | {"share_at_bound": 0.6 + 0.001 * (row["seed"] % 3)} for row in deep()]
    words = "pushes weights"
    assert those(verdicts(fig1b.ENTRY, "fig1b", still), words) == {Verdict.INCONCLUSIVE}
    rows = deep(**dict.fromkeys(fig1b.CLIPPING, "explode"))
    moved = [row | {"share_at_bound": 0.6 + 0.001 * (row["seed"] % 3)} for row in rows]
    assert those(verdicts(fig1b.ENTRY, "fig1b", moved), words) == {Verdict.NOT_SUPPORTED}


def test_half_of_the_seeds_decide_nothing() -> None:
    said = deep_verdicts(**{"clipping_1e-1": lambda seed: ("neither", "explode")[seed % 2]})
    assert those(said, "0.1", "exponentially") == {Verdict.INCONCLUSIVE}


def test_a_run_that_diverged_has_exploded_and_never_vanished() -> None:
    rows = deep(**{"clipping_1e-1": lambda seed: "diverged" if seed else "explode"},
                penalty="diverged")  # fmt: skip
    said = verdicts(fig1b.ENTRY, "fig1b", rows)
    assert those(said, "0.1", "exponentially") == {Verdict.SUPPORTED}
    assert those(said, "penalty") == {Verdict.NOT_SUPPORTED}
    assert those(said, "0.1", "pushes weights") == {
        Verdict.INCONCLUSIVE
    }  # one that finished is left
    table = Table(rows, grid_of(figure_file("wgan_gp/fig1b")))
    assert fig1b.seen(table, "clipping_1e-1") == ["explode"] * SEEDS
    quantity = fig1b.claims(table)[0].test.quantity
    assert f"0 vanish, {SEEDS} explode, 0 neither; {SEEDS - 1} diverged" in quantity


def test_a_run_that_failed_or_has_no_gradient_at_all_is_no_evidence() -> None:
    rows = deep(**{"clipping_1e-3": lambda seed: ("vanish", "", "failed")[seed % 3]})
    table = Table(rows, grid_of(figure_file("wgan_gp/fig1b")))
    assert fig1b.seen(table, "clipping_1e-3") == ["vanish"] * (SEEDS // 3)


def test_dead_networks_excuse_no_claim_about_vanishing_gradients() -> None:
    rows = [row | {"dead": 1} for row in deep()]
    assert set(verdicts(fig1b.ENTRY, "fig1b", rows).values()) == {Verdict.SUPPORTED}
