"""Small runs for the tests of the trainer, resuming, tracking and figures."""

import copy
import fcntl
import multiprocessing
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
import torch
from helpers import SUPPORT, Tensors

from gp_lab.launching.compose import compose, hydra_session
from gp_lab.launching.jobs import merged
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config
from gp_lab.training.ranks import FolderOfAnotherRank
from gp_lab.training.trainer import train

SMALL = (
    "architecture=mlp_tanh_64",
    "architecture.width=8",
    "batch_size=16",
    "probe=[surface,samples]",
    "probe.surface.points=8",
    "probe.samples.count=20",
    "tracking=none",
    "threads=1",
    "device=cpu",
)
"""A run that makes some hundred iterations a second."""

BARE = (*(override for override in SMALL if not override.startswith("probe")), "probe=[]")
"""SMALL without probes."""

STACK = ("steps=2", "compile=never", "checkpoint_every=2")
"""What runs of two steps say that are stacked."""
QUICK = ("log_every=1", "steps=10")
"""A run of ten iterations, with the metrics of each."""

LANGUAGE = (
    "dataset=python_topics",
    "architecture=char_cnn",
    "architecture.filters=4",
    "architecture.blocks=1",
    "penalty=one_gp",
    "batch_size=8",
    "tracking=none",
    "threads=1",
    "device=cpu",
)
"""A language model of as few numbers."""

PATIENCE = 240.0
"""Seconds after which a test says that something hangs; no measure of how long it may take."""


class SignalAt(NamedTuple):
    """A signal that a command gets when its run has the metrics of a step."""

    step: int
    number: signal.Signals
    whom: Literal["self", "parent"] = "self"

    @property
    def arguments(self) -> list[str]:
        return [str(self.step), str(int(self.number)), self.whom]


def config_of(*overrides: str, base: tuple[str, ...] = SMALL) -> Config:
    """What `gp-lab train` makes of these overrides, the last of each key.

    Configs that differ in nothing but their seed and a plain `out` are composed once.
    """
    words = merged([*base, *overrides])
    seeds = [word for word in words if re.fullmatch("seed=(0|[1-9][0-9]*)", word)]
    outs = [word for word in words if re.fullmatch(r"out=/[\w./-]+", word)]
    rest = tuple(word for word in words if word not in (*seeds, *outs))
    if not (seeds or outs) or any("$" in word or word.startswith("trust=") for word in rest):
        return composed(words)
    out = f"out={NOWHERE}" if outs else ""
    known = _known(*filter(None, (*rest, out)), at=(os.getcwd(), os.environ.get("HOME")))
    config: Config = put(known, outs[0].removeprefix("out=")) if outs else copy.deepcopy(known)
    if seeds:
        config["seed"] = int(seeds[0].removeprefix("seed="))
    return config


def composed(words: Sequence[str]) -> Config:
    with hydra_session() as hydra:
        return compose(hydra, words)


NOWHERE = "/the-folder-of-a-config-that-many-tests-share"


@cache
def _known(*words: str, at: tuple[str | None, ...]) -> Config:
    return composed(words)


def put(tree: Any, out: str) -> Any:
    """A copy of a config, with its `out` and the paths below it elsewhere."""
    if isinstance(tree, dict):
        return {key: put(value, out) for key, value in tree.items()}
    if isinstance(tree, list):
        return [put(value, out) for value in tree]
    return tree.replace(NOWHERE, out) if isinstance(tree, str) else tree


def overrides(*more: str) -> list[str]:
    """SMALL and more, the last of each key, as the command line takes them."""
    return merged([*SMALL, *more])


def trained(*overrides: str, base: tuple[str, ...] = SMALL) -> RunFolder:
    """The folder of a run that was trained in this process."""
    return train([config_of(*overrides, base=base)], progress=False)[0].folder


def final(folder: RunFolder) -> tuple[int, Tensors]:
    """The step of the newest checkpoint and its tensors, by their paths in the tree."""
    saved = checkpoint.load(folder)
    assert saved is not None
    step, state, _ = saved
    return step, flat(state)


def flat(tree: dict, prefix: str = "") -> Tensors:
    found: Tensors = {}
    for key, value in tree.items():
        found |= (
            flat(value, f"{prefix}{key}/") if isinstance(value, dict) else {prefix + key: value}
        )
    return found


def arrays_of(folder: RunFolder) -> dict[str, np.ndarray]:
    """Everything that the probes wrote, by file and name."""
    found = {}
    for path in sorted((folder.path / "arrays").glob("*.npz")):
        with np.load(path) as file:
            found |= {f"{path.name}/{name}": file[name] for name in file}
    return found


def assert_same_run(a: RunFolder, b: RunFolder) -> None:
    """Two runs left the same metrics, arrays and final tensors, bit for bit."""
    assert (a.path / "metrics.jsonl").read_text() == (b.path / "metrics.jsonl").read_text()
    of_a, of_b = arrays_of(a), arrays_of(b)
    assert of_a.keys() == of_b.keys()
    for name in of_a:
        np.testing.assert_array_equal(of_a[name], of_b[name], err_msg=name, strict=True)
    assert_same_tensors(a, b)


