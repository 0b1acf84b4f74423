"""eps-optimal discriminators (`zero_gp`, Def. 1): how one is built, and how steep it has to be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from gp_lab.errors import LabError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SoftmaxDiscriminator:
    """D(v) = W2 . softmax(W1 v), one hidden layer without biases (`zero_gp`, App. B).

    The rows of W1 `[m+n, d]` are k times the samples, all of norm 1; W2 `[m+n]` holds the value
    that D is to have at each. With |v_i| = 1 the softmax of k v_i . v is that of
    -k |v_i - v|^2 / 2, which is what is computed: it stays exact where k is large.
    """

    samples: Array
    """The reals, then the fakes `[n+m, d]`, of norm 1."""
    w2: Array
    k: float

    @property
    def w1(self) -> Array:
        """The first layer's weights `[m+n, d]`."""
        return self.k * self.samples

    @property
    def parameters(self) -> int:
        """How many there are: d (m+n) + (m+n)."""
        return self.w1.size + self.w2.size

    def __call__(self, v: ArrayLike) -> Array:
        """D at points `[p, d]` -> `[p]`."""
        return np.asarray(self._hidden(v) @ self.w2)

    def gradient(self, v: ArrayLike) -> Array:
        """The gradient of D at points `[p, d]` -> `[p, d]`: k times sum_i s_i (w_i - D) v_i."""
        hidden = self._hidden(v)
        excess = self.w2 - (hidden @ self.w2)[:, None]
        return np.asarray(self.k * (hidden * excess) @ self.samples)

    def _hidden(self, v: ArrayLike) -> Array:
        difference = np.asarray(v, dtype=np.float64)[:, None] - self.samples
        return np.asarray(softmax(-0.5 * self.k * (difference**2).sum(axis=-1), axis=1))


def softmax_discriminator(
    real: ArrayLike, fake: ArrayLike, k: float, eps: float, alpha: float
) -> SoftmaxDiscriminator:
    """The construction of `zero_gp`, App. B, for reals `[n, d]` and fakes `[m, d]` of norm 1.

    W2 is 1/2 + eps/2 + alpha for reals and 1/2 - eps/2 - alpha for fakes. Raises ValueError for
    samples of another norm, for eps, alpha or k that are not positive, and for values of D
    outside [0, 1].
    """
    real, fake = np.asarray(real, dtype=np.float64), np.asarray(fake, dtype=np.float64)
    samples = np.concatenate([real, fake])
    if not np.allclose(np.linalg.norm(samples, axis=1), 1.0, atol=1e-9):
        raise ValueError("the construction wants samples of norm 1")
    if not (eps > 0 and alpha > 0 and k > 0 and eps / 2 + alpha <= 0.5):
        raise ValueError(f"eps={eps}, alpha={alpha}, k={k}: positive, eps/2 + alpha at most 1/2")
    height = eps / 2 + alpha
    w2 = 0.5 + np.concatenate([np.full(len(real), height), np.full(len(fake), -height)])
    return SoftmaxDiscriminator(samples, w2, float(k))


def eps_reached(at_real: ArrayLike, at_fake: ArrayLike) -> float:
    """The largest eps for which D is eps-optimal (`zero_gp`, Def. 1), from D at reals and fakes.

    `[n]` and `[m]`, probabilities; negative where some sample is on the wrong side of 1/2.
    """
    return float(2 * min(np.min(at_real) - 0.5, 0.5 - np.max(at_fake)))


def sufficient_k(real: ArrayLike, fake: ArrayLike, eps: float, alpha: float) -> float:
    """A k for which the construction is eps-optimal: log((N-1)(eps + 2 alpha)/alpha) / (d^2/2).

    d is the least distance between a real and another sample or a fake and another, N = m + n:
    at a sample the softmax leaves the others at most (N-1) exp(-k d^2/2) of its weight, and each
    share of it costs D at most eps + 2 alpha. Raises ValueError if two samples are the same.
    """
    samples = np.concatenate([np.asarray(real, float), np.asarray(fake, float)])
    squares = ((samples[:, None] - samples) ** 2).sum(axis=-1)
    np.fill_diagonal(squares, np.inf)
    if squares.min() == 0:
        raise ValueError("two samples are the same")
    return float(2 * np.log((len(samples) - 1) * (eps + 2 * alpha) / alpha) / squares.min())


def least_k(real: ArrayLike, fake: ArrayLike, eps: float, alpha: float) -> float:
    """The least k found from which on the construction is eps-optimal, to 1e-9 of itself.

    Searched downwards from `sufficient_k`, so D is eps-optimal at the k that is returned.
    Raises LabError if D is not eps-optimal at `sufficient_k` (rounding: samples that almost
    coincide).
    """

    def optimal(k: float) -> bool:
        d = softmax_discriminator(real, fake, k, eps, alpha)
        return eps_reached(d(real), d(fake)) >= eps

    high = sufficient_k(real, fake, eps, alpha)
    if not optimal(high):
        raise LabError(f"not eps-optimal at k={high:g}: samples too near for float64")
    low = high / 2
    while optimal(low):
        low, high = low / 2, low
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if optimal(middle) else (middle, high)
    return high


def steepest_on_segment(d: SoftmaxDiscriminator, x: ArrayLike, y: ArrayLike, points: int) -> float:
    """The largest |directional derivative| of D along x - y on the segment, x and y `[dim]`.

    Over so many equally spaced points, the ends and (for an odd number) the midpoint among them.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    along = (x - y) / np.linalg.norm(x - y)
    t = np.linspace(0.0, 1.0, points)[:, None]
    return float(np.abs(d.gradient(y + t * (x - y)) @ along).max())


def k_of_a_pair(distance: ArrayLike, eps: float, alpha: float) -> Array:
    """The least k for one real and one fake at a distance: (4/d^2) artanh(eps/(eps + 2 alpha)).

    For them the softmax is a logistic function, D(x) - 1/2 = (eps/2 + alpha) tanh(k d^2/4).
    """
    square = np.asarray(distance, dtype=np.float64) ** 2
    return np.asarray(4 * np.arctanh(eps / (eps + 2 * alpha)) / square)


def steepest_of_a_pair(distance: ArrayLike, eps: float, alpha: float) -> Array:
    """The largest derivative of that D on the segment: (eps + 2 alpha) artanh(.)/d, at its middle.

    The slope of the logistic, (eps + 2 alpha) k d/4, at the k of `k_of_a_pair`. It is above the
    eps/d that any eps-optimal discriminator has somewhere (`zero_gp`, sec. 4.2.2).
    """
    d = np.asarray(distance, dtype=np.float64)
    return np.asarray((eps + 2 * alpha) * k_of_a_pair(d, eps, alpha) * d / 4)
