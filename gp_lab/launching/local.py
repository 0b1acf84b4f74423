"""Many runs on one machine: one after another or in processes, alone or stacked."""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import RawValue
from typing import Any

from tqdm import tqdm

from gp_lab.errors import BadInput, Exit, LabError
from gp_lab.runs.folder import RunFolder, State, writing_to
from gp_lab.runs.identity import NOT_IDENTITY, Config, folder_of
from gp_lab.runs.outcome import Outcome, outcome_of
from gp_lab.training.settings import Settings
from gp_lab.training.stopping import SIGNALS, Stop, listening

_worker_stop = Stop()
"""In a worker process: the flag that its parent raises."""


class Stopped(LabError):
    """A sweep that a signal ended; what was under way is saved."""

    status = Exit.INTERRUPTED


class Preempted(Stopped):
    """The signal was SIGTERM, as a scheduler sends it."""

    status = Exit.PREEMPTED


def groups(configs: Sequence[Config], stack: int) -> list[list[Config]]:
    """Configs in stacks of at most `stack`: those that differ in nothing but seed and tags.

    Runs that have begun go on as they were: those of one stack together, the others alone.
    """
    found: dict[str, list[Config]] = {}
    for config in configs:
        key, folder = _structure(config), RunFolder(folder_of(config))
        begun = folder.exists and not config["force"]
        if stack == 1 or begun:
            key += (stack > 1 and folder.status.get("stack_id")) or str(folder.path)
        found.setdefault(key, []).append(config)
    return [g[i : i + stack] for g in found.values() for i in range(0, len(g), stack)]


def train_all(configs: Sequence[Config], processes: int = 1, stack: int = 1) -> list[Outcome]:
    """Train what is not finished yet; the outcomes in the order of the configs.

    processes=0 is one for each core, or one if there is a GPU. A run that fails leaves its reason
    in its folder and in its place here; the others go on. Raises `BadInput` for a config that can
    never run, before the first one starts; `Stopped` when a signal ended the sweep.
    """
    for config in configs:
        Settings.of(config)
    todo = []
    seen = set()
    for config in configs:
        folder = folder_of(config)
        fresh = config["force"] or not RunFolder(folder).finished(config["steps"])
        if fresh and folder not in seen:
            todo.append(config)
            seen.add(folder)
    if todo:  # else nothing heavy is imported: redrawing a figure is instant
        _check(todo)
        _train_groups(groups(todo, stack), processes)
    return [outcome_of(RunFolder(folder_of(config))) for config in configs]


def _train_groups(batches: list[list[Config]], processes: int) -> None:
    count = min(processes or _cores(), len(batches))
    with listening(RawValue("i", 0)) as stop:
        if count <= 1:
            for number, batch in enumerate(batches):
                if len(batches) > 1 and not stop.asked:
                    print(f"[{number + 1}/{len(batches)}]", end=" ", file=sys.stderr)
                _train(batch, stop, progress=True)
        else:
            _in_processes(batches, count, stop)
    if stop.asked:
        kind = Preempted if stop.state == State.PREEMPTED else Stopped
        raise kind(f"{stop.why}; the same command goes on from there")


def _check(configs: Sequence[Config]) -> None:
    """Raises `BadInput` for what `train` would refuse in any of the configs; trains nothing."""
    from gp_lab.training.setup import setup

    seen = set()
    for config in configs:
        if (structure := _structure(config)) not in seen:
            seen.add(structure)
            setup(config)
    for config in configs:
        with writing_to(config["out"]):
            folder_of(config).parent.mkdir(parents=True, exist_ok=True)


def _train(batch: list[Config], stop: Stop, progress: bool) -> None:
    """One stack, unless the sweep was stopped. Its failures are in the run folders."""
    from gp_lab.training.trainer import train

    if stop.asked:
        return
    try:
        train(batch, progress=progress, stop=stop)
    except BadInput:
        raise
    except Exception as error:
        print(f"a run failed: {type(error).__name__}: {error}", file=sys.stderr)


def _in_processes(batches: list[list[Config]], count: int, stop: Stop) -> None:
    """This process alone hears signals; the workers look at the flag that it shares with them."""
    threads = max(1, _cores() // count)
    pool = ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_worker,
        initargs=(stop.flag,),
    )
    try:
        # Blocked signals are inherited: a worker that is still starting is not killed by Ctrl-C.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            futures = [pool.submit(_train_in_worker, batch, threads) for batch in batches]
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        _watch(futures, [c for batch in batches for c in batch])
        for future in futures:
            future.result()
    except BrokenProcessPool as error:
        raise LabError(
            "a worker process was killed from outside (out of memory?); what it saved is kept,"
            " and the same command goes on from there"
        ) from error
    except KeyboardInterrupt:  # pressed twice: now
        for process in list(pool._processes.values()):
            process.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker(flag: Any) -> None:
    global _worker_stop
    _worker_stop = Stop(flag)
    os.environ["TQDM_DISABLE"] = "1"  # one line of progress belongs to the parent
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _train_in_worker(batch: list[Config], threads: int) -> None:
    batch = [config | {"threads": config["threads"] or threads} for config in batch]
    _train(batch, _worker_stop, progress=False)


def _watch(futures: list[Future[None]], configs: list[Config]) -> None:
    """One bar for all processes: iterations of all runs, from their status.json."""
    folders = [RunFolder(folder_of(config)) for config in configs]
    total = sum(config["steps"] for config in configs)
    with tqdm(total=total, unit="it", desc=f"{len(configs)} runs", dynamic_ncols=True) as bar:
        shown = time.monotonic()
        while True:
            over = all(f.done() for f in futures)
            statuses = [folder.status for folder in folders]
            bar.n = sum(s.get("step", 0) for s in statuses)
            ended = [s.get("state") for s in statuses]
            bar.set_postfix(
                finished=ended.count("finished"), diverged=ended.count("diverged"), refresh=False
            )
            if sys.stderr.isatty() or time.monotonic() - shown > 15:
                shown = time.monotonic()
                bar.refresh()
            failed = next((f for f in futures if f.done() and f.exception()), None)
            if over or failed is not None:
                return
            time.sleep(0.5)


def _structure(config: Config) -> str:
    kept: dict[str, Any] = {k: v for k, v in config.items() if k not in NOT_IDENTITY | {"seed"}}
    kept |= {k: config[k] for k in ("device", "compile", "threads", "log_every", "force")}
    kept |= {k: config[k] for k in ("checkpoint_every", "out", "trust", "tracking")}
    return json.dumps(kept, sort_keys=True)


def _cores() -> int:
    """Processes that train at the same time: the GPU is one place, a core is one each."""
    import torch

    return 1 if torch.cuda.is_available() else len(os.sched_getaffinity(0))
