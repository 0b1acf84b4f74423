"""The generative average method: pixel-wise averages of training images that look alike, scored as
samples are (anomalous, Fig. 4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.images import Images
from gp_lab.errors import BadInput
from gp_lab.evaluation.classifier import STEPS
from gp_lab.evaluation.distances import nearest
from gp_lab.evaluation.inception import as_levels
from gp_lab.fields import Count, PathText
from gp_lab.instantiate import Run
from gp_lab.probes.base import Arrays, View
from gp_lab.probes.pictures import grid_picture
from gp_lab.probes.scored_images import images_at, images_of, rows_at_once, signed
from gp_lab.probes.scores import CACHE, ClassifierScores, InceptionScores, ScoreProbe

BATCH = 256
"""Averages that are made of one random subset of the training images."""

SHOWN = 64
"""Averages that are kept, and shown."""


@dataclass(frozen=True)
class Averages(ScoreProbe):
    """FID of averages of training images, each with the one nearest to it (Euclidean, of pixels)
    among `among` others, drawn anew for every 256 averages (the paper's "structurally similar
    images"); beside them that of images which were held out, if there are any.

    The judge and its settings are those of the probe of its name, so that the numbers compare with
    a generator's. Arrays: fid; fid_held_out, of `count` held-out images, or as many as there are;
    images uint8 [64, C, H, W], the first averages. Without the Inception network's weights there
    are no FIDs.

    Args:
        count: averages.
        among: training images in which the nearest one is looked for.
        judge: whose FID it is.
        reference: of Inception's, as in `InceptionScores`.
        weights: of Inception, as there.
        steps: of the classifier, as in `ClassifierScores`.
        cache: folder of what is kept of training data.
    """

    count: Count = 10_000
    among: Count = 1000
    judge: Literal["inception", "classifier"] = "inception"
    reference: Count | None = 50_000
    weights: PathText | None = None
    steps: Count = STEPS
    cache: PathText = CACHE

    knows_classes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._judge(self.count)

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        if run.dataset.stacked > 1:
            raise BadInput(
                f"{key}: averages single images, and these are stacks of {run.dataset.stacked};"
                " leave the probe out"
            )
        if run.dataset.count <= self.among:
            raise BadInput(
                f"{key}.among={self.among}: there are {run.dataset.count} training images; use"
                f" at most {run.dataset.count - 1}"
            )
        self._judge(self.count).check(key, run)

    def measure(self, view: View) -> Arrays:
        dataset, rng = images_of(view), view.rng("averages")
        batches = averages(dataset, rng, self.count, self.among)
        first = next(batches)
        shown = as_levels(first[:SHOWN]).to(torch.uint8).numpy()
        found = {"images": shown, **self._fid(view, "fid", self.count, chain([first], batches))}
        if dataset.held_out_rows is None or len(dataset.held_out_rows) < 2:
            return found  # FID asks for a covariance
        count = min(self.count, len(dataset.held_out_rows))
        held_out = dataset.to_bytes(dataset.fresh(view.rng("averages_held_out"), count)).cpu()
        real = iter(signed(held_out).split(BATCH))
        return found | self._fid(view, "fid_held_out", count, real)

    def pictures(self, arrays: Arrays) -> dict[str, np.ndarray]:
        return {"averages": grid_picture(arrays["images"])}

    def _judge(self, count: int) -> InceptionScores | ClassifierScores:
        if self.judge == "classifier":
            return ClassifierScores(count=count, splits=1, steps=self.steps, cache=self.cache)
        return InceptionScores(
            count=count, splits=1, reference=self.reference, subset=0,
            weights=self.weights, cache=self.cache,
        )  # fmt: skip

    def _fid(self, view: View, name: str, count: int, images: Iterator[Tensor]) -> Arrays:
        judge = self._judge(count)
        if isinstance(judge, InceptionScores):
            said = judge.of(view, 0, images)
        else:
            said = judge.of(view, torch.cat(list(images)))
        return {name: said["fid"]} if "fid" in said else {}


def averages(dataset: Images, rng: torch.Generator, count: int, among: int) -> Iterator[Tensor]:
    """So many averages of training images and their nearest ones, [n, C, H, W] in [-1, 1] as files
    would hold them, batch after batch.

    An image is never its own neighbour: those of a batch and the `among` are all different.
    """
    rows = dataset.train_rows
    assert rows is not None
    most = min(BATCH, len(rows) - among)
    for start in range(0, count, most):
        n = min(most, count - start)
        drawn = torch.randperm(len(rows), generator=rng, device=rng.device)[: n + among].cpu()
        size = rows_at_once(dataset.shape)
        images = torch.cat([x.cpu() for x in images_at(dataset, drawn[:, None], size)]).float()
        own, others = images[:n], images[n:]
        both = (own + others[nearest(own, others).which]) / 2
        yield signed(both.round())
