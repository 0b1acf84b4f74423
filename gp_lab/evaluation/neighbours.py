"""How near samples are to the training images: memorising and diversity.

zero_gp, Figs. 3 and 9; wgan_gp, Fig. 2; anomalous, Figs. 5 and 7.
Distances are Euclidean, in the units of what is given: pixels or features. How much a path between
samples jumps is in `gp_lab.evaluation.paths`.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from gp_lab.evaluation.distances import Nearest, nearest


def nearest_training(samples: Tensor, training: Tensor) -> Nearest:
    """Distance `[n]` (float64) to, and place `[n]` of, the training image nearest to each sample.

    Samples `[n, ...]` and training images `[m, ...]` of one shape, compared a chunk at a time. NaN
    and -1 for a sample that is not finite. Raises ValueError for shapes that do not match.
    """
    return nearest(samples, training)


def nearest_of_batches(samples: Tensor, batches: Iterable[Tensor]) -> Nearest:
    """As `nearest_training`, for training images `[m, ...]` that come batch after batch.

    Raises ValueError where there is no batch, too.
    """
    distance, which, start = None, None, 0
    for training in batches:
        found = nearest(samples, training)
        place = torch.where(found.which < 0, -1, found.which + start)
        if distance is None or which is None:
            distance, which = found.distance, place
        else:
            which = torch.where(found.distance < distance, place, which)
            distance = torch.where(found.distance < distance, found.distance, distance)
        start += len(training)
    if distance is None or which is None:
        raise ValueError("no training images to look among")
    return Nearest(distance, which)


def closest(images: Tensor, batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """The sample nearest to each image `[n, ...]` among samples `[m, ...]` that come batch after
    batch and are not held: its distance `[n]` (float64), and itself `[n, ...]`.

    NaN, and zeros, where there is none that is finite. Raises ValueError for shapes that do not
    match.
    """
    distance = torch.full((len(images),), torch.nan, dtype=torch.float64, device=images.device)
    found = torch.zeros_like(images)
    for samples in batches:
        finite = samples[samples.flatten(1).isfinite().all(1)]
        if len(finite):
            near, which = nearest(images, finite)
            better = ~(near >= distance)
            distance = torch.where(better, near, distance)
            found[better] = finite[which[better]].to(found.dtype)
    return distance, found


def own_distances(training: Tensor) -> Tensor:
    """Distance of each training image to the nearest other one `[m]`, float64.

    Raises ValueError for fewer than two.
    """
    return nearest(training, training, leave_out_self=True).distance


def near_duplicate_share(samples: Tensor, training: Tensor, within: float) -> float:
    """Share of samples `[n, ...]` no further than `within` from a training image `[m, ...]`.

    NaN for no samples; one that is not finite counts and is near nothing. `duplicate_distance` is a
    choice of `within`. Raises ValueError for shapes that do not match or a negative `within`.
    """
    if not within >= 0:
        raise ValueError(f"within={within}: must be 0 or more")
    return (nearest_training(samples, training).distance <= within).double().mean().item()


def duplicate_distance(training: Tensor, share: float = 0.01) -> float:
    """The distance within which `share` of the training images have another one.

    A generator that draws from the data's distribution anew is that near to its training images
    about as often. Raises ValueError for fewer than two images or a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share={share}: must lie in [0, 1]")
    distances = own_distances(training).sort().values
    return distances[min(len(distances) - 1, int(share * len(distances)))].item()


def spread(samples: Tensor) -> float:
    """Mean distance of each sample `[n, ...]` to the nearest other one: 0 for a mode collapsed to a
    point (diversity, wgan_gp, Fig. 2). NaN where a sample is not finite.

    Raises ValueError for fewer than two samples.
    """
    distance = nearest(samples, samples, leave_out_self=True).distance
    return torch.mean(distance).item()
