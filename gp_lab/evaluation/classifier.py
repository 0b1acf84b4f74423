"""Scores from a small classifier of the data itself: for digits, which Inception never saw.

zero_gp, Figs. 3, 7 and 8; mu_wgan, Figs. 1 and 5 (MNIST). They are named
classifier score and classifier FID: they have the formulas of the Inception score and of FID, but
another network, and no number of one is comparable to a number of the other.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gp_lab.data.random import generator
from gp_lab.evaluation.frechet import Moments, frechet_distance
from gp_lab.evaluation.inception_score import SPLITS, SplitSums, inception_score, splits_of
from gp_lab.evaluation.reference_statistics import cache_path, fingerprint, keep
from gp_lab.files import alone, opened
from gp_lab.terminal import bar, watched, write

FORMAT = 1
FEATURES = 128
BATCH = 100
STEPS = 1000
_ROWS = 1000


class ClassifierNet(nn.Module):
    """Two convolutions with pooling and two linear layers: images to features and logits.

    Images `[n, channels, h, w]` in [-1, 1] -> features `[n, 128]` (after the ReLU) and logits
    `[n, classes]`.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        if min(height, width) < 4:
            raise ValueError(f"images of {height} x {width}: too small to pool twice")
        self.convolution1 = nn.Conv2d(channels, 32, 3, padding=1)
        self.convolution2 = nn.Conv2d(32, 64, 3, padding=1)
        self.hidden = nn.Linear(64 * (height // 4) * (width // 4), FEATURES)
        self.output = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.convolution1(x).relu(), 2)
        x = F.max_pool2d(self.convolution2(x).relu(), 2)
        features = self.hidden(x.flatten(1)).relu()
        return features, self.output(features)


@dataclass(frozen=True)
class Classifier:
    """A trained network and what it is worth.

    accuracy: share of held-out images with the right class; identity: a fingerprint of its data
    and settings, for caches of statistics.
    """

    network: ClassifierNet
    accuracy: float
    identity: str

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features `[n, 128]` and class probabilities `[n, classes]` of `[n, c, h, w]`, float64."""
        device = self.network.output.weight.device
        parts = [self.network(some.to(device, torch.float32)) for some in images.split(_ROWS)]
        features, logits = (torch.cat(each).double() for each in zip(*parts, strict=True))
        return features, logits.softmax(1)


class ClassifierOfStacks(Classifier):
    """A classifier of grey images on stacks of them, which sees each channel by itself."""

    @classmethod
    def of(cls, one: Classifier) -> Self:
        """That of stacks, from that of the images which are stacked; its accuracy is theirs."""
        return cls(one.network, one.accuracy, f"{one.identity}, channel by channel")

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Of `[n, c, h, w]` the features of all channels `[n, 128 c]` and the probabilities of the
        stacks' classes `[n, classes^c]`, the first channel's counting most."""
        features, of_one = super().__call__(images.flatten(0, 1)[:, None])
        first, *others = of_one.unflatten(0, images.shape[:2]).unbind(1)
        for other in others:
            first = (first[:, :, None] * other[:, None]).flatten(1)
        return features.reshape(len(images), -1), first


@dataclass(frozen=True)
class LabelledImages:
    """Images `[n, channels, h, w]` in [-1, 1] and their classes `[n]`, int64 from 0.

    Raises ValueError for other shapes, no images, or labels that are no integers from 0.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                "images [n, c, h, w] and labels [n] wanted, got"
                f" {list(self.images.shape)} and {list(self.labels.shape)}"
            )
        if not len(self.labels):
            raise ValueError("images: there are none")
        if self.labels.dtype != torch.int64 or self.labels.min() < 0:
            raise ValueError("labels: integers from 0 (int64) wanted")


def cached_classifier(
    folder: str | Path,
    train: LabelledImages,
    held_out: LabelledImages,
    steps: int = STEPS,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Classifier:
    """The classifier of this data kept in `folder`, trained and kept where it is not there.

    The file is `classifier-<16 digits>.pt`: plain tensors and values, read as such; one that is
    damaged or another's is replaced, with a warning. That it is trained is said on stderr. Raises
    ValueError as `train_classifier` does.
    """
    key = _identity(train, held_out, steps, seed)
    path = cache_path(folder, "classifier", key, "pt")
    with alone(path):
        if path.exists():
            try:
                with opened(path) as file:
                    kept = torch.load(file, map_location="cpu", weights_only=True)
                if kept["key"] != key:
                    raise ValueError("of other data")
                network = _network(train, int(kept["classes"]))
                network.load_state_dict(kept["state"])
                network.eval().requires_grad_(False)
                return Classifier(network.to(device), float(kept["accuracy"]), key)
            except Exception as error:  # whatever is wrong with it, it can be made anew
                warnings.warn(f"{path}: trained again ({error})", stacklevel=2)
        with _announced(f"training the data set's classifier, kept in {path}", steps) as tick:
            trained = train_classifier(train, held_out, steps, seed, device, tick)
        kept = {
            "key": key,
            "classes": trained.network.output.out_features,
            "accuracy": trained.accuracy,
            "state": {name: x.cpu() for name, x in trained.network.state_dict().items()},
        }
        keep(path, lambda file: torch.save(kept, file))
        return trained


@torch.enable_grad()
def train_classifier(
    train: LabelledImages,
    held_out: LabelledImages,
    steps: int = STEPS,
    seed: int = 0,
    device: torch.device | str = "cpu",
    tick: Callable[[], object] = lambda: None,
) -> Classifier:
    """Adam on the cross-entropy of batches of 100, its rate falling from 1e-3 in a straight line.

    As many steps for a small set as for a large one: 1000 see all of MNIST nearly twice. The same
    seed gives the same network on the same machine. `tick` is called after each step.

    Raises ValueError for held-out images of another shape, fewer than two classes, or no step.
    """
    if train.images.shape[1:] != held_out.images.shape[1:]:
        shapes = list(train.images.shape[1:]), list(held_out.images.shape[1:])
        raise ValueError(f"images to train on and held-out ones differ in shape: {shapes}")
    classes = int(max(train.labels.max(), held_out.labels.max())) + 1
    if classes < 2 or steps < 1:
        raise ValueError(f"{classes} classes, {steps} steps: two and one are the least")
    network = _network(train, classes, seed).to(device)
    rng = generator(seed, "classifier-order", 0)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for which in islice(_batches(len(train.labels), rng), steps):
        images = train.images[which.to(train.images.device)].to(device, torch.float32)
        labels = train.labels[which.to(train.labels.device)].to(device)
        optimizer.zero_grad()
        F.cross_entropy(network(images)[1], labels).backward()
        optimizer.step()
        falling.step()
        tick()
    network.eval().requires_grad_(False)
    untested = Classifier(network, float("nan"), _identity(train, held_out, steps, seed))
    _, probabilities = untested(held_out.images)
    right = probabilities.argmax(1).cpu() == held_out.labels.cpu()
    return replace(untested, accuracy=right.double().mean().item())


@contextmanager
def _announced(what: str, steps: int) -> Iterator[Callable[[], object]]:
    """A line before something long, above a run's own bar; on a terminal also a bar below that."""
    silent = "TQDM_DISABLE" in os.environ  # a worker process, say: its parent has the bar
    if not silent:
        write(what)
    off = silent or not watched()
    with bar(total=steps, desc="classifier", disable=off, leave=False, delay=1) as line:
        yield line.update


@dataclass(frozen=True)
class ClassifierScores:
    """What a classifier says of generated images.

    classifier_score, classifier_score_std: exp of the mutual information of image and class, mean
    and standard deviation over the splits; classifier_fid: Fréchet distance of features to those
    of real images; confidence_share: share of images whose most likely class has a probability
    above the threshold; class_entropy: of the most likely classes, in nats, at most log(classes).
    """

    classifier_score: float
    classifier_score_std: float
    classifier_fid: float
    confidence_share: float
    class_entropy: float

    def as_metrics(self) -> dict[str, float]:
        """By name."""
        return dict(vars(self))


def classifier_scores(
    classifier: Classifier,
    images: Tensor,
    real: Moments,
    threshold: float = 0.9,
    splits: int = SPLITS,
) -> ClassifierScores:
    """Of images `[n, c, h, w]`, against the moments of real images' features (`real_moments`).

    All NaN where an image is not finite. Raises ValueError for fewer images than splits.
    """
    split = splits_of(0, len(images), len(images), splits)
    features, probabilities = classifier(images)
    if not probabilities.isfinite().all():
        return ClassifierScores(*[float("nan")] * 5)
    score = inception_score(SplitSums.of(probabilities, split, splits))
    return ClassifierScores(
        classifier_score=score.mean,
        classifier_score_std=score.std,
        classifier_fid=frechet_distance(Moments.of(features.cpu()), real),
        confidence_share=confidence_share(probabilities, threshold),
        class_entropy=class_entropy(probabilities),
    )


def real_moments(classifier: Classifier, images: Tensor) -> Moments:
    """Of the features of real images `[n, c, h, w]`, on the CPU."""
    return Moments.of(classifier(images)[0].cpu())


def confidence_share(probabilities: Tensor, threshold: float = 0.9) -> float:
    """Share of samples `[n, classes]` whose largest probability is above `threshold`; NaN for none.

    zero_gp, Fig. 3, as this lab measures it.
    """
    return (probabilities.max(1).values > threshold).double().mean().item()


def class_entropy(probabilities: Tensor) -> float:
    """Entropy in nats of the shares of the most likely classes of samples `[n, classes]`.

    0 where one class has all samples, log(classes) where all have as many; NaN for no samples.
    """
    counts = probabilities.argmax(1).bincount(minlength=probabilities.shape[1]).double()
    return torch.special.entr(counts / counts.sum()).sum().item()


def _batches(n: int, rng: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(n, generator=rng).split(BATCH)


def _identity(train: LabelledImages, held_out: LabelledImages, steps: int, seed: int) -> str:
    data = [train.images, train.labels, held_out.images, held_out.labels]
    return fingerprint([*data, f"classifier {FORMAT}, {steps} steps, seed {seed}"])


def _network(train: LabelledImages, classes: int, seed: int = 0) -> ClassifierNet:
    channels, height, width = train.images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(
            generator(seed, "classifier-init", 0).initial_seed()
        )
        return ClassifierNet((channels, height, width), classes)
