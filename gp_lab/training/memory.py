"""What a run takes of the memory, about, and what is free."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from gp_lab import machine
from gp_lab.instantiate import Run
from gp_lab.networks.conditional import classes_of


def bytes_of_state(run: Run, copies: int = 1) -> int:
    """What the networks' parameters and the optimisers take, so many times, and the gradients."""
    game = run.game
    nets = (game.discriminator, game.generator, game.encoder)
    d, g, e = (sum(p.numel() for p in net.parameters()) if net else 0 for net in nets)
    per_parameter = 1 + len(game.optimizer.start({"p": torch.zeros(1)}).keys() - {"count"})
    numbers = copies * (d + g + e) * per_parameter + max(d, g, e) + (g if game.average else 0)
    return numbers * torch.finfo(run.dtype).bits // 8


def activations(net: nn.Module, shape: tuple[int, ...], run: Run) -> int:
    """Numbers that the layers of a network hand on, for one sample."""
    counted = [math.prod(shape)]

    def count(_: nn.Module, __: Any, out: Tensor) -> None:
        counted.append(out.numel() // 2)

    leaves = [m for m in net.modules() if not list(m.children())]
    hooks = [m.register_forward_hook(count) for m in leaves]
    try:
        with torch.no_grad():
            labels = torch.zeros(2, dtype=torch.long, device=run.device)
            x = torch.zeros(2, *shape, device=run.device, dtype=run.dtype)
            net(x, *([labels] if classes_of(net) else []))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(counted)


def free_bytes(device: torch.device) -> int:
    """Memory that is free now: of the GPU, or what this machine leaves to the process."""
    if device.type != "cuda":
        return machine.free_memory()
    # What PyTorch keeps of earlier tensors it gives to later ones.
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept
