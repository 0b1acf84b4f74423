"""Corrections of D's negatives are anomalous's Eqs. 12 and 13 and its sample correction."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from games import NONE, game
from helpers import built, copied, normal, parameters, same, small_mlp
from iterations import BATCH, data, started
from labelled import CLASSES, Conditional
from torch import Tensor
from torch.func import functional_call

from gp_lab.objectives.classification import AuxiliaryClassifier
from gp_lab.objectives.constraints import NoConstraint
from gp_lab.objectives.corrections import (
    Correction,
    Given,
    NoCorrection,
    PixelCombination,
    SampleCorrection,
    SampleCorrectionAndCombination,
    combined,
    of_others,
)
from gp_lab.objectives.losses import NonSaturating, Wasserstein
from gp_lab.objectives.reality import Reality, Tensors, dif
from gp_lab.objectives.squares import has_squares
from gp_lab.training.optimizers import SGD
from gp_lab.training.step import AUTOGRAD, FUNC, Game, discriminator_step, start_state

RATE = 0.3


@dataclass(frozen=True)
class RightOf(Reality):
    """Realistic is what lies to the right of a place."""

    x: float = 0.0

    def realistic(self, x: Tensor, state: Tensors) -> Tensor:
        return x[:, 0] > self.x


def step(g: Game, batch: dict[str, Any], way: Any = AUTOGRAD) -> tuple[dict[str, Any], Tensor]:
    given = (batch["real"], batch["latent"], batch["u"], (), batch["drawn"])
    return discriminator_step(g, way, copied(started(g)), {}, 1.0, *given)


def plain(correction: Correction) -> Game:
    return game(NonSaturating(), NONE, SGD(RATE), correction=correction)


def assert_step_of(g: Game, batch: dict[str, Any], objective: Any) -> None:
    """D's step goes down the slope of `objective`(f), f being D under its parameters."""
    params = {k: p.requires_grad_() for k, p in parameters(g.discriminator).items()}
    value = objective(lambda x: functional_call(g.discriminator, params, (x,)))
    grads = torch.autograd.grad(value, list(params.values()))
    for way in (AUTOGRAD, FUNC):
        state, metrics = step(g, batch, way)
        named = dict(zip(g.metrics_of_d, metrics, strict=True))
        same(named["loss_d"], value.detach())
        wanted = {k: p.detach() - RATE * s for (k, p), s in zip(params.items(), grads, strict=True)}
        same(state["d"], wanted)


PHI, VARPHI = NonSaturating().phi, NonSaturating().varphi


# Pixel-wise combinations


@pytest.mark.parametrize("weight", [0.5, 0.2, 1.0])
def test_pcr_is_eq_13_with_the_averages_of_neighbours_in_a_batch(weight: float) -> None:
    g, batch = plain(PixelCombination(weight=weight)), data(0)
    real, fake = batch["real"], g.generator(batch["latent"]).detach()
    averages = torch.stack([(real[i] + real[(i + 1) % BATCH]) / 2 for i in range(BATCH)])

    def eq13(f: Any) -> Tensor:
        of_fakes, of_combined = PHI(f(fake)).mean(), PHI(f(averages)).mean()
        return VARPHI(f(real)).mean() + (1 - weight) * of_fakes + weight * of_combined

    assert_step_of(g, batch, eq13)
    named = dict(zip(g.metrics_of_d, step(g, batch)[1], strict=True))
    same(named["f_combined"], g.discriminator(averages).mean().detach())
    same(named["f_fake"], g.discriminator(fake).mean().detach())


def test_precomputed_combinations_are_those_that_were_drawn() -> None:
    g = plain(PixelCombination(pairs="precomputed", operation="and_or"))
    batch = data(0)
    fake, others = g.generator(batch["latent"]).detach(), batch["drawn"]["combined"]
    assert_step_of(
        g,
        batch,
        lambda f: (
            VARPHI(f(batch["real"])).mean() + (PHI(f(fake)).mean() + PHI(f(others)).mean()) / 2
        ),
    )


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0)])
def test_on_binary_images_the_operations_are_pythons(low: float, high: float) -> None:
    one, other = (normal(4, 1, 3, 3, seed=i) > 0 for i in (1, 2))

    def seen(x: Tensor) -> Tensor:
        return torch.where(x, high, low)

    a, b = seen(one), seen(other)
    assert torch.equal(combined("and", a, b), seen(one & other))
    assert torch.equal(combined("or", a, b), seen(one | other))
    by_turns = torch.stack([(one | other)[i] if i % 2 else (one & other)[i] for i in range(4)])
    assert torch.equal(combined("and_or", a, b), seen(by_turns))
    assert torch.equal(combined("average", a, b), (a + b) / 2)


