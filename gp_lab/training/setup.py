"""From a config to the parts of a run, with the checks that no single part can make."""

import math
from collections.abc import Mapping, Sized
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gp_lab.data.contents import Contents
from gp_lab.data.images import SCALES, Images, range_of
from gp_lab.data.latent import Latent
from gp_lab.data.random import generator
from gp_lab.errors import BadInput
from gp_lab.files import file_name
from gp_lab.machine import within_free_memory
from gp_lab.networks.layers import RANGES, EqualizedLinear, Output
from gp_lab.objectives.classification import AuxiliaryClassifier
from gp_lab.objectives.constraints import Constraint, SpectralNorm
from gp_lab.objectives.losses import Loss
from gp_lab.objectives.penalties import NoPenalty, Penalty
from gp_lab.parts import build
from gp_lab.probes.base import Probe
from gp_lab.runs.identity import Config
from gp_lab.tracking.base import Tracking
from gp_lab.training.optimizers import Optimizer
from gp_lab.training.schedules import Schedule
from gp_lab.training.settings import Settings
from gp_lab.training.stacking import bytes_of_state, free_bytes
from gp_lab.training.step import Game, classes_of, has_batch_norm

DTYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.float32,
}

KINDS: dict[str, type] = {
    "loss": Loss,
    "penalty": NoPenalty,
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
    contents: Contents | None = None
    """What the data hold; None for those that have checksums or no files."""

    @property
    def initial(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Copies of the initial parameters of D and G."""
        return _parameters(self.game.discriminator), _parameters(self.game.generator)

    @property
    def initial_encoder(self) -> dict[str, Tensor] | None:
        """A copy of the encoder's initial parameters; None without an encoder."""
        return None if self.game.encoder is None else _parameters(self.game.encoder)


def setup(config: Config, contents: Contents | None = None) -> Setup:
    """Build a run's parts. Raises `BadInput` before anything is computed.

    `contents` is what its data hold now, for a text with the vocabulary that the run has already.
    """
    settings = Settings.of(config)
    device = _device(settings.device)
    dtype = DTYPES[settings.precision]
    trust = settings.trust
    parts, probes = parts_of(config)
    dataset, latent, nets = _data_and_networks(config, settings, device, contents)
    if contents and hasattr(dataset, "characters"):
        contents = replace(contents, characters=dataset.characters)
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
        classification=_classification(config, trust),
    )
    schedule = parts["schedule"]
    run = Setup(config, settings, game, dataset, latent, schedule, probes, device, dtype, contents)
    _check_together(run)
    _check_memory(run)
    return run


def parts_of(config: Config) -> tuple[dict[str, Any], dict[str, Probe]]:
    """The parts that need neither data nor networks, by their groups, and the probes.

    Raises `BadInput`.
    """
    trust = Settings.of(config).trust
    parts = {group: build(config[group], group, trust, kind) for group, kind in KINDS.items()}
    probes = {
        file_name(name, "probe"): build(node, f"probe.{name}", trust, Probe)
        for name, node in config["probe"].items()
    }
    return parts, probes


def _classification(config: Config, trust: tuple[str, ...]) -> AuxiliaryClassifier | None:
    """The loss of a discriminator's AC-GAN head, where the architecture has one."""
    node = config["architecture"].get("classification")
    key = "architecture.classification"
    return None if node is None else build(node, key, trust, AuxiliaryClassifier)


def _data_and_networks(
    config: Config, settings: Settings, device: torch.device, contents: Contents | None
) -> tuple[Any, Any, dict[str, Any]]:
    node = config["dataset"] | ({"digest": contents.digest} if contents else {})
    dataset = build(node, "dataset", settings.trust, Latent)
    if contents and contents.characters:
        dataset = dataset.spelt_with(contents.characters)
    architecture = config["architecture"]
    latent = build(architecture["latent"], "architecture.latent", settings.trust, Latent)
    nets = {}
    for name in ("discriminator", "generator", "encoder"):
        if name == "encoder" and name not in architecture:
            continue
        # Built under a seed of its own, so that one network's size does not shift the other's.
        with torch.random.fork_rng(devices=[]), within_free_memory():
            torch.manual_seed(generator(settings.seed, f"init_{name}", 0).initial_seed())
            node = _with_characters(architecture[name], dataset)
            nets[name] = build(node, f"architecture.{name}", settings.trust, nn.Module)
    dataset = dataset.prepare(generator(settings.seed, "dataset", 0))
    latent = latent.prepare(generator(settings.seed, "latent_set", 0))
    for key, source in (("dataset", dataset), ("architecture.latent", latent)):
        _check_size(key, source, settings.batch_size)
    return (dataset.on(device) if hasattr(dataset, "on") else dataset), latent, nets


def _check_size(key: str, source: Any, batch_size: int) -> None:
    """Raises `BadInput` for a batch that is larger than what it is drawn from."""
    counted = isinstance(source, Sized)
    size = len(source) if counted else getattr(source, "size", None)
    if size is not None and batch_size > size:
        endless = "" if counted else f", or {key}.size=null for endless samples"
        raise BadInput(
            f"batch_size={batch_size}: larger than the {size} samples of {key}; choose at most"
            f" {size}{endless}"
        )


def _with_characters(node: Any, dataset: Any) -> Any:
    """A network's node with as many characters as the text has, where it leaves that open."""
    if not isinstance(node, Mapping) or node.get("characters", 0) is not None:
        return node
    found = getattr(dataset, "characters", None)
    if found is None:
        raise BadInput(
            "architecture.characters=null: as many as the text has, but the data set is no text;"
            " give a number, or choose a text, such as dataset=python_topics"
        )
    return {**node, "characters": len(found)}


def _check_together(run: Setup) -> None:
    game, settings = run.game, run.settings
    _check_batch_norm(run)
    _check_classes(run)
    if isinstance(game.constraint, SpectralNorm) and any(
        isinstance(m, EqualizedLinear) for m in game.discriminator.modules()
    ):
        raise BadInput(
            "constraint=spectral_norm: would normalise the stored weights of"
            " architecture.init=equalized, not those that the layers use; choose another init"
        )
    if isinstance(game.penalty, Penalty) and game.penalty.measure == "anchor":
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
            f"g_steps={settings.g_steps}: the generator of {_architecture(run)} is fixed (no"
            " parameters); use g_steps=0"
        )
    real = torch.zeros(2, *run.dataset.shape, device=run.device, dtype=run.dtype)
    latent = torch.zeros(2, *run.latent.shape, device=run.device, dtype=run.dtype)
    with torch.no_grad():
        fake = _shape_of(game.generator, latent, "architecture.generator")
        if fake.shape != real.shape:
            raise BadInput(
                f"architecture: generates samples of shape {list(fake.shape[1:])},"
                f" but dataset={run.config['dataset'].get('name')} has {list(real.shape[1:])};"
                " gp-lab list architectures says which networks are for what"
            )
        _check_range(run)
        out = _shape_of(game.discriminator, real, "architecture.discriminator")
        f = out[0] if isinstance(out, tuple) else out
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
        if game.classes and not probe.knows_classes:
            raise BadInput(
                f"probe.{name}: does not say which classes it asks the networks about, and those of"
                f" {_architecture(run)} know of classes; leave it out"
            )


