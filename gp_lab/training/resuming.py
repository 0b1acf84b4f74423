"""Where the runs of a stack go on from: together as far as they can."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gp_lab.errors import counted
from gp_lab.runs import checkpoint
from gp_lab.training.replicas import Replica

Start = int | None
"""The step of a checkpoint; None for a run that begins anew."""


class Apart(Exception):
    """Some runs of a stack cannot go on from where the others do: each group by itself then.

    groups: indices into the stack, in groups that can each go on from one step.
    """

    def __init__(self, groups: Sequence[tuple[Start, Sequence[int]]]) -> None:
        self.groups = [indices for _, indices in groups]
        parts = [
            f"{counted(len(indices), 'run')} {'begin anew' if start is None else f'from {start}'}"
            for start, indices in groups
        ]
        super().__init__(f"the runs of this stack go on apart: {', '.join(parts)}")


def grouped(have: Sequence[set[int]]) -> list[tuple[Start, list[int]]]:
    """Runs by where they go on from: as many together as share a checkpoint, at their newest.

    `have`: of each run the steps of its checkpoints; those without any begin anew together.
    """
    left, groups = list(range(len(have))), list[tuple[Start, list[int]]]()
    while left:
        counts = Counter(step for i in left for step in have[i])
        if not counts:
            return [*groups, (None, left)]
        start = max(counts, key=lambda step: (counts[step], step))
        groups.append((start, [i for i in left if start in have[i]]))
        left = [i for i in left if start not in have[i]]
    return groups


def newest_common(
    replicas: Sequence[Replica], fresh: Sequence[dict[str, Any]]
) -> tuple[Start, list[dict[str, Any]], list[tuple[Start, list[int]]]]:
    """Where the first group of these runs goes on from, the states there, and all groups.

    `fresh` are their states at step 0. Damaged checkpoints are passed over with warnings; nothing
    is changed. Raises `LabError` for one that cannot be read.
    """
    have = [set(checkpoint.steps(replica.folder)) for replica in replicas]
    loaded: dict[tuple[int, int], dict[str, Any]] = {}
    while True:
        groups = grouped(have)
        start, indices = groups[0]
        if start is None:
            return None, list(fresh), groups
        for i in indices:
            if (i, start) in loaded:
                continue
            replica = replicas[i]
            saved = checkpoint.load(replica.folder, start, str(replica.setup.device), fresh[i])
            if saved is None:
                have[i].discard(start)
                break
            loaded[i, start] = saved.state
        else:
            return start, [loaded[i, start] for i in indices], groups
