"""Keeps the session shown on disk: save, autosave, open, and after a crash."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sesami.common.errors import SesamiError
from napari_sesami.viewer.app import recovery
from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.app.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.project import Project, ScanMoved
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.jobs import Job, JobQueue

LONGEST = 10.0  # s that closing a scan waits for its unsaved work to be kept


class ProjectSaver:
    """Saves and opens projects without holding up the window.

    Attributes
    ----------
    session
        The session it looks after, or None.
    recovered
        How many steps a journal brought back and nobody has answered for yet.
    """

    changed = Signal()
    """where the session is kept, or whether all of it is saved"""
    lost_changed = Signal()
    """there is more or less unsaved work of closed scans"""
    scan_moved = Signal(object, object)
    """a scan is not where it was: the `Project` and the `ScanMoved`"""

    said = Signal(str)
    """one plain sentence for the status lines"""
    saving = Signal()
    """something is about to be saved: hand over what is painted"""
    opened = Signal(object)
    """a session was opened from a project"""

    def __init__(self, jobs: JobQueue) -> None:
        self._jobs = jobs
        self.session: Session | None = None
        self.recovered = 0
        self._hopeless = False  # the user's own folder takes nothing
        self._keeping: threading.Thread | None = None  # gives a session its folder
        self._moving = threading.Lock()

    @property
    def folder(self) -> Path | None:
        """The project's folder, if it has one."""
        if self.session is None or self.session.document.project is None:
            return None
        return self.session.document.project.path

    @property
    def state(self) -> str:
        """One sentence about what is saved."""
        if self.session is None:
            return ""
        if self.recovered:
            steps = "step" if self.recovered == 1 else "steps"
            return f"{self.recovered} {steps} after the last save came back. Keep them?"
        project = self.session.document.project
        if project is None:
            kept = self.session.document.home is not None
            done = "A crash loses nothing. " if kept else ""
            return f"In no project yet. {done}Save as… makes one."
        if project.read_only:
            return "Open read-only: save into another folder."
        return (
            "Not saved yet; a crash loses nothing." if project.dirty else "All saved."
        )

    def follow(self, session: Session | None) -> None:
        """Look after another session."""
        if self.session is not None:
            self.session.document.events.saved.disconnect(self._on_saved)
            self.session.document.events.trouble.disconnect(self._on_trouble)
            self.session.document.events.history.disconnect(self._on_history)
        self.session = session
        self.recovered = session.document.recovered if session is not None else 0
        if session is not None:
            session.document.events.saved.connect(self._on_saved)
            session.document.events.trouble.connect(self._on_trouble)
            session.document.events.history.connect(self._on_history)
            self._start_autosave()
        self.changed.emit()

    def save(self) -> None:
        """Save in the background; edits may go on meanwhile."""
        self.save_as(None)

    def save_as(self, folder: Path | None) -> None:
        """Save into a new folder, or with None into the one there is."""
        session = self.session
        if session is None:
            return
        self.saving.emit()
        self.recovered = 0

        def run(job: Job) -> Session:
            with self._moving:
                home = session.document.home
                session.save(folder)
            if home is not None and home is not session.document.home:
                recovery.discard(home.path)  # all of it is in the new folder
            return session

        self.said.emit("Saving …")
        self._jobs.submit("save", run, self._done)

    def discard_recovered(self) -> None:
        """Take back, step by step, what a journal brought back."""
        if self.session is not None:
            steps, self.recovered = self.recovered, 0
            for _ in range(steps):
                self.session.undo()
            self.said.emit("Back to what was saved before; redo brings the steps back.")
        self.changed.emit()

    def open(
        self, project: Project, key: str | int = 0, moved_to: Path | None = None
    ) -> None:
        """Open a scan of a project, and what was done on it, in the background."""
        locate = None if moved_to is None else {key: moved_to}

        def run(job: Job) -> Session | ScanMoved:
            from napari_sesami.project import ScanMoved
            from napari_sesami.session import Session

            try:
                return Session.open(project, key, locate=locate)
            except ScanMoved as moved:
                return moved

        self.said.emit(f"Opening {project.path.name} …")
        self._jobs.submit("open", run, self._opened)
        self._project = project

    def close(self, session: Session) -> None:
        """Save a session for the last time and let go of its folder."""
        if self._keeping is not None:
            self._keeping.join(LONGEST)
        home, lost = session.document.home, session.document.for_recovery
        if home is not None and not home.read_only:
            try:
                home.save()
            except (SesamiError, OSError) as error:  # it is in the journal, at least
                self.said.emit(sentence(error))
            home.stop_autosave()
        session.close()
        if lost and home is not None:
            recovery.give_up(home.path)
            self.lost_changed.emit()

    def discard_lost(self, project: Path) -> None:
        """Delete what an earlier window, or a closed scan, left unsaved."""
        recovery.discard(project)
        self.lost_changed.emit()

    def open_lost(self, project: Path) -> None:
        """Open what was left unsaved; it is still in no project of the user's."""
        from napari_sesami.project import Project

        self.open(Project.open(project))

    def _opened(self, found: Session | ScanMoved) -> None:
        if isinstance(found, Exception):
            self.said.emit(sentence(found))
            self.scan_moved.emit(self._project, found)
        else:
            home = found.document.home
            if home is not None and recovery.is_recovery(home.path):
                found.document.for_recovery = True
                recovery.claim(home.path)
            self.opened.emit(found)

    def _start_autosave(self) -> None:
        project = self.session.document.home if self.session is not None else None
        if project is not None and not project.read_only:
            self._autosave(project)

    def _autosave(self, project: Project) -> None:
        every = read_settings().autosave_seconds
        project.autosave_every = float(every) if every else None
        project.start_autosave()

    def _done(self, session: Session) -> None:
        self._start_autosave()
        if session.document.project is not None:
            self.said.emit(f"Saved in {session.document.project.path.name}.")
        self.changed.emit()

    def _on_history(self) -> None:
        self.changed.emit()
        session = self.session
        if session is None or session.document.home is not None or self._hopeless:
            return
        if not session.history.can_undo or self._keeping is not None:
            return

        def run() -> None:
            text = ""
            try:
                with self._moving:
                    if session.document.home is None:
                        folder = recovery.new_folder(session)
                        session.document.keep_for_recovery(folder)
            except (SesamiError, OSError) as error:
                text = sentence(error)
            self._jobs.post(self._kept, session, text)

        # not a job: no click waits for it, and closing the window does
        self._keeping = threading.Thread(
            target=run, name="sesami-recovery", daemon=True
        )
        self._keeping.start()

    def _kept(self, session: Session, trouble: str) -> None:
        self._keeping = None
        if trouble:  # say it once: the disk is full, or read-only
            self._hopeless = True
            self.said.emit(f"Unsaved work can't be kept for recovery: {trouble}")
        elif (home := session.document.home) is not None and home.in_use:
            self._autosave(home)  # else the scan was closed meanwhile
        self.changed.emit()

    def _on_saved(self) -> None:
        self._jobs.post(self.changed.emit)  # may come from the autosave thread

    def _on_trouble(self, text: str) -> None:
        self._jobs.post(self.said.emit, text)
