"""The file ``project.json``: which scans and classes a project has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sesami.project import disk
from napari_sesami.project.classes import ClassTable
from napari_sesami.project.errors import ProjectError, SaveError
from napari_sesami.project.lock import Lock

if TYPE_CHECKING:
    from pathlib import Path

FORMAT, VERSION = "sesami-project", 1
NAME, BEFORE = "project.json", "project.previous.json"
OWN_KEYS = {"format", "version", "classes", "scans"}


def is_project(folder: Path) -> bool:
    """Whether a project lies in the folder."""
    return any((folder / name).exists() for name in (NAME, BEFORE))


def read_index(folder: Path) -> dict[str, Any]:
    """Read and check the index; if it is damaged, take the one before it."""
    try:
        index = disk.read_json(folder / NAME)
    except ProjectError:
        if not (folder / BEFORE).exists():
            raise
        index = disk.read_json(folder / BEFORE)
    if index.get("format") != FORMAT:
        raise ProjectError(f"{folder / NAME} was not written by napari-sesami.")
    if int(index.get("version", 0)) > VERSION:
        raise ProjectError(
            f"{folder} has format {index['version']} and this napari-sesami reads up "
            f"to {VERSION}; update napari-sesami to open it (nothing was changed)."
        )
    try:
        ClassTable.from_dict(index["classes"])
        list(index["scans"])
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(
            f"{folder / NAME} is damaged ({error!r}); copy {BEFORE} over it to go on."
        ) from error
    return index


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
