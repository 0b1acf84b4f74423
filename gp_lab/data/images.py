"""The dataset of images: bytes that stay on the device (or in files), floats a batch at a time.

Sources (`gp_lab.data.digits`, `cifar`, `pictures`, `prepared`) say where the bytes come from;
`Images` says which of them are trained on, and what a batch of them looks like. All random numbers
come from the generator of the batch, so a batch is the same wherever the bytes are.
"""

import copy
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.base import Dataset
from gp_lab.data.contents import Contents, Holds, contents_of
from gp_lab.data.random import choose, generator, uniform_rows
from gp_lab.data.sources import Part, Source, loaded, resident
from gp_lab.errors import BadInput
from gp_lab.fields import Count, CountOrZero, Few
from gp_lab.instantiate import Run
from gp_lab.networks.layers import RANGES, Output

SCALES = {
    "minus_one_one": (2.0, -1.0),
    "zero_one": (1.0, 0.0),
    "mnist_authors": (1 / 0.3081, -0.1307 / 0.3081),
    "lipschitz_authors": (255 / 128, -127.5 / 128),
}
"""pixels -> (factor, summand) on brightness in [0, 1]."""


def range_of(pixels: str) -> tuple[float, float]:
    """The least and the largest number on the scale `pixels`, a key of `SCALES`."""
    factor, summand = SCALES[pixels]
    return summand, factor + summand


def output_of(run: Run) -> tuple[str, Output] | None:
    """The key that says how a run's generator ends, and what it says; None where none does."""
    node = run.config["architecture"]["generator"]
    for name in ("output", "output_activation"):
        if isinstance(output := node.get(name), str) and output in RANGES:
            return f"architecture.generator.{name}", output
    return None


@dataclass(frozen=True, eq=False)
class Rows:
    """Some images of a part: `which` int64 [n] of its rows, or all of them."""

    part: Part
    which: Tensor | None = None

    def __len__(self) -> int:
        return len(self.part.images if self.which is None else self.which)

    def images(self, i: Tensor) -> Tensor:
        """uint8 [k, C, H, W] at positions i [k], where the part has its images."""
        return self.part.rows(self._rows(i))

    def labels(self, i: Tensor) -> Tensor | None:
        """int64 [k] at positions i [k]; None without classes."""
        return None if self.part.labels is None else self.part.labels[self._rows(i)]

    def _rows(self, i: Tensor) -> Tensor:
        i = i.cpu()
        return i if self.which is None else self.which[i]


