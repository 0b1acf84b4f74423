"""Many runs on one machine: one after another or in processes, alone or stacked."""

import heapq
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from gp_lab.data.contents import looking
from gp_lab.errors import BadInput, Exit, LabError, counted
from gp_lab.instantiate import check_types
from gp_lab.launching.program import importing
from gp_lab.launching.watching import watch
from gp_lab.launching.workers import Refusals, Workers, attempt
from gp_lab.machine import cores, open_files, runs_at_once
from gp_lab.runs.folder import RunFolder, State, writing_to
from gp_lab.runs.identity import Config, canonical, folder_of, packages_of, run_hash
from gp_lab.runs.kept import check_best
from gp_lab.runs.result import RunResult, result_of
from gp_lab.runs.settings import Settings
from gp_lab.tracking import sweeps
from gp_lab.training.data import identified, run_data
from gp_lab.training.process_group import quiet, several, world
from gp_lab.training.stacking import differing, structure_key
from gp_lab.training.stopping import Stop, listening


class Stopped(LabError):
    """A sweep that a signal ended; what was under way is saved."""

    status = Exit.INTERRUPTED


class Preempted(Stopped):
    """The signal was SIGTERM, as a scheduler sends it."""

    status = Exit.PREEMPTED


MaxStack = int | Literal["auto"]
"""The most runs in a stack; `auto` is as many as fit the memory, up to `ENOUGH`."""

ENOUGH = {"cpu": 64, "cuda": 256}
"""Replicas beyond which a larger stack is not faster."""

SHARE_OF_MEMORY = 0.5
"""Of the free memory, what `auto` lets the stacks take that train at the same time."""


