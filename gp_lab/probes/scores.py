"""Probes of image scores: Inception's (FID, IS, KID, ...), a classifier's of the data, and how near
the samples are to the training images (all papers' image entries).

Images are scored as files would hold them, rounded to bytes: a score is that of the published
programs on a folder of PNG files.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.images import Images, Rows
from gp_lab.data.random import generator
from gp_lab.errors import BadInput
from gp_lab.evaluation.classifier import (
    STEPS,
    Classifier,
    LabelledImages,
    cached_classifier,
    classifier_scores,
    real_moments,
)
from gp_lab.evaluation.frechet import Moments, frechet_distance
from gp_lab.evaluation.inception import (
    FEATURES,
    Inception,
    Scan,
    as_levels,
    checked_weights,
    load_inception,
    scan,
)
from gp_lab.evaluation.inception_score import SPLITS, SplitSums, inception_score
from gp_lab.evaluation.kid import kernel_distance
from gp_lab.evaluation.neighbours import nearest_of_batches, spread
from gp_lab.evaluation.precision_recall import precision_recall
from gp_lab.evaluation.reference_statistics import (
    cached_features,
    cached_moments,
    fingerprint,
    once,
)
from gp_lab.fields import Count, CountOrZero, Fraction, PathText
from gp_lab.instantiate import Run
from gp_lab.probes.base import Arrays, Probe, View, even_batches
from gp_lab.signals import StoppedEarly

CACHE = "outputs/cache"
BATCH = 64
"""Images that a network scores at once."""

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
    """FID and what else the Inception network of 2015 says: `papers/wgan_gp.txt`, Tables 2, 3, 5.

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
        cache: folder of what is kept of training data, by their fingerprints.
    """

    count: Count = 50_000
    splits: Count = SPLITS
    reference: Count | None = 50_000
    subset: CountOrZero = 5000
    k: Count = 5
    weights: PathText | None = None
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
        network, share = _inception_or_why(self.weights, view.device), view.share
        without = share.total(torch.tensor([isinstance(network, str)]).to(view.device, torch.int32))
        if isinstance(network, str) or without.item():
            why = network if isinstance(network, str) else "another rank has no weights"
            if share.rank == 0:
                warnings.warn(f"no Inception scores: {why}", MissingWeights, stacklevel=2)
            return {}
        start, fakes = generated(view, "inception", self.count)
        own = scan(fakes, network, self.count, start, self.splits, self.subset)
        fake = Scan(
            Moments.from_flat(share.total(own.moments.flat()), FEATURES),
            SplitSums.from_flat(share.total(own.sums.flat()), self.splits),
            share.gather(own.features, start, min(self.subset, self.count)),
        )
        dataset = images_of(view)
        real = _real_moments(dataset, self.reference, network, self.cache)
        mean, std = inception_score(fake.sums)
        scores = {"fid": frechet_distance(fake.moments, real), "score": mean, "score_std": std}
        if self.subset:
            features = _real_features(dataset, self.subset, network, self.cache)
            rng = view.rng("inception_subsets")
            kid = kernel_distance(features, fake.features, rng)
            scores |= {"kid": kid.mean, "kid_std": kid.std}
            scores |= precision_recall(features, fake.features, self.k)._asdict()
        return {name: np.array(x) for name, x in scores.items()}


@dataclass(frozen=True)
class ClassifierScores(ScoreProbe):
    """What a small classifier of the data itself says: `papers/zero_gp.txt`, Fig. 3, as measured
    in this lab. It is trained once for each data set, on all its training images, and kept. Several
    ranks generate a part of the images each, and see all of them.

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
        dataset = run.dataset
        if dataset.stacked > 1:
            raise BadInput(
                f"{key}: its classifier knows the classes of single images, and these are"
                f" stacks of {dataset.stacked}; leave the probe out"
            )
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
        n = len(dataset.train_rows.part.images)
        if dataset.held_out is None:  # else the held-out images are some of these
            n += len(dataset.held_out_rows.part.images)
        if 4 * n * math.prod(dataset.shape) > LARGEST:
            raise BadInput(
                f"{key}: its classifier is trained on the whole data set in memory, and"
                f" {n:,} images of {list(dataset.shape)} take more than {LARGEST / 2**30:.3g} GiB"
                " in float32; leave the probe out"
            )

    def measure(self, view: View) -> Arrays:
        dataset = images_of(view)
        classifier = _classifier(replace(dataset, size=None), self.steps, self.cache, view.device)
        images = all_generated(view, "classifier", self.count)
        real = _classified_moments(dataset, classifier, self.cache)
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
    (`papers/zero_gp.txt`, Fig. 3; `papers/wgan_gp.txt`, Fig. 2).

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
        if run.dataset.count < 4:
            raise BadInput(f"{key}: compares training images, and there are fewer than 4")

    def measure(self, view: View) -> Arrays:
        dataset = images_of(view)
        assert dataset.train_rows is not None
        fakes = as_levels(all_generated(view, "neighbours", self.count)) / 255
        size = _rows_at_once(dataset.shape)
        training = (brightness(x, view.device) for x in _bytes_at(dataset, _places(dataset), size))
        fake = nearest_of_batches(fakes, training)
        real, spread_real = _set_aside(dataset.train_rows, dataset.stacked, self.count, view.device)
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


