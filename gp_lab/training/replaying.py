"""CUDA graphs of the two updates: each is one launch, on a state whose memory stays where it is."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

WARM_UP = 3
"""Updates before one is recorded: kernels are compiled and libraries get their memory."""

Record = Callable[[Callable[[], Any], Callable[[], Tensor]], tuple[Tensor, Callable[[], None]]]
"""(an update without effects, the same written into place) to (its metrics, how to repeat it)."""


class Replayed:
    """The updates of an engine, recorded when they are first called and repeated from then on.

    They share one copy of the state, which each update overwrites and returns: of a state that an
    update has returned nothing may be kept once the next is called. A state from elsewhere is
    copied into place and left as it is.
    """

    def __init__(self, updates: Sequence[Callable[..., Any]], record: Record | None = None) -> None:
        self._record = record or record_cuda_graph
        self._place: list[Tensor] = []
        self._like: Any = None
        self._known: dict[Any, tuple[list[Tensor], Tensor, Callable[[], None]]] = {}
        self.updates = [self._repeated(i, update) for i, update in enumerate(updates)]

    def _repeated(self, which: int, update: Callable[..., Any]) -> Callable[..., Any]:
        def call(state: Any, *arguments: Any) -> tuple[Any, Tensor]:
            leaves, form = tree_flatten(state)
            with torch.cuda.device_of(leaves[0]):
                self._put(leaves, form)
                given, others = tree_flatten(arguments)
                key = (which, others, *map(_kind, given))
                if key not in self._known:
                    self._known[key] = self._recorded(update, given, others)
                inputs, metrics, repeat = self._known[key]
                _copy(inputs, [x for x in given if isinstance(x, Tensor)])
                repeat()
                return tree_unflatten(self._place, form), metrics.clone()

        return call

    def _put(self, leaves: list[Tensor], form: Any) -> None:
        like = (form, *map(_kind, leaves))
        if like != self._like:  # another run's: what was recorded is of other memory
            self._place, self._like = [x.clone() for x in leaves], like
            self._known.clear()
        _copy(self._place, leaves)

    def _recorded(
        self, update: Callable[..., Any], given: list[Any], others: Any
    ) -> tuple[list[Tensor], Tensor, Callable[[], None]]:
        own = [x.clone() if isinstance(x, Tensor) else x for x in given]
        arguments, form = tree_unflatten(own, others), self._like[0]

        def compute() -> tuple[Any, Tensor]:
            return update(tree_unflatten(self._place, form), *arguments)

        def whole() -> Tensor:
            state, metrics = compute()
            _copy(self._place, tree_flatten(state)[0])
            return metrics

        return [x for x in own if isinstance(x, Tensor)], *self._record(compute, whole)


def record_cuda_graph(
    compute: Callable[[], Any], whole: Callable[[], Tensor]
) -> tuple[Tensor, Callable[[], None]]:
    """`whole` as a CUDA graph; nothing is computed while it is recorded."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            compute()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Another thread may draw the next block meanwhile, and ask for memory.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        metrics = whole()
    return metrics, graph.replay


def _kind(x: Any) -> Any:
    return (x.shape, x.dtype, x.device) if isinstance(x, Tensor) else x


def _copy(into: Sequence[Tensor], new: Sequence[Tensor]) -> None:
    """Those that are not in place yet; of one type at once, which a GPU does in one launch."""
    pairs = [(a, b) for a, b in zip(into, new, strict=True) if a is not b]
    for dtype in {a.dtype for a, _ in pairs}:
        targets, sources = zip(*(pair for pair in pairs if pair[0].dtype == dtype), strict=True)
        torch._foreach_copy_(targets, sources)
