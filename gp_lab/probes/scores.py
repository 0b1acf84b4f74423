"""Probes of image scores: Inception's (FID, IS, KID, ...), a classifier's of the data, and how near
the samples are to the training images (all papers' image entries).

Images are scored as files would hold them, rounded to bytes: a score is that of the published
programs on a folder of PNG files.
"""

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.images import Images
from gp_lab.errors import BadInput
from gp_lab.evaluation.classifier import STEPS, ClassifierOfStacks, classifier_scores
from gp_lab.evaluation.frechet import Moments, frechet_distance
from gp_lab.evaluation.inception import (
    FEATURES,
    Precision,
    Scan,
    as_levels,
    checked_weights,
    scan,
)
from gp_lab.evaluation.inception_score import SPLITS, SplitSums, inception_score
from gp_lab.evaluation.kid import kernel_distance
from gp_lab.evaluation.neighbours import nearest_of_batches, spread
from gp_lab.evaluation.precision_recall import precision_recall
from gp_lab.fields import Count, CountOrZero, Fraction, PathText
from gp_lab.instantiate import Run
from gp_lab.probes.base import Arrays, Probe, Scores, View
from gp_lab.probes.references import (
    classifier_moments,
    classifier_of,
    inception_features,
    inception_moments,
    inception_or_why,
    set_aside,
    single,
)
from gp_lab.probes.scored_images import (
    all_generated,
    brightness,
    generated,
    images_at,
    images_of,
    places,
    rows_at_once,
)

CACHE = "outputs/cache"

LARGEST = 4 * 2**30
"""Bytes of the largest set, in float32, that a classifier is trained on: it is held in memory."""


class MissingWeights(UserWarning):
    """There is no Inception network here, and so there are no scores of it."""


@dataclass(frozen=True)
class ScoreProbe(Probe):
    """Base of the probes that score generated images beside the run's training images."""

    knows_classes: ClassVar[bool] = True

    def check(self, key: str, run: Run) -> None:
        if not isinstance(run.dataset, Images):
            raise BadInput(
                f"{key}: scores images, and the data set has none; choose one that has"
                " (dataset=mnist, cifar10, ...) or leave the probe out"
            )
        super().check(key, run)

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        return {name: float(x) for name, x in arrays.items() if x.ndim == 0}


