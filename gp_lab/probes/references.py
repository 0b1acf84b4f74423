"""What training images are to scores: statistics of networks' features, a classifier of them, their
distances to one another. Each is worked out once, for all runs on the same images."""

from dataclasses import replace
from functools import lru_cache
from itertools import chain

import torch
from torch import Tensor

from gp_lab.data.images import Images, Rows
from gp_lab.data.random import generator
from gp_lab.errors import BadInput
from gp_lab.evaluation.classifier import (
    Classifier,
    LabelledImages,
    cached_classifier,
    real_moments,
)
from gp_lab.evaluation.frechet import Moments
from gp_lab.evaluation.inception import (
    FEATURES,
    Inception,
    Precision,
    load_inception,
    together,
)
from gp_lab.evaluation.neighbours import nearest_of_batches, spread
from gp_lab.evaluation.reference_statistics import (
    cached_features,
    cached_moments,
    fingerprint,
    once,
)
from gp_lab.probes.scored_images import (
    brightness,
    rows_at_once,
    rows_of,
    signed,
    stacks_at,
    training_images,
)
from gp_lab.signals import StoppedEarly


def inception_or_why(
    weights: str | None, device: torch.device, precision: Precision = "fp32"
) -> Inception | str:
    """The network, or a sentence that says why there is none here."""
    try:
        return _inception(weights, device, precision)
    except StoppedEarly as stop:  # not kept: the process may try again
        return str(stop)


@lru_cache(maxsize=1)
def _inception(weights: str | None, device: torch.device, precision: Precision) -> Inception | str:
    """The network, or why there is none; tried once a process."""
    try:
        return load_inception(weights, device, precision=precision)
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


def inception_moments(
    dataset: Images, most: int | None, network: Inception, folder: str
) -> Moments:
    """Of pool3 features of the training images, on the network's device."""

    def compute() -> Moments:
        images = map(signed, training_images(dataset, most))
        return sum(
            (Moments.of(network(x)[0]) for x in together(images, device)),
            Moments.none(FEATURES, device),
        )

    device = network.net.fc.weight.device
    key = _key(dataset, most, network.identity)
    moments = cached_moments(folder, key, compute)
    return Moments.from_flat(moments.flat().to(device), FEATURES)


def inception_features(dataset: Images, most: int, network: Inception, folder: str) -> Tensor:
    """Pool3 features of some training images, on the network's device."""
    key = _key(dataset, most, network.identity)

    def compute() -> Tensor:
        images = map(signed, training_images(dataset, most))
        return torch.cat([network(x)[0] for x in together(images, device)])

    device = network.net.fc.weight.device
    return cached_features(folder, key, compute).to(device)


def single(dataset: Images) -> Images:
    """All images of a data set, those that are stacked by themselves."""
    return replace(dataset, size=None, stacked=1)


@lru_cache(maxsize=2)
def classifier_of(dataset: Images, steps: int, folder: str, device: torch.device) -> Classifier:
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


def classifier_moments(dataset: Images, classifier: Classifier, folder: str) -> Moments:
    """Of the classifier's features of the run's training images."""
    key = _key(dataset, None, classifier.identity)

    def compute() -> Moments:
        parts = (real_moments(classifier, signed(x)) for x in training_images(dataset))
        return sum(parts, start=next(parts))

    return cached_moments(folder, key, compute)


def set_aside(rows: Rows, stacked: int, count: int, device: torch.device) -> tuple[Tensor, float]:
    """Distances [n] of some training images to the nearest of the others, and their spread: once
    for all measurements of the runs on these images."""
    places = rows_of(len(rows), stacked, None)
    n = min(count, len(places) // 2)
    aside = torch.arange(n) * len(places) // n

    def compute() -> tuple[Tensor, float]:
        others = torch.ones(len(places), dtype=torch.bool).index_fill(0, aside, False)
        (some,) = (brightness(x, device) for x in stacks_at(rows, places[aside], n))
        size = rows_at_once(some.shape[1:])
        batches = (brightness(x, device) for x in stacks_at(rows, places[others], size))
        return nearest_of_batches(some, batches).distance, spread(some)

    return once(rows.part, ("set_aside", _which(rows), stacked, n, device), compute)
