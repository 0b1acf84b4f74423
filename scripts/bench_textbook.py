"""What the lab is compared with: a textbook loop, and two published trainers written anew.

Each trains the networks of a run, as plain modules with torch.optim, and logs nothing.
"""

import copy
import math
import random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from gp_lab.data.random import generator
from gp_lab.training.setup import Setup

HELD = 512
"""Samples that a loop picks its batches from."""


def textbook(run: Setup, iterations: int) -> None:
    """WGAN-GP as in any tutorial: modules, torch.optim.Adam, a double backward."""
    D, G, reals = _begin(run)
    s, lr = run.settings, run.game.optimizer.lr
    of_d, of_g = (torch.optim.Adam(net.parameters(), lr=lr, betas=(0.0, 0.9)) for net in (D, G))
    for _ in range(iterations):
        for _ in range(s.d_steps):
            real = _batch(reals, s.batch_size)
            fake = G(_latent(run)).detach()
            u = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
            penalty = 10 * ((_slope(D, u * real + (1 - u) * fake) - 1) ** 2).mean()
            of_d.zero_grad()
            (D(fake).mean() - D(real).mean() + penalty).backward()
            of_d.step()
        of_g.zero_grad()
        (-D(G(_latent(run))).mean()).backward()
        of_g.step()


def toy(run: Setup, iterations: int) -> None:
    """The loop of wgan_gp's toy code: each batch is made point by point in Python, and D's terms
    go back one after another. Gulrajani et al. 2017, gan_toy, as it is ported to PyTorch."""
    D, G, _ = _begin(run)
    s, lr = run.settings, run.game.optimizer.lr
    of_d, of_g = (torch.optim.Adam(net.parameters(), lr=lr, betas=(0.5, 0.9)) for net in (D, G))
    ring = [(math.cos(i * math.pi / 4), math.sin(i * math.pi / 4)) for i in range(8)]
    for _ in range(iterations):
        for p in D.parameters():
            p.requires_grad_(True)
        for _ in range(s.d_steps):
            centres = (random.choice(ring) for _ in range(s.batch_size))
            points = [[2 * x + random.gauss(0, 0.02) for x in centre] for centre in centres]
            real = torch.tensor(points, device=run.device)
            D.zero_grad()
            (-D(real).mean()).backward()
            fake = G(_latent(run)).detach()
            D(fake).mean().backward()
            u = torch.rand(s.batch_size, 1, device=run.device)
            (0.1 * ((_slope(D, u * real + (1 - u) * fake) - 1) ** 2).mean()).backward()
            of_d.step()
        for p in D.parameters():
            p.requires_grad_(False)
        G.zero_grad()
        (-D(G(_latent(run))).mean()).backward()
        of_g.step()


def gan_stability(run: Setup, iterations: int) -> None:
    """A trainer as of Mescheder et al. 2018: non-saturating loss, 10 |grad D|^2 on reals, each term
    of D back by itself, RMSProp, and an average of G's weights at each iteration."""
    D, G, reals = _begin(run)
    s, lr = run.settings, run.game.optimizer.lr
    of_d, of_g = (torch.optim.RMSprop(net.parameters(), lr=lr, alpha=0.99) for net in (D, G))
    average = copy.deepcopy(G)
    for _ in range(iterations):
        _grown(G, False), _grown(D, True)
        of_d.zero_grad()
        real = _batch(reals, s.batch_size).requires_grad_()
        f = D(real)
        bce(f, torch.ones_like(f)).backward(retain_graph=True)
        (gradient,) = torch.autograd.grad(f.sum(), real, create_graph=True)
        (10 * gradient.flatten(1).square().sum(1).mean()).backward()
        with torch.no_grad():
            fake = G(_latent(run))
        f = D(fake)
        bce(f, torch.zeros_like(f)).backward()
        of_d.step()
        _grown(G, True), _grown(D, False)
        of_g.zero_grad()
        f = D(G(_latent(run)))
        bce(f, torch.ones_like(f)).backward()
        of_g.step()
        with torch.no_grad():
            for mean, p in zip(average.parameters(), G.parameters(), strict=True):
                mean.copy_(0.999 * mean + 0.001 * p)


LOOPS = {"textbook": textbook, "wgan-gp toy": toy, "GAN_stability": gan_stability}


def _begin(run: Setup) -> tuple[nn.Module, nn.Module, Tensor]:
    """D, G and some reals; a GPU's convolutions are in tf32, as PyTorch has them by itself."""
    torch.backends.cudnn.allow_tf32 = True
    D, G = (copy.deepcopy(net).float() for net in (run.game.discriminator, run.game.generator))
    reals = run.dataset.draw(generator(0, "bench", 0), HELD).to(run.device, torch.float32)
    return _grown(D, True), _grown(G, True), reals


def _grown(net: nn.Module, on: bool) -> Any:
    return net.train().requires_grad_(on)


def _batch(reals: Tensor, size: int) -> Tensor:
    return reals[torch.randint(len(reals), (size,), device=reals.device)]


def _latent(run: Setup) -> Tensor:
    return torch.randn(run.settings.batch_size, *run.latent.shape, device=run.device)


def _slope(D: nn.Module, x: Tensor) -> Tensor:
    """|grad D| [batch] at points [batch, ...], differentiable."""
    x = x.requires_grad_()
    (gradient,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return gradient.flatten(1).norm(dim=1)
