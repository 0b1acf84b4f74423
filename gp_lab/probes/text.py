"""The probe of the character language model (wgan_gp, sec. 5.5 and Table 4)."""

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from torch import Tensor

from gp_lab.data.text import Text
from gp_lab.errors import BadInput
from gp_lab.evaluation.ngrams import NGrams, count_all, divergences
from gp_lab.fields import Count, Few
from gp_lab.instantiate import Run
from gp_lab.probes.base import Arrays, Probe, Scores, View
from gp_lab.probes.pictures import text_picture

SHOWN = 32
"""Lines that the pictures have to choose from."""


class Counted(NamedTuple):
    """A text's n-grams, those it trains on and those held out, and how far apart they are."""

    codes: Tensor
    train: tuple[NGrams, ...]
    held_out: tuple[NGrams, ...]
    floors: Arrays


@dataclass(frozen=True)
class NGramDivergence(Probe):
    """Jensen-Shannon divergence (base 2) of the n-grams of G's samples from those of the text.

    Samples are decoded to the largest entry of each place. The floor of a divergence is that of as
    many of the text's own lines: held-out ones from the training text, training ones from the
    held-out text.

    Args:
        count: of samples, from the same latents at every step.
        largest: n goes from 1 to this.

    Arrays: codes int16 [count, length] the samples, real int16 [k, length] some held-out lines,
    characters [vocabulary] what the numbers stand for (`unk` is U+FFFD); train, held_out,
    train_floor, held_out_floor [largest], float64.
    """

    best: ClassVar[Scores] = {"js_*": "min"}

    count: Count = 640
    largest: Few = 4
    kept: list[Counted] = field(default_factory=list, init=False, repr=False, compare=False)
    """The text that was counted last."""

    def check(self, key: str, run: Run) -> None:
        shape, dataset = run.dataset.shape, run.dataset
        if len(shape) != 2:
            raise BadInput(
                f"{key}: counts characters, but the samples have shape {list(shape)};"
                " choose a text, such as dataset=python_topics, or leave the probe out"
            )
        if self.largest > shape[0]:
            raise BadInput(f"{key}.largest={self.largest}: longer than a sequence of {shape[0]}")
        if not isinstance(dataset, Text):
            raise BadInput(
                f"{key}: counts characters, but the data set is no text; choose one, such"
                " as dataset=python_topics, or leave the probe out"
            )
        if dataset.held_out_codes is None:
            raise BadInput(
                f"{key}: compares with held-out text, and there is none; set"
                " dataset.held_out to a number of lines to set aside"
            )
        characters = len(dataset.characters)
        if characters**self.largest >= 2**63:
            raise BadInput(
                f"{key}.largest={self.largest}: the n-grams of {characters} characters would"
                " not fit into 64 bits; choose a smaller one"
            )
        super().check(key, run)

    def measure(self, view: View) -> Arrays:
        fakes = view.fakes(view.rng("ngrams_latent"), self.count)
        codes = fakes.argmax(-1).cpu().numpy().astype(np.int16)
        dataset = view.dataset
        assert isinstance(dataset, Text)
        assert dataset.held_out_codes is not None
        text = self._counted(dataset)
        samples = count_all(codes, len(dataset.characters), self.largest)
        return {
            "codes": codes,
            "real": dataset.held_out_codes[:SHOWN].numpy(),
            "characters": np.array(dataset.letters),
            "train": divergences(samples, text.train),
            "held_out": divergences(samples, text.held_out),
            **text.floors,
        }

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        return {
            f"js_{n}_{part}": float(value)
            for part in ("train", "held_out")
            for n, value in enumerate(arrays[part], 1)
        }

    def pictures(self, arrays: Arrays) -> dict[str, np.ndarray]:
        return {"text": text_picture(lines(arrays, "codes")[:SHOWN])}

    def _counted(self, text: Text) -> Counted:
        train, held_out = text.train_codes, text.held_out_codes
        assert train is not None
        assert held_out is not None
        if not self.kept or self.kept[0].codes is not train:
            vocabulary = len(text.characters)

            def counted(codes: Tensor) -> tuple[NGrams, ...]:
                return count_all(codes.numpy(), vocabulary, self.largest)

            of_train, of_held_out = counted(train), counted(held_out)
            floors = {
                "train_floor": divergences(counted(_spread(held_out, self.count)), of_train),
                "held_out_floor": divergences(counted(_spread(train, self.count)), of_held_out),
            }
            self.kept[:] = [Counted(train, of_train, of_held_out, floors)]
        return self.kept[0]


def lines(arrays: Arrays, which: str) -> list[str]:
    """The text of `codes` or `real` among the probe's arrays."""
    return ["".join(row) for row in arrays["characters"][arrays[which]]]


def _spread(codes: Tensor, most: int) -> Tensor:
    """So many lines at most, evenly spread over all."""
    return codes[:: max(1, len(codes) // most)][:most]
