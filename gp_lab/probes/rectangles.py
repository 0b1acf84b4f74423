"""How many squares G's images show, and what D says of combinations (anomalous, Figs. 1-3, 6)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.rectangles import Rectangles
from gp_lab.errors import BadInput
from gp_lab.fields import Count, CountOrZero
from gp_lab.instantiate import Run
from gp_lab.objectives.squares import count_squares
from gp_lab.probes.base import Arrays, Probe, Scores, View, even_batches
from gp_lab.probes.pictures import grid_picture
from gp_lab.probes.samples import finite_set

JUDGED = 256
"""Images of each kind, at most, that D is asked about."""

TINY = 64
"""Images of the largest set whose images, and their combinations, samples are compared with."""


@dataclass(frozen=True)
class RectangleCounts(Probe):
    """The number of squares in G's images, of the same latents at every step.

    Arrays: counts int64 [count] of the samples, exact bool [count] whether the squares are all that
    they show (`gp_lab.objectives.squares`); squares, how many the data have; codes uint8
    [codes, 1, H, W], images of the fixed codes, with codes_count and codes_exact [codes]; f_real,
    f_and, f_or, f_fake, the mean of D's logit over training images, the AND and the OR of a
    parent's two images, the first 256 of each, and as many samples, of which D sees batches of one
    kind. For sets of 64 images or fewer
    nearest_kind int64 [count]: 0 for another image, 1 for a training image, 2 for an AND, 3 for an
    OR, each to within `tolerance` pixels, the nearest.

    Args:
        count: samples.
        tolerance: pixels that may be wrong, in a square or in an image that is compared.
        codes: latent codes that are followed, the first ones of a finite set, which may have fewer;
            or fixed draws.
    """

    best: ClassVar[Scores] = {"correct": "max", "codes_correct": "max"}

    count: Count = 1000
    tolerance: CountOrZero = 0
    codes: Count = 8

    def check(self, key: str, run: Run) -> None:
        if not isinstance(run.dataset, Rectangles):
            raise BadInput(
                f"{key}: counts the squares of dataset=rectangles and its kind; choose one of them"
                " or leave the probe out"
            )
        if self.tolerance >= (pixels := run.dataset.square**2):
            raise BadInput(f"{key}.tolerance={self.tolerance}: a square has {pixels} pixels")
        super().check(key, run)

    def measure(self, view: View) -> Arrays:
        dataset = view.dataset
        assert isinstance(dataset, Rectangles)
        fake = view.fakes(view.rng("rectangles"), self.count)
        counts, exact = count_squares(fake, dataset.square, self.tolerance)
        of_codes = view.fakes_of(self._codes(view))
        codes_count, codes_exact = count_squares(of_codes, dataset.square, self.tolerance)
        training = dataset.at(torch.arange(min(dataset.size, JUDGED)))
        both, either = dataset.intersections(JUDGED), dataset.unions(JUDGED)
        judged = {"real": training, "and": both, "or": either, "fake": fake[:JUDGED]}
        arrays = {
            "counts": counts.cpu().numpy(),
            "exact": exact.cpu().numpy(),
            "squares": np.array(dataset.squares),
            "codes": dataset.kept(of_codes),
            "codes_count": codes_count.cpu().numpy(),
            "codes_exact": codes_exact.cpu().numpy(),
        }
        arrays |= {f"f_{name}": np.array(_mean_logit(view, x)) for name, x in judged.items()}
        if dataset.size <= TINY:
            kinds = nearest_kind(fake, (training, both, either), self.tolerance)
            arrays["nearest_kind"] = kinds.cpu().numpy()
        return arrays

    def scalars(self, arrays: Arrays) -> dict[str, float]:
        """`correct`: the share of samples that show as many squares as the data, and nothing else;
        `codes_correct`, that of the codes; D's means."""
        squares, found = arrays["squares"], {}
        for name, counts, exact in (
            ("correct", arrays["counts"], arrays["exact"]),
            ("codes_correct", arrays["codes_count"], arrays["codes_exact"]),
        ):
            found[name] = float(np.mean((counts == squares) & exact))
        return found | {name: float(x) for name, x in arrays.items() if name.startswith("f_")}

    def pictures(self, arrays: Arrays) -> dict[str, np.ndarray]:
        return {"codes": grid_picture(arrays["codes"])}

    def _codes(self, view: View) -> Tensor:
        codes = finite_set(view.latent, self.codes)
        if codes is not None:
            return codes
        rng = view.rng("rectangles_codes")
        return view.latents(rng, self.codes, real=view.partners(rng, self.codes))[0]


def nearest_kind(images: Tensor, known: tuple[Tensor, ...], tolerance: int = 0) -> Tensor:
    """Of which of the sets `known` [m, ...] the image nearest to each [n, ...] is, int64 [n].

    The first set is 1, and the first of equally near ones is taken; 0 where more than `tolerance`
    pixels are on (above 0) in one image and off in the other.
    """
    every = torch.cat(known).to(images.device)
    kinds = torch.cat([torch.full((len(x),), k) for k, x in enumerate(known, 1)]).to(every.device)
    a, b = ((x.flatten(1) > 0).float() for x in (images, every))
    differ, which = torch.cdist(a, b, p=1).min(1)
    return torch.where(differ <= tolerance, kinds[which], 0)


@torch.no_grad()
def _mean_logit(view: View, images: Tensor) -> float:
    if len(images) == 1:
        images = images.repeat(2, 1, 1, 1)  # batch norm has no statistics of one
    parts = images.split(even_batches(len(images), view.batch_size))
    return float(torch.cat([view.critic(view.place(part)) for part in parts]).double().mean())
