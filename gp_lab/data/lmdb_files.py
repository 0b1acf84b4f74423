"""LMDB data bases, as LSUN's pictures lie in: opened once in a process, truncated ones refused."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from gp_lab.data.decoding import Pictures
from gp_lab.errors import BadInput


@dataclass(frozen=True, eq=False)
class _Open:
    """An environment, and the inode, size and time of its file when it was opened."""

    env: Any
    seen: tuple[int, int, int]


_OPEN: WeakValueDictionary[Path, _Open] = WeakValueDictionary()
"""The data bases in use: LMDB opens none twice in a process."""


def pictures_in(folder: Path) -> Pictures:
    """The pictures of a data base in the order of its keys; `folder` holds its data.mdb.

    Raises `BadInput` where it is empty, truncated or none.
    """
    try:
        import lmdb
    except ImportError as error:
        raise BadInput(
            "dataset: LSUN is read with the package lmdb, which is not installed; pip install lmdb"
        ) from error
    path = folder / "data.mdb"
    try:
        base = _opened(lmdb, folder.resolve())
        with base.env.begin() as transaction:
            keys = list(transaction.cursor().iternext(values=False))
    except lmdb.Error as error:
        raise BadInput(
            f"{path}: not a readable LMDB data base ({error}); fetch it again"
        ) from error
    if not keys:
        raise BadInput(f"{path}: the data base holds no pictures")

    def read(i: int) -> tuple[str, bytes]:
        called = f"{path}, key {keys[i].decode('ascii', 'replace')}"
        try:
            with base.env.begin() as transaction:
                return called, bytes(transaction.get(keys[i], default=b""))
        except lmdb.Error as error:
            raise BadInput(f"{called}: cannot be read ({error}); fetch it again") from error

    return Pictures([key.decode("ascii", "replace") for key in keys], read, [path])


def _opened(lmdb: Any, folder: Path) -> _Open:
    """The data base in a folder. One that was opened before it was replaced is closed.

    Raises `BadInput` for one that is truncated.
    """
    status = os.stat(folder / "data.mdb")
    seen = (status.st_ino, status.st_size, status.st_mtime_ns)
    before = _OPEN.get(folder)
    if before and before.seen == seen:
        return before
    if before:
        before.env.close()
    env = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, max_dbs=0)
    # A truncated file would kill the process where its missing pages are touched.
    needed = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    if status.st_size < needed:
        env.close()
        raise BadInput(
            f"{folder / 'data.mdb'}: the data base is truncated: {status.st_size} bytes of at"
            f" least {needed}; fetch it again"
        )
    _OPEN[folder] = base = _Open(env, seen)
    return base
