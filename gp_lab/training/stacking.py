"""Which runs can be trained as one stack of replicas, and the tensors of what they differ in.

Replicas share what the step computes (the networks' shapes, the kind of loss, penalty, constraint
and update rule, the batch); they may differ in the numbers it computes with, which become tensors
with one entry for each replica, and in what it never sees but as tensors: the data that are drawn
for it and the rates of the schedule.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from gp_lab import machine
from gp_lab.errors import BadInput, show
from gp_lab.fields import Stackable, keys
from gp_lab.instantiate import resolve
from gp_lab.runs.identity import Config
from gp_lab.runs.settings import run_keys

if TYPE_CHECKING:  # the launchers ask for groups before anything heavy is imported
    from gp_lab.training.setup import Setup
    from gp_lab.training.step import Game, Hyper

PARTS = ("loss", "penalty", "constraint", "correction", "optimizer")
"""Groups whose parts the step computes with, and whose `Stackable` numbers it takes as tensors."""

DRAWN = ("gp_lab.data.points.Points", "gp_lab.data.images.Images")
"""Data sets and latents whose keys the step never sees but through the shape of a sample, which the
trainer compares."""

WORKING_COPIES = 6
"""How often the activations of a step are held at its peak: forward, gradient, its derivative."""


def structure(config: Config) -> Config:
    """What all runs of a stack have to share: the config without what may differ."""
    may_differ = run_keys(Stackable)
    kept = {k: v for k, v in config.items() if k not in may_differ}
    for part in PARTS:
        names = _numbers(_class_of(part, config))
        kept[part] = {k: _kind(k, v) if k in names else v for k, v in config[part].items()}
    kept["dataset"] = _drawn(config["dataset"])
    kept["architecture"] = config["architecture"] | {
        "latent": _drawn(config["architecture"].get("latent"))
    }
    return {k: _nameless(v) if k != "tracking" else v for k, v in kept.items()}


def structure_key(config: Config) -> str:
    """The structure as a text: equal for the runs that can be one stack."""
    return json.dumps(structure(config), sort_keys=True)


def differing(configs: Sequence[Config]) -> list[str]:
    """The keys, as they are written on the command line, that keep these runs from one stack.

    Of parts of several classes those that they have in common, and which classes they are.
    """
    found = [_flat(structure(config)) for config in configs]

    def several(key: str) -> bool:
        values = [flat[key] for flat in found if key in flat]
        return any(value != values[0] for value in values)

    def lacking(key: str) -> bool:
        of_class = f"{key.rpartition('.')[0]}._target_"
        return any(key not in flat for flat in found) and not several(of_class)

    return [k for k in sorted(set().union(*found)) if several(k) or lacking(k)]


def refuse_unlike(configs: Sequence[Config]) -> None:
    """Raises `BadInput` for configs that cannot be one stack, naming the key that forbids it."""
    for key in differing(configs)[:1] if len(configs) > 1 else []:
        values = dict.fromkeys(show(_flat(structure(c)).get(key)) for c in configs)
        numbers = [f"{p}.{n}" for p in PARTS for n in _numbers(_class_of(p, configs[0]))]
        raise BadInput(
            f"{key}={','.join(map(str, values))}: the runs of one stack cannot differ in {key};"
            " they share the step's structure and may differ in the seed, the data, the schedule"
            f" and {', '.join(numbers)}"
        )


class Unstackable(Exception):
    """These runs cannot be trained as one stack, or it would not pay; the message says why."""

    too_large = False


class Slower(Unstackable):
    """They would take longer than one after another, as was measured."""


class TooLarge(Unstackable):
    """A smaller stack may fit."""

    too_large = True


def refuse_to_stack(runs: Sequence["Setup"]) -> None:
    """Raises `Unstackable` where stacking does not pay or would mix up the runs, `TooLarge` where
    the process may not open as many files."""
    from gp_lab.training.engine import fits_a_core

    first = runs[0]
    if len(runs) > machine.runs_at_once():
        raise TooLarge(
            f"a stack of {len(runs)} needs more open files than the {machine.open_files()} that"
            " this process may have (ulimit -n raises that)"
        )
    if first.device.type == "cpu" and not fits_a_core(first.game):
        # A stack only adds traffic to the memory then.
        raise Unstackable("the networks' arithmetic fills the CPU, stacked or not")
    for run in runs[1:]:
        if run.dataset.shape != first.dataset.shape or run.latent.shape != first.latent.shape:
            raise Unstackable("the samples of these data sets differ in shape")
        if not _same_shapes(run, first):
            raise Unstackable("the samples that the correction compares with differ in number")
        if not _same_buffers(run.game, first.game):
            name = run.config["architecture"].get("name")
            raise Unstackable(f"architecture={name} has buffers that depend on the seed")


def _same_shapes(a: "Setup", b: "Setup") -> bool:
    """Whether what the correction puts into the state has one shape."""
    one, other = (
        {name: x.shape for name, x in run.game.correction.start(run).items()} for run in (a, b)
    )
    return one == other


def _same_buffers(a: "Game", b: "Game") -> bool:
    """A stack's step knows the networks' parameters; of the buffers it knows the first run's."""
    pairs = [(a.discriminator, b.discriminator), (a.generator, b.generator)]
    pairs += [(a.encoder, b.encoder)] if a.encoder and b.encoder else []
    return all(
        of_one.equal(of_other)
        for one, other in pairs
        for of_one, of_other in zip(one.buffers(), other.buffers(), strict=True)
    )