def groups(
    configs: Sequence[Config],
    max_stack: int,
    most: Mapping[str, int] | None = None,
    where: Callable[[Config], Path] = folder_of,
) -> list[list[Config]]:
    """Configs in stacks of one structure, of at most `max_stack`, or `most[structure_key]`.

    Stacks of one structure are of nearly equal size and follow one another, so that they can share
    a compiled step. Runs that have begun go on as they were: those of one stack together, the
    others alone. `where` finds a run's folder.
    """
    found: dict[tuple[str, str], list[Config]] = {}
    met: dict[str, int] = {}
    for config in configs:
        key, folder = structure_key(config), RunFolder(where(config))
        own = ""
        if max_stack == 1 or _begun(config, folder):
            own = (max_stack > 1 and folder.status.get("stack_id")) or str(folder.path)
        found.setdefault((key, own), []).append(config)
        met.setdefault(key, len(met))
    stacks = []
    for key, own in sorted(found, key=lambda group: met[group[0]]):
        group = found[key, own]
        size = min(max_stack, (most or {}).get(key, max_stack))
        count = -(-len(group) // size)
        ends = [-(-len(group) * i // count) for i in range(count + 1)]
        stacks += [group[i:j] for i, j in pairwise(ends)]
    return stacks


def _begun(config: Config, folder: RunFolder) -> bool:
    """Whether a run goes on from where it stands."""
    status = {} if config["force"] else folder.status
    return status.get("state", State.QUEUED) != State.QUEUED or "engine" in status


def evened(batches: list[list[Config]], workers: int) -> list[list[Config]]:
    """The last stacks in parts, where a worker would else have nothing to do while another trains.

    3 stacks of 10 for 2 workers become 10, 10, 5, 5. Stacks that have begun stay as they are."""
    whole = len(batches) - len(batches) % workers
    found, last = batches[:whole], batches[whole:]
    if any(_begun(config, RunFolder(folder_of(config))) for batch in last for config in batch):
        return batches
    parts = workers // math.gcd(len(last), workers)  # so that each worker gets as many
    for batch in last:
        ends = [len(batch) * i // parts for i in range(parts + 1)]
        found += [batch[i:j] for i, j in pairwise(ends) if i < j]
    return min(batches, found, key=lambda stacks: _longest(stacks, workers))


def _longest(batches: list[list[Config]], workers: int) -> int:
    """Iterations of the worker that has the most to do, where the next free one takes the next."""
    until = [0] * workers
    for batch in batches:
        heapq.heapreplace(until, until[0] + sum(config["steps"] for config in batch))
    return max(until)


def train_all(
    configs: Sequence[Config], processes: int = 1, max_stack: MaxStack = 1
) -> list[RunResult]:
    """Train what is not finished yet; the results in the order of the configs.

    processes=0 is one for each core, or one if there is a GPU. A run that fails, or whose worker is
    killed, leaves its reason in its folder and in its place here; the others go on. Raises
    `BadInput` for a config that can never run or a stack that cannot fit, before the first one
    starts; `Stopped` when a signal ended the sweep.
    """
    configs = identified(configs)
    todo, before = left_to_train(configs)
    lost: Mapping[Path, str] = {}
    if todo:  # else nothing heavy is imported: redrawing a figure is instant
        setups = checked_here(todo)
        if max_stack == 1:
            batches = groups(todo, 1)
        else:
            most = _most(todo, setups, max_stack, processes or _cores())
            batches = groups(todo, max(most.values()), most)
            if max_stack == "auto":
                batches = evened(batches, processes or _cores())
            _explain(batches)
        lost = _train_groups(batches, processes)
    elif several():
        _meet([])
    found = outcomes_of(configs, before)
    why = [lost.get(result.folder.path) for result in found]
    return [
        replace(o, state=State.FAILED, why=w) if w else o for o, w in zip(found, why, strict=True)
    ]


def train_one(config: Config, folder: RunFolder | None = None) -> RunResult:
    """Train one run in this process, as the ranks may do together; `folder`: it goes on there.

    Raises `BadInput`, for a wrong scalar before anything heavy is imported.
    """
    Settings.of(config)
    with looking():
        folders = [folder] if folder else None
        [config] = [config] if folder else identified([config])
        if _is_finished(config, folder):
            check_best(config.get("keep_best"), config.get("probe") or {})
            say_what_is_skipped([config], [])
            _tell_agent(config, folder)
            if not several():
                run_data([config], folders)
                return result_of(folder or RunFolder(folder_of(config)), config["steps"])
        with importing():
            _check_types([config])
            from gp_lab.training.trainer import train
        return train([config], folders)[0]


def _check_types(configs: Sequence[Config]) -> None:
    """Raises `BadInput` for a value of the wrong type, before all parts are made."""

    def different(group: str) -> Collection[Config]:
        return {canonical(config[group]): config for config in configs}.values()

    for group in ("penalty", "loss", "constraint", "correction", "optimizer"):
        for config in different(group):
            check_types(config[group], group, config["trust"])
    for config in different("architecture"):
        for net in ("discriminator", "generator"):  # in the order in which they are made
            check_types(config["architecture"].get(net), f"architecture.{net}", config["trust"])


def _tell_agent(config: Config, folder: RunFolder | None) -> None:
    """A sweep of W&B's waits for the scores of a run, also of one that has finished before."""
    if sweeps.asked() and not quiet():
        from gp_lab.training.dashboard import tell_again

        asked = {key: config[key] for key in ("tracking", "steps")}
        tell_again(folder or RunFolder(folder_of(config)), config["trust"], asked)


def _is_finished(config: Config, folder: RunFolder | None) -> bool:
    """Whether a run needs no training; what is wrong with it is for the trainer to say."""
    try:
        return folder.finished(config["steps"]) if folder else not unfinished([config])
    except LabError:
        return False


def left_to_train(configs: Sequence[Config]) -> tuple[list[Config], set[Path]]:
    """What is not finished, each run once, and the folders of the rest; says what is skipped.

    Raises `BadInput` for a wrong scalar.
    """
    todo = unfinished(configs)
    wanted = {folder_of(config) for config in todo}
    skipped = {p: config for config in configs if (p := folder_of(config)) not in wanted}
    say_what_is_skipped(list(skipped.values()), todo)
    return todo, set(skipped)


def outcomes_of(configs: Sequence[Config], before: Collection[Path]) -> list[RunResult]:
    """How runs have ended, in the order of the configs; `before`: those that were not trained."""
    return [
        replace(result_of(RunFolder(path), config["steps"]), before=path in before)
        for config in configs
        for path in [folder_of(config)]
    ]


def say_what_is_skipped(before: Sequence[Config], todo: Sequence[Config]) -> None:
    """How many runs need no training; and whose code may have changed since they were trained."""
    if not before or quiet():
        return
    if todo:
        count = counted(len(before) + len(todo), "run")
        print(f"{count}: {len(before)} finished before, {len(todo)} to train", file=sys.stderr)
    own = [packages for config in before if (packages := packages_of(config))]
    if own:
        whose, which = ("their", "them") if len(own) > 1 else ("its", "it")
        print(
            f"{counted(len(own), 'run')} finished before; {whose} code in"
            f" {', '.join(sorted(set[str]().union(*own)))} is not part of a run's identity:"
            f" force=true trains {which} anew",
            file=sys.stderr,
        )


def unfinished(configs: Sequence[Config]) -> list[Config]:
    """Those that are not finished yet, each run once. Raises `BadInput` for a wrong scalar."""
    for config in configs:
        Settings.of(config)
    todo: dict[Path, Config] = {}
    for config in configs:
        path = folder_of(config)
        if config["force"] or not RunFolder(path).finished(config["steps"]):
            todo.setdefault(path, config)
    return list(todo.values())


def _most(
    configs: Sequence[Config], setups: Mapping[str, Any], max_stack: MaxStack, processes: int
) -> dict[str, int]:
    """structure_key -> the most replicas in a stack. Raises `BadInput` if a stack cannot fit."""
    from gp_lab.training.memory import free_bytes
    from gp_lab.training.stacking import bytes_per_replica

    wanted: dict[str, int] = {}
    open_at_once = runs_at_once()
    for config in configs:
        key = structure_key(config)
        wanted[key] = wanted.get(key, 0) + 1
    found = dict.fromkeys(wanted, 1)
    for key, count in wanted.items():
        if count == 1:  # nothing to stack it with: what it takes need not be worked out
            continue
        run = setups[key]
        each, free = bytes_per_replica(run), free_bytes(run.device)
        if max_stack == "auto":
            fit = int(SHARE_OF_MEMORY * free / processes / each)
            # A core that waits costs more than a smaller stack.
            share = -(-len(configs) // processes)
            found[key] = max(1, min(ENOUGH[run.device.type], fit, share, open_at_once))
        elif (size := min(count, max_stack)) * each > free:
            raise BadInput(
                f"hydra.launcher.max_stack={max_stack}: {size} replicas need about"
                f" {size * each / 1e9:.3g} GB and {free / 1e9:.3g} GB are free; at most"
                f" {max(1, free // each)} fit (max_stack=auto finds a size)"
            )
        elif size > open_at_once:
            raise BadInput(
                f"hydra.launcher.max_stack={max_stack}: {size} replicas need more open files than"
                f" the {open_files()} that this process may have; raise that (ulimit -n), or train"
                f" at most {open_at_once} at once (max_stack=auto finds a size)"
            )
        else:
            found[key] = max_stack
    return found


def _explain(batches: list[list[Config]]) -> None:
    """Say how the runs are stacked, and which keys keep them from being one stack."""
    count = sum(map(len, batches))
    if count == 1:
        return
    sizes = sorted({len(batch) for batch in batches}, reverse=True)
    keys = differing([batch[0] for batch in batches])
    shown = ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
    apart = f"; kept apart by {shown}" if keys else ""
    stacks = f"{counted(len(batches), 'stack')} of {' or '.join(map(str, sizes))}"
    print(f"{count} runs in {stacks}{apart}", file=sys.stderr)


def _train_groups(batches: list[list[Config]], processes: int) -> dict[Path, str]:
    """The folders of runs whose worker was killed, and why. Raises `Stopped`."""
    count, lost = min(processes or _cores(), len(batches)), {}
    with listening() as stop:
        if several():
            _meet([config for batch in batches for config in batch], stop)
        if count <= 1:
            _one_after_another(batches, stop)
        else:
            lost = _in_processes(batches, count, stop)
    if stop.asked:
        kind = Preempted if stop.state == State.PREEMPTED else Stopped
        raise kind(f"{stop.why}; {going_on(batches[0])}")
    return lost


def going_on(configs: Sequence[Config]) -> str:
    """What to do for runs that were stopped to go on."""
    forced = any(config["force"] for config in configs)
    return f"the same command {'without force=true ' * forced}goes on from there"


def _meet(todo: Sequence[Config], stop: Stop | None = None) -> None:
    """Ranks that were given different runs end here, before the first one begins."""
    from gp_lab.training.trainer import meet

    meet(todo, stop)


def checked_here(configs: Sequence[Config]) -> dict[str, Any]:
    """As `checked_setups`, of runs that are to train on this machine, whose memory counts."""
    setups = checked_setups(configs)
    from gp_lab.training.size import refuse_too_large

    for run in setups.values():
        refuse_too_large(run, ranks=world())
    return setups


def checked_setups(configs: Sequence[Config]) -> dict[str, Any]:
    """structure_key -> one run's `Setup`; trains nothing.

    Raises `BadInput` for what `train` would refuse in any of the configs.
    """
    with importing():
        _check_types(configs)
        from gp_lab.training.setup import setup

    seen, setups = set(), {}
    for config in configs:
        if (numbers := run_hash(config | {"seed": 0}) + config["device"]) not in seen:
            seen.add(numbers)
            setups[structure_key(config)] = setup(config)
    for config in configs:
        with writing_to(config["out"]):
            folder_of(config).parent.mkdir(parents=True, exist_ok=True)
    return setups


def _in_processes(batches: list[list[Config]], count: int, stop: Stop) -> dict[Path, str]:
    """Train batches at the same time; the folders of runs whose worker was killed, and why."""
    configs = [config for batch in batches for config in batch]
    with Workers(batches, count, threads=max(1, _cores() // count)) as workers:
        watch(configs, lambda: workers.look(stop))
    if workers.stopped and not stop.asked:
        raise Preempted(
            f"{workers.stopped} of {counted(len(configs), 'run')} stopped by a signal to the"
            f" worker; {going_on(configs)}"
        )
    return workers.lost


def _one_after_another(batches: list[list[Config]], stop: Stop) -> None:
    refusals = Refusals()
    for number, batch in enumerate(batches):
        if len(batches) > 1 and not stop.asked:
            name = folder_of(batch[0]).name
            more = f" and {len(batch) - 1} more in a stack" * (len(batch) > 1)
            print(f"[{number + 1}/{len(batches)}] {name}{more}", file=sys.stderr)
        try:
            end = attempt(batch, stop, progress=True)
        except BadInput as error:
            if several() or refusals.add(error):  # ranks are refused together, and end so
                raise
            continue
        if end.failure:
            print(end.failure, file=sys.stderr)
        if end.stopped:
            break
    if refusals.first is not None and not stop.asked:
        raise refusals.first


def _cores() -> int:
    """Processes that train at the same time: the GPU is one place, a core is one each."""
    import torch

    return 1 if torch.cuda.is_available() else cores()
