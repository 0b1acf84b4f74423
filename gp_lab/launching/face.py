"""The lab from Python: its penalties and losses on anybody's networks, and its runs.

What a command takes as `key=value` these functions take as words or as arguments, and what it would
say of a wrong one they raise as `BadInput`.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from gp_lab.errors import BadInput, Diverged, LabError, bad_choice
from gp_lab.instantiate import instantiate
from gp_lab.launching.arguments import parse_arguments
from gp_lab.launching.asked import is_sweep, one_run
from gp_lab.launching.compose import fitting, hydra_session, sweep_of
from gp_lab.launching.config_groups import choices
from gp_lab.launching.hydra_internals import asked_to_show
from gp_lab.launching.local import train_one
from gp_lab.objectives.losses import Loss
from gp_lab.objectives.penalties import NoPenalty
from gp_lab.objectives.penalties import Path as LatentPath
from gp_lab.overrides import parse
from gp_lab.runs.identity import Config
from gp_lab.runs.result import RunResult
from gp_lab.runs.status import State
from gp_lab.training.load import LoadedRun, load
from gp_lab.training.setup import KINDS
from gp_lab.training.step import AUTOGRAD, has_batch_norm


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    penalty: str | NoPenalty = "one_gp",
    *,
    generator: torch.Generator | None = None,
    hardest: Tensor | None = None,
    path: LatentPath | None = None,
    **numbers: Any,
) -> Tensor:
    """The weighted gradient penalty (a scalar) of a discriminator, to be added to its loss.

    >>> import torch, gp_lab
    >>> D = torch.nn.Linear(2, 1, bias=False)
    >>> _ = torch.nn.init.constant_(D.weight, 3.0)
    >>> real, fake = torch.zeros(8, 2), torch.ones(8, 2)
    >>> value = gp_lab.gradient_penalty(D, real, fake, "zero_gp", weight=10, output="logit")
    >>> value  # 10 |grad D|^2 = 10 (3^2 + 3^2)
    tensor(180., grad_fn=<MulBackward0>)
    >>> value.backward()  # through the gradient: d/dw 10 (w1^2 + w2^2)
    >>> D.weight.grad
    tensor([[60., 60.]])

    Args:
        discriminator: a module or function, points [n, ...] to one logit each ([n] or [n, 1]); it
            may judge no sample by another, as batch norm would.
        real, fake: as many of both [batch, ...]; no gradient flows through them.
        penalty: a name of configs/penalty (`gp-lab list penalties`), or a penalty.
        generator: of the random places between reals and fakes; left out, PyTorch's own.
        hardest: for reduction `max`, the hardest points of the last step [k, ...], NaN at first; it
            is written to, and is to be given again at the next step.
        path: for the measure `latent_path`, u [batch] in [0, 1] to points [batch, ...].
        numbers: values of the penalty's keys, as weight=10.

    Raises `BadInput` for a name, a key or a value that is none, and for what a penalty lacks.
    """
    part = penalty if isinstance(penalty, NoPenalty) else _named("penalty", penalty, numbers)
    if isinstance(penalty, NoPenalty) and numbers:
        raise BadInput(f"{', '.join(numbers)}: given beside a penalty, which has its own")
    _check_batch(discriminator, real, fake, part)
    _check_given(penalty if isinstance(penalty, str) else "penalty", part, real, hardest, path)
    where = fake.device if generator is None else generator.device
    u = torch.rand(len(fake), generator=generator, dtype=fake.dtype, device=where).to(fake.device)
    before = real[:0] if hardest is None else hardest
    points = part.points(real.detach(), fake.detach(), u, before, path)
    value, _, hardest_now = part(_critic(discriminator), points, AUTOGRAD.of_inputs, len(before))
    if hardest is not None:
        hardest.copy_(hardest_now.detach())
    return value


def _critic(discriminator: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The discriminator with logits [n]. Raises `BadInput` when it gives another number of them."""

    def critic(x: Tensor) -> Tensor:
        f = discriminator(x)
        if f.numel() != len(x):
            raise BadInput(
                f"discriminator: gives {list(f.shape)} for {len(x)} points; not one logit each"
            )
        return f.reshape(len(x))

    return critic


def _check_given(
    name: str, part: NoPenalty, real: Tensor, hardest: Tensor | None, path: LatentPath | None
) -> None:
    if (keep := part.carried(len(real))) and hardest is None:
        raise BadInput(
            f"{name}: carries its hardest points from step to step; give hardest=torch.full(("
            f"{keep}, *real.shape[1:]), torch.nan), the same at each step, or carry=0"
        )
    if part.measure == "latent_path" and path is None:
        raise BadInput(f"{name}: lies on paths between latent codes; give path=, u to points on it")