def stacked(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Trees of tensors as one tree with a replica dimension in front; one tree as it is."""
    import torch

    first, *others = states
    if not others:
        return dict(first)
    return {
        k: stacked([s[k] for s in states])
        if isinstance(first[k], dict)
        else torch.stack([s[k] for s in states])
        for k in first
    }


def one_of(state: dict[str, Any], replica: int, stack: int) -> dict[str, Any]:
    """One replica's tree out of a stack; copies, so that a saved slice does not hold the whole."""
    if stack == 1:
        return state
    return {
        k: one_of(v, replica, stack) if isinstance(v, dict) else v[replica].clone()
        for k, v in state.items()
    }


def stacked_numbers(runs: Sequence["Setup"]) -> "Hyper":
    """part -> number -> a tensor [replicas] (a tuple of them for betas and anchor), for `step`.

    Optimisers compute their corrections in float64; the other numbers are in the run's precision.
    """
    import torch

    def tensor(part: str, values: Sequence[Any]) -> Any:
        if isinstance(values[0], tuple):
            return tuple(tensor(part, column) for column in zip(*values, strict=True))
        dtype = torch.float64 if part == "optimizer" else runs[0].dtype
        return torch.tensor(values, dtype=dtype, device=runs[0].device)

    hyper: dict[str, dict[str, Any]] = {}
    for part in PARTS:
        own = [getattr(run.game, part) for run in runs]
        if names := _numbers(type(own[0])):
            hyper[part] = {n: tensor(part, [getattr(one, n) for one in own]) for n in names}
    return hyper


def bytes_per_replica(run: "Setup") -> int:
    """What one more replica adds to the memory of a stack at its peak, about.

    The state before and after an update and the gradients; the activations of D on reals, fakes
    and penalised points and of G, `WORKING_COPIES` times; a block of data and noise, twice while
    it is stacked. `scripts/bench.py replicas` prints it beside what was measured.
    """
    import torch

    from gp_lab.training.batches import batches_at_once, numbers_per_iteration
    from gp_lab.training.memory import activations, bytes_of_state

    s, game = run.settings, run.game
    passes = 3 if game.penalty.measure != "none" else 2
    if game.penalty.measure == "both":
        passes = 4
    if game.penalty.measure == "latent_path":
        passes += 1
    passes += game.correction.changes
    of_d = activations(game.discriminator, run.dataset.shape, run)
    of_g = activations(game.generator, run.latent.shape, run)
    work = WORKING_COPIES * s.batch_size * (passes * of_d + of_g)
    block = 2 * batches_at_once(run) * numbers_per_iteration(run)
    of_numbers = torch.finfo(run.dtype).bits // 8
    return bytes_of_state(run, copies=2) + of_numbers * (work + block)


def _class_of(part: str, config: Config) -> type:
    return resolve(config[part].get("_target_"), f"{part}._target_", config["trust"])


def _numbers(part: type) -> list[str]:
    """The fields of a part that each replica may have of its own: a dataclass's alone."""
    names = keys(part, Stackable)
    return [f.name for f in fields(part) if f.name in names] if is_dataclass(part) else []


def _kind(name: str, value: Any) -> Any:
    """What of a number is structure: how many there are, and whether momentum needs a buffer."""
    if isinstance(value, list | tuple):
        return len(value)
    return value > 0 if name == "momentum" and isinstance(value, int | float) else "number"


def _drawn(node: Any) -> Any:
    known = isinstance(node, Mapping) and node.get("_target_") in DRAWN
    return {"_target_": node["_target_"]} if known else node


def _nameless(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {k: _nameless(v) for k, v in node.items() if k != "name"}
    return node


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.items():
        path = f"{prefix}{key}"
        found |= _flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return found