def assert_same_tensors(a: RunFolder, b: RunFolder) -> None:
    """Two runs' newest checkpoints are equal, bit for bit."""
    (step_a, of_a), (step_b, of_b) = final(a), final(b)
    assert step_a == step_b
    assert of_a.keys() == of_b.keys()
    for name in of_a:
        torch.testing.assert_close(of_a[name], of_b[name], rtol=0, atol=0, equal_nan=True)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills, once for all processes of one pytest-xdist session."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        make(out := factory.mktemp(name))
        return out
    out = factory.getbasetemp().parent / name
    with (out.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "made").exists():
            out.mkdir(exist_ok=True)  # what was begun failed, and fails here too, with its reason
            make(out)
            (out / "made").touch()
    return out


def free_port() -> int:
    """A port below those that systems hand out by themselves, at random: tests run side by side."""
    for port in random.SystemRandom().sample(range(10_000, 15_000), 100):
        with socket.socket() as s, suppress(OSError):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def environment(home: Path, **variables: str) -> dict[str, str]:
    """This process's environment without W&B's variables, and with another home."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_") and k != "NETRC"}
    return kept | {"HOME": str(home)} | variables


def lab_command(*arguments: str, signal_at: SignalAt | None = None) -> list[str]:
    """A `gp-lab` command; it may get a signal at a step (`signalled.py`)."""
    module = ["-m", "gp_lab"]
    if signal_at is not None:
        module = [str(SUPPORT / "signalled.py"), *signal_at.arguments]
    return [sys.executable, *module, *arguments]


def start(
    *arguments: str,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    signal_at: SignalAt | None = None,
) -> subprocess.Popen[str]:
    """A `gp-lab` command in a process of its own; its output in `stdout`."""
    return subprocess.Popen(
        lab_command(*arguments, signal_at=signal_at),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )


def lab(
    *arguments: str,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    signal_at: SignalAt | None = None,
) -> subprocess.CompletedProcess[str]:
    """A `gp-lab` command that has ended."""
    process = start(*arguments, env=env, cwd=cwd, signal_at=signal_at)
    output, _ = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, output)


class Forked:
    """A `gp-lab` command in a process that begins with everything imported; for many of them.

    `first` is called in it before the command. The process and its signals are real.
    """

    def __init__(
        self, out: Path, *arguments: str, first: Callable[[], object] | None = None, **env: str
    ) -> None:
        self.out = out
        self.before = out.stat().st_size if out.exists() else 0
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["gp_lab.launching.compose", "gp_lab.training.trainer"])
        self.process = context.Process(target=_command, args=(out, arguments, first, env))
        self.process.start()

    def signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def ended(self) -> int:
        """Its exit status, once it has one."""
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, "it does not end"
        return self.process.exitcode

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    @property
    def said(self) -> list[str]:
        """The lines that it printed, without the progress bar."""
        text = self.out.read_bytes()[self.before :].decode()
        return [x for x in re.sub(r"\S+: +\d+%\|[^\]]*\]", "\n", text).splitlines() if x.strip()]


def _command(
    out: Path, arguments: list[str], first: Callable[[], object] | None, env: dict[str, str]
) -> None:
    from gp_lab.cli import entry

    with out.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    for name in [k for k in os.environ if k.startswith("WANDB_")]:
        del os.environ[name]  # W&B's process may be that of who runs the tests
    os.environ.update({"TQDM_DISABLE": "1"} | env)
    sys.argv = ["gp-lab", *arguments]
    if first is not None:
        first()
    entry()


@contextmanager
def heard_hangups() -> Iterator[None]:
    """While inside, processes that are started hear SIGHUP, though the tests be run by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def last_step(folder: RunFolder) -> int:
    lines = folder.metrics()
    return lines[-1]["step"] if lines else -1


def wait_for(
    condition: Callable[[], object],
    process: subprocess.Popen[str] | None = None,
    look: float = 0.002,
) -> None:
    """Waits until something is true, but not for a command that has ended.

    `look`: seconds between two looks; long where what is waited for needs the cores.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(look)


def signal_at(step: int, patch: pytest.MonkeyPatch, number: int = signal.SIGTERM) -> None:
    """While patched, this process gets a signal once a run has written the metrics of a step."""
    act_at(step, partial(signal.raise_signal, number), patch)


def act_at(step: int, act: Callable[[], object], patch: pytest.MonkeyPatch) -> None:
    """While patched, something is done once a run has the metrics of a step, on all ranks."""
    for kind in (RunFolder, FolderOfAnotherRank):

        def append_and_act(
            self: RunFolder, lines: list[dict], append: Callable = kind.append_metrics
        ) -> None:
            append(self, lines)
            if lines and lines[-1]["step"] == step:
                act()

        patch.setattr(kind, "append_metrics", append_and_act)


def values(folder: RunFolder, name: str) -> list[float]:
    """A metric of a run, in the order of the steps."""
    return [line[name] for line in folder.metrics() if name in line]
