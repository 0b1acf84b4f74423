"""The scalars of a run, checked before anything heavy is imported."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from gp_lab.machine import MOST_THREADS
from gp_lab.parts import BelowOne, Count, CountOrZero, PathText, Seed, Steps, checked

GROUPS = (
    "dataset", "architecture", "loss", "penalty", "constraint", "optimizer", "schedule", "probe",
    "tracking",
)  # fmt: skip


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
        log_every: iterations between two lines of metrics.jsonl.
        checkpoint_every: iterations between two checkpoints; the last step has one always.
        device: auto is the GPU if there is one.
        compile: auto compiles where it is expected to pay.
        threads: of the CPU; 0 is one for small networks, one for each core for others.
        out: root of the runs.
        force: start over even if the run exists.
        trust: the user's own packages that configs may name, from the command line only.
    """

    seed: Seed = 0
    steps: Steps = 10_000
    batch_size: Count = 64
    d_steps: Count = 1
    g_steps: CountOrZero = 1
    average: BelowOne = 0.0
    batch_norm: Literal["local", "synchronised"] = "synchronised"
    precision: Literal["fp64", "fp32", "tf32", "bf16"] = "fp32"
    panel: str | None = None
    log_every: Steps = 100
    checkpoint_every: Steps = 1000
    device: Annotated[str, AfterValidator(_a_device)] = "auto"
    compile: Literal["auto", "always", "never"] = "auto"
    threads: Annotated[int, Field(ge=0, le=MOST_THREADS)] = 0
    out: PathText = "outputs"
    force: bool = False
    trust: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: dict[str, Any]) -> "Settings":
        """From a composed config. Raises `BadInput` naming the key, the value and the choices."""
        return checked(cls, {k: v for k, v in config.items() if k in cls.__dataclass_fields__})