# Sample correction


def test_what_is_discarded_gives_its_weight_to_the_others_and_never_all_is() -> None:
    weights = of_others(torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0]).double())
    same(weights, torch.tensor([0, 5, 0, 5, 5]).double() / 3)
    assert torch.equal(of_others(torch.ones(3)), torch.ones(3))
    assert torch.equal(of_others(torch.zeros(3)), torch.ones(3))


@pytest.mark.parametrize("share", ["some", "all"])
def test_sc_discards_what_is_realistic_unless_that_is_all(share: str) -> None:
    batch = data(0)
    fake = plain(NoCorrection()).generator(batch["latent"]).detach()
    at = float(fake[:, 0].median()) if share == "some" else -100.0
    g = plain(SampleCorrection(measure=RightOf(at)))
    kept = fake[fake[:, 0] <= at] if share == "some" else fake
    assert_step_of(g, batch, lambda f: VARPHI(f(batch["real"])).mean() + PHI(f(kept)).mean())
    realistic = dict(zip(g.metrics_of_d, step(g, batch)[1], strict=True))["realistic"]
    same(realistic, (fake[:, 0] > at).double().mean())


def test_sc_replaces_by_the_first_further_fake_that_is_not_realistic() -> None:
    rows = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    further = torch.tensor([[9, 9], [-1, 9], [-2, -3], [2, -4], [2, 3], [-5, 3]]).double()
    fake = torch.stack([rows.double(), torch.arange(6).double()], dim=1)
    latents = torch.stack([further, further + 100], dim=2)
    correction = SampleCorrection(measure=RightOf(0.5), mode="replace", candidates=2)
    given = Given({"candidates": latents}, {}, lambda z: z)
    points, weights, realistic = correction.negatives(fake, fake, given)
    wanted = [[0, 0], [0, 1], [-2, 98], [-4, 96], [1, 4], [-5, 95]]
    assert points.tolist() == wanted
    assert weights is None
    assert realistic is not None
    assert realistic.tolist() == [False, False, True, True, True, True]


def test_sc_and_pcr_weigh_the_fakes_that_are_left_as_much_as_the_combinations() -> None:
    batch = data(0)
    fake = plain(NoCorrection()).generator(batch["latent"]).detach()
    at = float(fake[:, 0].median())
    both = SampleCorrectionAndCombination(
        measure=RightOf(at), pairs="precomputed", operation="and_or", weight=0.3
    )
    g, others = plain(both), batch["drawn"]["combined"]
    kept = fake[fake[:, 0] <= at]
    assert_step_of(
        g,
        batch,
        lambda f: (
            VARPHI(f(batch["real"])).mean()
            + 0.7 * PHI(f(kept)).mean()
            + 0.3 * PHI(f(others)).mean()
        ),
    )
    assert g.metrics_of_d[-2:] == ("realistic", "f_combined")


def drawn_squares(*corners: tuple[int, int], side: int = 16, square: int = 4) -> Tensor:
    image = -torch.ones(1, 1, side, side)
    for top, left in corners:
        image[..., top : top + square, left : left + square] = 1
    return image


def test_squares_are_counted_where_they_touch_and_not_where_they_overlap_or_lack_a_pixel() -> None:
    cases = {
        ((0, 0), (12, 12)): True,
        ((3, 5), (3, 9)): True,  # side by side
        ((3, 5), (7, 7)): True,  # one below the other
        ((3, 5), (5, 7)): False,  # they overlap
        ((3, 5),): False,
        (): False,
        ((0, 0), (0, 8), (8, 0)): False,
    }
    images = torch.cat([drawn_squares(*corners) for corners in cases])
    assert has_squares(images, 2, 4).tolist() == list(cases.values())
    assert torch.equal(torch.vmap(lambda x: has_squares(x, 2, 4))(images[None])[0],
                       has_squares(images, 2, 4))  # fmt: skip
    holed = drawn_squares((0, 0), (12, 12))
    holed[..., 1, 1] = -1
    dotted = drawn_squares((0, 0), (12, 12))
    dotted[..., 8, 2] = 0.5
    for image in (holed, dotted):
        assert not has_squares(image, 2, 4)
        assert has_squares(image, 2, 4, tolerance=1)