@dataclass(frozen=True)
class InceptionScores(ScoreProbe):
    """FID and what else the Inception network of 2015 says: wgan_gp, Tables 2, 3, 5.

    Without its weights (they are downloaded once) a run goes on, and a warning says that it has no
    such scores. Several ranks generate and look at a part of the images each; what is kept of
    training images one of them works out while the others wait.
    Arrays, each a number: fid; score, score_std over the splits (IS); kid, kid_std; precision,
    recall, density, coverage. Raises ValueError for fewer samples than a score needs.

    Args:
        count: generated images.
        splits: of the Inception score.
        reference: training images, evenly spaced, behind the FID; null for all.
        subset: images of each kind, at most, for KID, precision, recall, density and coverage;
            0 leaves these out.
        k: which nearest neighbour precision, recall, density and coverage reach to.
        weights: path of pt_inception-2015-12-05-6726825d.pth; null downloads it.
        precision: of the network's convolutions. bf16 is quicker; FID is another by up to a percent
            or so (evaluation/README.md): compare only numbers of one precision.
        cache: folder of what is kept of training data, by their fingerprints.
    """

    best: ClassVar[Scores] = {
        "fid": "min", "kid": "min", "score": "max", "precision": "max", "recall": "max",
        "density": "max", "coverage": "max",
    }  # fmt: skip

    count: Count = 50_000
    splits: Count = SPLITS
    reference: Count | None = 50_000
    subset: CountOrZero = 5000
    k: Count = 5
    weights: PathText | None = None
    precision: Precision = "fp32"
    cache: PathText = CACHE

    shared: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.count < max(2, self.splits):
            raise ValueError(f"count={self.count}: FID needs 2 images, each split of IS one")
        if self.subset and self.k >= min(self.subset, self.count):
            raise ValueError(f"k={self.k}: must be below subset and count, or subset be 0")

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        channels, count = run.dataset.shape[0], run.dataset.count
        if channels not in (1, 3):
            raise BadInput(
                f"{key}: the Inception network sees grey or RGB images, not"
                f" {channels} channels; leave the probe out"
            )
        if self.weights is not None:
            try:
                checked_weights(Path(self.weights))
            except BadInput as error:
                raise BadInput(f"{key}.{error}") from error
        if self.subset and count <= self.k:
            raise BadInput(
                f"{key}.k={self.k}: there are {count} training images; set {key}.subset=0"
            )

    def measure(self, view: View) -> Arrays:
        return self.of(view, *generated(view, "inception", self.count))

    def of(self, view: View, start: int, fakes: Iterable[Tensor]) -> Arrays:
        """The arrays of this rank's images, [n, C, H, W] in [-1, 1], batch after batch, of which
        `start` is the first's place among the `count` of all ranks."""
        network, share = inception_or_why(self.weights, view.device, self.precision), view.share
        without = share.total(torch.tensor([isinstance(network, str)]).to(view.device, torch.int32))
        if isinstance(network, str) or without.item():
            why = network if isinstance(network, str) else "another rank has no weights"
            if share.rank == 0:
                warnings.warn(f"no Inception scores: {why}", MissingWeights, stacklevel=2)
            return {}
        own = scan(fakes, network, self.count, start, self.splits, self.subset)
        fake = Scan(
            Moments.from_flat(share.total(own.moments.flat()), FEATURES),
            SplitSums.from_flat(share.total(own.sums.flat()), self.splits),
            share.gather(own.features, start, min(self.subset, self.count)),
        )
        dataset = images_of(view)
        real = inception_moments(dataset, self.reference, network, self.cache)
        mean, std = inception_score(fake.sums)
        scores = {"fid": frechet_distance(fake.moments, real), "score": mean, "score_std": std}
        if self.subset:
            features = inception_features(dataset, self.subset, network, self.cache)
            rng = view.rng("inception_subsets")
            kid = kernel_distance(features, fake.features, rng)
            scores |= {"kid": kid.mean, "kid_std": kid.std}
            scores |= precision_recall(features, fake.features, self.k)._asdict()
        return {name: np.array(x) for name, x in scores.items()}


def check_several(key: str, run: Run) -> None:
    """Raises `BadInput` for too few images for half of them to be looked for among the others."""
    if run.dataset.count < 4:
        raise BadInput(f"{key}: compares training images, and there are fewer than 4")


def check_classifier(key: str, dataset: Images) -> None:
    """Raises `BadInput` for images of which no classifier can be trained, or tested."""
    assert dataset.train_rows is not None
    if min(dataset.shape[1:]) < 4:
        raise BadInput(
            f"{key}: its classifier pools twice, and the images are"
            f" {dataset.shape[1]} x {dataset.shape[2]}; leave the probe out"
        )
    if dataset.classes < 2:
        raise BadInput(f"{key}: the data set has no classes; leave the probe out")
    if dataset.held_out_rows is None:
        raise BadInput(
            f"{key}: its classifier is tested on held-out images, and there are none;"
            " set dataset.held_out to a number of images"
        )
    if dataset.held_out_rows.part.labels is None:
        raise BadInput(
            f"{key}: its classifier is tested on held-out images, and these have no classes; add"
            " them, or set dataset.held_out to a number of training images"
        )
    n = len(dataset.train_rows.part.images)
    if dataset.held_out is None:  # else the held-out images are some of these
        n += len(dataset.held_out_rows.part.images)
    if 4 * n * math.prod(dataset.shape) > LARGEST:
        raise BadInput(
            f"{key}: its classifier is trained on the whole data set in memory, and"
            f" {n:,} images of {list(dataset.shape)} take more than {LARGEST / 2**30:.3g} GiB"
            " in float32; leave the probe out"
        )


