"""Foreman: drives the data engine for one desk; opens, proposes, takes judgements."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.viewer.app.debounced import Later
from napari_sesami.viewer.app.errors import ViewerError, sentence
from napari_sesami.viewer.prompt.controller import prompter_of
from napari_sesami.viewer.worklist.jobs import Opened, opening, proposing
from napari_sesami.viewer.worklist.reviewer import Judge
from napari_sesami.viewer.worklist.superpixels import Pieces
from napari_sesami.viewer.worklist.thumbnails import Thumbs

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.project import Project
    from napari_sesami.prompt import Mask
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.binding import Link
    from napari_sesami.viewer.app.workspace import Desk
    from napari_sesami.worklist import Source, WorklistEngine

OPEN, PROPOSE = "open", "propose"
ACTIVE = 1000  # ms; the clock hears of the moving cursor no more often


class Foreman:
    """What the "Work list" panel drives; it outlives the panel.

    Attributes
    ----------
    engine
        The data engine, or None before a folder was chosen.
    judge
        Goes through the proposals one by one.
    pieces
        The superpixel tool.
    thumbs
        Small pictures of the scans.
    at_once
        Whether a scan is proposed for as soon as it is opened.
    """

    changed = Signal()
    """the list, the scan at work, or its proposals"""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.engine: WorklistEngine | None = None
        self.at_once = True
        self._opening = ""
        self._moved = Later(self._beat, ACTIVE)
        self._waits = False
        self.judge = Judge(self)
        self.pieces = Pieces(self)
        self.thumbs = Thumbs()
        desk.session_changed.connect(self._on_session)
        desk.viewer.cursor.events.position.connect(self._on_cursor)
        self._on_session()

    # --- what is at work

    @property
    def worklist(self) -> Any:
        """The list, or None."""
        return None if self.engine is None else self.engine.worklist

    @property
    def link(self) -> Link:
        """Session and layers at work, or one sentence about what is missing."""
        if self.desk.link is None:
            raise ViewerError("No scan is open: double-click one in the work list.")
        return self.desk.link

    @property
    def at_work(self) -> bool:
        """Whether the scan on the desk is the one of the list that is at work."""
        engine, session = self.engine, self.desk.session
        return engine is not None and session is not None and engine.session is session

    def working(self) -> WorklistEngine:
        """The engine while its scan is on the desk, or a sentence."""
        if self.engine is None:
            raise ViewerError("There is no work list yet: choose a folder of scans.")
        if not self.at_work:
            raise ViewerError("Open a scan of the work list first: double-click one.")
        return self.engine

    # --- the list

    def open_folder(self, folder: Path) -> None:
        """Make a folder of scans the work list; its project lies beside it."""
        from napari_sesami.project import Project

        session = self.desk.session
        project = session.project if session is not None else None
        scans: Path | None = folder
        if folder.suffix == ".sesami":
            project, scans = Project.open(folder), None
        elif project is None or project.read_only:
            project = Project.open_or_create(folder.with_name(f"{folder.name}.sesami"))
        self._begin(project, scans)
        assert self.engine is not None
        left = len(self.engine.worklist) - self.engine.worklist.count("accepted")
        if not len(self.engine.worklist):
            self.desk.say(f"There is no scan in {folder.name} that can be read.")
        else:
            self.desk.say(
                f"{left} of {len(self.engine.worklist)} scans are to be done."
            )

    def refresh(self) -> None:
        """Look at the folder again."""
        if self.engine is None:
            raise ViewerError("There is no work list yet: choose a folder of scans.")
        news = self.engine.worklist.refresh()
        more = f" And {len(news) - 2} more." if len(news) > 2 else ""
        self.desk.say(" ".join(news[:2]) + more if news else "The folder is as it was.")

    def go(self, name: str) -> None:
        """Open a scan of the list in the background; the one at work is saved."""
        if self.engine is None:
            raise ViewerError("There is no work list yet: choose a folder of scans.")
        if name == self._opening:
            return
        if self.at_work and self.engine.worklist.current == name:
            self.judge.show()
            return
        link = self.desk.link
        if link is not None:
            link.flush()
        self._opening = name
        self.desk.say(f"Opening {name} …")
        job = partial(opening, self.engine, self.desk.session, name)
        self.desk.work.submit(OPEN, job, self._on_opened, self._on_refused)

    def step(self, by: int) -> None:
        """Open the scan after (or before) the one at work."""
        if self.engine is None:
            raise ViewerError("There is no work list yet: choose a folder of scans.")
        item = self.engine.worklist.step(by)
        if item is None:
            raise ViewerError(
                f"This is the {'last' if by > 0 else 'first'} scan of the list."
            )
        self.go(item.name)

    def done(self) -> None:
        """Accept the scan at work, and open the next that is to be done."""
        engine = self.working()
        self.link.flush()
        self.judge.settle()
        record = engine.finish()
        name, item = engine.item.name, engine.worklist.step(open_only=True)
        said = f"{name} is accepted in {engine.item.seconds:.0f} s."
        if record.get("proposals"):
            said += f" {record['accepted']} of {record['proposals']} masks unchanged."
        self.changed.emit()
        if item is None:
            self.desk.say(f"{said} Every scan of the list is done.")
            return
        self.desk.say(said)
        self.go(item.name)

    # --- proposals

    def propose(self) -> None:
        """Let the model propose masks for the plane on screen, in the background."""
        engine = self.working()
        link = self.link
        link.check_image()
        link.flush()
        if not engine.sources(but=engine.worklist.current):
            raise ViewerError(
                "No scan is accepted yet: label this one by hand and press Done, then "
                "the model proposes for the next."
            )
        self.desk.say("The model looks for what you labelled before …")
        job = partial(proposing, engine, link.session, link.plane)
        prompter_of(self.desk).engine.run(PROPOSE, link.session, job, self._on_proposed)

    def close(self) -> None:
        """Let go of desk, viewer, and project; everything is saved."""
        self.pieces.close()
        self.judge.close()
        self.thumbs.close()
        self._moved.stop()
        self._leave()
        self.desk.session_changed.disconnect(self._on_session)
        try:
            viewer = self.desk.viewer
        except ViewerError:  # the window went first, and its events with it
            return
        viewer.cursor.events.position.disconnect(self._on_cursor)

    # --- inside

    def _begin(self, project: Project, folder: Path | None) -> None:
        from napari_sesami.worklist import WorklistEngine

        engine = WorklistEngine(project, folder)
        self._leave()
        self.engine = engine
        engine.worklist.changed.connect(self._on_list)
        self.thumbs.follow(engine.worklist)
        self._settle()
        self.changed.emit()

    def _leave(self) -> None:
        if self.engine is None:
            return
        self.engine.worklist.changed.disconnect(self._on_list)
        if self.engine.session is not None:
            self.engine.leave(close=False)  # the desk closes its own sessions
        project = self.engine.project
        if not project.in_use:
            project.close()
        self.engine = None

    def _settle(self) -> None:
        """Go on with the scan on the desk if it is one of the list."""
        session, engine = self.desk.session, self.engine
        if session is None or engine is None or session.project is not engine.project:
            return
        key = engine.project.add_scan(session.scan).key
        names = [i.name for i in engine.worklist if i.key == key]
        path = session.scan.path
        if not names and path is not None and path.parent == engine.worklist.folder:
            names = [i.name for i in engine.worklist if i.name == path.name]
        if names and engine.session is not session:
            if engine.session is not None:
                engine.leave(close=False)
            engine.settle(session, names[0])
            self.judge.show()

    def _on_session(self) -> None:
        """Another scan lies on the desk; perhaps it brings its own list along."""
        engine, session = self.engine, self.desk.session
        self.pieces.stop()
        self.judge.hide()
        if engine is not None and engine.session not in (None, session):
            engine.leave(close=False)
        project = None if session is None else session.project
        if engine is None and project is not None:
            from napari_sesami.worklist import WorkList

            if WorkList.lies_in(project):
                try:
                    self._begin(project, None)
                except ValueError as error:
                    self.desk.say(sentence(error))
        elif not self._opening:
            self._settle()
        self.changed.emit()

    def _on_opened(self, opened: Opened) -> None:
        name, self._opening = self._opening, ""
        engine, old = self.engine, self.desk.link
        if engine is None or name != opened.name:
            opened.session.close()
            return
        self._opening = name  # taking it up must not settle it twice
        engine.leave(close=False)
        self.desk.take(opened.session)
        self._opening = ""
        try:
            engine.settle(opened.session, name)
        except ValueError as error:
            self.desk.say(sentence(error))
        if old is not None:
            self._clear(old)
        # letting the old one go ended the autosave of the project that both share
        self.desk.keeper.follow(self.desk.session)
        self._welcome(engine, opened.session)
        self.changed.emit()

    def _welcome(self, engine: WorklistEngine, session: Session) -> None:
        self.judge.show()
        if engine.notice:
            self.desk.say(engine.notice)
        elif engine.review is not None and engine.review.waiting:
            self.desk.say(f"{len(engine.review.waiting)} proposals wait.")
        elif self._can_propose(engine):
            self.propose()
        elif not engine.sources():
            self.desk.say(
                "Label this scan by hand (clicks, strokes, superpixels), then press "
                "Done; the model proposes for the next."
            )

    def _can_propose(self, engine: WorklistEngine) -> bool:
        fresh = engine.item.state == "new"
        return self.at_once and fresh and bool(engine.sources(but=engine.item.name))

    def _clear(self, link: Link) -> None:
        """Take the layers of a scan that is left out of the viewer."""
        layers = self.desk.viewer.layers
        for layer in link.layers:
            if layer in layers:
                layers.remove(layer)

    def _on_refused(self, text: str) -> None:
        self._opening = ""
        self.changed.emit()

    def _on_proposed(self, found: tuple[list[Mask], Source]) -> None:
        if not self.at_work or self.engine is None:
            return
        try:
            review = self.engine.take(*found)
        except ValueError as error:
            self.desk.say(sentence(error))
            return
        source = review.source
        scans = "scan" if source.taught_by == 1 else "scans"
        self.desk.say(
            f"{len(review)} proposals, learnt from {source.taught_by} {scans}: A takes "
            "one, C corrects, R rejects."
        )
        self.judge.show()
        self.changed.emit()

    def _on_list(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self.changed.emit()
        else:  # a scan that the work thread could not open
            self.desk.work.post(self.changed.emit)

    def _on_cursor(self, event: Any = None) -> None:
        if not self._waits and self.at_work:
            self._waits = True
            self._moved.soon()

    def _beat(self) -> None:
        self._waits = False
        if self.at_work and self.engine is not None:
            self.engine.worklist.beat()


def foreman_of(desk: Desk) -> Foreman:
    """Give the desk's foreman; the first call sets it up."""
    if desk.foreman is None:
        desk.foreman = Foreman(desk)
    return desk.foreman
