"""What a user is told when a project cannot do what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    from pathlib import Path


class ProjectError(SesamiError):
    """One plain sentence: what was given, what is needed, what to do."""


class ClassError(ProjectError):
    """A class that does not exist, or a name, id or colour that cannot be used."""


class ProjectLocked(ProjectError):
    """Another process is writing to this project."""


class SaveError(ProjectError):
    """The disk refused a write; everything is still in memory."""


class ScanMoved(ProjectError):
    """The file of a scan is not where the project remembers it.

    Attributes
    ----------
    path
        Where the file was; None for a scan that never had a file.
    content_hash
        What the right file's content hash must be.
    key
        The scan's key within the project, to be used in ``locate={key: path}``.
    """

    def __init__(
        self, message: str, *, path: Path | None, content_hash: str, key: str
    ) -> None:
        super().__init__(message)
        self.path = path
        self.content_hash = content_hash
        self.key = key
