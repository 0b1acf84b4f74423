"""Numbers of parameters of the networks of images and texts, as a Markdown table.

    python scripts/parameters.py

They are counted on what configs/architecture/*.yaml build, without the memory. The papers and the
pages of their code publish no such number (the authors' CIFAR-10 script of wgan_gp prints one when
it is run); what a paper does say of a network's size stands beside it. The tests hold the counts to
the authors' layers, added up by hand.
"""

from typing import Any

import torch
from omegaconf import OmegaConf

from gp_lab.instantiate import instantiate
from gp_lab.launching.compose import fitting, hydra_session

SAID = {
    "mlp_lsun": ["G has 4 layers of 512 units (wgan_gp, Fig. 2)"],
    "resnet2_imagenet": ["5 residual blocks a net (zero_gp, App. E.2), 12 in its code"],
    "resnet_101": ["101 layers a net (wgan_gp, Fig. 2)"],
    "resnet_cifar": ["the shapes of all layers (wgan_gp, App. F)"],
}
"""What a paper says of the size of an architecture."""


def counts() -> dict[str, tuple[int, int]]:
    """Architecture of images or texts -> parameters of its generator and its discriminator; without
    those whose images are given."""
    with hydra_session() as hydra:
        nodes = fitting(hydra).choices("architecture")
    return {
        str(name): counted(OmegaConf.to_container(node, resolve=True))
        for name, node in nodes.items()
        if ("channels" in node or "characters" in node) and "connection" not in node
    }


def counted(node: Any) -> tuple[int, int]:
    """Parameters of the generator and the discriminator of an architecture."""
    with torch.device("meta"):
        generator, discriminator = (
            sum(p.numel() for p in instantiate(node[net], net).parameters())
            for net in ("generator", "discriminator")
        )
    return generator, discriminator


def table() -> str:
    """The Markdown."""
    rows = [
        f"| `{name}` | {g:,} | {d:,} | {'; '.join(['not published', *SAID.get(name, ())])} |"
        for name, (g, d) in counts().items()
    ]
    head = ["| architecture | parameters of G | of D | in the paper |", "|---|---:|---:|---|"]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    print(table())
