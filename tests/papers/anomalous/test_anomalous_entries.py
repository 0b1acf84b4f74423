"""Entries of anomalous on made-up rows and small runs: what is measured and what is claimed."""

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
    assert row["violations"] == 0
    assert row["slack_min"] == pytest.approx((found["f_mixed"] - bound).min())
    assert row["not_vacuous"] == (bound > 0).mean()


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


def test_a_violation_would_be_seen_and_no_run_at_all_decides_nothing() -> None:
    def found(*rows: Row) -> dict[str, Verdict]:
        return verdicts(thm3.claims(Table(rows, grid_of(figure_file("anomalous/thm3")))))

    fine: Row = {
        "method": "none", "seed": 0, "slack_min": 1e-12, "not_real": 0, "not_vacuous": 0.1,
        "real_assumed": 1.0,
    }  # fmt: skip
    many = [fine | {"seed": seed} for seed in range(40)]
    assert of(found(*many), "never violated") == Verdict.SUPPORTED
    assert of(found(*many[:4]), "never violated") == Verdict.INCONCLUSIVE
    broken = fine | {"seed": 1, "slack_min": -0.01, "not_real": 3}
    assert of(found(fine, broken), "never violated") == Verdict.NOT_SUPPORTED
    assert of(found(fine, broken), "scores as real") == Verdict.NOT_SUPPORTED
    diverged: Row = {"method": "none", "seed": 0, "state": "diverged"}
    assert of(found(diverged), "never violated") == Verdict.INCONCLUSIVE
