"""One writing process per project; the lock goes when its process dies."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_sesami.common.checked import DamagedFile, read_checked
from napari_sesami.common.process import here, lives, me
from napari_sesami.project.disk import write_all
from napari_sesami.project.errors import ProjectLocked

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 5.0
"""Seconds to wait for a dead process's lock."""
_HELD = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_UNKNOWN = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


class Lock:
    """Holds `path` locked until `release`, until it is collected, or until death.

    The system's own file lock decides. On network disks that have none, the process
    named in the file does: if it is dead, its lock is taken over.
    """

    def __init__(self, path: Path) -> None:
        # a link would let a foreign file be emptied
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        fd = os.open(path, flags, 0o666)
        try:
            if not _taken(fd, path):
                raise ProjectLocked(_who(path))
            os.ftruncate(fd, 0)
            write_all(fd, json.dumps(me()).encode())
        except BaseException:
            os.close(fd)
            raise
        self._finalizer = weakref.finalize(self, _release, fd, os.getpid())

    def release(self) -> None:
        """Let others write."""
        self._finalizer()


def _release(fd: int, pid: int) -> None:
    if os.getpid() == pid:  # a forked child must not speak for its parent
        with suppress(OSError):  # a full disk must not keep the lock
            os.ftruncate(fd, 0)
    os.close(fd)


def _taken(fd: int, path: Path) -> bool:
    """Take the lock; a process that was just killed gets time to let go of it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        got = _lock(fd)
        if got:
            return True
        owner = _owner(path)
        alive = lives(owner)
        if got is None:
            return not alive
        if alive or not here(owner) or time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def _lock(fd: int) -> bool | None:
    """Try the system's lock; None where the system knows none."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(fd, 1 << 20, os.SEEK_SET)  # a byte nobody reads
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
            os.lseek(fd, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno not in _UNKNOWN:
            raise
        return None
    return True


def _owner(path: Path) -> dict[str, Any]:
    try:
        return dict(read_checked(path, dict[str, Any], most=1 << 16))
    except (OSError, DamagedFile):
        return {}


def _who(path: Path) -> str:
    owner = _owner(path)
    who = f"process {owner.get('pid', '?')} on {owner.get('host', 'another machine')}"
    return (
        f"{path.parent} is open for writing in {who}; close it there, or open it here "
        "with read_only=True."
    )
