"""What probes measure in a run is what its loaded networks give."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import run_on
from lab import (
    BARE,
    QUICK,
    SMALL,
    final,
    trained,
)
from torch.func import functional_call

import gp_lab
from gp_lab.data.random import generator
from gp_lab.errors import BadInput
from gp_lab.probes.plane import ValueSurface
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run in float64 with every probe and a spectral norm, so that D is not its parameters."""
    return trained(
        *QUICK,
        "precision=fp64",
        "loss=non_saturating",
        "dataset=two_gaussians",
        "constraint=spectral_norm",
        "optimizer.lr=1e-2",
        "average=0.5",
        "probe=[surface,field,samples,held_out,layers,weights]",
        "probe.field.points=6",
        "probe.held_out.count=300",
        f"out={tmp_path_factory.mktemp('probed')}",
    )


def test_the_surface_is_the_loaded_discriminator_on_the_grid(probed: RunFolder) -> None:
    run, surface = gp_lab.load(probed.path), probed.arrays("surface")
    axis = surface["axis"]
    assert (axis[0], axis[-1], len(axis)) == (-3, 3, 8)
    for row, column in ((0, 0), (0, 7), (5, 2)):
        point = torch.tensor([[axis[column], axis[row]]], requires_grad=True)
        f = run.discriminator(point)
        (gradient,) = torch.autograd.grad(f.sum(), point)
        slope = gradient.norm().item()
        p = torch.sigmoid(f).item()
        expected = {
            "logit": f.item(), "probability": p,
            "logit_slope": slope, "probability_slope": p * (1 - p) * slope,
        }  # fmt: skip
        for name, value in expected.items():
            assert surface[name][row, column] == pytest.approx(value, rel=1e-9)


def test_what_probes_see_is_d_under_its_constraint(probed: RunFolder) -> None:
    saved, net = checkpoint.load(probed), gp_lab.load(probed.path).setup.game.discriminator
    assert saved is not None
    d, sides = saved[1]["d"], saved[1]["constraint"]
    normal = dict(d)
    for name in [n for n in d if n.endswith("weight")]:
        normal[name] = d[name] / (sides[f"{name}.u"] @ d[name] @ sides[f"{name}.v"])
    surface = probed.arrays("surface")
    corner = torch.tensor([[-3.0, -3.0]], dtype=torch.float64)
    constrained, raw = (functional_call(net, p, (corner,)).item() for p in (normal, d))
    assert surface["logit"][0, 0] == pytest.approx(constrained, rel=1e-9)
    assert abs(raw - constrained) > 1e-3


def test_the_slope_of_the_probability_is_that_of_finite_differences(probed: RunFolder) -> None:
    run, surface = gp_lab.load(probed.path), probed.arrays("surface")
    axis, h = surface["axis"], 1e-5

    def probability(x: float, y: float) -> float:
        return torch.sigmoid(run.discriminator(torch.tensor([[x, y]]).double())).item()

    x, y = axis[3], axis[6]
    dx = (probability(x + h, y) - probability(x - h, y)) / (2 * h)
    dy = (probability(x, y + h) - probability(x, y - h)) / (2 * h)
    assert surface["probability_slope"][6, 3] == pytest.approx(math.hypot(dx, dy), rel=1e-5)


