"""What a step of one of several ranks adds to the others'."""

from typing import Any

import torch
from torch import Tensor

from gp_lab.objectives.shard import Shard
from gp_lab.training.optimizers import Tensors


def share_of(shard: Shard | None, value: Tensor, metrics: Tensor) -> tuple[Tensor, Tensor]:
    """What a rank adds to the batch's value and metrics."""
    return (value, metrics) if shard is None else (shard.share * value, shard.share * metrics)


def totals_of(shard: Shard, grads: Tensors, *others: Tensor) -> tuple[Any, ...]:
    """The sums over the ranks of gradients and other tensors, in one flat all-reduce."""
    parts = [*grads.values(), *others]
    flat = shard.total(torch.cat([x.flatten() for x in parts]))
    pieces = [
        piece.reshape(x.shape)
        for piece, x in zip(flat.split([x.numel() for x in parts]), parts, strict=True)
    ]
    # Copies of the others: a view that stays would keep all of the flat vector.
    rest = (piece.clone() for piece in pieces[len(grads) :])
    return dict(zip(grads, pieces, strict=False)), *rest
