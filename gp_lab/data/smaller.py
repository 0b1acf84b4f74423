"""Images made smaller, so that networks of few layers see them: 16 x 16 digits for two cores."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gp_lab.data.contents import Contents, Holds, contents_of
from gp_lab.data.digests import combined
from gp_lab.data.sources import Part, Parts, Shape, Source
from gp_lab.errors import BadInput
from gp_lab.fields import Count
from gp_lab.instantiate import Checked


@dataclass(frozen=True)
class Smaller(Checked):
    """The images of another source as [C, side, side], by a bilinear filter with antialiasing.

    They are kept in memory. Raises ValueError for a source whose images are no larger.

    Args:
        source: of the images.
        side: pixels of an edge.
    """

    source: Source
    side: Count = 16

    def __post_init__(self) -> None:
        if self.side >= min(self.source.shape[1:]):
            _, height, width = self.source.shape
            raise ValueError(
                f"side={self.side}: must be below that of the images, {height}x{width}"
            )

    @property
    def shape(self) -> Shape:
        return (self.source.shape[0], self.side, self.side)

    def load(self) -> Parts:
        """Raises `BadInput` as the source does, and for one that is read image by image."""
        parts = self.source.load()
        held_out = None if parts.held_out is None else self._part(parts.held_out)
        return Parts(self._part(parts.train), held_out)

    def contents(self) -> Contents | None:
        """The source's, with a digest of its own for each side. Raises `BadInput` as it does."""
        found = contents_of(self.source) if isinstance(self.source, Holds) else None
        if found is None:
            return None
        return replace(found, digest=combined("smaller", str(self.side), found.digest))

    def _part(self, part: Part) -> Part:
        if not isinstance(part.images, Tensor):
            raise BadInput(
                f"dataset.source.side={self.side}: only sets that are held in memory are made"
                " smaller here; image_folder has an image_size of its own"
            )
        size = (self.side, self.side)
        chunks = [
            interpolate(chunk.float(), size, mode="bilinear", antialias=True).round()
            for chunk in part.images.split(4096)
        ]
        return Part(torch.cat(chunks).clamp(0, 255).to(torch.uint8), part.labels)
