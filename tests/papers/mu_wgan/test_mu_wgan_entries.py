"""Entries of mu_wgan and Fig. 1b of wgan_gp on made-up arrays and at their smallest scale."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import normal, small_mlp
from torch import nn

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run, Runs
from gp_lab.figures.table import Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.objectives.losses import Wasserstein
from gp_lab.papers.mu_wgan import fig4, lemma2, lemma3, table1, thm1
from gp_lab.papers.wgan_gp import fig1b
from gp_lab.probes.base import View
from gp_lab.probes.layers import LayerGradients, WeightHistogram
from gp_lab.runs.folder import RunFolder


def settings(name: str, scale: str) -> dict[str, Any]:
    text = figure_file(name)
    return text["settings"] | text["scales"][scale]["settings"]


# Gradients and weights of deep critics


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


# Fig. 4


def made_up(tmp_path: Path, method: str, dataset: str, seed: int, w1: float) -> Run:
    folder = RunFolder(tmp_path / f"{method}-{dataset}-{seed}")
    folder.path.mkdir()
    config = {"dataset": {"name": dataset}, "seed": seed, "out": str(tmp_path), "panel": None}
    folder.create(config, f"{method}{dataset}{seed}")
    real = np.random.default_rng(seed).normal(size=(40, 2))
    folder.write_arrays("samples", 5, {"real": real, "fake": real + 1})
    scores = {"w1": np.array(w1), "near": np.array(0.9), "coverage": np.array(0.8)}
    modes = {"hit": np.array([True, True, False]), "balance": np.array(0.7)}
    probe = "curve" if dataset == "swiss_roll" else "modes"
    folder.write_arrays(probe, 5, scores if probe == "curve" else scores | modes)
    return Run({"dataset": dataset, "method": method}, seed, folder, "finished", 5)


def test_measures_are_equivalent_if_their_distances_are_and_not_if_one_lies_far_off(
    tmp_path: Path,
) -> None:
    offset = {"fake": 0.01, "real": -0.01, "between": 0.0, "midpoint": 0.5, "anchor": 0.02}
    grid = grid_of(figure_file("mu_wgan/fig4"))
    runs = Runs(
        grid,
        [
            made_up(tmp_path, **panel.cell, seed=s, w1=0.3 + away + 0.004 * s)
            for panel in grid.panels
            for away in [offset.get(panel.cell["method"], 0)]
            for s in range(5)
        ],
    )
    table = Table(fig4.ENTRY.rows(runs), grid)
    assert {row["modes"] for row in table.rows if row["dataset"] != "swiss_roll"} == {2}
    claims = {claim.text: claim.test for claim in fig4.claims(table)}
    assert len(claims) == 10 * (3 * 2 + 2)  # pairs; W1 and quality, modes where there are some
    for text, test in claims.items():
        far = "midpoint" in text and "in w1" in text
        assert test.verdict == (Verdict.NOT_SUPPORTED if far else Verdict.SUPPORTED), text
    titles = [axes.get_title() for axes in fig4.draw(runs, table).axes]
    assert sum(title.endswith("0.81") for title in titles) == 3  # midpoint: .3 + .5 + .008


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
