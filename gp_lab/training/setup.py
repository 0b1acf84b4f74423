"""From a config to the parts of a run, with the checks that no single part can make."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gp_lab.data.latent import Latent
from gp_lab.data.random import generator
from gp_lab.errors import BadInput
from gp_lab.files import file_name
from gp_lab.networks.layers import EqualizedLinear
from gp_lab.objectives.constraints import Constraint, SpectralNorm
from gp_lab.objectives.losses import Loss
from gp_lab.objectives.penalties import Penalty
from gp_lab.parts import build
from gp_lab.probes.base import Probe
from gp_lab.runs.identity import Config
from gp_lab.tracking.base import Tracking
from gp_lab.training.optimizers import Optimizer
from gp_lab.training.schedules import Schedule
from gp_lab.training.settings import Settings
from gp_lab.training.step import Game, has_batch_norm

DTYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.float32,
}

KINDS: dict[str, type] = {
    "loss": Loss,
    "penalty": Penalty,
    "constraint": Constraint,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "tracking": Tracking,
}
"""What the part of each group has to be."""


_ENCODER = "architecture.encoder"


@dataclass(frozen=True)
class Setup:
    """Everything that one run is made of, built and checked, on its device."""

    config: Config
    settings: Settings
    game: Game
    dataset: Any
    latent: Any
    schedule: Schedule
    probes: Mapping[str, Probe]
    device: torch.device
    dtype: torch.dtype

    @property
    def initial(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Copies of the initial parameters of D and G."""
        return _parameters(self.game.discriminator), _parameters(self.game.generator)

    @property
    def initial_encoder(self) -> dict[str, Tensor] | None:
        """A copy of the encoder's initial parameters; None without an encoder."""
        return None if self.game.encoder is None else _parameters(self.game.encoder)


def setup(config: Config) -> Setup:
    """Build a run's parts. Raises `BadInput` before anything is computed."""
    settings = Settings.of(config)
    device = _device(settings.device)
    dtype = DTYPES[settings.precision]
    trust = settings.trust
    parts = {group: build(config[group], group, trust, kind) for group, kind in KINDS.items()}
    probes = {
        file_name(name, "probe"): build(node, f"probe.{name}", trust, Probe)
        for name, node in config["probe"].items()
    }
    dataset, latent, nets = _data_and_networks(config, settings)
    game = Game(
        discriminator=nets["discriminator"].to(device, dtype),
        generator=nets["generator"].to(device, dtype),
        loss=parts["loss"],
        penalty=parts["penalty"],
        constraint=parts["constraint"],
        optimizer=parts["optimizer"],
        average=settings.average,
        autocast=settings.precision == "bf16",
        encoder=nets["encoder"].to(device, dtype) if "encoder" in nets else None,
    )
    run = Setup(config, settings, game, dataset, latent, parts["schedule"], probes, device, dtype)
    _check_together(run)
    return run


def _data_and_networks(config: Config, settings: Settings) -> tuple[Any, Any, dict[str, Any]]:
    dataset = build(config["dataset"], "dataset", settings.trust, Latent)
    architecture = config["architecture"]
    latent = build(architecture["latent"], "architecture.latent", settings.trust, Latent)
    nets = {}
    for name in ("discriminator", "generator", "encoder"):
        if name == "encoder" and name not in architecture:
            continue
        # Built under a seed of its own, so that one network's size does not shift the other's.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator(settings.seed, f"init_{name}", 0).initial_seed())
            key = f"architecture.{name}"
            nets[name] = build(architecture[name], key, settings.trust, nn.Module)
    for key, source in (("dataset", dataset), ("architecture.latent", latent)):
        size = getattr(source, "size", None)
        if size is not None and settings.batch_size > size:
            raise BadInput(
                f"batch_size={settings.batch_size}: larger than the {size} samples of {key};"
                f" choose at most {size}, or {key}.size=null for endless samples"
            )
    return (
        dataset.prepare(generator(settings.seed, "dataset", 0)),
        latent.prepare(generator(settings.seed, "latent_set", 0)),
        nets,
    )


def _check_together(run: Setup) -> None:
    game, settings = run.game, run.settings
    penalised = game.penalty.measure != "none"
    if penalised and has_batch_norm(game.discriminator):
        raise BadInput(
            "architecture.norm=batch: batch norm couples the samples of a batch, and"
            " penalty.measure asks for each sample's own gradient (wgan_gp, sec. 4);"
            " use norm=layer or norm=none, or penalty=none"
        )
    if isinstance(game.constraint, SpectralNorm) and any(
        isinstance(m, EqualizedLinear) for m in game.discriminator.modules()
    ):
        raise BadInput(
            "constraint=spectral_norm: would normalise the stored weights of"
            " architecture.init=equalized, not those that the layers use; choose another init"
        )
    if penalised and game.penalty.measure == "anchor":
        size, dim = len(game.penalty.anchor), math.prod(run.dataset.shape)
        if size not in (1, dim):
            raise BadInput(
                f"penalty.anchor={list(game.penalty.anchor)}: {size} numbers for samples of"
                f" {dim}; give 1 or {dim}"
            )
    if game.penalty.measure == "latent_path" and game.encoder is None:
        raise BadInput(
            "penalty.measure=latent_path: the path between latent codes needs an encoder; choose an"
            " architecture with one, such as architecture=mlp_zero_gp_encoder"
        )
    if settings.g_steps > 0 and not list(game.generator.parameters()):
        raise BadInput(
            f"g_steps={settings.g_steps}: the generator of architecture="
            f"{run.config['architecture'].get('name')} is fixed (no parameters); use g_steps=0"
        )
    real = torch.zeros(2, *run.dataset.shape, device=run.device, dtype=run.dtype)
    latent = torch.zeros(2, *run.latent.shape, device=run.device, dtype=run.dtype)
    with torch.no_grad():
        fake = _shape_of(game.generator, latent, "architecture.generator")
        if fake.shape != real.shape:
            raise BadInput(
                f"architecture: generates samples of shape {list(fake.shape[1:])},"
                f" but dataset={run.config['dataset'].get('name')} has {list(real.shape[1:])}"
            )
        f = _shape_of(game.discriminator, real, "architecture.discriminator")
        codes = latent if game.encoder is None else _shape_of(game.encoder, real, _ENCODER)
        if codes.shape != latent.shape:
            raise BadInput(
                f"{_ENCODER}: gives codes of shape {list(codes.shape[1:])}, but the latents have"
                f" {list(latent.shape[1:])}"
            )
    if f.shape != (2,):
        raise BadInput(
            f"architecture.discriminator: gives {list(f.shape[1:])} numbers a sample, not one logit"
        )
    for name, probe in run.probes.items():
        probe.check(name, run.dataset.shape)
        probe.check_dataset(name, run.dataset)
        if probe.needs_encoder and game.encoder is None:
            raise BadInput(f"probe.{name}: needs an architecture with an encoder, or leave it out")


def _shape_of(net: nn.Module, x: Tensor, key: str) -> Tensor:
    try:
        return net(x)
    except RuntimeError as error:
        raise BadInput(
            f"{key}: does not take samples of shape {list(x.shape[1:])}"
            f" ({str(error).splitlines()[0]})"
        ) from error


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise BadInput(f"device={name}: no GPU is available here; use device=cpu or device=auto")
    device = torch.device(name)
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise BadInput(f"device={name}: there are {torch.cuda.device_count()} here, from cuda:0")
    return device


def _parameters(net: nn.Module) -> dict[str, Tensor]:
    return {k: p.detach().clone() for k, p in net.named_parameters()}
