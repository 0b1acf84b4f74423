"""What probes and `gp_lab.load` see of a run."""

from functools import partial
from typing import Any

from torch import Tensor

from gp_lab.data.random import generator
from gp_lab.networks.conditional import classes_of
from gp_lab.probes.base import View
from gp_lab.training.setup import Setup
from gp_lab.training.step import Labels, has_batch_norm


def view_of(run: Setup, state: dict[str, Any], step: int) -> View:
    """A run at a state, for probes and for `gp_lab.load`."""
    game = run.game
    d = game.constraint.apply(state["d"], state["constraint"])
    g = state["average"] or state["g"]
    return View(
        step=step,
        critic=lambda x, y=None: game.critic(d, _given(y))(x),
        generate=lambda z, y=None: game.generate(g, z, _given(y)),
        classes=classes_of(game.generator),
        couples=has_batch_norm(game.generator),
        dataset=run.dataset,
        latent=run.latent,
        loss=game.loss,
        discriminator=game.discriminator,
        generator=game.generator,
        d=d,
        batch_size=run.settings.batch_size,
        device=run.device,
        dtype=run.dtype,
        rng=lambda stream: generator(run.settings.seed, f"probe_{stream}", 0),
        encode=partial(game.encode, state["encoder"]) if "encoder" in state else None,
    )


def _given(labels: Tensor | None) -> Labels:
    return () if labels is None else (labels,)
