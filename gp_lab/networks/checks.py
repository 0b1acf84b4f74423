"""Whether the networks of a run fit its data, its batches, its penalty and one another."""

from typing import Any

import torch
from torch import Tensor, nn

from gp_lab.errors import BadInput
from gp_lab.instantiate import Run, chosen, network_key
from gp_lab.networks.conditional import classes_of
from gp_lab.networks.layers import EqualizedLinear
from gp_lab.objectives.constraints import SpectralNorm


def check_networks(run: Run) -> None:
    """Raises `BadInput` for networks that the run cannot train, or not with the other parts."""
    for name in run.game.normed:
        if run.settings.batch_size == 1:
            raise no_statistics("batch_size", name, run)
    _check_classes(run)
    if isinstance(run.game.constraint, SpectralNorm) and any(
        isinstance(m, EqualizedLinear) for m in run.game.discriminator.modules()
    ):
        raise BadInput(
            "constraint=spectral_norm: would normalise the stored weights of equalised layers, not"
            " those that they use; choose another architecture.init than equalized or"
            " equalized_lecun"
        )
    if run.settings.g_steps > 0 and not list(run.game.generator.parameters()):
        raise BadInput(
            f"g_steps={run.settings.g_steps}: the generator of {chosen(run, 'architecture')} is"
            " fixed (no parameters); use g_steps=0"
        )
    _check_shapes(run)


def no_statistics(key: str, network: str, run: Run) -> BadInput:
    """The sentence for `key`=1, a batch of a single sample, which batch norm cannot take."""
    norm = network_key(run, network, "norm")
    return BadInput(
        f"{key}=1: of one sample there are no statistics for the batch norm of the {network};"
        f" use at least 2, or {norm}=layer or none"
    )


def _check_classes(run: Run) -> None:
    """Networks that know of classes, and data that have them."""
    game = run.game
    head = getattr(game.discriminator, "head_classes", 0)
    if bool(head) != (game.classification is not None):
        raise BadInput(
            f"architecture.discriminator.head_classes={head}: a head and its loss,"
            " architecture.classification, come together (architecture=resnet_cifar_ac_gan)"
        )
    if not game.classes:
        return
    architecture, data = chosen(run, "architecture"), chosen(run, "dataset")
    found = run.dataset.classes
    if not found:
        raise BadInput(f"{data}: has no classes, and {architecture} needs them")
    counts = {
        "generator.classes": classes_of(game.generator),
        "discriminator.classes": classes_of(game.discriminator),
        "discriminator.head_classes": head,
    }
    for key, count in counts.items():
        if count and count != found:
            raise BadInput(
                f"architecture.{key}={count}: {data} has {found} classes; set it to {found}"
            )
    if game.encoder is not None and classes_of(game.generator):
        raise BadInput(
            f"architecture.encoder: latent codes have no classes, and the generator of"
            f" {architecture} takes them; use classes=0, or leave the encoder out"
        )
    if classes_of(game.discriminator) and game.penalty.carried(run.settings.batch_size):
        raise BadInput(
            "penalty.reduction=max: the hardest points carried over have no classes, and the"
            f" discriminator of {architecture} takes them; use penalty.carry=0"
        )


@torch.no_grad()
def _check_shapes(run: Run) -> None:
    """What each network gives for two samples of zeros."""
    game = run.game
    real = torch.zeros(2, *run.dataset.shape, device=run.device, dtype=run.dtype)
    latent = torch.zeros(2, *run.latent.shape, device=run.device, dtype=run.dtype)
    fake = _given_by(game.generator, latent, "architecture.generator")
    if fake.shape != real.shape:
        raise BadInput(
            f"architecture: generates samples of shape {list(fake.shape[1:])},"
            f" but {chosen(run, 'dataset')} has {list(real.shape[1:])};"
            " gp-lab list architectures says which networks are for what"
        )
    out = _given_by(game.discriminator, real, "architecture.discriminator")
    f = out[0] if isinstance(out, tuple) else out
    if game.encoder is not None:
        codes = _given_by(game.encoder, real, "architecture.encoder")
        if codes.shape != latent.shape:
            raise BadInput(
                f"architecture.encoder: gives codes of shape {list(codes.shape[1:])}, but the"
                f" latents have {list(latent.shape[1:])}"
            )
    if f.shape != (2,):
        raise BadInput(
            f"architecture.discriminator: gives {list(f.shape[1:])} numbers a sample, not one logit"
        )


def _given_by(net: nn.Module, x: Tensor, key: str) -> Any:
    labels = (torch.zeros(len(x), dtype=torch.long, device=x.device),) if classes_of(net) else ()
    try:
        return net(x, *labels)
    except RuntimeError as error:
        raise BadInput(
            f"{key}: does not take samples of shape {list(x.shape[1:])}"
            f" ({str(error).splitlines()[0]})"
        ) from error
