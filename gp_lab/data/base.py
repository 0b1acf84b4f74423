"""What a run asks of its data and of its latents: base classes that answer all but two questions.

A data set of one's own is a class that derives from `Dataset`, a latent one that derives from
`Latent`; each defines `shape` and `draw`, and of the rest what it has. What is no method may be a
property, an attribute of the class, a field of a dataclass or set in `__init__`. A config names the
class by `_target_`, and its constructor's arguments.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from gp_lab.data.contents import Contents
from gp_lab.errors import BadInput
from gp_lab.instantiate import Checked, Run

if TYPE_CHECKING:
    from builtins import property as default
else:

    class default:  # noqa: N801
        """A property that gives way to whatever a derived class has instead, a field too."""

        def __init__(self, value: Callable[[Any], Any]) -> None:
            self.value, self.__doc__ = value, value.__doc__

        def __get__(self, instance: Any, owner: type) -> Any:
            if instance is None:  # a dataclass looks for the default of a field of its own
                raise AttributeError
            return self.value(instance)


class Latent(Checked, ABC):
    """What a generator is fed: noise, a fixed distribution, or the reals themselves.

    A finite set has `points`, which `prepare` may draw; a supply without end leaves both out.
    """

    follows_reals: ClassVar[bool] = False
    """Whether `draw` makes something of the reals that it is given; others may be given none."""

    @default
    def shape(self) -> tuple[int, ...]:
        """Of one sample, without the batch: (dim,), or (channels, height, width)."""
        raise BadInput(f"{type(self).__name__} does not say which shape its samples have")

    @abstractmethod
    def draw(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """n samples [n, *shape], float32, that depend on `rng` alone, on its device.

        `real` [n, ...] is the batch of reals that they will be compared with, for what
        `follows_reals`. Data are drawn without it.
        """

    @default
    def points(self) -> Tensor | None:
        """All samples [count, *shape] of a finite set, float32; None where they are not at hand."""
        return None

    @default
    def count(self) -> int | None:
        """How many samples there are to draw from; None for a supply without end."""
        return None if self.points is None else len(self.points)

    def prepare(self, rng: torch.Generator) -> Self:
        """What a run draws from, before its first step: itself, or a copy that has read its files
        or has drawn its finite set from `rng`, a generator of the run's seed.

        Raises `BadInput` for files that are missing or damaged.
        """
        return self

    def fresh(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        """n samples [n, *shape] as `draw` gives them, of those that a run is not trained on.

        Raises `BadInput` where there are none: a finite set has them only if it says so itself.
        """
        if self.count is not None:
            raise BadInput(f"{type(self).__name__} holds no samples out")
        return self.draw(rng, n, real)

    def check(self, key: str, run: Run) -> None:
        """Raises `BadInput` for a run that this cannot be part of; `key` is its own.

        That is one whose batch is larger than the set, and one whose generator is trained on
        latents that follow the reals: it has batches of its own.
        """
        check_batch_size(key, self.count, run)
        if self.follows_reals and run.latent is self and run.settings.g_steps > 0:
            raise BadInput(
                f"g_steps={run.settings.g_steps}: {key} follows the reals, and the generator's own"
                " batches have none; use g_steps=0"
            )


class Dataset(Latent):
    """What a run is trained on. It is drawn from as a latent is, and so can stand for one.

    Numbers are float32, layouts [n, dim] for points, [n, channels, height, width] for images and
    [n, length, characters] for texts; images are in [-1, 1] unless `kept` says otherwise, and other
    units are the data's own.
    """

    draws_parts: ClassVar[bool] = False
    """Whether `draw` and `draw_labelled` take `wanted`, int64 [k], ascending: the places of those
    of the n samples that are to be made, [k, *shape]. Else every rank makes the whole batch."""

    @default
    def classes(self) -> int:
        """How many classes the samples have, for networks that know of them; 0 without classes."""
        return 0

    @default
    def streams(self) -> bool:
        """Whether drawing waits for a disk or a copy, so that it is done ahead by a thread."""
        return False

    @default
    def characters(self) -> tuple[str, ...]:
        """The vocabulary of a text in the order of its numbers; () for what is no text."""
        return ()

    def spelt_with(self, characters: tuple[str, ...]) -> Self:
        """A copy of a text with this vocabulary, that of the run, whatever its files have now."""
        return self

    def contents(self) -> Contents | None:
        """What the files hold now, which is then the run's identity instead of where they lie.

        None for what comes from no files, or cannot say. It is asked for where the config has a
        `root` or a `digest`. Raises `BadInput` where files are missing or cannot be read.
        """
        return None

    def on(self, device: torch.device) -> Self:
        """Itself, or a copy that makes its batches on a device."""
        return self

    def training_set(self) -> Tensor | None:
        """All that a run is trained on [count, *shape], float32, without noise and flips; None for
        a supply without end, and where they are not at hand."""
        return self.points

    def draw_labelled(self, rng: torch.Generator, n: int) -> tuple[Tensor, Tensor]:
        """The samples that `draw` gives, and their classes, int64 [n], from 0.

        Raises `BadInput` for a set without classes.
        """
        raise BadInput("dataset: has no classes; choose a set with labels, such as cifar10")

    def combinations(self, rng: torch.Generator, n: int) -> Tensor:
        """n pixel-wise combinations of training images [n, *shape], float32, that the set itself
        knows of: D_com of anomalous, Eq. 12. They depend on `rng` alone.

        Raises `BadInput` for a set that knows none.
        """
        raise BadInput(
            "dataset: knows no combinations of its images; choose correction.pairs=batch, which"
            " makes them of each batch, or dataset=rectangles"
        )

    def centers(self) -> Tensor | None:
        """The centre of each mode [m, *shape], float64; None for data without modes."""
        return None

    def curve(self, n: int) -> Tensor | None:
        """n points [n, *shape] along the curve that the data lie about, float64; None without."""
        return None

    def kept(self, x: Tensor) -> np.ndarray:
        """Samples [n, *shape], real or generated, as probes keep them and pictures show them.

        Images, which have three dimensions, are bytes, uint8 [n, C, H, W], where their numbers are
        in [-1, 1]; on another scale a data set says here which bytes they stand for. Texts, which
        have `characters`, are strings [n]. All else is float64 [n, *shape].
        """
        x = x.detach().cpu()
        if self.characters:
            return np.array(spelt(x, self.characters))
        if len(self.shape) == 3:
            return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
        return x.double().numpy()


def spelt(x: Tensor, characters: Sequence[str]) -> list[str]:
    """The texts of sequences [n, length, characters]: the largest entry of each place."""
    letters = np.array(characters)
    return ["".join(row) for row in letters[x.argmax(-1).cpu().numpy()]]


def check_batch_size(key: str, count: int | None, run: Run, else_: str = "") -> None:
    """Raises `BadInput` for a batch that is larger than the `count` samples of what `key` names."""
    size = run.settings.batch_size
    if count is not None and size > count:
        raise BadInput(
            f"batch_size={size}: larger than the {count} samples of {key}; choose at most"
            f" {count}{else_}"
        )