def _check_batch_norm(run: Setup) -> None:
    """Raises `BadInput` for gradients of single samples, or single samples, under batch norm."""
    nets = {name: getattr(run.game, name) for name in ("generator", "discriminator", "encoder")}
    normed = [name for name, net in nets.items() if net is not None and has_batch_norm(net)]
    keys = {
        name: "architecture" if "norm" in run.config["architecture"] else f"architecture.{name}"
        for name in normed
    }
    if run.game.penalty.measure != "none" and "discriminator" in normed:
        key = f"{keys['discriminator']}.norm"
        raise BadInput(
            f"{key}=batch: batch norm couples the samples of a batch, and"
            " penalty.measure asks for each sample's own gradient (wgan_gp, sec. 4);"
            f" use {key}=layer or none, or penalty=none"
        )
    for name in normed:
        without = f"use at least 2, or {keys[name]}.norm=layer or none"
        alone = "of one sample there are no statistics for the batch norm"
        if run.settings.batch_size == 1:
            raise BadInput(f"batch_size=1: {alone} of the {name}; {without}")
        for probe, part in run.probes.items() if name != "generator" else ():
            if part.seen_at_once and getattr(part, part.seen_at_once) == 1:
                key = f"probe.{probe}.{part.seen_at_once}"
                raise BadInput(f"{key}=1: {alone} of the {name}; {without}")