@dataclass(frozen=True)
class Images(Dataset):
    """Images in the trainer's signature, [n, C, H, W] float32.

    A byte b becomes brightness b / 255, or (b + U(0, 1)) / 256 with `dequantise`; `pixels` then
    maps brightness to what the networks see:

    - minus_one_one: [-1, 1], b / 127.5 - 1; dequantised it is b / 128 - 1 + U(0, 1/128), as in
      the code of wgan_gp, Table 3;
    - zero_one: [0, 1] (mu_wgan, MNIST; wgan_gp, Fig. 5b);
    - mnist_authors: (b / 255 - .1307) / .3081 (zero_gp, Fig. 3);
    - lipschitz_authors: (b - 127.5) / 128 (lipschitz, Fig. 4).

    Args:
        source: where the images come from.
        pixels: the scale that the networks see.
        dequantise: add uniform noise as wide as one step of a byte.
        flips: mirror each image with probability 1/2.
        stacked: so many grey images, drawn independently, become the channels of one: 3 of MNIST
            are stacked MNIST with its 1000 modes.
        size: train on so many images, chosen once for a run; null for all.
        held_out: how many training images to set aside, the same for every seed; null for the
            set's own held-out part, or none if it has none.
        order: `replacement` (each image of a batch is any of them) or `shuffle` (random
            permutations, one after another).
        digest: of what the source holds now, where it was looked at.

    Raises ValueError for stacked images that are not grey.
    """

    source: Source
    pixels: Literal["minus_one_one", "zero_one", "mnist_authors", "lipschitz_authors"] = (
        "minus_one_one"
    )
    dequantise: bool = False
    flips: bool = False
    stacked: Few = 1
    size: Count | None = None
    held_out: CountOrZero | None = None
    order: Literal["replacement", "shuffle"] = "shuffle"
    digest: str | None = None
    train_rows: Rows | None = field(default=None, init=False, repr=False, compare=False)
    """The images that are trained on; None before `prepare`."""
    held_out_rows: Rows | None = field(default=None, init=False, repr=False, compare=False)
    """The images that are not; None before `prepare` and where there are none."""
    device: torch.device | None = field(default=None, init=False, repr=False, compare=False)
    """Where batches are made; None: where their generator is."""

    draws_parts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        channels = self.source.shape[0]
        if self.stacked > 1 and channels != 1:
            raise ValueError(
                f"stacked={self.stacked}: stacks grey images, and these have {channels} channels"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample: (C, H, W)."""
        channels, height, width = self.source.shape
        return (channels * self.stacked, height, width)

    @property
    def classes(self) -> int:
        """How many kinds of labels there are: 1000 for stacked MNIST, 0 without labels.

        Raises ValueError before `prepare`.
        """
        return self._kinds() ** self.stacked

    @property
    def streams(self) -> bool:
        """Whether the images of a batch are fetched from a disk or sent to the device for it."""
        return self._prepared().part.streams

    @property
    def count(self) -> int:
        """How many images are trained on. Raises ValueError before `prepare`."""
        return len(self._prepared())

    def contents(self) -> Contents | None:
        """What the source holds; None if it cannot say. Raises `BadInput` where it is missing."""
        return contents_of(self.source) if isinstance(self.source, Holds) else None

    def prepare(self, rng: torch.Generator) -> "Images":
        """A copy that holds its images; `rng` chooses which where `size` asks for some of them.

        Raises `BadInput` for a source that is missing, damaged or smaller than what is asked of it.
        """
        parts = loaded(self.source, self.digest)
        n = len(parts.train.images)
        train = Rows(parts.train)
        held_out = None if parts.held_out is None else Rows(parts.held_out)
        if self.held_out is not None:
            if self.held_out >= n:
                raise BadInput(
                    f"dataset.held_out={self.held_out}: leaves nothing of {n} images to train on"
                )
            # Not from `rng`, which is the run's own: all seeds are to be judged by the same images.
            shuffled = torch.randperm(n, generator=generator(0, "images_held_out", 0))
            aside, rest = shuffled[: self.held_out], shuffled[self.held_out :]
            train = Rows(parts.train, rest.sort().values)
            held_out = Rows(parts.train, aside.sort().values) if self.held_out else None
        if self.size is not None:
            if self.size > len(train):
                raise BadInput(f"dataset.size={self.size}: larger than the {len(train)} images")
            some = torch.randperm(len(train), generator=rng, device=rng.device)[: self.size].cpu()
            train = Rows(parts.train, some if train.which is None else train.which[some])
        return self._with(train_rows=train, held_out_rows=held_out)

    def on(self, device: torch.device) -> "Images":
        """A copy that makes its batches on a device, where its training images live if they fit.

        Raises ValueError before `prepare`.
        """
        rows = self._prepared()
        return self._with(device=device, train_rows=replace(rows, part=resident(rows.part, device)))

    def draw(
        self,
        rng: torch.Generator,
        n: int,
        real: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """n samples [n, *shape], float32, on the set's device; `real` is not used.

        Of the n those at the places `wanted` [k], ascending, if it is given: only these are read
        and converted. All random numbers of the n are drawn: with `dequantise` as many as the
        samples have pixels, else one or two a sample.

        Raises ValueError before `prepare`. With `order: shuffle` each call begins a new
        permutation, as in `gp_lab.data.points.Points`.
        """
        return self._batch(self._prepared(), self.order, rng, n, wanted)[0]

    def draw_labelled(
        self, rng: torch.Generator, n: int, wanted: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The samples that `draw` gives, and their classes [n], int64.

        Stacked, the first channel's class counts most: digits 4, 0, 7 are class 407. Raises
        `BadInput` for a set without classes.
        """
        return self._with_labels(self._prepared(), self.order, rng, n, wanted)

    def training_set(self) -> Tensor | None:
        """All images that are trained on; None for stacked ones, which are combined at random."""
        rows = self._prepared()
        return None if self.stacked > 1 else self.floats(rows.images(torch.arange(len(rows))))

    def fresh(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """n held-out samples [n, *shape], in random permutations, for held-out scores.

        Raises `BadInput` where no images are held out.
        """
        return self._batch(self._held_out(), "shuffle", rng, n)[0]

    def fresh_labelled(self, rng: torch.Generator, n: int) -> tuple[Tensor, Tensor]:
        """The samples that `fresh` gives, and their classes [n], int64."""
        return self._with_labels(self._held_out(), "shuffle", rng, n)

    def floats(self, images: Tensor) -> Tensor:
        """Bytes [..., C, H, W] as the networks see them, without noise or flips; float32."""
        factor, summand = SCALES[self.pixels]
        brightness = (images.float() + 0.5) / 256 if self.dequantise else images.float() / 255
        return factor * brightness + summand

    def kept(self, x: Tensor) -> np.ndarray:
        """The bytes that images stand for, whatever scale the networks see: uint8 [n, C, H, W]."""
        return self.to_bytes(x.detach()).cpu().numpy()

    def to_bytes(self, x: Tensor) -> Tensor:
        """What the networks see as bytes, the inverse of the scale; outside of it is cut off."""
        factor, summand = SCALES[self.pixels]
        brightness = ((x.float() - summand) / factor).clamp(0, 1)
        if self.dequantise:
            return (brightness * 256).floor().clamp(max=255).to(torch.uint8)
        return (brightness * 255).round().to(torch.uint8)

    def check(self, key: str, run: Run) -> None:
        """Raises `BadInput` for a generator, too, whose output cannot reach all that pixels can be,
        where the images are the run's data."""
        super().check(key, run)
        if run.dataset is self and (found := output_of(run)) is not None:
            self._check_range(*found)

    def _check_range(self, key: str, output: Output) -> None:
        def reaches(output: Output, pixels: str) -> bool:
            (low, high), (least, most) = RANGES[output], range_of(pixels)
            return low <= least and most <= high

        if not reaches(output, self.pixels):
            (low, high), (least, most) = RANGES[output], range_of(self.pixels)
            scales = " or ".join(scale for scale in SCALES if reaches(output, scale))
            outputs = " or ".join(other for other in RANGES if reaches(other, self.pixels))
            raise BadInput(
                f"dataset.pixels={self.pixels}: the pixels lie in [{least:.3g}, {most:.3g}], and"
                f" {key}={output} reaches no further than [{low:g}, {high:g}];"
                f" write dataset.pixels={scales}, or {key}={outputs}"
            )

    def _batch(
        self, rows: Rows, order: str, rng: torch.Generator, n: int, wanted: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        which = choose(order, len(rows), rng, n * self.stacked).reshape(n, self.stacked)
        which = which if wanted is None else which[wanted]
        device = self.device or rng.device
        images = _sent(rows.images(which.flatten()), device).reshape(len(which), *self.shape)
        if self.dequantise:
            noise = uniform_rows(rng, (n, *self.shape), wanted).to(device)
            x = noise.add_(images).div_(256)
        else:
            x = images.float().div_(255)
        if self.flips:
            mirrored = uniform_rows(rng, (n,), wanted) < 0.5
            x = torch.where(mirrored.to(device)[:, None, None, None], x.flip(-1), x)
        factor, summand = SCALES[self.pixels]
        return x.mul_(factor).add_(summand), rows.labels(which.flatten())

    def _with_labels(
        self, rows: Rows, order: str, rng: torch.Generator, n: int, wanted: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        x, labels = self._batch(rows, order, rng, n, wanted)
        if labels is None:
            raise BadInput("dataset: has no classes; choose a set with labels, such as cifar10")
        places = self._kinds() ** torch.arange(self.stacked - 1, -1, -1)
        return x, (labels.reshape(len(x), self.stacked) * places).sum(1).to(x.device)

    def _with(self, **values: object) -> "Images":
        other = copy.copy(self)
        for name, value in values.items():
            object.__setattr__(other, name, value)
        return other

    def _kinds(self) -> int:
        labels = self._prepared().part.labels
        return 0 if labels is None else int(labels.max()) + 1

    def _prepared(self) -> Rows:
        if self.train_rows is None:
            raise ValueError("images must be prepared before they are drawn from")
        return self.train_rows

    def _held_out(self) -> Rows:
        self._prepared()
        if self.held_out_rows is None:
            raise BadInput(
                "dataset.held_out: the data set has no held-out images; set dataset.held_out to a"
                " number of images to set aside"
            )
        return self.held_out_rows


def _sent(images: Tensor, device: torch.device) -> Tensor:
    """Bytes on a device; to a GPU from pinned memory, so that nobody waits for the copy."""
    if device.type == "cuda" and not images.is_cuda:
        images = images.pin_memory()
    return images.to(device, non_blocking=True)
