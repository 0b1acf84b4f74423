"""`gp-lab evaluate RUN --follow`: the scores of each checkpoint, beside the run's training."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from gp_lab.errors import BadInput, Exit
from gp_lab.launching.evaluating import Evaluating
from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import Config
from gp_lab.training.evaluate import evaluate, evaluations_table

LOOK = 1.0
"""Seconds between two looks for a new checkpoint."""


def follow(of: Evaluating) -> Exit:
    """Evaluate the checkpoints of a run in their order as they come, until nobody trains it.

    A run drops all but its last two: those that wait for their turn are held meanwhile, and what is
    interrupted goes on with them. What was evaluated with the same settings is not again. A probe's
    `every` chooses among the steps; 0 is all of them. Raises `BadInput` for several runs or a step.
    """
    if of.several or of.step is not None:
        other = "several runs" if of.several else f"step={of.step}"
        raise BadInput(f"--follow: follows one run by its checkpoints, not {other}; leave it out")
    (folder,), probes = of.runs, of.probes[str(of.runs[0].out)]
    over = threading.Event()
    with _holding(folder, probes, over):
        while True:
            ended = not _under_way(folder)  # before the look for its last checkpoint
            hold(folder, probes)
            if waiting := checkpoint.held(folder):
                _evaluate_one(of, folder, probes, waiting[0])
            elif ended:
                break
            else:
                over.wait(LOOK)
    print(f"{folder.path}: {folder.state or 'not begun'}, and all its checkpoints are evaluated")
    return Exit.OK


def hold(folder: RunFolder, probes: Config) -> None:
    """Hold the checkpoints that are there and wait to be evaluated."""
    for step in checkpoint.steps(folder):
        if missing(folder, probes, step):
            checkpoint.hold(folder, step)


def missing(folder: RunFolder, probes: Config, step: int) -> Config:
    """The probes that have not seen a checkpoint yet, and want to."""
    lines = folder.evaluations()
    seen = [(line.get("probe"), line.get("settings")) for line in lines if line["step"] == step]
    last = step == folder.status.get("step") and not _under_way(folder)
    return {
        name: node
        for name, node in probes.items()
        if (name, node) not in seen and (last or step % (node.get("every") or 1) == 0)
    }


def _evaluate_one(of: Evaluating, folder: RunFolder, probes: Config, step: int) -> None:
    if todo := missing(folder, probes, step):
        found = evaluate(folder.path, todo, step, of.trust, of.data)
        print(f"{folder.path} at step {step}\n{evaluations_table(found)}", flush=True)
    checkpoint.release(folder, step)


def _under_way(folder: RunFolder) -> bool:
    """Whether somebody trains the run, or is about to."""
    return folder.taken or folder.state in (None, State.QUEUED)


@contextmanager
def _holding(folder: RunFolder, probes: Config, over: threading.Event) -> Iterator[None]:
    """While inside, new checkpoints are held, however long the evaluation of another takes."""

    def look(hold_now: partial[None]) -> None:
        while not over.wait(LOOK):
            hold_now()

    thread = threading.Thread(target=look, args=(partial(hold, folder, probes),), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        checkpoint.hold_no_longer(folder)  # no earlier: the thread may be about to hold one
