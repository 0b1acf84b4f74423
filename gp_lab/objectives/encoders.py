"""What an encoder is trained for, so that penalties can follow the generator's own paths."""

import torch
from torch import Tensor


def rebuilding(real: Tensor, rebuilt: Tensor) -> Tensor:
    """Mean of |x - G(E(x))|^2 over reals [batch, ...]: the path through G has to end at x."""
    return (real - rebuilt).flatten(1).square().sum(1).mean()


def normality(codes: Tensor) -> Tensor:
    """KL(N(m, diag s^2) || N(0, I)) with the mean and variance of codes [batch, dim], in nats.

    Zero where the codes of a batch have the moments of standard normal latents.
    """
    mean = codes.mean(0)
    variance = (codes - mean).square().mean(0)
    # The floor keeps the logarithm finite where all codes are the same.
    logarithm = torch.log(variance + 1e-6)
    return 0.5 * (mean.square() + variance - 1 - logarithm).sum()


def encoder_loss(real: Tensor, rebuilt: Tensor, codes: Tensor) -> Tensor:
    """`rebuilding` + `normality`, for an encoder E against a generator held fixed.

    `papers/zero_gp.txt`, App. F: E "is trained to map real data to normally distributed latent
    codes". The paper gives no loss: this one is ours.
    """
    return rebuilding(real, rebuilt) + normality(codes)
