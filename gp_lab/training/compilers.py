"""The compilers behind torch.compile: whether they can be used here, and how they end."""

import os
import shutil
import signal
import sysconfig
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from gp_lab.signals import ended_by_signals

LINKERS = ("ld", "ld.bfd", "ld.gold", "ld.lld", "mold")


def obstacle(device: str) -> str | None:
    """Why nothing can be compiled for a device here, in words; None where it can."""
    if device == "cpu" and (missing := _missing_tool()):
        return f"compiling needs {missing}, which is not here"
    forbidden = "TORCH_COMPILE_DISABLE"  # PyTorch would run the same eagerly, without a word
    return f"{forbidden}=1" if os.environ.get(forbidden) == "1" else None


def _missing_tool() -> str | None:
    if not any(shutil.which(compiler) for compiler in ("g++", "c++", "clang++")):
        return "a C++ compiler"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "Python's headers"
    return None


@contextmanager
def compiling() -> Iterator[None]:
    """While inside, a signal that asks for a stop ends the compilers and raises `StoppedEarly`."""
    with ended_by_signals("the compiler", partial(_end_compilers, set(_descendants()))):
        _drop_empty_libraries()
        yield


def _end_compilers(others: Collection[int]) -> None:
    """End the compilers that this process has started, which are not among `others`.

    Python, as it ends, would wait for the threads that wait for them.
    """
    with suppress(ImportError, AttributeError):  # another version's; then they take their time
        from torch._inductor.async_compile import AsyncCompile

        if AsyncCompile.pool.cache_info().currsize:
            AsyncCompile.pool().shutdown(wait=False, cancel_futures=True)
            AsyncCompile.pool.cache_clear()
    for process, (name, children) in _descendants().items():
        # What is above a compiler tidies up after it. A linker would leave half a library.
        if process not in others and not children and name not in LINKERS:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)


def _drop_empty_libraries() -> None:
    """Delete what a linker that was killed has left in PyTorch's cache: it counts as whole there,
    and nothing that needs it would ever be compiled again."""
    from filelock import FileLock
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    for library in Path(cache_dir()).glob("*/*.so"):
        with suppress(OSError):  # somebody else has it in hand, or has deleted it
            if library.stat().st_size == 0:
                lock = library.parents[1] / "locks" / f"{library.name.partition('.')[0]}.lock"
                with FileLock(lock, blocking=False):
                    if library.stat().st_size == 0:
                        library.unlink()


def _descendants() -> dict[int, tuple[str, set[int]]]:
    """The name and the children of this process's children, and of theirs, by their ids.

    None where there is no /proc.
    """
    found = {}
    waiting = _children(os.getpid())
    while waiting:
        process = waiting.pop()
        children = _children(process)
        with suppress(OSError):  # it has ended
            found[process] = Path(f"/proc/{process}/comm").read_text().strip(), children
        waiting |= children - set(found)
    return found


def _children(process: int) -> set[int]:
    found: set[int] = set()
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found |= set(map(int, thread.read_text().split()))
    return found