class _Losses(Mapping[str, Loss]):
    """Name of configs/loss -> that loss, with its phi, varphi and psi.

    >>> import torch, gp_lab
    >>> loss = gp_lab.losses["hinge"]
    >>> f = torch.tensor([-2.0, 0.5])
    >>> loss.phi(f), loss.varphi(f), loss.psi(f)  # of D on fakes, of D on reals, of G
    (tensor([0.0000, 1.5000]), tensor([3.0000, 0.5000]), tensor([ 2.0000, -0.5000]))
    """

    def __getitem__(self, name: str) -> Loss:
        return cast(Loss, _named("loss", name, {}))

    def __contains__(self, name: object) -> bool:
        return name in choices("loss")

    def __iter__(self) -> Iterator[str]:
        return iter(choices("loss"))

    def __len__(self) -> int:
        return len(choices("loss"))

    def __repr__(self) -> str:
        return f"losses: {', '.join(self)}"


losses = _Losses()


def train(
    overrides: Sequence[str] = (), config_dir: str | Path | None = None
) -> LoadedRun | list[LoadedRun]:
    """Train what these words ask for, as `gp-lab train` does, and load it: finished runs at once.

    One run, or where a word has several values, or an experiment is a sweep, a list of them in the
    order of `--cfg job`; there those that diverged are left out with a warning.

    >>> import gp_lab
    >>> run = gp_lab.train(["steps=1", "probe=[]", "tracking=none", "out=outputs"])
    >>> run.step, run.sample(3).shape
    (1, torch.Size([3, 2]))

    Raises `BadInput` as the command would, `Diverged` for one run that did, and `LabError` for a
    run that failed or was stopped.
    """
    flags = [] if config_dir is None else [f"--config-dir={config_dir}"]
    args = parse_arguments([*flags, *overrides], sweep=True)
    if asked_to_show(args):
        raise BadInput("--cfg, --info and --help are for the command line")
    args.multirun |= any(o.is_sweep_override() for o in parse(args.overrides))
    with hydra_session(args.config_dir) as hydra:
        if is_sweep(hydra, args):
            sweep = sweep_of(hydra, args.overrides)
            trust = [job.config["trust"] for job in sweep.jobs]
        else:
            config = one_run(hydra, args)
            sweep = None
    if sweep is None:
        return _loaded(train_one(config), config["trust"])
    found = []
    for result, packages in zip(sweep.train(), trust, strict=True):
        try:
            found.append(_loaded(result, packages))
        except Diverged as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
    return found


def _loaded(result: RunResult, trust: Sequence[str]) -> LoadedRun:
    if result.state == State.DIVERGED:
        raise Diverged(str(result))
    if result.state != State.FINISHED:
        raise LabError(str(result))
    return load(result.folder.path, trust=tuple(trust))


def _check_batch(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, penalty: NoPenalty
) -> None:
    if real.shape != fake.shape:
        raise BadInput(
            f"real, fake: {list(real.shape)} and {list(fake.shape)}; as many of the same shape are"
            " wanted"
        )
    size, dim = len(getattr(penalty, "anchor", ())), real[0].numel()
    if penalty.measure == "anchor" and size not in (1, dim):
        raise BadInput(f"penalty.anchor: {size} numbers for samples of {dim}; give 1 or {dim}")
    if penalty.measure == "none" or not isinstance(discriminator, nn.Module):
        return
    if discriminator.training and has_batch_norm(discriminator):
        raise BadInput(
            "discriminator: batch norm couples the samples of a batch, and the penalty asks for"
            " each sample's own gradient (wgan_gp, sec. 4)"
        )


def _named(group: str, name: str, numbers: Mapping[str, Any]) -> Any:
    """A choice of a group with some of its values replaced. Raises `BadInput`."""
    if name not in (known := _nodes(group)):
        raise bad_choice(group, name, known)
    return instantiate({**known[name], **numbers}, group, (), KINDS[group])


@cache
def _nodes(group: str) -> Mapping[str, Config]:
    """The files of a group by their names, with what they inherit."""
    with hydra_session() as hydra:
        found: Any = OmegaConf.to_container(fitting(hydra).choices(group), resolve=True)
    return {str(name): node for name, node in found.items()}
