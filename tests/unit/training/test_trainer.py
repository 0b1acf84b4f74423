"""The trainer's loop: seeds, divergence, schedules, what probes measure and when."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import run_on
from lab import (
    SMALL,
    arrays_of,
    assert_same_run,
    config_of,
    environment,
    final,
    lab,
    trained,
    values,
)
from torch.func import functional_call

import gp_lab
from gp_lab.data.random import generator
from gp_lab.errors import BadInput
from gp_lab.probes.plane import ValueSurface
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State
from gp_lab.training import batches
from gp_lab.training.batches import batches_at_once, draw_batches
from gp_lab.training.setup import setup
from gp_lab.training.trainer import train

BARE = (*SMALL[:3], *SMALL[-3:])
"""Without the probes."""

QUICK = ("log_every=1", "steps=10")


# -- seeds ---------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_numbers_twice(tmp_path: Path) -> None:
    first, second = (trained(*QUICK, "seed=3", f"out={tmp_path / x}") for x in "ab")
    assert_same_run(first, second)


def test_another_seed_gives_other_data_other_networks_and_other_numbers(tmp_path: Path) -> None:
    zero, one = (trained(*QUICK, f"seed={s}", "optimizer.lr=1e-9", f"out={tmp_path}") for s in "01")
    assert not set(values(zero, "loss_d")) & set(values(one, "loss_d"))
    # With hardly any learning the final networks are the initial ones.
    (_, a), (_, b) = final(zero), final(one)
    for name in ("d/hidden.0.linear.weight", "g/hidden.0.linear.weight"):
        assert not torch.isclose(a[name], b[name], rtol=1e-3).any()
    real_a, real_b = (gp_lab.load(f.path).arrays("samples")["real"] for f in (zero, one))
    assert not np.isclose(real_a, real_b).any()


def test_no_block_of_data_or_noise_is_drawn_twice() -> None:
    run = setup(config_of("d_steps=2", "seed=4"))
    first, again, second = (draw_batches(run, k) for k in (0, 0, 1))
    for name in ("real", "latent", "u", "latent_g"):
        a, b, c = (getattr(block, name).flatten() for block in (first, again, second))
        assert torch.equal(a, b)
        # A few of many numbers in float32 are equal by chance.
        assert len(a.unique()) > 0.99 * len(a)
        assert torch.isin(a, c).double().mean() < 0.01
    assert torch.isin(first.latent, first.latent_g).double().mean() < 0.01


def test_the_schedule_goes_on_from_block_to_block() -> None:
    run = setup(config_of("schedule=inverse"))
    length = batches_at_once(run)
    rates = torch.cat([draw_batches(run, k).rate_g for k in range(3)])
    torch.testing.assert_close(rates, 1 / torch.arange(1, 3 * length + 1, dtype=torch.float64))


def test_a_run_is_the_same_whatever_its_position_in_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Seven iterations a block: a run of 10 ends in the middle of the second, goes on there.
    monkeypatch.setattr(batches, "LONGEST", 7)
    folder = trained(*QUICK, "probe=[]", f"out={tmp_path / 'a'}", base=BARE)
    train([folder.config | {"steps": 25}], [folder], progress=False)
    whole = trained("log_every=1", "steps=25", "probe=[]", f"out={tmp_path / 'b'}", base=BARE)
    assert_same_run(folder, whole)


# -- what a run leaves ---------------------------------------------------------------------


def test_a_finished_run_is_not_touched_again(tmp_path: Path) -> None:
    folder = trained(*QUICK, f"out={tmp_path}")

    def contents() -> dict[str, tuple[int, int]]:
        files = (p for p in folder.path.rglob("*") if p.is_file())
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in files}

    before = contents()
    (outcome,) = train([config_of(*QUICK, f"out={tmp_path}")], progress=False)
    assert (outcome.state, outcome.step) == (State.FINISHED, 10)
    assert contents() == before


def test_force_starts_a_finished_run_over(tmp_path: Path) -> None:
    folder = trained(*QUICK, f"out={tmp_path}")
    (folder.path / "arrays" / "old.txt").write_text("from before")
    before = arrays_of(folder)
    assert trained(*QUICK, "force=true", f"out={tmp_path}").path == folder.path
    assert not (folder.path / "arrays" / "old.txt").exists()
    assert len(values(folder, "loss_d")) == 10
    for name, array in arrays_of(folder).items():
        np.testing.assert_array_equal(array, before[name])


def test_metrics_hold_finite_numbers_at_steps_that_increase(tmp_path: Path) -> None:
    folder = trained("log_every=3", "steps=20", "probe.surface.every=5", f"out={tmp_path}")
    lines = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "loss_d" in line]
    assert steps == [3, 6, 9, 12, 15, 18, 20]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert all(isinstance(v, int | float) and math.isfinite(v) for x in lines for v in x.values())


def test_a_probes_number_that_is_not_finite_is_left_out_of_the_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {"huge": math.inf, "undefined": math.nan, "fine": 1.0}
    monkeypatch.setattr(ValueSurface, "scalars", lambda self, arrays: numbers)
    folder = trained(*QUICK, f"out={tmp_path}")
    assert folder.state == State.FINISHED
    assert folder.metrics()[-1] == {"step": 10, "surface/fine": 1.0}


def test_a_run_against_a_fixed_generator_has_no_generator_loss_and_no_generator(
    tmp_path: Path,
) -> None:
    fixed = ("architecture=fixed_gaussian", "dataset=two_gaussians", "g_steps=0", "batch_size=16")
    folder = trained(*QUICK, *fixed, f"out={tmp_path}", base=SMALL[-3:])
    saved = checkpoint.load(folder)
    assert saved is not None
    assert (saved[1]["g"], saved[1]["g_optimizer"]) == ({}, {})
    assert values(folder, "loss_d")
    assert not values(folder, "loss_g")


# -- divergence ----------------------------------------------------------------------------

EXPLODES = ("loss=exp", "optimizer=sgd", "optimizer.lr=1.0", "penalty=none")


def test_a_run_that_diverges_says_where_and_keeps_what_came_before(tmp_path: Path) -> None:
    folder = trained(*EXPLODES, *QUICK, "log_every=4", "checkpoint_every=1", f"out={tmp_path}")
    assert folder.state == State.DIVERGED
    step = folder.status["step"]
    assert f"at step {step}" in folder.status["why"]
    # The first non-finite step, whatever the cadence of the metrics: one step less is finite.
    before = trained(*EXPLODES, "log_every=1", f"steps={step - 1}", f"out={tmp_path}")
    assert len(values(before, "loss_d")) == step - 1
    after = trained(*EXPLODES, "log_every=1", "steps=11", f"out={tmp_path}")
    assert (after.state, after.status["step"]) == (State.DIVERGED, step)
    assert len(values(after, "loss_d")) == step - 1
    assert all(map(math.isfinite, values(after, "loss_d")))


def test_the_last_update_can_diverge_too(tmp_path: Path) -> None:
    every = ("probe=[surface,weights,layers]", "probe.surface.points=4")
    huge = ("loss=least_squares", "optimizer=sgd", "optimizer.lr=1e40", "penalty=none")
    fixed = ("architecture=fixed_gaussian", "g_steps=0", "steps=1", "log_every=1")
    folder = trained(*huge, *every, *fixed, f"out={tmp_path}", base=SMALL[-3:])
    assert folder.state == State.DIVERGED
    assert folder.status["why"] == "the parameters are not finite after step 1"
    assert math.isfinite(values(folder, "loss_d")[0])  # of before the update


@pytest.mark.seconds
def test_divergence_ends_the_command_with_3_and_lets_a_sweep_go_on(tmp_path: Path) -> None:
    common = (*SMALL, *EXPLODES[:2], "penalty=none", "steps=8", f"out={tmp_path}")
    env = environment(tmp_path)
    assert lab("train", *common, "optimizer.lr=1e6", env=env).returncode == 3
    sweep = lab("train", "-m", *common, "optimizer.lr=1e6,1e7,1e-3", env=env)
    assert sweep.returncode == 0
    assert "3 runs: 2 diverged, 1 finished" in sweep.stdout


@pytest.mark.seconds
def test_a_run_that_diverges_in_a_stack_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    def configs(name: str, steps: int) -> list[dict]:
        log = ("log_every=1", f"steps={steps}", "checkpoint_every=5", "probe.surface.every=4")
        return [config_of(*log, f"seed={s}", f"out={tmp_path / name}") for s in range(3)]

    whole = train(configs("whole", 20), progress=False)
    begun = train(configs("one diverges", 10), progress=False)
    _, state, extra = checkpoint.load(begun[1].folder)
    state["d"]["output.bias"].fill_(math.nan)
    checkpoint.save(begun[1].folder, 10, state, extra)
    folders = [outcome.folder for outcome in begun]
    longer = [folder.config | {"steps": 20} for folder in folders]
    ended = train(longer, folders, progress=False)
    assert [o.state for o in ended] == [State.FINISHED, State.DIVERGED, State.FINISHED]
    assert ended[1].step == 11
    assert max(line["step"] for line in folders[1].metrics()) == 10
    for i in (0, 2):
        (_, a), (_, b) = final(folders[i]), final(whole[i].folder)
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=0, atol=0, equal_nan=True)
        assert values(folders[i], "loss_d") == values(whole[i].folder, "loss_d")


# -- schedules -----------------------------------------------------------------------------


def test_ttur_multiplies_the_rate_of_d_and_not_that_of_g(tmp_path: Path) -> None:
    # Under plain gradient descent the first update is proportional to the rate. D moves first, so
    # a rate so small that G sees the same D in both runs.
    def moved(net: str, schedule: str) -> torch.Tensor:
        sgd = ("optimizer=sgd", "optimizer.lr=1e-7", "precision=fp64", "steps=1")
        folder = trained(*sgd, f"schedule={schedule}", f"out={tmp_path}")
        nets = gp_lab.load(folder.path).setup.initial
        before = nets[0] if net == "d" else nets[1]
        _, after = final(folder)
        return torch.cat([(after[f"{net}/{k}"] - before[k]).flatten() for k in before])

    ratio = moved("d", "ttur").norm() / moved("d", "constant").norm()
    assert ratio == pytest.approx(3, rel=1e-6)
    ratio = moved("g", "ttur").norm() / moved("g", "constant").norm()
    assert ratio == pytest.approx(1, rel=1e-4)


def test_a_linear_schedule_stops_both_networks_at_its_end(tmp_path: Path) -> None:
    linear = ("schedule=linear", "schedule.over=5", "log_every=1")
    five = trained(*linear, "steps=5", f"out={tmp_path}")
    nine = trained(*linear, "steps=9", f"out={tmp_path}")
    three = trained(*linear, "steps=3", f"out={tmp_path}")
    for name in ("d/hidden.0.linear.weight", "g/hidden.0.linear.weight"):
        assert torch.equal(final(five)[1][name], final(nine)[1][name])
        assert not torch.equal(final(five)[1][name], final(three)[1][name])


# -- probes: when --------------------------------------------------------------------------


def test_probes_measure_at_the_start_every_so_often_and_at_the_end(tmp_path: Path) -> None:
    cadence = ("probe.surface.every=4", "probe.surface.start=true", "probe.samples.every=0")
    folder = trained(*QUICK, *cadence, f"out={tmp_path}")
    assert folder.array_steps("surface") == [0, 4, 8, 10]
    assert folder.array_steps("samples") == [10]
    assert [x["step"] for x in folder.metrics() if "surface/slope_mean" in x] == [0, 4, 8, 10]


def test_what_a_probe_measured_at_a_step_is_what_a_run_of_so_many_steps_ends_with(
    tmp_path: Path,
) -> None:
    long = trained(*QUICK, "probe.surface.every=4", "probe.samples.every=4", f"out={tmp_path}")
    short = trained("log_every=1", "steps=4", f"out={tmp_path}")
    for probe in ("surface", "samples"):
        of_long, of_short = long.arrays(probe, 4), short.arrays(probe, 4)
        for name in of_long:
            np.testing.assert_array_equal(of_long[name], of_short[name])


def test_probes_do_not_change_the_run(tmp_path: Path) -> None:
    watched = trained(*QUICK, "probe.surface.every=1", f"out={tmp_path}")
    plain = trained(*QUICK, "probe=[]", f"out={tmp_path}", base=BARE)
    for name, tensor in final(plain)[1].items():
        assert torch.equal(tensor, final(watched)[1][name])


# -- probes: what --------------------------------------------------------------------------


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
