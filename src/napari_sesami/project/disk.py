"""What a project reads and writes, and the sentence when the disk refuses."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from napari_sesami.common.checked import DamagedFile, read_checked
from napari_sesami.common.disk import (
    FORBIDDEN,
    FULL,
    sync_folder,
    write_all,
    write_atomic,
    write_json,
)
from napari_sesami.project.errors import ProjectError, SaveError

__all__ = [
    "FORBIDDEN",
    "FULL",
    "copy_tree",
    "read_json",
    "remove_leftovers",
    "saying",
    "sentence",
    "sync_folder",
    "write_all",
    "write_atomic",
    "write_json",
]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def read_json(path: Path, kind: Any = dict[str, Any]) -> dict[str, Any]:
    """Read a JSON object as `kind`; else a `ProjectError` that names file and place."""
    try:
        return dict(read_checked(path, kind))
    except DamagedFile as error:
        raise ProjectError(f"{str(error)[:-1]}, so it cannot be read.") from error
    except FileNotFoundError as error:
        raise ProjectError(f"{path} is missing.") from error


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder without journals, links, and without its write protection."""
    for path in source.rglob("*"):
        new = target / path.relative_to(source)
        if path.is_symlink():
            raise ProjectError(
                f"{path} is a link to elsewhere, so the project is not copied; put "
                "the file itself there, or remove the link."
            )
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
