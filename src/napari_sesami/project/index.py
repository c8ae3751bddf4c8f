"""The file ``project.json``: which scans and classes a project has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sesami.common.inside import no_links
from napari_sesami.project import disk
from napari_sesami.project.errors import ProjectError, SaveError
from napari_sesami.project.lock import Lock
from napari_sesami.project.schema import Head, ProjectIndex

if TYPE_CHECKING:
    from pathlib import Path

FORMAT, VERSION = "sesami-project", 1
NAME, BEFORE = "project.json", "project.previous.json"
OWN_KEYS = {"format", "version", "classes", "scans"}
OWN_FILES = (NAME, BEFORE)


def is_project(folder: Path) -> bool:
    """Whether a project lies in the folder."""
    return any((folder / name).exists() for name in (NAME, BEFORE))


def foreign(folder: Path) -> bool:
    """Whether a folder without a project holds more than what a failed save left."""
    left = (path for path in folder.iterdir() if not path.match(".*.tmp"))
    return any(path.name != "lock" or path.stat().st_size > 4096 for path in left)


def read_index(folder: Path) -> dict[str, Any]:
    """Read and check the index; if it is damaged, take the one before it."""
    no_links(folder, NAME, BEFORE, "lock", "scans")
    path = folder / NAME
    try:
        head = disk.read_json(path, Head)
    except ProjectError:
        if not (folder / BEFORE).exists():
            raise
        path = folder / BEFORE
        head = disk.read_json(path, Head)
    if head.get("format") != FORMAT:
        raise ProjectError(f"{path} was not written by napari-sesami.")
    if head.get("version", 0) > VERSION:
        raise ProjectError(
            f"{folder} has format {head['version']} and this napari-sesami reads up "
            f"to {VERSION}; update napari-sesami to open it (nothing was changed)."
        )
    try:
        return disk.read_json(path, ProjectIndex)
    except ProjectError as error:
        advice = f" Copy {BEFORE} over it to go on." if path.name == NAME else ""
        raise ProjectError(f"{error}{advice}") from error


def write_index(folder: Path, index: dict[str, Any]) -> None:
    """Write the index atomically and keep the one before."""
    head = {"format": FORMAT, "version": VERSION}
    disk.write_json(folder / NAME, {**index, **head}, previous=folder / BEFORE)


def try_lock(folder: Path) -> Lock | None:
    """Take the folder for writing; None where nobody may write."""
    try:
        return Lock(folder / "lock")
    except OSError as error:
        if error.errno in disk.FORBIDDEN | disk.FULL:
            return None
        raise SaveError(disk.sentence(error, folder)) from error


def no_project(folder: Path) -> ProjectError:
    """Say that there is no project in the folder."""
    if not folder.exists():
        return ProjectError(f"There is no project {folder}; check the path.")
    return ProjectError(f"{folder} is no project: it has no {NAME}.")
