"""Noise like mine: fitted in the background, shown beside the scan, kept if wished."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.common.errors import SesamiError
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.worklist.controller import WorklistController

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_sesami.noise import NoiseFit
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.jobs import Job, JobQueue
    from napari_sesami.viewer.app.workspace import Workspace

FIT = "fit noise"


class NoiseFitter:
    """Fits noise on the open scan or on the work list, and lets runs use it.

    Attributes
    ----------
    found
        The last fit, not yet used, or None.
    pictures
        The scan, usual noise and fitted noise, for `found` or for the fit in use.
    refusal
        Why there is no fit, in a sentence.
    busy
        Whether a fit is being made.
    """

    changed = Signal()
    """a fit came, was refused, is used or no longer"""

    def __init__(self, workspace: Workspace, jobs: JobQueue) -> None:
        self._workspace, self._jobs = workspace, jobs
        self.found: NoiseFit | None = None
        self.pictures: tuple[NDArray[np.float32], ...] = ()
        self.refusal = ""
        self.busy = False
        self._workspace.session_changed.connect(self._on_session)

    @property
    def used(self) -> NoiseFit | None:
        """What runs draw with now; a damaged file becomes the refusal."""
        session = self._workspace.session
        try:
            return None if session is None else session.noise.fitted
        except SesamiError as error:
            self.refusal = str(error)
            return None

    def fit_scan(self) -> None:
        """Fit the noise of the scan that is open."""
        self._begin(_fit_scan)

    def fit_list(self) -> None:
        """Fit the noise of the scans of the work list, with its range over them."""
        worklist = self._workspace.get(WorklistController).worklist
        if worklist is None or not len(worklist):
            raise ViewerError(
                "There is no work list: choose a folder of scans on the page Work "
                "list first."
            )
        files = [worklist.folder / item.name for item in worklist if item.usable]
        self._begin(partial(_fit_files, files))

    def cancel(self) -> None:
        """End the fit that is being made."""
        self._jobs.cancel(FIT)

    def use(self) -> None:
        """Let runs draw noise like what was found; it is saved with the project."""
        session = self._workspace.session
        if session is None or self.found is None:
            return
        session.noise.keep(self.found)
        self.found = None
        self._workspace.say("Runs now draw noise like that of your scans.")
        self.changed.emit()

    def forget(self) -> None:
        """Let runs draw the usual noise again."""
        session = self._workspace.session
        if session is not None:
            session.noise.forget()
            self._workspace.say("Runs draw the usual noise again.")
            self.changed.emit()

    def _begin(self, task: Any) -> None:
        session = self._workspace.session
        if session is None:
            raise ViewerError("Open a scan first: noise is fitted on it.")
        self.busy, self.refusal = True, ""
        self._workspace.say("Fitting noise; Cancel ends that.")
        self.changed.emit()
        binding = self._workspace.binding
        plane = 0 if binding is None else binding.plane
        self._jobs.submit(
            FIT, partial(task, session, plane), self._on_found, self._on_refused,
            self._on_stopped,
        )  # fmt: skip

    def _on_found(self, made: tuple[NoiseFit, tuple[Any, ...]]) -> None:
        self.found, self.pictures = made
        self.busy = False
        self._workspace.say(self.found.sentences()[0])
        self.changed.emit()

    def _on_refused(self, text: str) -> None:
        self.busy, self.found, self.pictures = False, None, ()
        self.refusal = text
        self.changed.emit()

    def _on_stopped(self) -> None:
        self.busy = False
        self.changed.emit()

    def _on_session(self) -> None:
        self.cancel()
        self.found, self.pictures, self.refusal = None, (), ""
        self.changed.emit()


def _fit_scan(
    session: Session, plane: int, job: Job
) -> tuple[NoiseFit, tuple[Any, ...]]:
    fit = session.noise.fit(stop=lambda: job.cancelled)
    return fit, session.noise.beside(fit, plane)


def _fit_files(
    files: list[Path], session: Session, plane: int, job: Job
) -> tuple[NoiseFit, tuple[Any, ...]]:
    fit = session.noise.fit_files(files, stop=lambda: job.cancelled)
    return fit, session.noise.beside(fit, plane)