def test_the_field_is_the_gradient_of_log_d_by_finite_differences(probed: RunFolder) -> None:
    run, field = gp_lab.load(probed.path), probed.arrays("field")
    axis, h = field["axis"], 1e-4
    assert field["gradient"].shape == (6, 6, 2)

    def log_d(points: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.logsigmoid(run.discriminator(points))

    x, y = np.meshgrid(axis, axis)
    points = torch.from_numpy(np.stack([x, y], axis=-1)).reshape(-1, 2)
    for k in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[k] = h
        difference = (log_d(points + step) - log_d(points - step)) / (2 * h)
        measured = field["gradient"][..., k].ravel()
        np.testing.assert_allclose(measured, difference.detach().numpy(), atol=1e-7, rtol=1e-5)
    assert np.abs(field["gradient"]).max() > 1e-3


def test_samples_are_the_averaged_generators_from_the_same_latents_at_every_step(
    probed: RunFolder,
) -> None:
    run = gp_lab.load(probed.path)
    latent = run.setup.latent.draw(generator(0, "probe_samples_latent", 0), 20).double()
    fake = probed.arrays("samples")["fake"]
    np.testing.assert_allclose(fake, run.generator(latent).detach().numpy(), rtol=1e-12)
    saved = checkpoint.load(probed)
    assert saved is not None
    now = run.setup.game.generate(saved[1]["g"], latent).detach().numpy()
    assert np.abs(fake - now).max() > 1e-6  # which is not the generator of the moment


def test_held_out_losses_accuracies_and_slopes_are_those_of_the_loaded_network(
    probed: RunFolder,
) -> None:
    run, held_out = gp_lab.load(probed.path), probed.arrays("held_out")
    line = probed.metrics()[-1]
    assert line["step"] == 10
    for part in ("train", "held_out"):
        logits = {}
        for kind in ("real", "fake"):
            points = torch.from_numpy(held_out[f"{part}_{kind}"]).requires_grad_()
            f = run.discriminator(points)
            (gradient,) = torch.autograd.grad(f.sum(), points)
            logits[kind] = f.detach().numpy()
            np.testing.assert_allclose(held_out[f"{part}_{kind}_logit"], logits[kind], rtol=1e-9)
            slope = gradient.norm(dim=1).numpy()
            np.testing.assert_allclose(held_out[f"{part}_{kind}_slope"], slope, rtol=1e-9)
        # The original GAN's loss, from the probabilities.
        d = {kind: 1 / (1 + np.exp(-f)) for kind, f in logits.items()}
        loss = -np.log(1 - d["fake"]).mean() - np.log(d["real"]).mean()
        assert line[f"held_out/critic_loss_{part}"] == pytest.approx(loss, rel=1e-9)
        right = ((d["real"] > 0.5).mean() + (d["fake"] < 0.5).mean()) / 2
        assert line[f"held_out/accuracy_{part}"] == pytest.approx(right)


def test_training_data_are_the_finite_set_and_held_out_data_are_not(probed: RunFolder) -> None:
    held_out, points = probed.arrays("held_out"), gp_lab.load(probed.path).setup.dataset.points
    np.testing.assert_array_equal(held_out["train_real"], points.double().numpy())
    assert held_out["held_out_real"].shape == (300, 2)
    assert not np.isin(held_out["held_out_real"], held_out["train_real"]).any()


def test_gradient_norms_of_a_linear_discriminator_are_those_by_hand(tmp_path: Path) -> None:
    folder = trained(
        "steps=3",
        "precision=fp64",
        "architecture=linear",
        "loss=least_squares",
        "batch_size=16",
        "probe=[layers,weights]",
        f"out={tmp_path}",
        base=SMALL[-3:],
    )
    run, layers = gp_lab.load(folder.path), folder.arrays("layers")
    _, state = final(folder)
    w, b = state["d/output.weight"][0].numpy(), state["d/output.bias"].item()
    rng_real, rng_latent = (generator(0, f"probe_layers_{x}", 0) for x in ("real", "latent"))
    real = run.setup.dataset.draw(rng_real, 16).double()
    fake = run.generator(run.setup.latent.draw(rng_latent, 16, real).double()).detach()
    # L = mean (f_fake + 1)^2 + mean (f_real - 1)^2 with f = w x + b.
    of_real = 2 * (real.numpy() @ w + b - 1) / 16
    of_fake = 2 * (fake.numpy() @ w + b + 1) / 16
    of_f = np.concatenate([of_real, of_fake])
    x = np.concatenate([real.numpy(), fake.numpy()])
    of_weight = np.concatenate([of_f @ x, [of_f.sum()]])
    assert list(layers["layers"]) == ["output"]
    assert layers["activations"] == pytest.approx(np.linalg.norm(of_f), rel=1e-9)
    assert layers["parameters"] == pytest.approx(np.linalg.norm(of_weight), rel=1e-9)
    assert len(layers["nonlinearities"]) == len(layers["after"]) == 0


def test_layers_are_named_from_the_input_on(probed: RunFolder) -> None:
    layers = probed.arrays("layers")
    assert list(layers["layers"]) == ["hidden.0.linear", "hidden.1.linear", "output"]
    assert layers["activations"].shape == layers["parameters"].shape == (3,)
    assert (layers["parameters"] > 0).all()


def test_clipped_weights_pile_up_at_the_ends_of_their_range(tmp_path: Path) -> None:
    def shares(constraint: str) -> dict[str, np.ndarray]:
        rest = ("penalty=none", "optimizer=rmsprop", "optimizer.lr=5e-4", "steps=100")
        clipped = (f"constraint={constraint}", "probe=[weights]", "probe.weights.bins=10")
        return trained(*rest, *clipped, f"out={tmp_path}", base=BARE).arrays("weights")

    clipped, free = shares("clipping"), shares("none")
    wide = list(clipped["layers"]).index("hidden.1.linear.weight")
    assert clipped["edges"][wide, [0, -1]] == pytest.approx([-0.01, 0.01])
    assert clipped["counts"][wide].sum() == 64
    ends = clipped["counts"][wide, [0, -1]].sum() / 64
    assert clipped["extreme"][wide] > 0.3
    assert ends >= clipped["extreme"][wide]
    assert free["extreme"][wide] < 0.1


def test_a_plane_probe_on_other_than_points_of_the_plane_is_refused() -> None:
    ValueSurface().check("probe.surface", run_on(SimpleNamespace(shape=(2,))))
    with pytest.raises(BadInput, match=r"probe\.surface: looks at the plane"):
        ValueSurface().check("probe.surface", run_on(SimpleNamespace(shape=(3, 32, 32))))


def test_pictures_for_the_dashboard_are_images(probed: RunFolder) -> None:
    probes = gp_lab.load(probed.path).setup.probes
    for name in ("surface", "field", "samples"):
        for picture in probes[name].pictures(probed.arrays(name)).values():
            assert picture.dtype == np.uint8
            assert picture.shape[2] == 3
            assert picture.std() > 0


def test_draws_for_probes_are_not_those_for_training() -> None:
    probe, training = (
        torch.randn(100, generator=generator(0, stream, 0)) for stream in ("probe_real", "real")
    )
    assert not torch.isclose(probe, training).any()
