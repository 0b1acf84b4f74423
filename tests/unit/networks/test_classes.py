"""Classes reach the networks: conditional generators and critics, and an AC-GAN head."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import copied, normal, parameters, same, stacked, uniform
from lab import config_of
from labelled import CLASSES, Conditional, tree
from torch import Tensor
from torch.nn.functional import cross_entropy

import gp_lab
from gp_lab.data.random import generator
from gp_lab.errors import BadInput
from gp_lab.objectives.classification import AuxiliaryClassifier
from gp_lab.objectives.constraints import NoConstraint
from gp_lab.objectives.losses import Wasserstein
from gp_lab.objectives.penalties import Penalty
from gp_lab.training.batches import draw_batches, stack_batches
from gp_lab.training.engine import make_engine
from gp_lab.training.optimizers import SGD
from gp_lab.training.setup import setup
from gp_lab.training.step import (
    AUTOGRAD,
    FUNC,
    Game,
    discriminator_step,
    generator_step,
    start_state,
)
from gp_lab.training.trainer import train
from gp_lab.training.views import view_of

BATCH, LR = 6, 0.1
each_engine = pytest.mark.parametrize("differentiate", [AUTOGRAD, FUNC], ids=["autograd", "func"])


def game(kind: str, penalty: Penalty) -> Game:
    """`labels`: D takes the classes; `head`: D tells them."""
    head = kind == "head"
    return Game(
        discriminator=Conditional(None, 1, 0 if head else CLASSES, CLASSES if head else 0),
        generator=Conditional(2, 2),
        loss=Wasserstein(),
        penalty=penalty,
        constraint=NoConstraint(),
        optimizer=SGD(LR),
        classification=AuxiliaryClassifier(0.7, 0.3) if head else None,
    )


def batch(seed: int = 0) -> Mapping[str, Tensor]:
    return {
        "real": normal(BATCH, 2, seed=seed),
        "latent": normal(BATCH, 2, seed=seed + 1),
        "u": uniform(BATCH, seed=seed + 2),
        "labels": torch.arange(BATCH) % CLASSES,
        "labels_g": (torch.arange(BATCH) + seed + 1) % CLASSES,
    }


def started(g: Game) -> dict[str, Any]:
    return start_state(g, parameters(g.discriminator), parameters(g.generator), BATCH, (2,))


def two_steps(step_d: Any, step_g: Any, state: dict[str, Any], b: Mapping[str, Tensor]) -> Any:
    lr = torch.ones((), dtype=torch.float64)
    state, of_d = step_d(state, {}, lr, b["real"], b["latent"], b["u"], (b["labels"],))
    state, of_g = step_g(state, {}, lr, b["latent"], (b["labels_g"],))
    return state, torch.cat([of_d, of_g], dim=-1)


def textbook(g: Game, b: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], Any]:
    """WGAN with a zero-centred penalty between pairs, weight 10, written out by hand."""
    d, gen = copy.deepcopy(g.discriminator), copy.deepcopy(g.generator)
    y = b["labels"]

    def judge(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if g.classification is not None:
            return d(x)
        return d(x, labels), torch.zeros(())

    fake = gen(b["latent"], y).detach()
    u = b["u"][:, None]
    between = (u * b["real"] + (1 - u) * fake).requires_grad_()
    f_real, kinds = judge(b["real"], y)
    f_fake, _ = judge(fake, y)
    slope = torch.autograd.grad(judge(between, y)[0].sum(), between, create_graph=True)[0]
    penalty = 10 * slope.square().sum(1).mean()
    loss_d = f_fake.mean() - f_real.mean() + penalty
    told = loss_d.item()
    if g.classification is not None:
        loss_d = loss_d + 0.7 * cross_entropy(kinds, y)
    for p, grad in zip(
        d.parameters(), torch.autograd.grad(loss_d, list(d.parameters())), strict=True
    ):
        p.data -= LR * grad
    f_fake, kinds = judge(gen(b["latent"], b["labels_g"]), b["labels_g"])
    loss_g = -f_fake.mean()
    if g.classification is not None:
        loss_g = loss_g + 0.3 * cross_entropy(kinds, b["labels_g"])
    of_g = torch.autograd.grad(loss_g, list(gen.parameters()))
    for p, grad in zip(gen.parameters(), of_g, strict=True):
        p.data -= LR * grad
    return parameters(d), parameters(gen), told


@each_engine
@pytest.mark.parametrize("kind", ["labels", "head"])
def test_a_step_with_classes_is_the_textbooks(kind: str, differentiate: Any) -> None:
    g, b = game(kind, Penalty("between", weight=10.0)), batch()
    state, metrics = two_steps(
        *(lambda *a, f=f: f(g, differentiate, *a) for f in (discriminator_step, generator_step)),
        started(g),
        b,
    )
    d, gen, loss_d = textbook(g, b)
    same(state["d"], d)
    same(state["g"], gen)
    assert metrics[0].item() == pytest.approx(loss_d)
    names = g.metrics_of_d + g.metrics_of_g
    assert len(metrics) == len(names)
    assert ("loss_class_d" in names) == (kind == "head")


@pytest.mark.parametrize("measure", ["real", "fake", "both", "midpoint"])
def test_penalised_points_have_the_classes_of_their_rows(measure: Any) -> None:
    g, b = game("labels", Penalty(measure, weight=10.0)), batch()
    params, y = parameters(g.discriminator), b["labels"]
    points = g.penalty.points(b["real"], b["latent"], b["u"], torch.empty(0, 2))
    expected = g.discriminator(points, y.repeat(len(points) // BATCH))
    same(g.critic(params, (y,))(points), expected)


@pytest.mark.parametrize("kind", ["labels", "head"])
def test_stacked_replicas_with_classes_are_what_they_are_alone(kind: str) -> None:
    g = game(kind, Penalty("both", "two_sided", center=1.0))
    state, batches = started(g), [batch(0), batch(5)]
    several = stacked([copied(state), copied(state)])
    engine = make_engine(g, "eager", stack=2)
    b = {k: torch.stack([one[k] for one in batches]) for k in batches[0]}
    lr = torch.ones(2, dtype=torch.float64)
    several, of_d = engine.discriminator_step(
        several, {}, lr, b["real"], b["latent"], b["u"], (b["labels"],)
    )
    several, of_g = engine.generator_step(several, {}, lr, b["latent"], (b["labels_g"],))
    alone = make_engine(g, "eager")
    for r, own in enumerate(batches):
        after, metrics = two_steps(
            alone.discriminator_step, alone.generator_step, copied(state), own
        )
        same({k: v[r] for k, v in several["d"].items()}, after["d"])
        same({k: v[r] for k, v in several["g"].items()}, after["g"])
        same(torch.cat([of_d[r], of_g[r]]), metrics)


@pytest.mark.seconds
def test_a_compiled_step_with_classes_is_the_eager_one() -> None:
    g, b = game("head", Penalty("between", weight=10.0)), batch()
    results = []
    for name in ("eager", "compiled"):
        engine = make_engine(g, name)
        results.append(two_steps(engine.discriminator_step, engine.generator_step, started(g), b))
    same(results[0][0]["d"], results[1][0]["d"])
    same(results[0][1], results[1][1])


def test_odenas_discriminator_learns_the_classes_of_fakes_too() -> None:
    logits, y = (normal(BATCH, CLASSES, seed=i) for i in (1, 2)), torch.arange(BATCH) % CLASSES
    real, fake = logits
    alone = AuxiliaryClassifier(2.0).of_d(real, fake, y)
    both = AuxiliaryClassifier(2.0, fakes=True).of_d(real, fake, y)
    same(alone, 2 * cross_entropy(real, y))
    same(both - alone, 2 * cross_entropy(fake, y))


def test_the_reals_of_a_batch_come_with_their_classes(tmp_path: Path) -> None:
    run = setup(config_of(base=tree(tmp_path)))
    block = draw_batches(run, 0)
    (labels,) = block.labels
    assert labels.shape == block.real.shape[:3]
    red = (block.real[..., 0, 0, 0] + 1) * 127.5
    assert torch.equal(red.round().long(), labels)
    (of_g,) = block.labels_g
    assert of_g.shape == block.latent_g.shape[:3]
    assert set(of_g.flatten().tolist()) == {0, 1, 2}
    twice = stack_batches([block, block])
    assert twice.labels[0].shape == (*labels.shape[:2], 2, labels.shape[2])


@pytest.mark.parametrize("conditioning", ["resnet_cifar_ac_gan", "resnet_cifar_projection"])
def test_a_conditional_run_trains_and_makes_what_it_is_asked_for(
    tmp_path: Path, conditioning: str
) -> None:
    config = config_of(f"architecture={conditioning}", base=tree(tmp_path))
    outcome = train([config], progress=False)[0]
    assert outcome.state == "finished"
    line = outcome.folder.metrics()[-1]
    assert ("loss_class_d" in line) == (conditioning == "resnet_cifar_ac_gan")
    assert len(outcome.folder.arrays("samples")["fake"]) == 9
    run = gp_lab.load(outcome.folder.path)
    latent, labels = torch.zeros(3, 5), torch.tensor([0, 1, 2])
    once, again = run.generator(latent, labels), run.generator(latent, labels.flip(0))
    assert torch.equal(once[1], again[1])
    assert not torch.allclose(once[0], once[2])


def test_fakes_are_of_every_class_and_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    run = setup(config_of(base=tree(tmp_path)))
    params = start_state(run.game, *run.initial, 6, run.dataset.shape)
    view = view_of(run, params, 0)
    assert view.classes == 3
    once, again = (view.fakes(generator(0, "fakes", 0), 14) for _ in range(2))
    assert torch.equal(once, again)
    latent = run.latent.draw(generator(0, "fakes", 0), 14)
    asked = view.fakes_of(latent, torch.zeros(14, dtype=torch.long))
    assert asked.shape == (14, 3, 32, 32)


REFUSED = {
    "classes of another number": (
        ("architecture.generator.classes=7",),
        "architecture.generator.classes=7: dataset=imagenet has 3 classes; set it to 3",
    ),
    "data without classes": (
        ("dataset=image_folder", "dataset.source.train=train"),
        "dataset=image_folder: has no classes, and architecture=resnet_cifar_ac_gan needs them",
    ),
    "a head without a loss": (
        ("architecture=resnet_cifar", "architecture.discriminator.head_classes=3"),
        "architecture.discriminator.head_classes=3: a head and its loss",
    ),
    "hardest points without classes": (
        ("architecture=resnet_cifar_projection", "penalty=max_gp", "batch_size=8"),
        "penalty.reduction=max: the hardest points carried over have no classes",
    ),
    "a probe that knows of no classes": (
        ("probe=[lines]",),
        "probe.lines: does not say which classes",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_the_classes_is_refused(tmp_path: Path, what: str) -> None:
    overrides, sentence = REFUSED[what]
    base = tree(tmp_path)
    if any(o.startswith("probe=") for o in overrides):
        base = tuple(o for o in base if not o.startswith("probe."))
    with pytest.raises(BadInput, match=re.escape(sentence)):
        setup(config_of(*overrides, base=base))


def test_an_encoder_is_refused_beside_a_generator_that_takes_classes(tmp_path: Path) -> None:
    config = config_of(base=tree(tmp_path))
    encoder = {"_target_": "gp_lab.networks.mlp.MLP", "inputs": [3, 32, 32], "outputs": 5}
    architecture = config["architecture"] | {"encoder": encoder}
    with pytest.raises(BadInput, match=r"architecture\.encoder: latent codes have no classes"):
        setup(config | {"architecture": architecture})