@dataclass(frozen=True)
class ClassifierScores(ScoreProbe):
    """What a small classifier of the data itself says: zero_gp, Fig. 3, as measured
    in this lab. It is trained once for each data set, on all its training images, and kept; of
    stacked images it knows the single ones, and sees each channel by itself. Several ranks generate
    a part of the images each, and see all of them.

    Arrays, each a number: score, score_std and fid, which have the formulas of the Inception score
    and of FID and are not comparable to either; confidence_share, the share of images whose most
    likely class has a probability above `threshold`; class_entropy of the most likely classes, in
    nats; accuracy of the classifier on held-out images.

    Args:
        count: generated images.
        threshold: of confidence.
        splits: of the score.
        steps: in the classifier's training.
        cache: folder of the classifiers and of what they say of training data.
    """

    best: ClassVar[Scores] = {"fid": "min", "score": "max"}

    count: Count = 10_000
    threshold: Fraction = 0.9
    splits: Count = SPLITS
    steps: Count = STEPS
    cache: PathText = CACHE

    shared: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.count < max(2, self.splits):
            raise ValueError(f"count={self.count}: must be 2 or more, and one for each split")

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        check_classifier(key, run.dataset)

    def measure(self, view: View) -> Arrays:
        return self.of(view, all_generated(view, "classifier", self.count))

    def of(self, view: View, images: Tensor) -> Arrays:
        """The arrays of images [count, C, H, W] in [-1, 1], beside the view's training images."""
        dataset = images_of(view)
        classifier = classifier_of(single(dataset), self.steps, self.cache, view.device)
        if dataset.stacked > 1:
            classifier = ClassifierOfStacks.of(classifier)
        real = classifier_moments(dataset, classifier, self.cache)
        found = classifier_scores(classifier, images, real, self.threshold, self.splits)
        scores = {
            "score": found.classifier_score,
            "score_std": found.classifier_score_std,
            "fid": found.classifier_fid,
            "confidence_share": found.confidence_share,
            "class_entropy": found.class_entropy,
            "accuracy": classifier.accuracy,
        }
        return {name: np.array(x) for name, x in scores.items()}


@dataclass(frozen=True)
class Neighbours(ScoreProbe):
    """How near generated images are to training images and to one another: memorising, diversity
    (zero_gp, Fig. 3; wgan_gp, Fig. 2).

    Distances are Euclidean, of brightness in [0, 1]. Beside the generated images stand as many
    training images (half of them at most), looked for among the others: what a generator that draws
    anew from the data's distribution would give.
    Arrays: nearest, nearest_real [count], the distances to the nearest training image; which
    [count], its row; and numbers: distance, distance_real, their means; duplicates, the share of
    generated images as near to a training image as the nearest `share` of the training images set
    aside; spread, spread_real, the mean distances to the nearest other image of their own kind.

    Args:
        count: generated images.
        share: of the training images set aside that count as near-duplicates.
    """

    count: Count = 1000
    share: Fraction = 0.01

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"count={self.count}: one image has no others to be near to")

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        check_several(key, run)

    def measure(self, view: View) -> Arrays:
        dataset = images_of(view)
        assert dataset.train_rows is not None
        fakes = as_levels(all_generated(view, "neighbours", self.count)) / 255
        size = rows_at_once(dataset.shape)
        training = (brightness(x, view.device) for x in images_at(dataset, places(dataset), size))
        fake = nearest_of_batches(fakes, training)
        real, spread_real = set_aside(dataset.train_rows, dataset.stacked, self.count, view.device)
        bound = torch.quantile(real, self.share)
        return {
            "nearest": fake.distance.cpu().numpy(),
            "nearest_real": real.cpu().numpy(),
            "which": fake.which.cpu().numpy(),
            "distance": np.array(fake.distance.mean().item()),
            "distance_real": np.array(real.mean().item()),
            "duplicates": np.array((fake.distance <= bound).double().mean().item()),
            "spread": np.array(spread(fakes)),
            "spread_real": np.array(spread_real),
        }
