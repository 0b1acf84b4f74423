"""What an encoder is trained for, so that penalties can follow the generator's own paths."""

from collections.abc import Callable

from torch import Tensor

Mean = Callable[[Tensor], Tensor]
"""[batch, ...] to its mean [...] over the batch, of which this rank may have a part."""

SCALE = 10.0
"""Of the loss: at the .003 of plain gradient descent E would lag behind G. Adam does not see it."""


def of_batch(x: Tensor) -> Tensor:
    """The mean [...] of a batch [batch, ...] that is here as a whole."""
    return x.mean(0)


def rebuilding(real: Tensor, rebuilt: Tensor, mean: Mean = of_batch) -> Tensor:
    """Mean |x - G(E(x))|^2 over reals [batch, ...], in units of their mean squared deviation.

    The path through G has to end at x. 1 for a G(E(x)) that is always the mean of the batch.
    """
    spread = mean((real - mean(real)).flatten(1).square().sum(1))
    return mean((real - rebuilt).flatten(1).square().sum(1)) / spread


def normality(codes: Tensor, mean: Mean = of_batch) -> Tensor:
    """Squared W2 between N(m, diag s^2), with the moments of codes [batch, dim], and N(0, I).

    sum m^2 + (s - 1)^2: zero where the codes of a batch have the moments of standard normal
    latents. Unlike a Kullback-Leibler divergence its gradient stays bounded as s goes to 0.
    """
    center = mean(codes)
    # About the mean the squares have no slope; a part of a batch would see one (`Shard.mean`).
    std = (mean((codes - center.detach()).square()) + 1e-12).sqrt()
    return (center.square() + (std - 1).square()).sum()


def encoder_loss(real: Tensor, rebuilt: Tensor, codes: Tensor, mean: Mean = of_batch) -> Tensor:
    """SCALE (`rebuilding` + `normality`), for an encoder E against a generator held fixed.

    zero_gp, App. F: E "is trained to map real data to normally distributed latent
    codes". The paper gives no loss: this one is ours.
    """
    return SCALE * (rebuilding(real, rebuilt, mean) + normality(codes, mean))
