"""Files with their SHA-256 beside them."""

import hashlib
from pathlib import Path

from gp_lab.files import flush, read, replacing, write_atomically

LARGEST = 2**38
"""Bytes of the largest such file."""


class Damaged(ValueError):
    """A file cannot be what was written; the message says why."""


def checksum_path(path: Path) -> Path:
    """Where the SHA-256 of a file stands."""
    return path.with_suffix(".sha256")


def write_checked(path: Path, data: bytes) -> None:
    """Replace a file and its SHA-256; at any moment it is whole, or seen not to be."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        flush(temporary)
        write_atomically(checksum_path(path), hashlib.sha256(data).hexdigest().encode())


def checked_bytes(path: Path) -> bytes:
    """The content of a file that has its SHA-256 beside it.

    Raises `Damaged` where they do not match or one of them is missing or a link, `OSError` where
    they cannot be read.
    """
    for part in (path, checksum_path(path)):
        if part.is_symlink():
            raise Damaged(f"{part.name} is a symbolic link")
        if not part.exists():
            raise Damaged(f"{part.name} is missing")
    data = read(path, LARGEST)
    if hashlib.sha256(data).hexdigest().encode() != read(checksum_path(path)):
        raise Damaged("its checksum does not match")
    return data