def _check_memory(run: Setup) -> None:
    """Raises `BadInput` for networks that cannot be trained in the memory that is free."""
    need, free = bytes_of_state(run), free_bytes(run.device)
    if need > free:
        raise BadInput(
            f"{_architecture(run)}: parameters, gradients and optimiser take {need / 1e9:.3g} GB,"
            f" and {free / 1e9:.3g} GB of memory are free; choose smaller networks, or a machine or"
            " a memory limit with more"
        )


def _check_range(run: Setup) -> None:
    """Raises `BadInput` for a generator whose output cannot reach all that the pixels can be."""
    node = run.config["architecture"]["generator"]
    names = {k: node.get(k) for k in ("output", "output_activation")}
    key = next((k for k, name in names.items() if isinstance(name, str) and name in RANGES), None)
    if key is None or not isinstance(run.dataset, Images):
        return

    def reaches(output: Output, pixels: str) -> bool:
        (low, high), (least, most) = RANGES[output], range_of(pixels)
        return low <= least and most <= high

    output, pixels = node[key], run.dataset.pixels
    if not reaches(output, pixels):
        (low, high), (least, most) = RANGES[output], range_of(pixels)
        scales = " or ".join(scale for scale in SCALES if reaches(output, scale))
        outputs = " or ".join(other for other in RANGES if reaches(other, pixels))
        raise BadInput(
            f"dataset.pixels={pixels}: the pixels lie in [{least:.3g}, {most:.3g}], and"
            f" architecture.generator.{key}={output} reaches no further than [{low:g}, {high:g}];"
            f" write dataset.pixels={scales}, or architecture.generator.{key}={outputs}"
        )


def _check_classes(run: Setup) -> None:
    """Networks that know of classes, and data that have them."""
    game = run.game
    nets = {k: getattr(game, k) for k in ("generator", "discriminator")}
    counts = {f"architecture.{k}.classes": classes_of(net) for k, net in nets.items()}
    head = getattr(game.discriminator, "head_classes", 0)
    counts["architecture.discriminator.head_classes"] = head
    if bool(head) != (game.classification is not None):
        raise BadInput(
            f"architecture.discriminator.head_classes={head}: a head and its loss,"
            " architecture.classification, come together (architecture=resnet_cifar_ac_gan)"
        )
    if not game.classes:
        return
    found = getattr(run.dataset, "classes", 0)
    name = run.config["dataset"].get("name")
    if not found:
        raise BadInput(f"dataset={name}: has no classes, and {_architecture(run)} needs them")
    for key, count in counts.items():
        if count and count != found:
            raise BadInput(f"{key}={count}: dataset={name} has {found} classes; set it to {found}")
    if game.encoder is not None and classes_of(game.generator):
        raise BadInput(
            f"{_ENCODER}: latent codes have no classes, and the generator of {_architecture(run)}"
            " takes them; use classes=0, or leave the encoder out"
        )
    if classes_of(game.discriminator) and game.penalty.carried(run.settings.batch_size):
        raise BadInput(
            "penalty.reduction=max: the hardest points carried over have no classes, and the"
            f" discriminator of {_architecture(run)} takes them; use penalty.carry=0"
        )


def _architecture(run: Setup) -> str:
    return f"architecture={run.config['architecture'].get('name')}"


def _shape_of(net: nn.Module, x: Tensor, key: str) -> Any:
    labels = (torch.zeros(len(x), dtype=torch.long, device=x.device),) if classes_of(net) else ()
    try:
        return net(x, *labels)
    except RuntimeError as error:
        raise BadInput(
            f"{key}: does not take samples of shape {list(x.shape[1:])}"
            f" ({str(error).splitlines()[0]})"
        ) from error


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise BadInput(f"device={name}: no GPU is available here; use device=cpu or device=auto")
    device = torch.device(name)
    if device.type == "cuda" and device.index is None:
        # By its number: another thread of a rank would take plain `cuda` for the first GPU.
        return torch.device("cuda", torch.cuda.current_device())
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise BadInput(f"device={name}: there are {torch.cuda.device_count()} here, from cuda:0")
    return device


def _parameters(net: nn.Module) -> dict[str, Tensor]:
    return {k: p.detach().clone() for k, p in net.named_parameters()}
