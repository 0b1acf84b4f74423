"""From a config to the parts of a run, each of which then checks that it fits in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gp_lab.data.base import Dataset, Latent
from gp_lab.data.contents import Contents
from gp_lab.data.random import generator
from gp_lab.errors import BadInput
from gp_lab.files import file_name
from gp_lab.instantiate import chosen, instantiate
from gp_lab.machine import within_free_memory
from gp_lab.networks.checks import check_networks
from gp_lab.objectives.classification import AuxiliaryClassifier
from gp_lab.objectives.constraints import Constraint
from gp_lab.objectives.corrections import Correction
from gp_lab.objectives.losses import Loss
from gp_lab.objectives.penalties import NoPenalty
from gp_lab.probes.base import Probe
from gp_lab.runs.identity import Config
from gp_lab.runs.kept import check_best
from gp_lab.runs.settings import Settings
from gp_lab.tracking.base import Tracking
from gp_lab.training.memory import bytes_of_state, free_bytes
from gp_lab.training.optimizers import Optimizer
from gp_lab.training.schedules import Schedule
from gp_lab.training.step import Game

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
    "correction": Correction,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "tracking": Tracking,
}
"""What the part of each group has to be."""


@dataclass(frozen=True)
class Setup:
    """Everything that one run is made of, built and checked, on its device."""

    config: Config
    settings: Settings
    game: Game
    dataset: Dataset
    latent: Latent
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
    if contents:
        contents = replace(contents, characters=dataset.characters)
    game = Game(
        discriminator=nets["discriminator"].to(device, dtype),
        generator=nets["generator"].to(device, dtype),
        loss=parts["loss"],
        penalty=parts["penalty"],
        constraint=parts["constraint"],
        correction=parts["correction"],
        optimizer=parts["optimizer"],
        average=settings.average,
        autocast=settings.precision == "bf16",
        encoder=nets["encoder"].to(device, dtype) if "encoder" in nets else None,
        classification=_classification(config, trust),
    )
    schedule = parts["schedule"]
    run = Setup(config, settings, game, dataset, latent, schedule, probes, device, dtype, contents)
    _check(run)
    return run


def parts_of(config: Config) -> tuple[dict[str, Any], dict[str, Probe]]:
    """The parts that need neither data nor networks, by their groups, and the probes.

    Raises `BadInput`.
    """
    trust = Settings.of(config).trust
    parts = {group: instantiate(config[group], group, trust, kind) for group, kind in KINDS.items()}
    probes = {
        file_name(name, "probe"): instantiate(node, f"probe.{name}", trust, Probe)
        for name, node in config["probe"].items()
    }
    return parts, probes


def _classification(config: Config, trust: tuple[str, ...]) -> AuxiliaryClassifier | None:
    """The loss of a discriminator's AC-GAN head, where the architecture has one."""
    node = config["architecture"].get("classification")
    key = "architecture.classification"
    return None if node is None else instantiate(node, key, trust, AuxiliaryClassifier)


def _data_and_networks(
    config: Config, settings: Settings, device: torch.device, contents: Contents | None
) -> tuple[Dataset, Latent, dict[str, nn.Module]]:
    node = config["dataset"] | ({"digest": contents.digest} if contents else {})
    dataset: Dataset = instantiate(node, "dataset", settings.trust, Dataset)
    if contents and contents.characters:
        dataset = dataset.spelt_with(contents.characters)
    architecture = config["architecture"]
    latent: Latent = instantiate(
        architecture["latent"], "architecture.latent", settings.trust, Latent
    )
    nets = {}
    for name in ("discriminator", "generator", "encoder"):
        if name == "encoder" and name not in architecture:
            continue
        # Built under a seed of its own, so that one network's size does not shift the other's.
        with torch.random.fork_rng(devices=[]), within_free_memory():
            torch.manual_seed(generator(settings.seed, f"init_{name}", 0).initial_seed())
            node = _with_characters(architecture[name], dataset)
            nets[name] = instantiate(node, f"architecture.{name}", settings.trust, nn.Module)
    dataset = dataset.prepare(generator(settings.seed, "dataset", 0))
    latent = latent.prepare(generator(settings.seed, "latent_set", 0))
    return dataset.on(device), latent, nets


def _with_characters(node: Any, dataset: Dataset) -> Any:
    """A network's node with as many characters as the text has, where it leaves that open."""
    if not isinstance(node, Mapping) or node.get("characters", 0) is not None:
        return node
    if not dataset.characters:
        raise BadInput(
            "architecture.characters=null: as many as the text has, but the data set is no text;"
            " give a number, or choose a text, such as dataset=python_topics"
        )
    return {**node, "characters": len(dataset.characters)}


def _check(run: Setup) -> None:
    """Raises `BadInput` for parts that do not fit together, each checked by itself."""
    check_best(run.settings.keep_best, run.probes)
    run.dataset.check("dataset", run)
    run.latent.check("architecture.latent", run)
    run.game.penalty.check("penalty", run)
    check_networks(run)
    run.game.correction.check("correction", run)
    for name, probe in run.probes.items():
        probe.check(f"probe.{name}", run)
    _check_memory(run)


def _check_memory(run: Setup) -> None:
    """Raises `BadInput` for networks that cannot be trained in the memory that is free."""
    need, free = bytes_of_state(run), free_bytes(run.device)
    if need > free:
        raise BadInput(
            f"{chosen(run, 'architecture')}: parameters, gradients and optimiser take"
            f" {need / 1e9:.3g} GB, and {free / 1e9:.3g} GB of memory are free; choose smaller"
            " networks, or a machine or a memory limit with more"
        )


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


def products_in(precision: str) -> None:
    """From now on the products of matrices and the convolutions of float32 are in tf32 if the
    `precision` is, else in full; by itself PyTorch takes tf32 for the convolutions of a GPU."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def _parameters(net: nn.Module) -> dict[str, Tensor]:
    return {k: p.detach().clone() for k, p in net.named_parameters()}
