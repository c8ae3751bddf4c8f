"""Write beside the place, then move: whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sesami.scan.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path beside `path` to write to; move it there if all went well.

    Whatever fails in between, what stood at `path` before stays, nothing half-written
    remains, and operating-system errors become a `ScanError`.
    """
    goal = Path(path).expanduser()
    if not goal.parent.is_dir():
        raise ScanError(f"{goal} was not written: there is no folder {goal.parent}.")
    draft = goal.with_name(f".{goal.name}.{os.getpid()}.part")
    try:
        yield draft
        _flush(draft)
        _move(draft, goal)
    except OSError as error:
        raise ScanError(_why(goal, error)) from error
    finally:
        _remove(draft)


def _flush(draft: Path) -> None:
    """Make sure that the bytes are on the disk before the name is."""
    for file in draft.rglob("*") if draft.is_dir() else (draft,):
        if file.is_file():
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())


def _move(draft: Path, goal: Path) -> None:
    """Put the draft in place; a folder that is in the way steps aside first."""
    if not goal.is_dir():
        os.replace(draft, goal)
        return
    if not draft.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a folder of this name is in the way")
    old = goal.with_name(f".{goal.name}.{os.getpid()}.old")
    os.replace(goal, old)
    try:
        os.replace(draft, goal)
    except OSError:
        os.replace(old, goal)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        draft.unlink(missing_ok=True)


def _why(goal: Path, error: OSError) -> str:
    """Say what is wrong with the place, and what to do."""
    if error.errno in _FULL:
        return (
            f"{goal} was not written: the disk is full. Free some space or choose "
            f"another disk; what was there before is unchanged."
        )
    if error.errno in _READ_ONLY:
        return (
            f"{goal} was not written: the folder {goal.parent} is read-only. Choose "
            f"another folder."
        )
    return f"{goal} was not written: {error.strerror or error}."
