"""0-GP along latent paths (zero_gp, App. F): the path, the encoder's loss, and its training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import built, normal, parameters, same, small_mlp, uniform
from lab import SMALL, config_of, final, trained
from torch.nn.functional import softplus

from gp_lab.errors import BadInput
from gp_lab.objectives.constraints import NoConstraint
from gp_lab.objectives.encoders import encoder_loss, normality, rebuilding
from gp_lab.objectives.losses import NonSaturating
from gp_lab.objectives.penalties import Penalty
from gp_lab.training.load import load
from gp_lab.training.optimizers import SGD
from gp_lab.training.setup import setup
from gp_lab.training.step import AUTOGRAD, FUNC, Differentiation, Game, discriminator_step
from gp_lab.training.step import start_state as start
from gp_lab.training.trainer import train

BATCH = 10
REAL, LATENT, U = normal(BATCH, 2, seed=1) + 1, normal(BATCH, 3, seed=2), uniform(BATCH, seed=3)
ENCODED = ("architecture=mlp_zero_gp_encoder", "penalty=zero_gp_latent_path")
WITHOUT_PROBES = tuple(word for word in SMALL if not word.startswith("probe."))


def with_encoder() -> Game:
    return Game(
        discriminator=small_mlp(seed=1),
        generator=small_mlp(inputs=3, outputs=2, seed=2),
        loss=NonSaturating(),
        penalty=built("penalty", "zero_gp_latent_path"),
        constraint=NoConstraint(),
        optimizer=SGD(0.1),
        encoder=small_mlp(outputs=3, seed=3),
    )


def state_of(game: Game) -> dict:
    assert game.encoder is not None
    nets = (parameters(net) for net in (game.discriminator, game.generator, game.encoder))
    d, g, encoder = nets
    return start(game, d, g, BATCH, (2,), encoder)


def test_the_path_is_algorithm_1_row_by_row() -> None:
    game = with_encoder()
    G, E = game.generator, game.encoder
    assert E is not None
    found = game.latent_path(state_of(game), REAL, LATENT, U)
    for i in range(BATCH):
        code = U[i] * E(REAL[i : i + 1]) + (1 - U[i]) * LATENT[i : i + 1]
        same(found[i : i + 1], G(code).detach(), tolerance=1e-12)


def test_the_path_leads_from_the_fake_to_the_rebuilt_real() -> None:
    game = with_encoder()
    assert game.encoder is not None
    state, zero = state_of(game), torch.zeros(BATCH, dtype=torch.float64)
    same(game.latent_path(state, REAL, LATENT, zero), game.generator(LATENT).detach())
    rebuilt = game.generator(game.encoder(REAL)).detach()
    same(game.latent_path(state, REAL, LATENT, zero + 1), rebuilt)


@pytest.mark.parametrize("differentiate", [AUTOGRAD, FUNC], ids=["autograd", "func"])
def test_a_step_is_the_textbooks_for_d_and_for_e(differentiate: Differentiation) -> None:
    game = with_encoder()
    new, metrics = discriminator_step(game, differentiate, state_of(game), {}, 0.5, REAL, LATENT, U)

    D, G, E = game.discriminator, game.generator, game.encoder
    assert E is not None
    u = U[:, None]
    x = G(u * E(REAL) + (1 - u) * LATENT).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(D(x).sigmoid().sum(), x, create_graph=True)
    penalty = 10 * gradient.square().sum(1).mean()
    loss = softplus(-D(REAL)).mean() + softplus(D(G(LATENT).detach())).mean() + penalty
    same(metrics[:2], torch.stack([loss, penalty]).detach(), tolerance=1e-12)
    for name, grad in zip(
        parameters(D), torch.autograd.grad(loss, list(D.parameters())), strict=True
    ):
        same(new["d"][name], parameters(D)[name] - 0.05 * grad)

    codes = E(REAL)
    apart = (codes.mean(0) ** 2 + (codes.std(0, correction=0) - 1) ** 2).sum()
    rebuilt = torch.nn.functional.mse_loss(G(codes), REAL) / REAL.var(0, correction=0).mean()
    of_e = 10 * (rebuilt + apart)
    grads = torch.autograd.grad(of_e, list(E.parameters()))
    for name, grad in zip(parameters(E), grads, strict=True):
        same(new["encoder"][name], parameters(E)[name] - 0.05 * grad, tolerance=1e-6)
        assert (new["encoder"][name] - parameters(E)[name]).abs().max() > 1e-6


def test_the_encoders_loss_vanishes_for_standard_codes_that_rebuild() -> None:
    codes = normal(1000, 3, seed=4)
    codes = (codes - codes.mean(0)) / codes.std(0, correction=0)
    assert float(normality(codes)) == pytest.approx(0, abs=1e-9)
    assert float(rebuilding(codes, codes)) == 0
    assert float(rebuilding(codes, codes.mean(0).expand_as(codes))) == pytest.approx(1)
    assert float(encoder_loss(codes, codes + 2, codes)) == pytest.approx(10 * 4, abs=1e-8)
    assert float(normality(codes + 2)) == pytest.approx(3 * 2**2, abs=1e-9)
    assert float(normality(3 * codes)) == pytest.approx(3 * (3 - 1) ** 2, abs=1e-9)


def test_codes_that_are_all_the_same_have_a_finite_gradient() -> None:
    codes = torch.ones(5, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(normality(codes), codes)
    assert bool(torch.isfinite(gradient).all())


def test_a_path_is_needed_for_the_measure_that_follows_it() -> None:
    with pytest.raises(ValueError, match="no path"):
        Penalty("latent_path").points(REAL, REAL, U, REAL[:0])


def test_without_an_encoder_the_measure_is_refused_and_codes_have_to_fit() -> None:
    with pytest.raises(BadInput, match="needs an encoder"):
        setup(config_of("penalty=zero_gp_latent_path"))
    with pytest.raises(BadInput, match=r"probe\.latent_paths: needs an architecture"):
        setup(config_of("probe=[latent_paths]", base=WITHOUT_PROBES))
    with pytest.raises(BadInput, match=r"architecture\.encoder: gives codes of shape \[5\]"):
        setup(config_of(*ENCODED, "architecture.encoder.outputs=5"))


def test_an_extended_run_trains_its_encoder_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    once = trained(*ENCODED, "steps=8", f"out={tmp_path / 'once'}")
    for steps in (4, 8):
        twice = trained(*ENCODED, f"steps={steps}", f"out={tmp_path / 'twice'}")
    (step, whole), (_, parts) = final(once), final(twice)
    assert step == 8
    assert any(name.startswith("encoder/") for name in whole)
    same(parts, whole, tolerance=0)
    untrained = setup(once.config).initial_encoder
    assert untrained is not None
    assert all(
        not torch.equal(whole[f"encoder/{name}"], start) for name, start in untrained.items()
    )


def test_the_probe_of_paths_stores_them_from_fakes_to_rebuilt_reals(tmp_path: Path) -> None:
    more = ("probe=[latent_paths]", "probe.latent_paths.count=7", "probe.latent_paths.points=5")
    run = trained(*ENCODED, *more, "steps=3", f"out={tmp_path}", base=WITHOUT_PROBES)
    arrays, net = run.arrays("latent_paths", 3), load(run.path)
    assert arrays["path"].shape == (7, 5, 2)
    codes = torch.tensor(arrays["codes"], dtype=torch.float32)
    with torch.no_grad():
        same(torch.tensor(arrays["path"][:, -1]), net.generator(codes).double(), tolerance=1e-5)
    missed = next(line["latent_paths/missed"] for line in run.metrics() if line["step"] == 3
                  and "latent_paths/missed" in line)  # fmt: skip
    distance = np.linalg.norm(arrays["path"][:, -1] - arrays["real"], axis=1)
    assert missed == pytest.approx(np.median(distance))


def test_stacked_runs_train_their_encoders_as_each_alone(tmp_path: Path) -> None:
    more = (*ENCODED, "precision=fp64", "steps=20", "optimizer.lr=0.05")
    configs = [config_of(*more, f"seed={seed}", f"out={tmp_path / 'stack'}") for seed in (0, 1)]
    together = [outcome.folder for outcome in train(configs, progress=False)]
    assert [folder.status["stack"] for folder in together] == [2, 2]
    for seed, folder in enumerate(together):
        alone = trained(*more, f"seed={seed}", f"out={tmp_path / 'alone'}")
        assert alone.status["stack"] == 1
        (_, stacked), (_, single) = final(folder), final(alone)
        assert any(name.startswith("encoder/") for name in single)
        same(stacked, single, tolerance=1e-9)
