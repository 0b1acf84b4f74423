"""How many modes of stacked images G makes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.images import Images
from gp_lab.errors import BadInput
from gp_lab.evaluation.classifier import STEPS
from gp_lab.fields import Count
from gp_lab.instantiate import Run
from gp_lab.probes.base import Arrays, Scores, View
from gp_lab.probes.references import classifier_of, single
from gp_lab.probes.scored_images import all_generated, images_of
from gp_lab.probes.scores import CACHE, PathText, ScoreProbe, check_classifier


@dataclass(frozen=True)
class StackedModes(ScoreProbe):
    """Which of the modes of stacked MNIST, 10 digits in each of 3 channels, G makes (Metz et al.,
    Unrolled GANs, 2017, sec. 3.3.1; in none of the five papers).

    A classifier of the single images says what each channel shows.
    Arrays, each a number: hit, how many modes have an image; modes, how many there are; kl, the
    Kullback-Leibler divergence, in nats, of the shares of modes from those of the data, whose
    channels are independent; accuracy of the classifier on held-out images.

    Args:
        count: generated images; the papers that count modes take 26 000.
        steps: in the classifier's training.
        cache: folder of the classifiers.
    """

    best: ClassVar[Scores] = {"hit": "max", "kl": "min"}

    count: Count = 26_000
    steps: Count = STEPS
    cache: PathText = CACHE

    def check(self, key: str, run: Run) -> None:
        super().check(key, run)
        if run.dataset.stacked == 1:
            raise BadInput(f"{key}: counts the modes of stacked images; set dataset.stacked=3")
        check_classifier(key, run.dataset)

    def measure(self, view: View) -> Arrays:
        dataset = images_of(view)
        classifier = classifier_of(single(dataset), self.steps, self.cache, view.device)
        images = all_generated(view, "stacked_modes", self.count)
        _, probabilities = classifier(images.flatten(0, 1)[:, None])
        kinds, stacked = probabilities.shape[1], dataset.stacked
        modes = kinds**stacked
        if not probabilities.isfinite().all():
            hit, kl = float("nan"), float("nan")
        else:
            digits = probabilities.argmax(1).reshape(-1, stacked)
            places = kinds ** torch.arange(stacked - 1, -1, -1, device=digits.device)
            shares = (digits * places).sum(1).bincount(minlength=modes).double() / self.count
            hit, kl = float((shares > 0).sum()), divergence(shares.cpu(), of_data(dataset, kinds))
        found = {"hit": hit, "modes": modes, "kl": kl, "accuracy": classifier.accuracy}
        return {name: np.array(x) for name, x in found.items()}


def of_data(dataset: Images, kinds: int) -> Tensor:
    """Shares [kinds ** channels] of the data: channels are drawn independently from the training
    images, which may lack a kind."""
    assert dataset.train_rows is not None
    labels = dataset.train_rows.labels(torch.arange(len(dataset.train_rows)))
    assert labels is not None
    one = labels.bincount(minlength=kinds).double() / len(labels)
    every = one
    for _ in range(dataset.stacked - 1):
        every = torch.outer(every, one).flatten()
    return every


def divergence(shares: Tensor, data: Tensor) -> float:
    """KL(shares || data) in nats, of shares [modes]; infinite for a mode that the data lack."""
    made = shares > 0
    return float((shares[made] * (shares[made] / data[made]).log()).sum())
