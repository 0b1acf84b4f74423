"""Who trains a run: the lock that a process holds on its folder while it lives."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from gp_lab.errors import LabError, one_line

LOCK = ".lock"
"""Held by the process that trains the run; empty, and of no meaning when none does."""

LOOKING = 1.0
"""Seconds that those who look whether a run is taken may be in the way of one who takes it."""


class Taken(LabError):
    """Another process has locked a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: another process is training this run")
        self.folder = folder


class Gone(LabError):
    """A folder was taken away before it could be locked."""


class FolderLock:
    """One process's lock on a folder. It ends with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: int | None = None

    def acquire(self) -> None:
        """Keep other processes out. Raises `Taken`, `Gone`, and `LabError` where there is no way
        to lock.
        """
        path = self.folder / LOCK
        try:
            # A file that is open for writing: NFS locks nothing else.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            _lock(self._file)
            # Who cleans renames the folder before it deletes it: then the lock is on what is gone.
            moved = not os.path.samestat(os.fstat(self._file), os.stat(path))
        except BlockingIOError as error:
            self.release()
            raise Taken(self.folder) from error
        except FileNotFoundError as error:
            self.release()
            raise Gone(f"{self.folder}: was taken away meanwhile") from error
        except OSError as error:
            self.release()
            raise LabError(f"{self.folder}: cannot be locked ({one_line(error)})") from error
        if moved:
            self.release()
            raise Gone(f"{self.folder}: was taken away meanwhile")

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @property
    def taken(self) -> bool:
        """Whether a process has the lock. Looking keeps nobody from it."""
        try:
            file = os.open(self.folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        except OSError:  # it cannot be told
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(file)
        return False


def _lock(file: int) -> None:
    """Lock an open file for this process. Raises `BlockingIOError` if another has."""
    end = time.monotonic() + LOOKING
    while True:
        with suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Shared with those who only look; refused if one keeps it.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
        if time.monotonic() > end:
            raise BlockingIOError
        time.sleep(0.01)
