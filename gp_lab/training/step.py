"""One step of a GAN, a pure function of (parameters, hyper-parameters, data, noise).

Nothing here knows of devices, files, replicas or compilers: `engine.py` wraps these functions.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gp_lab.networks.conditional import classes_of
from gp_lab.objectives.classification import AuxiliaryClassifier
from gp_lab.objectives.constraints import Constraint
from gp_lab.objectives.corrections import Correction, Given, Negatives, NoCorrection
from gp_lab.objectives.encoders import encoder_loss, of_batch
from gp_lab.objectives.losses import Loss, mean, of_discriminator, of_generator
from gp_lab.objectives.penalties import Critic, InputGradient, NoPenalty, interpolate
from gp_lab.objectives.shard import Shard
from gp_lab.training.calling import Places, called, places_of
from gp_lab.training.optimizers import Optimizer, Tensors
from gp_lab.training.sums import share_of, totals_of

State = dict[str, Any]
"""What a step changes: nested dicts of tensors.

    d, g: parameters; d_optimizer, g_optimizer; constraint: its own; hardest [k, ...]: the points
    carried over by a maximum; average: of the generator's parameters ({} without one);
    encoder, encoder_optimizer: only of an architecture that has an encoder; correction: what a
    correction of D's negatives has to know, only where that is something.
"""

Hyper = Mapping[str, Mapping[str, Any]]
"""part -> field -> tensor, for the numbers that differ between stacked replicas."""

Labels = tuple[Tensor, ...]
"""(the classes int64 [batch],), or () for networks without classes."""

Drawn = Mapping[str, Tensor]
"""What a correction of D's negatives draws for a batch, [batch, ...] each."""

D_METRICS = ("loss_d", "penalty", "gradient_norm", "f_real", "f_fake")
G_METRICS = ("loss_g",)


