"""Precision, recall, density and coverage of generated samples among real ones.

Precision and recall: Kynkäänniemi et al. 2019 ("Improved precision and recall metric"), Eqs. 1, 2;
density and coverage: Naeem et al. 2020 ("Reliable fidelity and diversity metrics"), Eqs. 2, 3.
For diversity in wgan_gp, Fig. 2, and mode dropping in zero_gp, Fig. 3.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gp_lab.evaluation.distances import in_chunks, matching_rows, radii


class PrecisionRecall(NamedTuple):
    """precision: share of fakes within some real's ball; recall: share of reals within some fake's.

    density: how many reals' balls a fake is in, over k (can pass 1); coverage: share of reals whose
    ball holds a fake. A sample's ball is closed and reaches to its k-th neighbour in its own set.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real: Tensor, fake: Tensor, k: int = 5) -> PrecisionRecall:
    """Of real features `[n, ...]` and fake ones `[m, ...]`, with k-th nearest neighbours.

    k=5 is Naeem et al.'s; Kynkäänniemi et al. use 3. All NaN where a fake is not finite. Raises
    ValueError for shapes that do not match, or unless 1 <= k < n, m.
    """
    real, fake = matching_rows(real, fake)
    real_radius = radii(real, k)
    fake_radius = radii(fake, k)
    if not fake.isfinite().all():
        return PrecisionRecall(torch.nan, torch.nan, torch.nan, torch.nan)
    inside = torch.zeros(len(fake), dtype=torch.int64, device=fake.device)
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = torch.zeros_like(recalled)
    for rows, distance in in_chunks(real, fake):
        in_real_ball = distance <= real_radius[rows, None]
        inside += in_real_ball.sum(0)
        covered[rows] = in_real_ball.any(1)
        recalled[rows] = (distance <= fake_radius).any(1)
    return PrecisionRecall(
        precision=_share(inside > 0),
        recall=_share(recalled),
        density=inside.double().mean().item() / k,
        coverage=_share(covered),
    )


def _share(which: Tensor) -> float:
    return which.double().mean().item()
