"""The files of penalties are their papers' functions, and impossible values are refused."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers import built, names_in, normal
from slopes import (
    BIAS,
    FAKE,
    NO_HARDEST,
    REAL,
    N,
    U,
    W,
    each_shape,
    formula,
    linear,
    value_of,
    where,
)

from gp_lab.errors import BadInput
from gp_lab.objectives.penalties import (
    NoPenalty,
    Penalty,
    Shape,
    shaped,
)


@pytest.mark.parametrize("center", [1.0, 1])
def test_a_centre_of_the_squared_shape_is_refused(center: float) -> None:
    with pytest.raises(ValueError, match="shape squared has no centre"):
        Penalty(shape="squared", center=center)
    with pytest.raises(BadInput, match=r"^penalty\.center=1.*use shape=two_sided or one_sided"):
        built("penalty", "zero_gp", center=center)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weight", -1.0),
        ("center", -0.5),
        ("carry", 1.5),
        ("measure", "everywhere"),
        ("weight", "a"),
    ],
)
def test_an_impossible_value_of_a_penalty_is_refused_by_key_and_value(key: str, value: Any) -> None:
    with pytest.raises(BadInput, match=rf"^penalty\.{key}={value}"):
        built("penalty", "one_gp", **{key: value})


# For each file: the measure of the paper, its value where |grad D| is 3 or 1/2 everywhere, and on
# the probability or the logit.
FILES: dict[str, tuple[str, float, float, str]] = {
    "max_gp": ("between", 0.1 * 9, 0.1 / 4, "logit"),
    "mu_anchor": ("anchor", 10 * 9, 10 / 4, "logit"),
    "mu_between": ("between", 10 * 9, 10 / 4, "logit"),
    "mu_fake": ("fake", 10 * 9, 10 / 4, "logit"),
    "mu_midpoint": ("midpoint", 10 * 9, 10 / 4, "logit"),
    "mu_real": ("real", 10 * 9, 10 / 4, "logit"),
    "one_gp": ("between", 10 * (3 - 1) ** 2, 10 * (0.5 - 1) ** 2, "logit"),
    "one_gp_one_sided": ("between", 10 * (3 - 1) ** 2, 0.0, "logit"),
    "r1_r2": ("both", 1 * 9, 1 / 4, "logit"),
    "zero_gp": ("between", 10 * 9, 10 / 4, "probability"),
    "zero_gp_real": ("real", 10 * 9, 10 / 4, "probability"),
    "zero_gp_sample": ("both", 10 * 9, 10 / 4, "probability"),
}


@pytest.mark.parametrize("name", names_in("penalty"))
def test_a_penalty_file_builds_a_penalty(name: str) -> None:
    penalty = built("penalty", name)
    assert isinstance(penalty, NoPenalty)
    assert (penalty.measure == "none") == (name == "none")


@pytest.mark.parametrize("name", list(FILES))
def test_a_penalty_file_is_its_papers_function_of_the_gradient_norm(name: str) -> None:
    _, at_three, at_half, output = FILES[name]
    penalty = built("penalty", name)
    assert penalty.output == output
    for norm, wanted in ((3.0, at_three), (0.5, at_half)):
        # On the probability: 4 norm x_0 has |grad sigmoid| = norm where x_0 = 0.
        slope = 4 * norm if output == "probability" else norm
        zeros = torch.zeros(N, 2, dtype=torch.float64)
        found = value_of(penalty, lambda x, s=slope: s * x[:, 0], real=zeros, fake=zeros)
        assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", list(FILES))
def test_a_penalty_file_takes_the_gradient_where_its_paper_says(name: str) -> None:
    measure = FILES[name][0]
    penalty = built("penalty", name)
    torch.testing.assert_close(
        penalty.points(REAL, FAKE, U, NO_HARDEST), torch.tensor(where(measure, REAL, FAKE, U))
    )


def test_zero_gp_sample_of_the_paper_is_on_reals_and_fakes_alone() -> None:
    # Table 1 of zero_gp: v in the data set D of reals and fakes, here with D(x) = sigma(w.x + b).
    f = np.concatenate([REAL.numpy(), FAKE.numpy()]) @ W.numpy() + BIAS
    p = 1 / (1 + np.exp(-f))
    wanted = 10 * np.mean((p * (1 - p) * 2.5) ** 2)
    assert value_of(built("penalty", "zero_gp_sample"), linear) == pytest.approx(wanted, rel=1e-12)


@each_shape
def test_shaped_takes_a_centre_for_each_replica_as_a_tensor(shape: Shape) -> None:
    squares = normal(3, 5, seed=11).square()
    centers = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)
    together = torch.vmap(lambda s, c: shaped(shape, s, c))(squares, centers)
    for i in range(3):
        alone = formula(shape, np.sqrt(squares[i].numpy()), float(centers[i]))
        np.testing.assert_allclose(together[i].numpy(), alone, rtol=1e-12, atol=1e-15)


def test_the_fixed_random_pixels_of_an_anchor_are_even_and_without_a_pattern() -> None:
    fake = torch.zeros(2, 3, 32, 32)
    u = torch.ones(2)
    penalty = built("penalty", "mu_anchor_random")
    one, other = penalty.points(fake, fake, u, torch.zeros(0, 3, 32, 32))
    assert torch.equal(one, other)
    pixels = one.flatten().double()
    assert -1 <= pixels.min() < -0.99
    assert 0.99 < pixels.max() < 1
    assert abs(pixels.mean()) < 0.05  # 2.5 standard errors of 3072 even ones
    assert pixels.std().item() == pytest.approx(1 / 3**0.5, abs=0.02)
    shifts = [1, 2, 3, 31, 32, 33, 1024]
    assert max(abs(np.corrcoef(pixels[k:], pixels[:-k])[0, 1]) for k in shifts) < 0.06
