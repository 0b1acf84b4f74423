"""How the class of an image reaches the layers of a network, and what a discriminator says of it.

A module that takes classes has an integer attribute `classes` > 0 and is called with labels beside
its input, int64 [batch], from 0; every other module is called with its input alone.
"""

from torch import Tensor, nn

from gp_lab.fields import Count, CountOrZero
from gp_lab.networks.convolution import linear

Logits = Tensor | tuple[Tensor, Tensor]
"""f [batch], or (f, class logits [batch, head_classes]) of a net with an auxiliary classifier."""


def classes_of(net: nn.Module) -> int:
    """How many classes a network, or a layer, takes beside its input; 0 for one that takes none."""
    return getattr(net, "classes", 0)


def through(layer: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """`layer(x, labels)` of a layer that takes classes, else `layer(x)`."""
    return layer(x, labels) if classes_of(layer) else layer(x)


class Chain(nn.Sequential):
    """Layers one after another; those that take classes are given the labels."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        for layer in self:
            x = through(layer, x, labels)
        return x


class Head(nn.Module):
    """Features h [batch, features] of an image to its logit f [batch], by a linear layer.

    Args:
        classes: of a projection discriminator, f = w h + b + <v_y, h>, an embedding v_y of each
            class (Miyato & Koyama, 2018, Fig. 1d); 0 for none.
        head_classes: of an auxiliary classifier, a second linear layer: what is returned is then
            (f, class logits [batch, head_classes]) (Odena et al., 2017; the authors' CIFAR-10 code
            of wgan_gp, Table 3); 0 for none.

    Weights are Glorot's, from the global generator; biases 0.
    """

    def __init__(
        self, features: Count, classes: CountOrZero = 0, head_classes: CountOrZero = 0
    ) -> None:
        super().__init__()
        self.classes, self.head_classes = classes, head_classes
        self.output = linear(features, 1, "glorot")
        if classes:
            self.embedding = nn.Embedding(classes, features)
            nn.init.xavier_uniform_(self.embedding.weight)
        if head_classes:
            self.classifier = linear(features, head_classes, "glorot")

    def forward(self, h: Tensor, labels: Tensor | None = None) -> Logits:
        f = self.output(h).squeeze(1)
        if self.classes:
            f = f + (self.embedding(labels) * h).sum(1)
        return (f, self.classifier(h)) if self.head_classes else f
