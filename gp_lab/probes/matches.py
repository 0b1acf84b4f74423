"""The sample nearest to some training images: whether the data are covered (anomalous, Fig. 7);
and whether samples are averages of training images (anomalous, Fig. 3)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from gp_lab.errors import BadInput
from gp_lab.evaluation.neighbours import closest, nearest_training
from gp_lab.fields import Count, Few, Fraction
from gp_lab.instantiate import Run
from gp_lab.probes.base import Arrays, Probe, View

AT_ONCE = 4096
"""Samples that are held at once, about."""

MOST_PAIRED = 128
"""Training images of the largest set whose pairs are all averaged."""


@dataclass(frozen=True)
class Matches(Probe):
    """For some training images the nearest of many samples (anomalous, App. F and Fig. 7).

    Arrays: training, nearest: images as they are kept, [images, ...]; distance [images], Euclidean
    on the scale that the networks see. The samples are made and looked through a few thousand at a
    time.

    Args:
        images: of the training set, drawn at random, the same at every step.
        count: samples.
    """

    images: Few = 30
    count: Count = 256_000

    def measure(self, view: View) -> Arrays:
        rng, step = view.rng("matches"), max(1, AT_ONCE // view.batch_size) * view.batch_size
        training = view.place(view.dataset.draw(view.rng("matches_training"), self.images))

        def samples() -> Iterator[Tensor]:
            for start, stop in pairwise([*range(0, self.count, step), self.count]):
                yield view.fakes(rng, stop - start)

        distance, found = closest(training, samples())
        kept = view.dataset.kept
        return {
            "training": kept(training),
            "nearest": kept(found),
            "distance": distance.cpu().numpy(),
        }

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        return {"distance": float(arrays["distance"].mean())}


@dataclass(frozen=True)
class AveragesOfPairs(Probe):
    """Whether samples are nearer to averages of two training images than to any training image.

    anomalous, Fig. 3 (bottom): "They are exactly the same as the pixel-wise averages of the
    training data". Distances are DIF's, in [0, 1]. Arrays: to_training, to_average [count], and
    to_unseen_average [count], of images that were held out, where some were: of many averages one
    is near by chance. And of the samples that are nearest to an average (of those nearer to it than
    to any training image first): fake, average [shown, ...], the two images that it is of, one and
    other [shown, ...], as they are kept.

    Args:
        count: samples.
        shown: how many of them are kept.
        apart: how far the two images of an average are from one another, at least, in DIF: the
            average of two that are nearly the same is as good as either. Where no two are so far
            apart, those that are furthest.
    """

    count: Count = 1000
    shown: Few = 8
    apart: Fraction = 0.2

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        size = run.dataset.count
        if size is None or not 2 <= size <= MOST_PAIRED:
            raise BadInput(
                f"{key}: averages all pairs of 2 to {MOST_PAIRED} training images, and the set has"
                f" {size or 'no end'}; use dataset.size=64"
            )
        if run.dataset.training_set() is None:
            raise BadInput(f"{key}: the data set has no training images at hand")
        if self.shown > self.count:
            raise BadInput(f"{key}.shown={self.shown}: more than {key}.count={self.count}")

    def measure(self, view: View) -> Arrays:
        training_set = view.dataset.training_set()
        assert training_set is not None
        training = view.place(training_set)
        one, other = self._pairs(training)
        averages = (training[one] + training[other]) / 2
        fake, largest = view.fakes(view.rng("averages"), self.count), _largest(training)
        to_training, _ = nearest_training(fake, training)
        to_average, which = nearest_training(fake, averages)
        order = (to_average + largest * (to_average >= to_training)).argsort()[: self.shown]
        which, kept = which[order], view.dataset.kept
        found = {
            "to_training": (to_training / largest).cpu().numpy(),
            "to_average": (to_average / largest).cpu().numpy(),
            "fake": kept(fake[order]),
            "average": kept(averages[which]),
            "one": kept(training[one[which]]),
            "other": kept(training[other[which]]),
        }
        unseen = self._unseen(view, len(training), len(averages))
        if len(unseen):
            to_unseen, _ = nearest_training(fake, unseen)
            found["to_unseen_average"] = (to_unseen / largest).cpu().numpy()
        return found

    def _pairs(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The first and the second images [pairs] of those that are far enough apart, by number."""
        distance = torch.cdist(images.flatten(1), images.flatten(1)) / _largest(images)
        far = distance >= min(self.apart, float(distance.max()))
        one, other = far.triu(1).nonzero().T
        return one, other

    def _unseen(self, view: View, images: int, most: int) -> Tensor:
        """As many averages as those of so many training images, `most`, of images held out; none of
        a set that holds none out."""
        dataset, rng = view.dataset, view.rng("averages_unseen")
        rows = getattr(dataset, "held_out_rows", None)
        if rows is None or len(rows) < 2:
            return torch.empty(0)
        # Of twice as many, whose pairs are four times as many: enough of them are far apart.
        held_out = view.place(dataset.fresh(rng, min(2 * images, len(rows))))
        one, other = self._pairs(held_out)
        some = torch.randperm(len(one), generator=rng, device=rng.device)[:most].to(one.device)
        return (held_out[one[some]] + held_out[other[some]]) / 2

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        """`nearer`: the share of samples that are nearer to an average than to any image."""
        return {"nearer": float(np.mean(arrays["to_average"] < arrays["to_training"]))}


def _largest(images: Tensor) -> float:
    """The largest distance of two images [n, ...] in [-1, 1]: DIF is a share of it."""
    return 2 * math.sqrt(images[0].numel())
