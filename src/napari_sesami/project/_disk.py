"""Writing so that a crash leaves the old or the new file, never half a file."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from napari_sesami.project._errors import ProjectError, SaveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_counter = itertools.count()


def sentence(error: OSError, path: Path) -> str:
    """Say in one sentence why `path` could not be written and what to do."""
    if error.errno in FULL:
        return (
            f"The disk with {path} is full; everything is still here in memory: free "
            "some space and save again."
        )
    if error.errno in FORBIDDEN:
        return (
            f"{path} is read-only for you; everything is still here in memory: save "
            "into another folder, or ask for write access and save again."
        )
    return (
        f"{path} could not be written ({error.strerror or error}); everything is still "
        "here in memory: check the disk and save again."
    )


@contextmanager
def saying(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into a `SaveError`."""
    try:
        yield
    except OSError as error:
        raise SaveError(sentence(error, path)) from error


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte; the system may take fewer at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Replace `path` by `data` in one step that survives a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_counter)}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    try:
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any, *, previous: Path | None = None) -> None:
    """Write JSON atomically; with `previous`, keep what stood there before."""
    data = json.dumps(value, indent=1, ensure_ascii=False).encode()
    if previous is not None and path.exists():
        write_atomic(previous, path.read_bytes())
    write_atomic(path, data)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; anything else is a `ProjectError` that names the file."""
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, OSError) as error:
        raise ProjectError(f"{path} cannot be read ({error}).") from error
    if not isinstance(value, dict):
        raise ProjectError(f"{path} holds no JSON object; it is not ours or damaged.")
    return value


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut, where the system can do that."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:  # some network disks know no fsync of folders
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
            raise
    finally:
        os.close(fd)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder without journals, and without its write protection."""
    for path in source.rglob("*"):
        new = target / path.relative_to(source)
        if path.is_dir():
            new.mkdir(parents=True, exist_ok=True)
        elif not path.match("journal-*.log") and not path.match(".*.tmp"):
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, new)


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files that a killed process left behind."""
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):
            path.unlink()


_BINARY = getattr(os, "O_BINARY", 0)
