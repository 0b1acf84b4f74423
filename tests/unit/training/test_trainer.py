"""The trainer's loop: seeds, what a run leaves, divergence, schedules, when probes measure."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lab import (
    BARE,
    QUICK,
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

import gp_lab
from gp_lab.probes.plane import ValueSurface
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import State
from gp_lab.training import batches
from gp_lab.training.batches import batches_at_once, draw_batches
from gp_lab.training.setup import setup
from gp_lab.training.trainer import train

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
