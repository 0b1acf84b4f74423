"""Probes along lines and what is measured on them: equality of norms, mode jumping."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lab import trained

import gp_lab
from gp_lab.data.random import generator
from gp_lab.errors import BadInput
from gp_lab.evaluation.paths import equality_of_norms, largest_over_mean_step, step_lengths
from gp_lab.runs.folder import RunFolder


def test_equal_norms_have_equality_one_at_any_size() -> None:
    for size in (1e-200, 1.0, 1e200):
        assert equality_of_norms(np.full((3, 4), size)) == pytest.approx(1)


def test_the_equality_of_norms_is_the_share_of_points_that_carry_them_equally() -> None:
    for carrying in (1, 3, 10):
        norms = np.zeros(10)
        norms[:carrying] = 7.0
        assert equality_of_norms(norms) == pytest.approx(carrying / 10)


def test_half_normal_norms_have_the_equality_of_their_moments() -> None:
    norms = np.abs(np.random.default_rng(0).normal(size=200_000))
    assert equality_of_norms(norms) == pytest.approx(2 / math.pi, abs=0.005)


@pytest.mark.parametrize("norms", [[], [0.0, 0.0], [1.0, math.inf], [1.0, math.nan]])
def test_no_gradient_or_an_infinite_one_has_no_equality(norms: list[float]) -> None:
    assert math.isnan(equality_of_norms(norms))


def test_a_path_at_constant_speed_does_not_jump_and_one_that_does_jumps_as_far_as_it_can() -> None:
    t = np.linspace(0, 1, 65)
    straight = np.stack([3 * t, -4 * t], axis=1)
    jump = np.where(t[:, None] < 0.3, [0.0, 0.0], [1.0, 2.0])
    still = np.ones((65, 2))
    found = largest_over_mean_step(np.stack([straight, jump, still]))
    np.testing.assert_allclose(found[:2], [1, 64])
    assert math.isnan(found[2])
    np.testing.assert_allclose(step_lengths(straight[None]).sum(), 5)


def test_steps_of_images_are_their_euclidean_distances() -> None:
    images = np.random.default_rng(1).normal(size=(2, 3, 1, 4, 4))
    expected = np.linalg.norm((images[:, 1:] - images[:, :-1]).reshape(2, 2, 16), axis=2)
    np.testing.assert_allclose(step_lengths(images), expected)
    with pytest.raises(ValueError, match="two points or more"):
        step_lengths(images[:, :1])


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(
        "log_every=1",
        "steps=4",
        "precision=fp64",
        "loss=non_saturating",
        "optimizer.lr=1e-2",
        "probe=[segments,lines]",
        "probe.segments.count=5",
        "probe.segments.points=4",
        "probe.segments.every=2",
        "probe.lines.count=3",
        "probe.lines.points=9",
        f"out={tmp_path_factory.mktemp('paths')}",
        base=("architecture=mlp_tanh_64", "batch_size=16", "tracking=none", "device=cpu"),
    )


def test_segments_hold_d_and_its_slopes_from_the_fake_to_the_real(probed: RunFolder) -> None:
    run, found = gp_lab.load(probed.path), probed.arrays("segments")
    np.testing.assert_allclose(found["position"], [0, 1 / 3, 2 / 3, 1])
    for pair in range(5):
        for i, u in enumerate(found["position"]):
            point = u * found["real"][pair] + (1 - u) * found["fake"][pair]
            x = torch.from_numpy(point)[None].requires_grad_()
            f = run.discriminator(x)
            of_f, of_d = (
                torch.autograd.grad(y.sum(), x, retain_graph=True)[0].norm().item()
                for y in (f, torch.sigmoid(f))
            )
            assert found["logit"][pair, i] == pytest.approx(f.item(), rel=1e-9)
            assert found["logit_slope"][pair, i] == pytest.approx(of_f, rel=1e-9)
            assert found["probability_slope"][pair, i] == pytest.approx(of_d, rel=1e-9)


def test_segments_are_between_the_same_reals_and_latents_at_every_step(probed: RunFolder) -> None:
    early, late = probed.arrays("segments", 2), probed.arrays("segments", 4)
    np.testing.assert_array_equal(early["real"], late["real"])
    assert not np.isclose(early["fake"], late["fake"]).any()
    latent = generator(0, "probe_segments_latent", 0)
    run = gp_lab.load(probed.path)
    fake = run.generator(run.setup.latent.draw(latent, 5).double())
    np.testing.assert_allclose(late["fake"], fake.detach().numpy(), rtol=1e-9)


def test_numbers_of_the_segments_are_in_the_metrics(probed: RunFolder) -> None:
    slope = probed.arrays("segments", 2)["probability_slope"]
    line = next(x for x in probed.metrics() if "segments/probability_slope_max" in x)
    assert line["step"] == 2
    assert line["segments/probability_slope_max"] == pytest.approx(slope.max())
    assert line["segments/probability_equality"] == pytest.approx(equality_of_norms(slope))


def test_latent_lines_are_generated_from_points_between_two_latents(probed: RunFolder) -> None:
    run, found = gp_lab.load(probed.path), probed.arrays("lines")
    assert found["fake"].shape == (3, 9, 2)
    ends = run.setup.latent.draw(generator(0, "probe_lines_latent", 0), 6).double()
    for line in range(3):
        for i, t in enumerate(np.linspace(0, 1, 9)):
            fake = run.generator(((1 - t) * ends[line] + t * ends[line + 3])[None])
            np.testing.assert_allclose(found["fake"][line, i], fake[0].detach().numpy(), rtol=1e-9)


def test_a_line_of_one_point_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^probe.lines.points=1: a line has two ends"):
        trained("probe=[lines]", "probe.lines.points=1", f"out={tmp_path}", base=("device=cpu",))
