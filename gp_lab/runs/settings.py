"""The keys of a run, what each is for, and its scalars checked: before torch is imported."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

from pydantic import AfterValidator, Field

from gp_lab.fields import (
    BelowOne,
    Budget,
    Check,
    Count,
    CountOrZero,
    Execution,
    PathText,
    PerRank,
    Place,
    Role,
    Seed,
    Stackable,
    Steps,
    keys,
)
from gp_lab.instantiate import checked
from gp_lab.machine import MOST_THREADS

Node = dict[str, Any]
"""Of a config: what was chosen in a group."""


class DataNode(TypedDict, total=False):
    """Keys of data sets, and of their sources, that do not change what is in them.

    What has files has keys of these names: a run's identity is known without its classes, which
    may be of a package that nobody trusts.
    """

    root: Annotated[str, Place]
    prepared: Annotated[str | None, Place]
    download: Annotated[bool, Place]
    checksum: Annotated[bool, Check]
    digest: Annotated[str | None, Check]


class ProbeNode(TypedDict, total=False):
    """Keys of probes that change nothing about what is measured."""

    every: Annotated[int, Budget]
    start: Annotated[bool, Budget]
    cache: Annotated[str, Execution]
    weights: Annotated[str | None, Execution]
    precision: Annotated[str, Execution]


class Groups(TypedDict):
    """The nodes of a run's config, and Hydra's."""

    dataset: DataNode
    architecture: Node
    loss: Node
    penalty: Node
    constraint: Node
    correction: Node
    optimizer: Node
    schedule: Annotated[Node, Stackable]
    probe: Annotated[dict[str, ProbeNode], Budget]
    tracking: Annotated[Node, Execution, PerRank]
    figure: Annotated[Node, Execution, Stackable, PerRank]
    scale: Annotated[Node, Execution, Stackable, PerRank]
    hydra: Annotated[Node, Execution, Stackable, PerRank]


def _a_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError("no such device; choose from auto, cpu, cuda, cuda:0, cuda:1, ...")
    return name


@dataclass(frozen=True)
class Settings:
    """What `train.yaml` says beside the groups.

    Args:
        seed: of everything random in the run.
        steps: iterations; each is d_steps updates of D, then g_steps of G.
        batch_size: reals (and as many fakes) per update.
        d_steps, g_steps: updates per iteration; g_steps=0 trains D against a fixed generator.
        average: decay of the exponential average of G's weights, 0 for none.
        batch_norm: with several ranks, its statistics are of each one's part of a batch or of all.
        precision: of parameters and arithmetic (bf16: parameters in fp32, layers in bf16).
        panel: of the figure that asked for the run.
        label: what its parts' values differ in from what its choices say, for the run's name.
        log_every: iterations between two lines of metrics.jsonl.
        checkpoint_every: iterations between two checkpoints; the last step has one always.
        keep_every: the checkpoint of each multiple stays; null: of none.
        keep_best: score (`curve/w1`) whose best checkpoint stays, of those where it is measured.
        device: auto is the GPU if there is one.
        compile: auto compiles where it is expected to pay; block does always, and all of D's
            updates of an iteration as one, graphs replays the compiled steps as CUDA graphs.
        threads: of the CPU; 0 is one for small networks, one for each core for others.
        out: root of the runs.
        force: start over even if the run exists.
        trust: the user's own packages that configs may name, from the command line only.
    """

    seed: Annotated[Seed, Stackable] = 0
    steps: Annotated[Steps, Budget] = 10_000
    batch_size: Count = 64
    d_steps: Count = 1
    g_steps: CountOrZero = 1
    average: BelowOne = 0.0
    batch_norm: Annotated[Literal["local", "synchronised"], Execution, Stackable] = "synchronised"
    precision: Literal["fp64", "fp32", "tf32", "bf16"] = "fp32"
    panel: Annotated[str | None, Execution, Stackable, PerRank] = None
    label: Annotated[str | None, Execution, Stackable, PerRank] = None
    log_every: Annotated[Steps, Execution] = 100
    checkpoint_every: Annotated[Steps, Execution] = 1000
    keep_every: Annotated[Steps | None, Execution] = None
    keep_best: Annotated[str | None, Execution] = None
    device: Annotated[str, AfterValidator(_a_device), Execution, PerRank] = "auto"
    compile: Annotated[Literal["auto", "always", "never", "block", "graphs"], Execution] = "auto"
    threads: Annotated[int, Field(ge=0, le=MOST_THREADS), Execution, PerRank] = 0
    out: Annotated[PathText, Execution] = "outputs"
    force: Annotated[bool, Execution] = False
    trust: Annotated[tuple[str, ...], Execution] = ()

    @classmethod
    def of(cls, config: dict[str, Any]) -> "Settings":
        """From a composed config. Raises `BadInput` naming the key, the value and the choices."""
        return checked(cls, {k: v for k, v in config.items() if k in cls.__dataclass_fields__})


def run_keys(*roles: type[Role]) -> frozenset[str]:
    """The keys at the top of a run's config that have one of these roles."""
    return keys(Settings, *roles) | keys(Groups, *roles)
