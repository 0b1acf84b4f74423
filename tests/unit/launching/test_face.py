"""The lab from Python: its penalties on anybody's modules, its losses, its runs."""

import doctest
import inspect
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_origin

import numpy as np
import pytest
import torch
from helpers import CLONE, nodes_of
from lab import BARE
from torch import Tensor, nn

import gp_lab
from gp_lab.errors import BadInput, Diverged
from gp_lab.instantiate import Checked, resolve
from gp_lab.launching import face
from gp_lab.launching.config_groups import choices, groups
from gp_lab.objectives import losses
from gp_lab.objectives.penalties import Penalty, scattered

POINTS, IMAGES = (12, 2), (12, 3, 8, 8)
ANCHOR = 0.5
LACKING = {"max_gp": "give hardest=torch.full", "zero_gp_latent_path": "give path="}
"""Penalties that D, reals and fakes do not determine -> what is said without the rest."""


def module(shape: tuple[int, ...]) -> nn.Module:
    """A discriminator that is not the lab's, in float64; logits [n, 1]."""
    torch.manual_seed(3)
    if shape == POINTS:
        net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    else:
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ELU(), nn.Flatten(), nn.Linear(144, 1))
    with torch.no_grad():
        net[-1].weight *= 20 if shape == POINTS else 200  # steeper than 1 at some points
    return net.double()


def batch(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(7)
    real, fake = torch.randn(2, *shape, generator=rng, dtype=torch.float64)
    return real, fake + 1


def slopes(net: nn.Module, x: Tensor, probability: bool) -> Tensor:
    """|grad D| [n] as every tutorial has it."""
    x = x.clone().requires_grad_()
    d = torch.sigmoid(net(x)) if probability else net(x)
    return torch.autograd.grad(d.sum(), x, create_graph=True)[0].flatten(1).norm(dim=1)


def pairs(net: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """lipschitz, Eq. 7, on all pairs of a batch."""
    distance = torch.cdist(real.flatten(1), fake.flatten(1))
    return torch.relu(net(real) - net(fake).T - distance).square().mean()


TEXTBOOK: dict[str, Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]] = {
    "none": lambda D, x, y, m: 0.0 * D(x).sum(),
    "one_gp": lambda D, x, y, m: 10 * ((slopes(D, m, False) - 1) ** 2).mean(),
    "one_gp_one_sided": lambda D, x, y, m: (
        10 * torch.clamp(slopes(D, m, False) - 1, min=0).square().mean()
    ),
    "zero_gp": lambda D, x, y, m: 10 * (slopes(D, m, True) ** 2).mean(),
    "zero_gp_real": lambda D, x, y, m: 10 * (slopes(D, x, True) ** 2).mean(),
    "zero_gp_sample": lambda D, x, y, m: 10 * (slopes(D, torch.cat([x, y]), True) ** 2).mean(),
    "r1_r2": lambda D, x, y, m: (
        5 * (slopes(D, x, False) ** 2).mean() + 5 * (slopes(D, y, False) ** 2).mean()
    ),
    "mu_real": lambda D, x, y, m: 10 * (slopes(D, x, False) ** 2).mean(),
    "mu_fake": lambda D, x, y, m: 10 * (slopes(D, y, False) ** 2).mean(),
    "mu_midpoint": lambda D, x, y, m: 10 * (slopes(D, (x + y) / 2, False) ** 2).mean(),
    "mu_between": lambda D, x, y, m: 10 * (slopes(D, m, False) ** 2).mean(),
    "mu_anchor": lambda D, x, y, m: (
        10 * (slopes(D, places(x) * ANCHOR + (1 - places(x)) * y, False) ** 2).mean()
    ),
    "mu_anchor_random": lambda D, x, y, m: (
        10 * (slopes(D, places(x) * scattered(y.shape[1:], y) + (1 - places(x)) * y, False) ** 2)
    ).mean(),
    "cross_pairs": lambda D, x, y, m: 10 * pairs(D, x, y),
}


def places(x: Tensor) -> Tensor:
    """The random places of a batch: what a generator of seed 5 draws."""
    u = torch.rand(len(x), generator=torch.Generator().manual_seed(5), dtype=x.dtype)
    return u.reshape(-1, *[1] * (x.dim() - 1))


def test_every_penalty_that_d_and_samples_determine_is_compared() -> None:
    assert {*TEXTBOOK, *LACKING} == {*choices("penalty")}


@pytest.mark.parametrize("shape", [POINTS, IMAGES], ids=["points", "images"])
@pytest.mark.parametrize("name", TEXTBOOK)
def test_a_penalty_on_a_module_of_ones_own_is_the_textbooks(
    name: str, shape: tuple[int, ...]
) -> None:
    net, (real, fake) = module(shape), batch(shape)
    numbers: dict[str, object] = {} if name == "none" else {"weight": 10}
    if name == "mu_anchor":
        numbers["anchor"] = [ANCHOR]
    rng = torch.Generator().manual_seed(5)
    found = gp_lab.gradient_penalty(net, real, fake, name, generator=rng, **numbers)
    m = places(real) * real + (1 - places(real)) * fake
    wanted = TEXTBOOK[name](net, real, fake, m)
    torch.testing.assert_close(found.detach(), wanted.detach(), rtol=1e-12, atol=1e-14)
    assert wanted.detach() > 1e-6 or name == "none"
    if name != "none":
        ours, theirs = (
            torch.autograd.grad(value, list(net.parameters()), materialize_grads=True)
            for value in (found, wanted)
        )
        # What should be 0, as of a bias, is what is left of sums as large as the others.
        largest = max(float(gradient.abs().max()) for gradient in theirs)
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-14 * max(10, largest))
        assert max(float(grad.abs().max()) for grad in ours) > 1e-6


