"""Batch normalisation over a batch that several ranks share."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gp_lab.objectives.shard import Shard


class SynchronisedBatchNorm(_BatchNorm):
    """Batch norm with the statistics of the whole batch, x [n, channels, ...] of each rank's part.

    PyTorch's own SyncBatchNorm needs NCCL and cannot be traced. Two sums over the ranks, of the
    mean and then of the squares about it: one sum of squares about 0 would cancel in float32.
    """

    def __init__(self, local: _BatchNorm, shard: Shard) -> None:
        super().__init__(
            local.num_features, local.eps, local.momentum, local.affine, track_running_stats=False
        )
        self.weight, self.bias, self.shard = local.weight, local.bias, shard

    def forward(self, x: Tensor) -> Tensor:
        others, dtype = [0, *range(2, x.dim())], x.dtype
        if dtype in (torch.bfloat16, torch.float16):
            x = x.float()  # of so few digits a mean cannot be subtracted
        share = self.shard.share

        def whole(of_part: Tensor) -> Tensor:
            sums = self.shard.sum(share * of_part.mean(others))
            return sums.reshape(1, -1, *[1] * (x.dim() - 2))

        centred = x - whole(x)
        y = centred * torch.rsqrt(whole(centred.square()) + self.eps)
        if self.affine:
            shape = (1, -1, *[1] * (x.dim() - 2))
            y = y * self.weight.reshape(shape) + self.bias.reshape(shape)
        return y.to(dtype)

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # whatever the layer it replaces takes


def synchronised(net: nn.Module, shard: Shard) -> nn.Module:
    """A copy of a network, with the same names, whose batch norms see the whole batch."""
    if isinstance(net, _BatchNorm):
        return SynchronisedBatchNorm(net, shard)
    copy = deepcopy(net)
    for name, module in list(copy.named_modules()):
        if isinstance(module, _BatchNorm):
            path, _, last = name.rpartition(".")
            setattr(copy.get_submodule(path), last, SynchronisedBatchNorm(module, shard))
    return copy
