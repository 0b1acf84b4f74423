"""The architectures of images and texts, small enough for a step in a moment."""

from typing import Any

import torch
from helpers import node_of, nodes_of
from torch import Tensor, nn

from gp_lab.instantiate import instantiate

CONDITIONAL = {"resnet_cifar_ac_gan", "resnet_cifar_projection"}
"""Those of networks/test_conditional_networks.py alone; resnet2_imagenet has no classes here."""
SMALL = {
    "mlp_mnist": ["size=6", "width=7", "latent_dim=3"],
    "mlp_lsun": ["size=16", "filters=2", "generator.width=7", "latent_dim=3"],
    "char_cnn": ["length=5", "characters=6", "filters=4", "blocks=2", "latent_dim=3"],
    "resnet_101": [
        *("size=16", "filters=8", "latent_dim=3"),
        *("generator.blocks=1", "discriminator.blocks=1"),
    ],
    "resnet2_imagenet": ["size=32", "filters=1", "latent_dim=3", "classes=0"],
    "sagan": ["size=16", "filters=2", "attention=8", "latent_dim=3"],
    "dcgan_mnist": ["size=28", "filters=2", "latent_dim=3"],
    "dcgan_table1": ["size=16", "pair=35", "latent_dim=3"],  # 4 layers of 32 filters, norms
}
"""What makes an architecture small enough for a step in a moment; the others take LITTLE."""
LITTLE = ["size=16", "filters=2", "latent_dim=3"]


def architecture(name: str, *overrides: str) -> dict[str, Any]:
    return node_of("architecture", name, *overrides)


def pair(name: str, *overrides: str, seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """(generator, discriminator) in float64, with few units."""
    small = SMALL.get(name, LITTLE)
    node = architecture(name, *(f"architecture.{o}" for o in (*small, *overrides)))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        nets = [
            instantiate(node[net], f"architecture.{net}") for net in ("generator", "discriminator")
        ]
    return nets[0].double(), nets[1].double()


ARCHITECTURES = [
    name
    for name, node in nodes_of("architecture").items()
    if "connection" not in node and name not in CONDITIONAL
]


def noise(*shape: int, seed: int = 1) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=rng)
