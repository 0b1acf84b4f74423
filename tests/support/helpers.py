"""Small networks, data and comparisons in float64 for the tests of objectives and steps."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.func import functional_call

from gp_lab.instantiate import instantiate
from gp_lab.launching.compose import fitting, hydra_session
from gp_lab.launching.config_groups import choices
from gp_lab.networks.mlp import MLP

Tensors = dict[str, Tensor]

SUPPORT = Path(__file__).resolve().parent
"""The modules that tests share."""

CLONE = SUPPORT.parents[1]


def names_in(group: str) -> list[str]:
    """The members of a config group."""
    return choices(group)


@cache
def nodes_of(group: str) -> dict[str, Any]:
    """Member -> what its file says, and those that it inherits from; nothing is resolved."""
    with hydra_session() as hydra:
        found: Any = OmegaConf.to_container(fitting(hydra).choices(group), resolve=False)
    return found


def node_of(group: str, name: str, *overrides: str) -> dict[str, Any]:
    """A member of a group with these overrides, such as architecture.width=3, resolved."""
    node = {group: OmegaConf.create(nodes_of(group)[name])}
    merged: Any = OmegaConf.merge(node, OmegaConf.from_dotlist(list(overrides)))
    return OmegaConf.to_container(merged, resolve=True)[group]


def built(group: str, name: str, **changes: Any) -> Any:
    """The part that configs/GROUP/NAME.yaml describes, some of its keys changed."""
    return instantiate(nodes_of(group)[name] | changes, group)


def run_on(dataset: Any) -> Any:
    """As much of a run on some data as a probe that checks itself against it looks at."""
    return SimpleNamespace(
        dataset=dataset, game=SimpleNamespace(encoder=None, classes=0, normed=[])
    )


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=rng(seed), dtype=torch.float64)


def small_mlp(outputs: int | None = None, seed: int = 0, **settings: Any) -> MLP:
    """An MLP on points of the plane in float64; a discriminator unless it has outputs."""
    settings = {"inputs": 2, "depth": 2, "width": 7, "activation": "tanh"} | settings
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MLP(outputs=outputs, **settings).double()


def parameters(net: nn.Module) -> Tensors:
    """Copies of a network's parameters."""
    return {name: p.detach().clone() for name, p in net.named_parameters()}


def caller(net: nn.Module) -> Callable[[Tensors, Tensor], Tensor]:
    return lambda params, x: functional_call(net, params, (x,))


def same(a: Any, b: Any, tolerance: float = 1e-9) -> None:
    """Two trees of tensors are equal, to `tolerance` relative to 1 and to each number's size."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key], tolerance)
    else:
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def copied(tree: Any) -> Any:
    return {k: copied(v) for k, v in tree.items()} if isinstance(tree, dict) else tree.clone()


def stacked(trees: list[Any]) -> Any:
    if isinstance(trees[0], dict):
        return {k: stacked([t[k] for t in trees]) for k in trees[0]}
    return torch.stack(trees)


def replica(tree: Any, r: int) -> Any:
    return {k: replica(v, r) for k, v in tree.items()} if isinstance(tree, dict) else tree[r]