def test_dif_is_the_normalised_distance_to_the_nearest() -> None:
    x, training = normal(5, 1, 3, 3, seed=1), normal(7, 1, 3, 3, seed=2)
    distances = torch.cdist(x.flatten(1), training.flatten(1)).amin(1)
    same(dif(x, training), distances / 6)  # (1 - -1) sqrt(9)
    corner = torch.ones(1, 1, 3, 3).double()
    same(dif(-corner, corner), torch.ones(1).double())


# Beside other parts


def test_without_a_correction_a_step_is_the_one_that_it_was_bit_for_bit() -> None:
    g, batch = plain(NoCorrection()), data(0)
    state = started(g)
    params = {k: p.requires_grad_() for k, p in parameters(g.discriminator).items()}
    fake = g.generator(batch["latent"]).detach()
    f = functional_call(g.discriminator, params, (torch.cat([batch["real"], fake]),))
    f_real, f_fake = f.split([BATCH, BATCH])
    value = PHI(f_fake).mean() + VARPHI(f_real).mean()
    grads = torch.autograd.grad(value, list(params.values()))
    of_d = dict(zip(params, grads, strict=True))
    d, _ = g.optimizer.update(state["d"], of_d, state["d_optimizer"], g.optimizer.lr)
    new, metrics = step(g, batch)
    assert all(torch.equal(new["d"][k], p) for k, p in d.items())
    assert torch.equal(metrics[[0, 3, 4]], torch.stack([value, f_real.mean(), f_fake.mean()]))
    assert len(metrics) == 5
    assert "correction" not in state


def test_a_discriminator_with_batch_norm_judges_fakes_and_combinations_in_calls_of_their_own() -> (
    None
):
    normed = small_mlp(seed=1, norm="batch", bias=False)
    g, batch = replace(plain(PixelCombination()), discriminator=normed), data(0)
    real, fake = batch["real"], g.generator(batch["latent"]).detach()
    averages = combined("average", real, real.roll(-1, 0))
    assert_step_of(
        g,
        batch,
        lambda f: VARPHI(f(real)).mean() + (PHI(f(fake)).mean() + PHI(f(averages)).mean()) / 2,
    )


@pytest.mark.parametrize("head", [False, True])
def test_classes_are_those_of_the_rows_and_a_head_learns_from_the_fakes_alone(head: bool) -> None:
    correction = SampleCorrectionAndCombination(
        measure=RightOf(-100), mode="replace", candidates=2, weight=0.5
    )
    g = Game(
        discriminator=Conditional(None, 1, 0 if head else CLASSES, CLASSES if head else 0),
        generator=Conditional(2, 2),
        loss=Wasserstein(),
        penalty=NONE,
        constraint=NoConstraint(),
        optimizer=SGD(RATE),
        classification=AuxiliaryClassifier(0.7, 0.3, fakes=True) if head else None,
        correction=correction,
    )
    batch, y = data(0), torch.arange(BATCH) % CLASSES
    real, latent = batch["real"], batch["latent"]
    state = start_state(g, parameters(g.discriminator), parameters(g.generator), BATCH, (2,))
    given = (real, latent, batch["u"], (y,), batch["drawn"])
    _, metrics = discriminator_step(g, AUTOGRAD, state, {}, 1.0, *given)
    named = dict(zip(g.metrics_of_d, metrics, strict=True))

    def judged(x: Tensor) -> Any:
        return g.discriminator(x) if head else (g.discriminator(x, y), None)

    fake, averages = g.generator(latent, y), combined("average", real, real.roll(-1, 0))
    (f_fake, kinds), (f_others, _), (_, of_real) = map(judged, (fake, averages, real))
    same(named["f_fake"], f_fake.mean().detach())
    same(named["f_combined"], f_others.mean().detach())
    if head:
        assert g.classification is not None
        same(named["loss_class_d"], g.classification.of_d(of_real, kinds, y).detach())


def test_the_penalty_sees_the_fakes_as_they_were_replaced() -> None:
    replaced = SampleCorrection(measure=RightOf(-100), mode="replace", candidates=1)
    g = replace(plain(replaced), penalty=built("penalty", "mu_fake"))
    batch = data(0)
    others = replace(g, correction=SampleCorrection(measure=RightOf(100), mode="replace"))
    a, b = (dict(zip(x.metrics_of_d, step(x, batch)[1], strict=True)) for x in (g, others))
    same(a["penalty"], b["penalty"])  # all are realistic, the further ones too: all stay
    away = replace(g, correction=SampleCorrection(measure=RightOf(0.0), mode="replace"))
    assert (g.generator(batch["latent"])[:, 0] > 0).any()
    c = dict(zip(away.metrics_of_d, step(away, batch)[1], strict=True))
    assert c["penalty"] != b["penalty"]
