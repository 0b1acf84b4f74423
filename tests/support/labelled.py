"""Small networks and data with classes."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

CLASSES = 3


class Conditional(nn.Module):
    """A small network of [x, one-hot class], smooth; with `head`, class logits beside f."""

    def __init__(self, outputs: int | None, seed: int, classes: int = CLASSES, head: int = 0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.hidden = nn.Linear(2 + classes, 8, dtype=torch.float64)
            self.out = nn.Linear(8, outputs or 1, dtype=torch.float64)
            self.kinds = nn.Linear(8, head, dtype=torch.float64) if head else None
        self.classes, self.head_classes, self.outputs = classes, head, outputs

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
        if self.classes:
            eye = torch.eye(self.classes, dtype=x.dtype)
            x = torch.cat([x, eye[labels]], dim=1)
        h = torch.tanh(self.hidden(x))
        out = self.out(h) if self.outputs else self.out(h).squeeze(1)
        return out if self.kinds is None else (out, self.kinds(h))


def tree(folder: Path, classes: int = 3, each: int = 8) -> tuple[str, ...]:
    """Overrides for a tree of random pictures of 32 x 32 pixels; class k is of brightness k."""
    for part in ("train", "val"):
        for k in range(classes):
            place = folder / part / f"class_{k}"
            place.mkdir(parents=True)
            for i in range(each):
                Image.new("RGB", (32, 32), (k, 100 + i, 0)).save(place / f"{i}.png")
    return (
        "dataset=imagenet",
        f"dataset.root={folder}",
        "dataset.source.image_size=32",
        "dataset.dequantise=false",
        "dataset.flips=false",
        "architecture=resnet_cifar_ac_gan",
        "architecture.filters=4",
        f"architecture.classes={classes}",
        "architecture.latent_dim=5",
        "batch_size=6",
        "d_steps=2",
        "steps=2",
        "probe=[samples]",
        "probe.samples.count=9",
        "tracking=none",
        "device=cpu",
        "threads=1",
        f"out={folder / 'outputs'}",
    )
