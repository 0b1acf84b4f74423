"""The probe of samples of a single class (zero_gp, Fig. 10b)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from gp_lab.errors import BadInput
from gp_lab.fields import Count, CountOrZero
from gp_lab.instantiate import Run
from gp_lab.probes.base import Arrays, Probe, View
from gp_lab.probes.pictures import grid_picture


@dataclass(frozen=True)
class ClassSamples(Probe):
    """Fakes of one class, from latents that are the same at every step.

    Arrays: label, the class; fake [count, ...], kept as those of `Samples`.

    Args:
        label: the class, from 0. Raises BadInput where the generator takes none, or fewer.
        count: of fakes.
    """

    knows_classes: ClassVar[bool] = True

    label: CountOrZero = 0
    count: Count = 64

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        if self.label >= run.game.classes:
            raise BadInput(
                f"{key}.label={self.label}: the generator takes {run.game.classes or 'no'} classes,"
                " counted from 0; choose another or leave the probe out"
            )

    def measure(self, view: View) -> Arrays:
        labels = torch.full((self.count,), self.label)
        fake = view.fakes(view.rng("class_samples_latent"), self.count, labels)
        return {"label": np.array(self.label), "fake": view.dataset.kept(fake)}

    def pictures(self, arrays: Arrays) -> dict[str, np.ndarray]:
        if arrays["fake"].dtype == np.uint8 and arrays["fake"].ndim == 4:
            return {"samples": grid_picture(arrays["fake"])}
        return {}