def test_a_plain_function_and_a_penalty_of_ones_own_do_too() -> None:
    real, fake = batch(POINTS)
    value = gp_lab.gradient_penalty(lambda x: 3 * x[:, 0], real, fake, Penalty(weight=2.0))
    assert float(value) == pytest.approx(2 * 9)


def test_the_hardest_points_are_carried_over_where_they_are_given() -> None:
    net, (real, fake) = module(POINTS), batch(POINTS)
    hardest = torch.full((1, 2), torch.nan, dtype=torch.float64)
    for _ in range(2):
        before = hardest.clone()
        rng = torch.Generator().manual_seed(5)
        found = gp_lab.gradient_penalty(net, real, fake, "max_gp", generator=rng, hardest=hardest)
        m = places(real) * real + (1 - places(real)) * fake
        m = torch.cat([torch.where(before.isnan(), m[:1], before), m[1:]])
        norms = slopes(net, m, probability=False)
        torch.testing.assert_close(found, 0.1 * norms.max() ** 2)
        torch.testing.assert_close(hardest[0], m[norms.argmax()])


def test_paths_are_followed_where_they_are_given() -> None:
    net, (real, fake) = module(POINTS), batch(POINTS)
    name = "zero_gp_latent_path"
    found = gp_lab.gradient_penalty(net, real, fake, name, path=lambda u: u[:, None] * 0 + real)
    torch.testing.assert_close(found, gp_lab.gradient_penalty(net, real, fake, "zero_gp_real"))


