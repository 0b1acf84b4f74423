"""Entries of anomalous on made-up rows and small runs: what is measured and what is claimed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import small_mlp
from lab import trained

import gp_lab
from gp_lab.errors import BadInput
from gp_lab.figures.claims import Claim, Verdict
from gp_lab.figures.entry import Calculation, Run
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.papers.anomalous import thm1, thm2, thm3
from gp_lab.probes.mixtures import lipschitz_of
from gp_lab.runs.folder import RunFolder
from gp_lab.theory.anomalous import convex_bound

SMALL = {
    "until": 10, "grid": 50, "batch_sizes": [2, 8, 32], "dimension": 2, "start": 0.3,
    "paths": 400, "seeds": 6,
}  # fmt: skip


def verdicts(claims: list[Claim]) -> dict[str, Verdict]:
    return {claim.text: claim.test.verdict for claim in claims}


def of(found: dict[str, Verdict], words: str) -> Verdict:
    (verdict,) = [v for text, v in found.items() if words in text]
    return verdict


@pytest.mark.parametrize("what", [thm1.ENTRY, thm2.ENTRY], ids=["thm1", "thm2"])
def test_variances_are_measured_for_each_batch_size_and_seed(what: Calculation) -> None:
    rows, arrays = what.calculate(SMALL)
    cases = [(r["case"], r.get("seed")) for r in rows]
    expected = {(f"m={m}", s) for m in (2, 8, 32) for s in range(6)}
    assert expected | {("scaling", s) for s in range(6)} | {("full batch", None)} == set(cases)
    assert len(cases) == len(set(cases))
    assert arrays["theta_of_seeds"].shape == (6, 3, len(arrays["times"]))
    table = Table(rows)
    for m in (2, 8, 32):
        assert table.values("loop_ratio", case=f"m={m}") == pytest.approx([1] * 6, abs=0.3)
    # Small batches throw w out of |w| <= 1.
    assert np.mean(table.values("kept", case="m=2")) < np.mean(table.values("kept", case="m=32"))
    found = verdicts(what.claims(table))
    assert of(found, "order 1/m") in (Verdict.SUPPORTED, Verdict.INCONCLUSIVE)
    assert of(found, "goes round a circle") == Verdict.SUPPORTED


def test_a_variance_that_is_not_the_formulas_is_not_supported() -> None:
    rows, _ = thm1.ENTRY.calculate(SMALL | {"paths": 20})
    for row in rows:
        if row["case"] == "m=8":
            row["ratio_theta"] = 1.2 + 0.001 * row["seed"]
        if row["case"] == "scaling":
            row["slope"] = -0.5 + 0.001 * row["seed"]
    found = verdicts(thm1.claims(Table(rows)))
    assert of(found, "m=8: Var theta") == Verdict.NOT_SUPPORTED
    assert of(found, "order 1/m") == Verdict.NOT_SUPPORTED


# -- thm3 ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(
        "precision=fp64", "dataset.size=64", "constraint=spectral_norm", "probe=[mixtures]",
        "probe.mixtures.pairs=300", "steps=20", "loss=non_saturating", "penalty=none",
        f"out={tmp_path_factory.mktemp('mixtures')}",
        base=("architecture=mlp_tanh_64", "architecture.width=8", "batch_size=16",
              "tracking=none", "threads=1", "device=cpu"),
    )  # fmt: skip


def test_mixtures_are_of_two_different_training_points_and_d_is_the_runs_own(
    run: RunFolder,
) -> None:
    found, loaded = run.arrays("mixtures"), gp_lab.load(run.path)
    assert (found["x1"] != found["x2"]).any(axis=1).all()
    assert len(np.unique(found["x1"], axis=0)) <= 64
    mixed = found["share"][:, None] * found["x1"] + (1 - found["share"][:, None]) * found["x2"]
    for points, f in ((found["x1"], "f1"), (found["x2"], "f2"), (mixed, "f_mixed")):
        expected = loaded.discriminator(torch.from_numpy(points)).detach().numpy()
        np.testing.assert_allclose(found[f], expected, rtol=1e-9, atol=1e-12)


def test_the_certified_constant_is_above_every_slope_and_the_bound_holds(run: RunFolder) -> None:
    found = run.arrays("mixtures")
    distance = np.linalg.norm(found["x1"] - found["x2"], axis=1)
    assert (np.abs(found["f1"] - found["f2"]) / distance).max() <= found["lipschitz"]
    assert found["slope"].max() <= found["lipschitz"]
    bound = convex_bound(
        found["f1"], found["f2"], found["share"], distance, float(found["lipschitz"])
    )
    assert (found["f_mixed"] >= bound - 1e-12).all()
    row = thm3.measure(Run({"method": "none"}, 0, run, "finished", 20))
    near = distance <= thm3.DELTA
    bound = convex_bound(
        found["f1"], found["f2"], found["share"], np.full(300, thm3.DELTA), row["lipschitz"]
    )
    assert row["violations"] == 0
    assert 0 < row["pairs_near"] == near.sum() < 100  # pairs of one mode of eight
    assert row["slack_min"] == pytest.approx((found["f_mixed"] - bound)[near].min())
    assert row["premise"] <= (bound > 0)[near].mean()


def mixtures(distance: list[float], f_mixed: list[float]) -> Run:
    """Pairs with f = 1 at both points, half-way, and L = 20: the premise asks 20 delta / 2 < 1."""
    x = np.zeros((len(distance), 2))
    arrays = {
        "x1": x, "x2": x + np.array([[d, 0.0] for d in distance]), "share": np.full(len(x), 0.5),
        "f1": np.ones(len(x)), "f2": np.ones(len(x)), "f_mixed": np.array(f_mixed),
        "slope": np.ones(len(x)), "lipschitz": np.array(20.0),
    }  # fmt: skip
    folder: Any = SimpleNamespace(arrays=lambda probe, step: arrays)
    return Run({"method": "none"}, 0, folder, "finished", 1)


def test_only_pairs_within_delta_count_and_their_bound_is_deltas() -> None:
    near, far = thm3.DELTA / 2, 2 * thm3.DELTA
    row = thm3.measure(mixtures([near, near, far], [0.9, 0.7, -5.0]))
    assert (row["pairs_near"], row["violations"], row["not_real"]) == (2, 0, 0)
    assert row["slack_min"] == pytest.approx(0.7 - (1 - 20 * 0.5 * thm3.DELTA))
    assert row["premise"] == row["real"] == row["real_assumed"] == 1
    row = thm3.measure(mixtures([near, near, far], [-0.1, 0.39, 0.9]))
    assert (row["violations"], row["not_real"], row["premise_pairs"]) == (2, 1, 2)
    row = thm3.measure(mixtures([far], [0.0]))
    assert row["pairs_near"] == row["premise_pairs"] == 0
    assert np.isnan([row["slack_min"], row["premise"], row["real_assumed"]]).all()


def test_networks_whose_slope_is_not_the_product_of_their_layers_are_refused() -> None:
    for settings in ({"norm": "layer"}, {"connection": "concatenate"}, {"init": "equalized_lecun"}):
        net = small_mlp(**settings)
        with pytest.raises(BadInput, match=r"probe\.mixtures"):
            lipschitz_of(net, dict(net.named_parameters()))
    net = small_mlp(depth=0)
    weight = net.output.weight.detach()
    assert lipschitz_of(net, dict(net.named_parameters())) == pytest.approx(weight.norm().item())
    one, selu = (small_mlp(depth=1, activation=name) for name in ("tanh", "selu"))
    ratio = lipschitz_of(selu, dict(one.named_parameters())) / lipschitz_of(
        one, dict(one.named_parameters())
    )
    x = torch.tensor([-1e-9], dtype=torch.float64, requires_grad=True)
    (steepest,) = torch.autograd.grad(torch.nn.functional.selu(x).sum(), x)
    assert ratio == pytest.approx(steepest.item(), rel=1e-6)


FINE: Row = {
    "method": "none", "seed": 0, "slack_min": 1e-12, "premise_pairs": 9, "not_real": 0,
    "premise": 0.1, "assumption_2": 0.8, "real_of_any": 0.99,
}  # fmt: skip


def thm3_verdicts(*rows: Row) -> dict[str, Verdict]:
    return verdicts(thm3.claims(Table(rows, grid_of(figure_file("anomalous/thm3")))))


def test_a_violation_would_be_seen_and_no_run_at_all_decides_nothing() -> None:
    many = [FINE | {"seed": seed} for seed in range(40)]
    assert of(thm3_verdicts(*many), "never violated") == Verdict.SUPPORTED
    assert of(thm3_verdicts(*many[:4]), "never violated") == Verdict.INCONCLUSIVE
    broken = FINE | {"seed": 1, "slack_min": -0.01, "not_real": 3}
    assert of(thm3_verdicts(FINE, broken), "never violated") == Verdict.NOT_SUPPORTED
    assert of(thm3_verdicts(FINE, broken), "combination scores as real") == Verdict.NOT_SUPPORTED
    diverged: Row = {"method": "none", "seed": 0, "state": "diverged"}
    assert of(thm3_verdicts(diverged), "never violated") == Verdict.INCONCLUSIVE


def test_runs_without_a_pair_that_meets_the_premise_do_not_speak_for_the_theorem() -> None:
    many = [FINE | {"seed": seed} for seed in range(40)]
    words = "combination scores as real"
    assert of(thm3_verdicts(*many), words) == Verdict.SUPPORTED
    vacuous = [row | {"premise_pairs": 0} for row in many]
    assert of(thm3_verdicts(*vacuous), words) == Verdict.INCONCLUSIVE
    unseen = [row | {"slack_min": np.nan} for row in many]
    assert of(thm3_verdicts(*unseen), "never violated") == Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("premise", "verdict"),
    [(0.7, Verdict.SUPPORTED), (0.1, Verdict.NOT_SUPPORTED), (0.4, Verdict.INCONCLUSIVE)],
)
def test_how_often_the_theorem_is_vacuous_is_a_mean_share_of_the_pairs_it_is_about(
    premise: float, verdict: Verdict
) -> None:
    rows = [FINE | {"seed": s, "premise": premise + 0.01 * (s % 3 - 1)} for s in range(9)]
    assert of(thm3_verdicts(*rows), "no penalty: the theorem is not vacuous") == verdict
    few = [row | {"real_of_any": 0.4 + 0.01 * row["seed"]} for row in rows]
    assert of(thm3_verdicts(*rows), "no penalty: combinations") == Verdict.SUPPORTED
    assert of(thm3_verdicts(*few), "no penalty: combinations") == Verdict.NOT_SUPPORTED
