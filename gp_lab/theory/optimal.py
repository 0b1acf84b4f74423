"""Optimal discriminators in closed form, from the two log densities (`zero_gp`, `lipschitz`)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

Array = NDArray[np.float64]


def optimal_logit(log_p_real: ArrayLike, log_p_fake: ArrayLike) -> Array:
    """The logit of D*: log p_r(v) - log p_g(v).

    Both arguments are log densities in nats, `[...]`, and broadcast. Infinite where one density
    vanishes; NaN where both do, because D* is free there (`zero_gp`, Eq. 2, holds on the supports).
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.subtract(np.asarray(log_p_real, float), np.asarray(log_p_fake, float)), float
        )


def optimal_discriminator(log_p_real: ArrayLike, log_p_fake: ArrayLike) -> Array:
    """D*(v) = p_r(v) / (p_r(v) + p_g(v)), a probability in [0, 1] (`zero_gp`, Eq. 2).

    Both arguments are log densities in nats, `[...]`, and broadcast. Computed from their
    difference, so it stays exact where both densities underflow; NaN outside both supports.
    """
    return np.asarray(expit(optimal_logit(log_p_real, log_p_fake)))


def optimal_least_squares(
    log_p_real: ArrayLike, log_p_fake: ArrayLike, alpha: float = -1.0, beta: float = 1.0
) -> Array:
    """f*(x) = (alpha p_g(x) + beta p_r(x)) / (p_g(x) + p_r(x)) (`lipschitz`, Eq. 3).

    The optimum of the least-squares GAN whose targets are `alpha` on fakes and `beta` on reals; the
    paper takes -1 and 1. Log densities in nats, `[...]`, broadcast; NaN outside both supports.
    """
    logit = optimal_logit(log_p_real, log_p_fake)
    return np.asarray(alpha * expit(-logit) + beta * expit(logit))