@pytest.mark.parametrize(
    ("name", "numbers", "says"),
    [
        *((name, {}, says) for name, says in LACKING.items()),
        ("zero_pg", {}, "penalty=zero_pg: no such choice; .* did you mean zero_gp"),
        ("zero_gp", {"wieght": 3}, "penalty.wieght: no such key"),
        ("zero_gp", {"weight": -3}, "penalty.weight=-3: must be at least 0"),
        ("zero_gp", {"shape": "twosided"}, "penalty.shape=twosided: no such choice"),
        ("zero_gp", {"center": 1.0}, "penalty.center=1.0: shape squared has no centre"),
    ],
)
def test_what_a_penalty_lacks_or_cannot_be_is_said(name: str, numbers: dict, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        gp_lab.gradient_penalty(module(POINTS), *batch(POINTS), name, **numbers)


def test_networks_and_batches_that_do_not_fit_are_refused() -> None:
    real, fake = batch(POINTS)
    normed = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    with pytest.raises(BadInput, match="batch norm couples"):
        gp_lab.gradient_penalty(normed, real, fake)
    with pytest.raises(BadInput, match=r"gives \[12, 2\] for 12 points; not one logit each"):
        gp_lab.gradient_penalty(nn.Linear(2, 2).double(), real, fake)
    with pytest.raises(BadInput, match=r"\[12, 2\] and \[5, 2\]"):
        gp_lab.gradient_penalty(module(POINTS), real, fake[:5])
    with pytest.raises(BadInput, match=r"penalty.anchor: 2 numbers for samples of 192"):
        gp_lab.gradient_penalty(module(IMAGES), *batch(IMAGES), "mu_anchor")


def test_losses_have_their_three_functions_by_name() -> None:
    f = torch.linspace(-2, 2, 5)
    assert {*gp_lab.losses} == {*choices("loss")}
    assert {n for n, loss in gp_lab.losses.items() if isinstance(loss, losses.PairLoss)} == {
        "relativistic"
    }
    for name, loss in gp_lab.losses.items():
        if isinstance(loss, losses.PairLoss):
            assert torch.isfinite(loss.pair(f, -f)).all()
            continue
        assert all(torch.isfinite(part(f)).all() for part in (loss.phi, loss.varphi, loss.psi)), (
            name
        )
    assert gp_lab.losses["combined_tenth"] == losses.Combined(0.1, 0.1)
    assert "hinges" not in gp_lab.losses
    with pytest.raises(BadInput, match=r"loss=hinges: no such choice; .* did you mean hinge"):
        gp_lab.losses["hinges"]


# Parts are checked when they are made


def test_every_part_that_a_config_names_is_checked_when_it_is_made() -> None:
    named = {
        node["_target_"]
        for group in groups()
        if group not in ("figure", "scale", "probe", "architecture")
        for node in nodes_of(group).values()
    }
    assert len(named) > 20
    assert [path for path in named if not issubclass(resolve(path), Checked)] == []


@pytest.mark.parametrize(
    ("path", "arguments", "says"),
    [
        ("objectives.penalties.Penalty", {"shape": "twosided"}, "shape=twosided: no such choice"),
        ("objectives.penalties.Penalty", {"weight": -1.0}, "weight=-1.0: must be at least 0"),
        ("objectives.penalties.Penalty", {"anchor": (0.0, "a")}, r"anchor\[1\]=a: not a number"),
        ("objectives.losses.Combined", {"beta": 0.0}, "beta=0.0: must be greater than 0"),
        ("objectives.constraints.WeightClipping", {"value": "1"}, "value=1: not a number"),
        ("training.optimizers.Adam", {"betas": (0.5, 1.0)}, r"betas\[1\]=1.0: must be less than 1"),
        ("training.schedules.Schedule", {"shape": "cosine"}, "shape=cosine: no such choice"),
        ("networks.mlp.MLP", {"activation": "relo"}, "activation=relo: no such choice"),
        ("data.points.SwissRoll", {"noise": -1.0}, "noise=-1.0: must be at least 0"),
        ("probes.plane.ValueSurface", {"points": 0}, "points=0: must be at least 1"),
    ],
)
def test_a_wrong_value_is_refused_in_python_too(path: str, arguments: dict, says: str) -> None:
    module, _, name = f"gp_lab.{path}".rpartition(".")
    part = getattr(__import__(module, fromlist=[name]), name)
    with pytest.raises(BadInput, match=says):
        part(**arguments)


def test_numbers_of_a_stack_and_lists_are_taken() -> None:
    assert Penalty(weight=torch.ones(3)).weight.shape == (3,)  # type: ignore[arg-type]
    assert Penalty(anchor=[1, 2.0]).anchor == [1, 2.0]  # type: ignore[arg-type]
    assert get_origin(Annotated[int, 3]) is Annotated
    assert "weight" in inspect.signature(Penalty).parameters


# Runs


def test_a_run_is_trained_once_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = gp_lab.train([*BARE, "steps=2", "compile=never"])
    assert not isinstance(run, list)
    assert (run.step, run.sample(5).shape) == (2, (5, 2))
    runs = gp_lab.train([*BARE, "steps=2", "compile=never", "seed=0,1", "penalty=none"])
    assert isinstance(runs, list)
    assert [run.config["seed"] for run in runs] == [0, 1]
    groups = gp_lab.compare("outputs")
    assert str(groups).startswith("penalty")
    assert [group.values["penalty"] for group in groups] == ["none", "one_gp"]


def test_a_comparison_is_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    gp_lab.train([*BARE, "steps=2", "compile=never", "seed=0,1", "penalty=none,zero_gp"])
    groups = gp_lab.compare("outputs")
    frame = groups.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["penalty"]) == ["none", "zero_gp"]
    assert list(frame["finished"]) == [2, 2]
    wanted = [group.scores["loss_d"].interval.estimate for group in groups]
    np.testing.assert_array_equal(frame["loss_d.mean"], wanted)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BadInput, match=r"pip install .*frames"):
        groups.to_frame()


