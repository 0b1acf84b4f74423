"""The probe of images along straight lines between latents (zero_gp, Fig. 9)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gp_lab.evaluation.neighbours import nearest_of_batches
from gp_lab.evaluation.paths import step_lengths
from gp_lab.fields import Few
from gp_lab.instantiate import Run
from gp_lab.probes.base import Arrays, View, to_numpy
from gp_lab.probes.paths import latent_lines
from gp_lab.probes.references import set_aside
from gp_lab.probes.scored_images import brightness, images_at, images_of, places, rows_at_once
from gp_lab.probes.scores import ScoreProbe, check_several


@dataclass(frozen=True)
class ImageLines(ScoreProbe):
    """Whether images change smoothly along a line, and whether they stay at the training images
    (zero_gp, Fig. 9: a generator that remembers jumps from one to the next).

    Lighter than `LatentLines`, which keeps what the networks see. The lines are the same at every
    step. Arrays: position [points] from 0 to 1; fake uint8 [count, points, C, H, W]; step
    [count, points - 1], the distances of neighbours in the networks' units; nearest
    [count, points], distances to the nearest training image, and nearest_real [n], those of
    training images to the others (see `Neighbours`), both of brightness in [0, 1].

    Args:
        count: of lines.
        points: of each, its ends included.
    """

    knows_classes: ClassVar[bool] = False

    count: Few = 64
    points: Few = 65

    def __post_init__(self) -> None:
        if self.points < 2:
            raise ValueError(f"points={self.points}: a line has two ends")

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        check_several(key, run)

    def measure(self, view: View) -> Arrays:
        dataset = images_of(view)
        assert dataset.train_rows is not None
        lines = latent_lines(view, self.count, self.points)
        kept = dataset.to_bytes(lines)
        size = rows_at_once(dataset.shape)
        training = (brightness(x, view.device) for x in images_at(dataset, places(dataset), size))
        near = nearest_of_batches(brightness(kept.flatten(0, 1), view.device), training)
        real, _ = set_aside(dataset.train_rows, dataset.stacked, 16 * self.count, view.device)
        return {
            "position": np.linspace(0, 1, self.points),
            "fake": kept.cpu().numpy(),
            "step": step_lengths(to_numpy(lines)),
            "nearest": near.distance.cpu().numpy().reshape(self.count, self.points),
            "nearest_real": real.cpu().numpy(),
        }

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        steps = arrays["step"]
        return {
            "jump": float((steps.max(1) / np.maximum(steps.mean(1), 1e-300)).mean()),
            "distance": float(arrays["nearest"].mean()),
        }
