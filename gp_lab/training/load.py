"""A finished (or stopped) run in Python: its networks, metrics and arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gp_lab.data.contents import looking
from gp_lab.data.random import generator
from gp_lab.errors import BadInput, bad_choice
from gp_lab.probes.base import Arrays, View
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import NOT_IDENTITY_OF_PROBES, Config, elsewhere, without
from gp_lab.runs.kept import BEST, LAST, best_step
from gp_lab.training.data import run_data
from gp_lab.training.setup import Setup, products_in, setup
from gp_lab.training.views import view_of


@dataclass(frozen=True)
class LoadedRun:
    """A run at one of its checkpoints.

    setup: its parts (game, dataset, latent, ...), view: the run as probes see it.
    """

    folder: RunFolder
    config: Config
    step: int
    setup: Setup
    view: View

    def __repr__(self) -> str:
        return f"LoadedRun({str(self.folder.path)!r}, step={self.step})"

    @property
    def discriminator(self) -> Callable[..., Tensor]:
        """Points [n, ...] -> logits [n], under the run's constraint, differentiable in the points.

        Takes classes [n] as a second argument where the network does.
        """
        return self.view.critic

    @property
    def generator(self) -> Callable[..., Tensor]:
        """Latents [n, ...] -> samples [n, ...], of the averaged weights where there is an average.

        Takes classes [n] as a second argument where the network does. Batch norm has the moments of
        these n; `sample` gives it batches as it has learnt with.
        """
        return self.view.generate

    @property
    def classes(self) -> int:
        """How many classes the generator takes; 0 if it takes none."""
        return self.view.classes

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return self.folder.metrics()

    def arrays(self, probe: str, step: int | None = None) -> Arrays:
        """What a probe wrote at a step, or at its last. Raises `BadInput` if it wrote nothing."""
        return self.folder.arrays(probe, step)

    def sample(self, n: int, seed: int = 0, labels: Tensor | Sequence[int] | None = None) -> Tensor:
        """n samples of the generator [n, ...], on the CPU; the same seed gives the same samples.

        `labels` [n] are the classes to make, for a generator that takes them; random ones without.
        A generator with batch norm makes whole batches of the run's size, of which the first n
        samples are given: how many are asked for changes none of them. Raises `BadInput` for
        classes that it does not know.
        """
        rng = generator(seed, "sample", 0)
        real = self.view.partners(rng, n)
        return self.view.fakes(rng, n, self._labels(labels, n), real).cpu()

    def interpolate(
        self, n: int, points: int = 65, seed: int = 0, labels: Tensor | Sequence[int] | None = None
    ) -> Tensor:
        """Samples along n straight lines between pairs of latents [n, points, ...], on the CPU.

        Each line has both of its ends, and the class `labels` [n] where the generator takes one (a
        random one without). A generator with batch norm makes as many lines as a batch has samples,
        one place of all of them after another, of which the first n are given. Raises `BadInput`
        for classes that it does not know.
        """
        rng, view, given = generator(seed, "sample", 0), self.view, self._labels(labels, n)
        size, made = view.batch_size if view.couples else n, []
        for first in range(0, n, size):
            real = view.partners(rng, 2 * size)
            start, end = view.latent.draw(rng, 2 * size, real).chunk(2)
            classes = torch.randint(self.classes, (size,), generator=rng) if self.classes else None
            if classes is not None and given is not None:
                some = given[first : first + size]
                classes[: len(some)] = some
            made.append(view.lines(start, end, points, classes)[: n - first].cpu())
        return torch.cat(made)

    def _labels(self, labels: Tensor | Sequence[int] | None, n: int) -> Tensor | None:
        if labels is None:
            return None
        if not self.classes:
            name = self.config["architecture"].get("name")
            raise BadInput(f"{self.folder.path}: the generator of {name} takes no classes")
        given = torch.as_tensor(labels, dtype=torch.long)
        if given.shape != (n,) or (
            n and not 0 <= int(given.min()) <= int(given.max()) < self.classes
        ):
            raise BadInput(
                f"labels: {n} classes from 0 to {self.classes - 1} wanted, for {n} samples"
            )
        return given


def load(
    run: str | Path,
    step: int | str | None = None,
    trust: tuple[str, ...] = (),
    probes: Mapping[str, Any] | None = None,
    data: Sequence[str] = (),
) -> LoadedRun:
    """The run in a folder, at its newest whole checkpoint (`last`) or the one at `step`.

    `best` is the one that `keep_best` has kept. The run's config is data: it is built under the
    same rules as one from the command line, and packages of your own are admitted by `trust` alone.
    `probes` are nodes of a config, built and checked in place of the run's own. `data` say where
    the run's data lie now, written dataset.root=DIR. Raises `BadInput` if there is no run or no
    checkpoint, and for data that are others than those that it was trained on, unless `data` say
    dataset.digest=any.
    """
    folder = RunFolder(run)
    if not folder.exists:
        raise BadInput(f"{folder.path}: no run there (it has no config.yaml)")
    found = folder.found_config
    here = elsewhere(found, data) if data else found
    config = here | {"trust": list(trust), "device": "auto", "threads": 0, "force": False}
    held = step in checkpoint.held(folder)
    if not (steps := checkpoint.steps(folder)) and not held:
        raise BadInput(f"{folder.path}: the run has no checkpoint yet")
    step = _step_of(folder, step)
    if step is not None and step not in steps and not held:
        raise BadInput(f"{folder.path}: no checkpoint at step {step}, only at {steps}")
    if probes is None:
        probes = {k: without(NOT_IDENTITY_OF_PROBES, v) for k, v in config["probe"].items()}
    with looking():
        [known] = run_data([config | {"probe": dict(probes)}], [folder])
        parts = setup(known.config, known.contents)
    products_in(parts.settings.precision)
    saved = checkpoint.load(folder, step, str(parts.device))
    if saved is None:
        raise BadInput(f"{folder.path}: no whole checkpoint, only damaged ones at {steps}")
    config = known.config | {"probe": config["probe"]}
    view = view_of(parts, saved.state, saved.step)
    return LoadedRun(folder, config, saved.step, parts, view)


def _step_of(folder: RunFolder, asked: int | str | None) -> int | None:
    """The step of the checkpoint that is asked for; None for the newest. Raises `BadInput`."""
    if asked is None or asked == LAST:
        return None
    if asked == BEST:
        return best_step(folder)
    if isinstance(asked, str):
        raise bad_choice("step", asked, (BEST, LAST))
    return asked
