"""Where every random number of a run comes from."""

import math
from collections.abc import Sequence
from hashlib import blake2b

import torch
from torch import Tensor

AT_ONCE = 2**16
"""Numbers that are drawn to be dropped: they stay in a CPU's cache."""


def generator(
    seed: int, stream: str, block: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """The generator of block `block` of the stream `stream` of a run with seed `seed`.

    The contract of the lab: block k of stream s of a run comes from a generator seeded by
    (seed, s, k), and by nothing else. So a run that is alone, stacked with others, split over
    ranks or resumed in the middle sees the same numbers, as long as each block is drawn whole and
    in the same order (ranks draw the global batch and take their slice).

    The three are hashed to 64 bits (BLAKE2b), the same on every machine, so neighbouring seeds and
    blocks are unrelated. PyTorch's CPU generator keeps the lower 32 of them; two blocks among a
    hundred thousand may thus hold the same bits, in unrelated places. The numbers of a CPU and of
    a GPU generator differ.

    Args:
        seed: of the run, any integer.
        stream: what the numbers are for, such as `real` or `latent`.
        block: which block of the stream, from 0.
        device: where the numbers are to be drawn.
    """
    # Integers at both ends keep the text unambiguous whatever the stream is called.
    digest = blake2b(f"{seed}/{stream}/{block}".encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little"))


def choose(order: str, size: int, rng: torch.Generator, n: int) -> Tensor:
    """n rows [n] of a set of `size`, int64, on the device of `rng`.

    `replacement`: each is any of them; `shuffle`: random permutations, one after another.
    """
    if order == "replacement":
        return torch.randint(size, (n,), generator=rng, device=rng.device)
    rounds = -(-n // size)
    every = [torch.randperm(size, generator=rng, device=rng.device) for _ in range(rounds)]
    return torch.cat([torch.empty(0, dtype=torch.long, device=rng.device), *every])[:n]


def uniform_rows(rng: torch.Generator, shape: Sequence[int], wanted: Tensor | None) -> Tensor:
    """The rows `wanted` [k], ascending, of `torch.rand(shape)`; all of them for None.

    All are drawn, for PyTorch's generators cannot be told to skip numbers, but no more than a few
    of those that are not wanted are held. Raises ValueError where some are left out and the
    generator is a GPU's: its numbers depend on how many are asked for at once.
    """
    if wanted is None:
        return torch.rand(shape, generator=rng, device=rng.device)
    if rng.device.type != "cpu":
        raise ValueError(f"a generator on {rng.device} draws all rows or none")
    n, *rest = shape
    kept = torch.zeros(n, dtype=torch.bool).index_fill(0, wanted, True)
    parts = kept.split(max(1, AT_ONCE // math.prod(rest)))
    return torch.cat([torch.rand(len(some), *rest, generator=rng)[some] for some in parts])
