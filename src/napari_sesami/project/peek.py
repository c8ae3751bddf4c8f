"""Looking at the labels of any scan of a project without taking them over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.project.project import _fresh_work
from napari_sesami.project.store import ScanStore

if TYPE_CHECKING:
    from napari_sesami.project.project import Project
    from napari_sesami.project.scan_labels import Work


def peek(project: Project, key: str) -> Work:
    """Give the labels of a scan as they are now, to be read and not to be edited.

    Where a session has the scan open, this is its own work; else what was saved, with
    what a journal holds since.
    """
    entry = project.entry(key)
    live = project._works.get(entry.key)
    if live is not None:
        return live
    store = ScanStore(project._scan_folder(entry), read_only=True)
    work = _fresh_work(entry, project.classes, store)
    work.replay()
    return work
