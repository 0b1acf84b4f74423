"""The auxiliary classifier's loss: D tells the classes of images, G is to be told right."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy

from gp_lab.fields import NonNegative
from gp_lab.instantiate import Checked


@dataclass(frozen=True)
class AuxiliaryClassifier(Checked):
    """Cross-entropies of a discriminator's class logits, added to both players' losses.

    AC-GAN (Odena et al., 2017) as wgan_gp, App. F, and its code have it: D learns the
    classes of reals alone, G gets a tenth of the loss.

    Args:
        d_weight, g_weight: of the cross-entropy in D's and in G's loss.
        fakes: D learns the classes of fakes, too, with the same weight, as Odena et al. do.
    """

    d_weight: NonNegative = 1.0
    g_weight: NonNegative = 0.1
    fakes: bool = False

    def of_d(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        """Of class logits on reals and on fakes [batch, classes] and their classes [batch]."""
        value = cross_entropy(real, labels)
        if self.fakes:
            value = value + cross_entropy(fake, labels)
        return self.d_weight * value

    def of_g(self, fake: Tensor, labels: Tensor) -> Tensor:
        """Of class logits on fakes [batch, classes] and the classes [batch] that G was to make."""
        return self.g_weight * cross_entropy(fake, labels)
