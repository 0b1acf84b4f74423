"""Probes of the window, of gradients at samples and of the loss, on critics known by heart."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers import built, rng
from torch import Tensor

from gp_lab.probes.base import View
from gp_lab.probes.plane import ValueSurface
from gp_lab.probes.samples import LossCurves, SampleGradients

BEND = torch.tensor([2.0, -3.0], dtype=torch.float64)


def bent(x: Tensor) -> Tensor:
    """f = x^T BEND + x_0^2 x_1, whose gradient is known."""
    return x @ BEND + x[:, 0] ** 2 * x[:, 1]


def view(critic: Any = bent, loss: str = "least_squares", **changes: Any) -> View:
    source = built("dataset", "uniform_squares")
    settings: dict[str, Any] = {
        "step": 0, "critic": critic, "generate": lambda z: z, "dataset": source,
        "latent": source, "loss": built("loss", loss, **changes),
        "discriminator": torch.nn.Identity(), "d": {}, "batch_size": 4,
        "device": torch.device("cpu"), "dtype": torch.float64,
        "rng": lambda stream: rng(len(stream)),
    }  # fmt: skip
    return View(**settings)


def test_a_window_that_is_no_square_has_y_in_rows_and_its_own_ends() -> None:
    probe = ValueSurface(low=-2, high=2, points=5, low_y=-1.5, high_y=1.5, points_y=4)
    arrays = probe.measure(view())
    x, y = np.linspace(-2, 2, 5), np.linspace(-1.5, 1.5, 4)
    np.testing.assert_allclose(arrays["axis"], x)
    np.testing.assert_allclose(arrays["axis_y"], y)
    expected = 2 * x - 3 * y[:, None] + x**2 * y[:, None]
    np.testing.assert_allclose(arrays["logit"], expected, atol=1e-12)
    slope = np.hypot(2 + 2 * x * y[:, None], -3 + x**2)
    np.testing.assert_allclose(arrays["logit_slope"], slope)
    assert probe.pictures(arrays)["surface"].shape[2] == 3


def test_a_window_is_a_square_unless_y_is_given() -> None:
    arrays = ValueSurface(low=-1, high=3, points=3).measure(view())
    np.testing.assert_array_equal(arrays["axis"], arrays["axis_y"])


def test_a_window_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match="not below high_y=1"):
        ValueSurface(low=-1, high=1, low_y=3.0)


def test_gradients_at_samples_are_those_of_the_critic_at_the_stored_points() -> None:
    arrays = SampleGradients(count=7).measure(view(gamma=0.5))
    for name in ("real", "fake"):
        x, y = arrays[name].T
        expected = np.stack([2 + 2 * x * y, -3 + x**2], axis=1)
        np.testing.assert_allclose(arrays[f"{name}_gradient"], expected)
        np.testing.assert_allclose(arrays[f"{name}_logit"], 2 * x - 3 * y + x**2 * y)
    assert not np.array_equal(arrays["real"], arrays["fake"])
    # psi(f) = (f - gamma)^2.
    np.testing.assert_allclose(arrays["fake_psi_slope"], 2 * (arrays["fake_logit"] - 0.5))


@pytest.mark.parametrize("loss", ["vanilla", "wasserstein", "combined", "exp", "sqrt", "hinge"])
def test_stored_slopes_of_a_loss_are_its_finite_differences(loss: str) -> None:
    arrays = LossCurves(low=-3.0, high=3.0, points=2000).measure(view(loss=loss))
    for name in ("phi", "varphi", "psi"):
        between = np.diff(arrays[name]) / np.diff(arrays["f"])
        middle = (arrays[f"{name}_slope"][1:] + arrays[f"{name}_slope"][:-1]) / 2
        smooth = np.abs(np.diff(arrays[f"{name}_slope"])) < 0.5  # off the hinge's corner
        np.testing.assert_allclose(between[smooth], middle[smooth], atol=1e-4)