@dataclass(frozen=True)
class Game:
    """The parts of a run that do not change while it trains.

    The networks give structure only; their parameters travel in the state. With a `shard` the data
    and noise of a step are one rank's, and the new state is the same on all ranks.
    """

    discriminator: nn.Module
    generator: nn.Module
    loss: Loss
    penalty: NoPenalty
    constraint: Constraint
    optimizer: Optimizer
    average: float = 0.0
    autocast: bool = False
    encoder: nn.Module | None = None
    classification: AuxiliaryClassifier | None = None
    shard: Shard | None = None
    correction: Correction = field(default_factory=NoCorrection)

    def with_hyper(self, hyper: Hyper) -> "Game":
        """The same game with some parts' numbers replaced (by tensors, one per replica)."""
        if not hyper:
            return self
        parts = {part: replace(getattr(self, part), **values) for part, values in hyper.items()}
        return replace(self, **parts)

    def critic(self, params: Tensors, labels: Labels = ()) -> Critic:
        """Points [batch, ...] to logits f [batch] under these parameters.

        Points may be several batches, one after another: each has the classes of the batch.
        """
        return lambda x: self.judge(params, x, labels)[0]

    def judge(self, params: Tensors, x: Tensor, labels: Labels = ()) -> tuple[Tensor, Tensor]:
        """f [batch] and class logits [batch, classes] ([batch, 0] without an AC-GAN head)."""
        out = self._call(self.discriminator, params, x, labels)
        return out if isinstance(out, tuple) else (out, out.new_empty(len(out), 0))

    def judge_both(
        self, params: Tensors, real: Tensor, fake: Tensor, labels: Labels
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """`judge` of reals [batch, ...] and of fakes [k batch, ...], in one call where it may be,
        else in one for each batch."""
        if not self.joint:
            parts = [self.judge(params, x, labels) for x in fake.split(len(real))]
            f, kinds = map(torch.cat, zip(*parts, strict=True))
            return self.judge(params, real, labels), (f, kinds)
        f, kinds = self.judge(params, torch.cat([real, fake]), labels)
        sizes = [len(real), len(fake)]
        (f_real, f_fake), (as_real, as_fake) = f.split(sizes), kinds.split(sizes)
        return (f_real, as_real), (f_fake, as_fake)

    def generate(self, params: Tensors, latent: Tensor, labels: Labels = ()) -> Tensor:
        """Latents [batch, ...] (and the classes to make) to fakes [batch, ...]."""
        return self._call(self.generator, params, latent, labels)

    def encode(self, params: Tensors, real: Tensor) -> Tensor:
        """Reals [batch, ...] to latent codes [batch, ...]."""
        assert self.encoder is not None
        return self._call(self.encoder, params, real)

    def latent_path(self, state: State, real: Tensor, latent: Tensor, u: Tensor) -> Tensor:
        """G(u E(x) + (1 - u) z) [batch, ...] for pairs of reals x and latents z, u [batch].

        zero_gp, App. F, Algorithm 1: from the fake G(z), at u = 0, to G(E(x)).
        """
        codes = self.encode(state["encoder"], real)
        return self.generate(state["g"], interpolate(codes, latent, u))

    def _call(self, net: nn.Module, params: Tensors, x: Tensor, labels: Labels = ()) -> Any:
        given = tuple(y.repeat(len(x) // len(y)) for y in labels) if classes_of(net) else ()
        with torch.autocast(x.device.type, torch.bfloat16) if self.autocast else nullcontext():
            if torch.compiler.is_compiling() or net not in self.places:
                out = functional_call(net, params, (x, *given))
            else:
                out = called(net, self.places[net], params, (x, *given))
        return tuple(o.to(x.dtype) for o in out) if isinstance(out, tuple) else out.to(x.dtype)

    @property
    def classes(self) -> int:
        """How many classes the networks take or tell apart; 0 where they know of none."""
        head = getattr(self.discriminator, "head_classes", 0)
        return classes_of(self.generator) or classes_of(self.discriminator) or head

    @property
    def metrics_of_d(self) -> tuple[str, ...]:
        """What a step of D reports."""
        of_classes = ("loss_class_d",) if self.classification else ()
        return D_METRICS + self.correction.metrics + of_classes

    @property
    def metrics_of_g(self) -> tuple[str, ...]:
        """What a step of G reports."""
        return G_METRICS + (("loss_class_g",) if self.classification else ())

    @property
    def networks(self) -> dict[str, nn.Module]:
        """generator, discriminator and, where there is one, encoder."""
        nets = {"generator": self.generator, "discriminator": self.discriminator}
        return nets if self.encoder is None else nets | {"encoder": self.encoder}

    @cached_property
    def places(self) -> dict[nn.Module, Places]:
        """Where the networks keep their parameters; of those alone whose layers share none."""
        found = {net: places_of(net) for net in self.networks.values()}
        return {net: places for net, places in found.items() if places is not None}

    @property
    def normed(self) -> list[str]:
        """Which networks have batch norm, which couples the samples of a batch."""
        return [name for name, net in self.networks.items() if has_batch_norm(net)]

    @property
    def joint(self) -> bool:
        """Reals and fakes may go through D in one batch: no layer couples the samples."""
        if torch.compiler.is_compiling():  # which knows of no `cached_property`
            return not has_batch_norm(self.discriminator)
        return not self._coupled

    @cached_property
    def _coupled(self) -> bool:
        return has_batch_norm(self.discriminator)


class Differentiation(NamedTuple):
    """How gradients are taken: by plain autograd or by torch.func."""

    of_inputs: InputGradient
    of_parameters: Callable[[Callable[[Tensors], tuple[Tensor, Any]], Tensors], tuple[Tensors, Any]]


def _autograd_of_inputs(critic: Critic, points: Tensor) -> Tensor:
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        return torch.autograd.grad(critic(points).sum(), points, create_graph=True)[0]


def _autograd_of_parameters(
    objective: Callable[[Tensors], tuple[Tensor, Any]], params: Tensors
) -> tuple[Tensors, Any]:
    with torch.enable_grad():
        leaves = {k: p.detach().requires_grad_() for k, p in params.items()}
        value, rest = objective(leaves)
        grads = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, grads, strict=True)), rest


def _func_of_inputs(critic: Critic, points: Tensor) -> Tensor:
    return torch.func.grad(lambda x: critic(x).sum())(points)


def _func_of_parameters(
    objective: Callable[[Tensors], tuple[Tensor, Any]], params: Tensors
) -> tuple[Tensors, Any]:
    return torch.func.grad(objective, has_aux=True)(params)


AUTOGRAD = Differentiation(_autograd_of_inputs, _autograd_of_parameters)
FUNC = Differentiation(_func_of_inputs, _func_of_parameters)


def discriminator_step(
    game: Game,
    differentiate: Differentiation,
    state: State,
    hyper: Hyper,
    lr: Tensor | float,
    real: Tensor,
    latent: Tensor,
    u: Tensor,
    labels: Labels = (),
    drawn: Drawn | None = None,
    asked: Tensor | None = None,
) -> tuple[State, Tensor]:
    """One update of D: the new state and `game.metrics_of_d` as a vector.

    real [batch, ...], latent [batch, ...], u [batch] uniform in [0, 1]; lr multiplies the
    optimiser's rate; labels are the reals' classes, and what the fakes are made as; drawn is what
    the correction asked for. f_real and f_fake are the batch's means before the update. An encoder,
    where there is one, takes a step of its own beside D, at D's rate. `asked` [1] is another number
    of each rank, whose sum over the ranks comes after the metrics.
    """
    game = game.with_hyper(hyper)
    shard, n = game.shard, len(real)
    negatives = _negatives(game, state, real, latent, labels, drawn)
    constraint = game.constraint.prepare(state["d"], state["constraint"])
    penalised = game.penalty.measure != "none"
    points = _penalised(game, state, real, negatives.points[:n], latent, u) if penalised else real
    keep = state["hardest"].shape[0]

    def objective(params: Tensors) -> tuple[Tensor, Any]:
        weights = game.constraint.apply(params, constraint)
        (f_real, as_real), (f, kinds) = game.judge_both(weights, real, negatives.points, labels)
        value = of_discriminator(game.loss, f_real, f, negatives.weights)
        penalty, norm, hardest = torch.zeros_like(value), torch.zeros_like(value), points[:0]
        if penalised:
            penalty, norm, hardest = game.penalty(
                game.critic(weights, labels), points, differentiate.of_inputs, keep, shard
            )
            value = value + penalty
        metrics = [value, penalty, norm, f_real.mean(), f[:n].mean()]
        metrics += _of_correction(game, negatives, f[n:])
        if game.classification is not None:
            of_classes = game.classification.of_d(as_real, kinds[:n], *labels)
            value = value + of_classes
            metrics.append(of_classes)
        value, shares = share_of(shard, value, torch.stack(metrics).detach())
        return value, (shares, hardest.detach())

    grads, (metrics, hardest) = differentiate.of_parameters(objective, state["d"])
    if shard is not None:
        metrics = metrics if asked is None else torch.cat([metrics, asked])
        grads, metrics, hardest = totals_of(shard, grads, metrics, hardest)
    grads = game.constraint.pull(state["d"], grads)
    d, optimizer = game.optimizer.update(
        state["d"], grads, state["d_optimizer"], lr * game.optimizer.lr
    )
    new = {"d": game.constraint.project(d), "d_optimizer": optimizer, "constraint": constraint}
    if game.encoder is not None:
        new |= _encoder_step(game, differentiate, state, lr, real)
    return state | new | ({"hardest": hardest} if keep else {}), metrics


def _negatives(
    game: Game, state: State, real: Tensor, latent: Tensor, labels: Labels, drawn: Drawn | None
) -> Negatives:
    """What D is told is not real: the fakes, as the game's correction has them."""

    def make(z: Tensor) -> Tensor:
        return game.generate(state["g"], z, labels).detach()

    given = Given(drawn or {}, state.get("correction", {}), make, game.shard)
    return game.correction.negatives(real, make(latent), given)


def _penalised(
    game: Game, state: State, real: Tensor, fake: Tensor, latent: Tensor, u: Tensor
) -> Tensor:
    """Where D's gradient is penalised."""
    path = partial(game.latent_path, state, real, latent)
    carried = state["hardest"] if game.shard is None else state["hardest"][game.shard.rows]
    return game.penalty.points(real, fake, u, carried, path)


def _of_correction(game: Game, negatives: Negatives, f_combined: Tensor) -> list[Tensor]:
    """The correction's own metrics."""
    known = {"realistic": negatives.realistic, "f_combined": f_combined}
    found = [known[name] for name in game.correction.metrics]
    return [x.to(f_combined.dtype).mean() for x in found if x is not None]


def _encoder_step(
    game: Game, differentiate: Differentiation, state: State, lr: Tensor | float, real: Tensor
) -> State:
    """One update of E against G as it is: the entries of the state that it changes."""

    def objective(params: Tensors) -> tuple[Tensor, Any]:
        codes = game.encode(params, real)
        mean = of_batch if shard is None else shard.mean
        value = encoder_loss(real, game.generate(state["g"], codes), codes, mean)
        return share_of(shard, value, value.detach())

    shard = game.shard
    grads, _ = differentiate.of_parameters(objective, state["encoder"])
    if shard is not None:
        (grads,) = totals_of(shard, grads)
    encoder, optimizer = game.optimizer.update(
        state["encoder"], grads, state["encoder_optimizer"], lr * game.optimizer.lr
    )
    return {"encoder": encoder, "encoder_optimizer": optimizer}


def generator_step(
    game: Game,
    differentiate: Differentiation,
    state: State,
    hyper: Hyper,
    lr: Tensor | float,
    latent: Tensor,
    labels: Labels = (),
    real: Tensor | None = None,
) -> tuple[State, Tensor]:
    """One update of G (and of its average): the new state and `game.metrics_of_g` as a vector.

    latent [batch, ...]; lr multiplies the optimiser's rate; labels are the classes to make, and
    those of real [batch, ...], which a loss of pairs needs.
    """
    game = game.with_hyper(hyper)
    d = game.constraint.apply(state["d"], state["constraint"])
    f_real = None if real is None else game.critic(d, labels)(real)

    def objective(params: Tensors) -> tuple[Tensor, Any]:
        f_fake, as_fake = game.judge(d, game.generate(params, latent, labels), labels)
        value = mean(of_generator(game.loss, f_fake, f_real))
        metrics = [value]
        if game.classification is not None:
            of_classes = game.classification.of_g(as_fake, *labels)
            value = value + of_classes
            metrics.append(of_classes)
        return share_of(game.shard, value, torch.stack(metrics).detach())

    grads, metrics = differentiate.of_parameters(objective, state["g"])
    if game.shard is not None:
        grads, metrics = totals_of(game.shard, grads, metrics)
    g, optimizer = game.optimizer.update(
        state["g"], grads, state["g_optimizer"], lr * game.optimizer.lr
    )
    average = {k: torch.lerp(g[k], a, game.average) for k, a in state["average"].items()}
    return state | {"g": g, "g_optimizer": optimizer, "average": average}, metrics


def start_state(
    game: Game,
    d: Tensors,
    g: Tensors,
    batch_size: int,
    shape: tuple[int, ...],
    encoder: Tensors | None = None,
    correction: Tensors | None = None,
) -> State:
    """The state before the first step, from initial parameters and the shape of one sample.

    `correction`: what the game's own makes of the run.
    """
    some = next(iter(d.values()))
    hardest = torch.full(
        (game.penalty.carried(batch_size), *shape), torch.nan, dtype=some.dtype, device=some.device
    )
    own: State = {"correction": correction} if correction else {}
    if encoder:
        own |= {"encoder": encoder, "encoder_optimizer": game.optimizer.start(encoder)}
    return own | {
        "d": d,
        "g": g,
        "d_optimizer": game.optimizer.start(d),
        "g_optimizer": game.optimizer.start(g) if g else {},
        "constraint": game.constraint.start(d),
        "hardest": hardest,
        "average": dict(g) if game.average > 0 else {},
    }


def has_batch_norm(net: nn.Module) -> bool:
    """Whether a layer of the network makes the samples of a batch depend on one another."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())
