"""How many squares an image shows (anomalous, secs. 3.2, 4.2 and 5.2: its "number of rectangles").

Images are float [n, 1, H, W] on the scale that the networks see; a pixel is on if it is above 0,
which is mid grey (one that is not finite is off). The squares have edges of `square` pixels along
the axes.

The algorithm. Of all windows of square x square pixels take the one with most on-pixels that no
window before has covered, the first in raster order among equals, as long as it lacks no more than
`tolerance` of them; the windows taken are the squares.

Without tolerance it is exact for squares that are disjoint or touch, as the data's are: the first
uncovered on-pixel in raster order is the corner of a square, for the pixels above and left of it
are off or covered. That square's window covers square^2 new pixels, the most there can be, and no
window before it does, as their corners are off or covered. So it is taken, what is left uncovered
are the other squares, and so on. Squares that overlap are no two: what the first leaves of the
second is no square, nor is the rim of one that has come out too large.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

_CHUNK = 1024
"""Images that are counted at once."""


def count_squares(images: Tensor, square: int, tolerance: int = 0) -> tuple[Tensor, Tensor]:
    """The number of squares in each image [n, 1, H, W], int64 [n], and whether they are all of it.

    `exact`, bool [n]: no more than `tolerance` on-pixels for each square lie outside of them. An
    empty image shows exactly 0. Raises ValueError for images of another shape, ones smaller than a
    square, or a tolerance that is negative or not below square^2.
    """
    on = _on(images, square, tolerance)
    counts, exacts = [], []
    for some in on.split(_CHUNK):
        covered = torch.zeros_like(some)
        count = torch.zeros(len(some), dtype=torch.int64, device=some.device)
        while True:
            covered, taken = _take(some, covered, square, tolerance)
            if not taken.any():
                break
            count = count + taken
        counts.append(count)
        exacts.append(_left(some, covered) <= tolerance * count)
    return torch.cat(counts), torch.cat(exacts)


def has_squares(images: Tensor, count: int, square: int, tolerance: int = 0) -> Tensor:
    """Whether images [n, 1, H, W] show exactly `count` squares and nothing else, bool [n].

    As `count_squares` finds them, in a fixed number of operations: for `torch.vmap` and
    `torch.compile`. Raises ValueError as it does, and for a negative count.
    """
    if count < 0:
        raise ValueError(f"count={count}: must not be negative")
    on = _on(images, square, tolerance)
    covered = torch.zeros_like(on)
    so_many = torch.ones_like(on[:, 0, 0])
    for _ in range(count):
        covered, taken = _take(on, covered, square, tolerance)
        so_many = so_many & taken
    _, more = _take(on, covered, square, tolerance)
    return so_many & ~more & (_left(on, covered) <= tolerance * count)


def _on(images: Tensor, square: int, tolerance: int) -> Tensor:
    """The pixels that are on, bool [n, H, W]."""
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"images [n, 1, H, W] wanted, got {list(images.shape)}")
    if not 1 <= square <= min(images.shape[2:]):
        raise ValueError(
            f"square={square}: images are {images.shape[2]} x {images.shape[3]} pixels"
        )
    if not 0 <= tolerance < square**2:
        raise ValueError(f"tolerance={tolerance}: must lie in [0, {square**2})")
    return images[:, 0] > 0


def _take(on: Tensor, covered: Tensor, square: int, tolerance: int) -> tuple[Tensor, Tensor]:
    """One more window of each image: what is covered then [n, H, W], and whether there was one."""
    new = _sums(on & ~covered, square)
    most, place = new.flatten(1).max(1)  # the first among equals
    taken = most >= square**2 - tolerance
    row, column = (x[:, None] for x in (place // new.shape[2], place % new.shape[2]))
    y, x = (torch.arange(size, device=on.device) for size in on.shape[1:])
    rows = (y >= row) & (y < row + square)
    columns = (x >= column) & (x < column + square)
    window = rows[:, :, None] & columns[:, None, :]
    return covered | (window & taken[:, None, None]), taken


def _left(on: Tensor, covered: Tensor) -> Tensor:
    """How many on-pixels are not covered [n]."""
    return (on & ~covered).sum((1, 2))


def _sums(mask: Tensor, square: int) -> Tensor:
    """How many pixels of each window are in a mask [n, H, W], by a table of summed areas."""
    table = pad(mask.float(), (1, 0, 1, 0)).cumsum(1).cumsum(2)
    bands = table[:, square:] - table[:, :-square]
    return bands[:, :, square:] - bands[:, :, :-square]