class Fakes(NamedTuple):
    """A rank's part of the fakes: [n, C, H, W], batch after batch; `start` is the first's place."""

    start: int
    batches: Iterator[Tensor]


def generated(view: View, stream: str, count: int) -> Fakes:
    """This rank's of so many fakes of a view, as files would hold them: in [-1, 1], rounded to 256
    levels; NaN where they are not finite. They do not depend on the number of ranks."""
    # Whole batches of the run's own size, some hundred images: batch norm sees what it has learnt.
    size = view.batch_size * max(1, 4 * BATCH // view.batch_size)
    sizes = even_batches(count, size)
    begin, end = view.share.part(len(sizes))

    def batches() -> Iterator[Tensor]:
        rng = view.rng(stream)
        for i, n in enumerate(sizes[:end]):
            latents = view.latents(rng, n)  # all of them: the numbers are those of one rank
            if i >= begin:
                fakes = view.fakes_of(*latents)
                levels = signed(images_of(view).to_bytes(fakes))
                yield from torch.where(fakes.isfinite(), levels, torch.nan).split(BATCH)

    return Fakes(sum(sizes[:begin]), batches())


def all_generated(view: View, stream: str, count: int) -> Tensor:
    """The fakes of all ranks as `generated` gives them, [count, C, H, W], on each rank."""
    start, batches = generated(view, stream, count)
    none = torch.empty(0, *view.dataset.shape, device=view.device)
    return view.share.gather(torch.cat([none, *batches]), start, count)


def images_of(view: View) -> Images:
    """The data set of a view whose samples are scored as images."""
    assert isinstance(view.dataset, Images)
    return view.dataset


def training_images(dataset: Images, most: int | None = None) -> Iterator[Tensor]:
    """The training images of a run, uint8 [n, C, H, W], batch after batch; evenly spaced ones if
    they are more than `most`. Stacks of images are drawn at random, as many as there are images."""
    return _bytes_at(dataset, _places(dataset, most), BATCH)


def signed(images: Tensor) -> Tensor:
    """Bytes as floats in [-1, 1]."""
    return images.float() / 127.5 - 1


def brightness(images: Tensor, device: torch.device) -> Tensor:
    """Bytes as floats in [0, 1], on a device."""
    return images.to(device).float() / 255


def _places(dataset: Images, most: int | None = None) -> Tensor:
    """Rows [n, stacked] of the training images, n at most `most`."""
    assert dataset.train_rows is not None, "a view's data set is prepared"
    return _rows_of(len(dataset.train_rows), dataset.stacked, most)


def _rows_of(n: int, stacked: int, most: int | None) -> Tensor:
    if stacked == 1:
        rows = torch.arange(n)[:, None]
    else:
        rng = generator(0, "stacked_reference", 0)
        rows = torch.stack([torch.randperm(n, generator=rng) for _ in range(stacked)], dim=1)
    return rows if most is None or most >= n else rows[torch.arange(most) * n // most]


def _bytes_at(dataset: Images, places: Tensor, size: int) -> Iterator[Tensor]:
    assert dataset.train_rows is not None
    return _stacks(dataset.train_rows, places, size)


def _stacks(rows: Rows, places: Tensor, size: int) -> Iterator[Tensor]:
    """Images [k, stacked * C, H, W] at places [n, stacked], `size` at a time."""
    for some in places.split(size):
        yield rows.images(some.flatten()).unflatten(0, some.shape).flatten(1, 2)


def _rows_at_once(shape: tuple[int, ...]) -> int:
    """Images whose numbers fill 256 MB in float64."""
    return max(1, 2**25 // math.prod(shape))


def _inception_or_why(weights: str | None, device: torch.device) -> Inception | str:
    try:
        return _inception(weights, device)
    except StoppedEarly as stop:  # not kept: the process may try again
        return str(stop)


@lru_cache(maxsize=1)
def _inception(weights: str | None, device: torch.device) -> Inception | str:
    """The network, or why there is none; tried once a process."""
    try:
        return load_inception(weights, device)
    except BadInput as error:
        return f"probe.inception.{error}"


def _key(dataset: Images, most: int | None, network: str) -> str:
    """Of what a network says of training images, which are read for it once."""
    assert dataset.train_rows is not None
    return once(
        dataset.train_rows.part,
        ("key", _which(dataset.train_rows), dataset.stacked, most, network),
        lambda: fingerprint(chain(training_images(dataset, most), [network])),
    )


def _which(rows: Rows) -> str:
    return "all" if rows.which is None else fingerprint([rows.which])


def _real_moments(dataset: Images, most: int | None, network: Inception, folder: str) -> Moments:
    """Of pool3 features of the training images, on the network's device."""

    def compute() -> Moments:
        images = training_images(dataset, most)
        return sum(
            (Moments.of(network(signed(x))[0]) for x in images),
            Moments.none(FEATURES, device),
        )

    device = network.net.fc.weight.device
    key = _key(dataset, most, network.identity)
    moments = cached_moments(folder, key, compute)
    return Moments.from_flat(moments.flat().to(device), FEATURES)


def _real_features(dataset: Images, most: int, network: Inception, folder: str) -> Tensor:
    """Pool3 features of some training images, on the network's device."""
    key = _key(dataset, most, network.identity)

    def compute() -> Tensor:
        return torch.cat([network(signed(x))[0] for x in training_images(dataset, most)])

    return cached_features(folder, key, compute).to(network.net.fc.weight.device)


@lru_cache(maxsize=2)
def _classifier(dataset: Images, steps: int, folder: str, device: torch.device) -> Classifier:
    """Of all training images of a data set, tested on its held-out ones."""
    whole = dataset.prepare(generator(0, "classifier", 0))
    assert whole.train_rows is not None
    assert whole.held_out_rows is not None
    train, held_out = _labelled(whole.train_rows), _labelled(whole.held_out_rows)
    return cached_classifier(folder, train, held_out, steps, device=device)


def _labelled(rows: Rows) -> LabelledImages:
    every = torch.arange(len(rows))
    labels = rows.labels(every)
    assert labels is not None
    return LabelledImages(signed(rows.images(every)), labels)


def _classified_moments(dataset: Images, classifier: Classifier, folder: str) -> Moments:
    """Of the classifier's features of the run's training images."""
    key = _key(dataset, None, classifier.identity)

    def compute() -> Moments:
        parts = (real_moments(classifier, signed(x)) for x in training_images(dataset))
        return sum(parts, start=next(parts))

    return cached_moments(folder, key, compute)


def _set_aside(rows: Rows, stacked: int, count: int, device: torch.device) -> tuple[Tensor, float]:
    """Distances [n] of some training images to the nearest of the others, and their spread: once
    for all measurements of the runs on these images."""
    places = _rows_of(len(rows), stacked, None)
    n = min(count, len(places) // 2)
    aside = torch.arange(n) * len(places) // n

    def compute() -> tuple[Tensor, float]:
        others = torch.ones(len(places), dtype=torch.bool).index_fill(0, aside, False)
        (some,) = (brightness(x, device) for x in _stacks(rows, places[aside], n))
        size = _rows_at_once(some.shape[1:])
        batches = (brightness(x, device) for x in _stacks(rows, places[others], size))
        return nearest_of_batches(some, batches).distance, spread(some)

    return once(rows.part, ("set_aside", _which(rows), stacked, n, device), compute)