def test_runs_that_diverge_are_raised_alone_and_left_out_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = [*BARE, "steps=30", "compile=never", "optimizer=sgd", "log_every=1", "loss=exp"]
    with pytest.raises(Diverged, match="diverged at step"):
        gp_lab.train([*small, "optimizer.lr=1e30"])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        runs = gp_lab.train([*small, "optimizer.lr=1e30,1e-6"])
    assert isinstance(runs, list)
    assert [run.config["optimizer"]["lr"] for run in runs] == [1e-6]
    assert any("left out: diverged" in str(warning.message) for warning in said)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["penalty=zero_pg"], "penalty=zero_pg: no such choice"),
        (["--cfg", "job"], "for the command line"),
        (["figure=wgan_gp/fig1b"], "use gp-lab figure"),
        (["stpes=3"], "stpes: no such key"),
    ],
)
def test_wrong_words_are_refused_as_by_the_command(words: list[str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        gp_lab.train(words)


def test_the_package_is_imported_at_once_and_names_what_it_has() -> None:
    code = (
        "import sys, gp_lab; gp_lab.__version__; dir(gp_lab);"
        "print([m for m in ('torch', 'numpy', 'hydra', 'pydantic') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    assert all(getattr(gp_lab, name) is not None for name in gp_lab.__all__)
    assert gp_lab.theory.optimal.__name__ == "gp_lab.theory.optimal"
    with pytest.raises(AttributeError, match="no attribute 'gradient_penalties'"):
        _ = gp_lab.gradient_penalties  # type: ignore[attr-defined]


@pytest.mark.parametrize("room", [face, losses])
def test_what_the_docstrings_show_is_so(
    room: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    result = doctest.testmod(room)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


def test_what_the_rooms_page_shows_from_python_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (CLONE / "gp_lab" / "launching" / "README.md").read_text()
    own_loop, own_runs = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(own_loop, found)
    assert all(p.grad is not None for p in found["D"].parameters())
    long, short = '"seed=range(5)", "steps=500"', '"seed=range(2)", "steps=2", "log_every=1"'
    assert long in own_runs
    exec(own_runs.replace(long, short), found)
    assert len(found["runs"]) == 4
    assert list(found["frame"]["penalty"]) == ["none", "zero_gp"]
    assert found["points"].shape == (1000, 2)
    assert found["f"].shape == (1000,)
    assert np.isfinite(found["losses"]).all()
    assert len(found["losses"]) == 2
