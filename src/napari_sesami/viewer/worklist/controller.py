"""The work list: opens scans, proposes masks, takes what the user decides."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.common.errors import SesamiError
from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError, sentence
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.prompt.controller import PromptController
from napari_sesami.viewer.worklist.jobs import Opened, opening, proposing
from napari_sesami.viewer.worklist.reviewer import ProposalReviewer
from napari_sesami.viewer.worklist.superpixels import SuperpixelTool
from napari_sesami.viewer.worklist.thumbnails import Thumbnails

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.project import Project
    from napari_sesami.prompt import Mask
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.worklist import Source, WorklistEngine

OPEN, PROPOSE = "open", "propose"
ACTIVE = 1000  # ms; the clock hears of the moving cursor no more often


class WorklistController(Controller):
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

    needs_scan = "No scan is open: double-click one in the work list."

    changed = Signal()
    """the list, the scan at work, or its proposals"""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.engine: WorklistEngine | None = None
        self.at_once = True
        self._opening = ""
        self._open: Job | None = None
        self._moved = Debounced(self._beat, ACTIVE)
        self._waits = False
        self.reviewer = ProposalReviewer(self)
        self.superpixels = SuperpixelTool(self)
        self.thumbnails = Thumbnails()
        workspace.session_changed.connect(self._on_session)
        workspace.viewer.cursor.events.position.connect(self._on_cursor)
        self._on_session()

    # --- what is at work

    @property
    def worklist(self) -> Any:
        """The list, or None."""
        return None if self.engine is None else self.engine.worklist

    @property
    def at_work(self) -> bool:
        """Whether the scan shown is the one of the list that is at work."""
        engine, session = self.engine, self.workspace.session
        return engine is not None and session is not None and engine.session is session

    def working(self) -> WorklistEngine:
        """The engine while its scan is shown, or a sentence."""
        if self.engine is None:
            raise ViewerError("There is no work list yet: choose a folder of scans.")
        if not self.at_work:
            raise ViewerError("Open a scan of the work list first: double-click one.")
        return self.engine

    # --- the list

    def open_folder(self, folder: Path) -> None:
        """Make a folder of scans the work list; its project lies beside it."""
        from napari_sesami.project import Project

        session = self.workspace.session
        project = session.document.project if session is not None else None
        scans: Path | None = folder
        if folder.suffix == ".sesami":
            project, scans = Project.open(folder), None
        elif project is None or project.read_only:
            project = Project.open_or_create(folder.with_name(f"{folder.name}.sesami"))
        self._begin(project, scans)
        assert self.engine is not None
        left = len(self.engine.worklist) - self.engine.worklist.count("accepted")
        if not len(self.engine.worklist):
            self.workspace.say(f"There is no scan in {folder.name} that can be read.")
        else:
            self.workspace.say(
                f"{left} of {len(self.engine.worklist)} scans are to be done."
            )

    def refresh(self) -> None:
        """Look at the folder again."""
        if self.engine is None:
            raise ViewerError("There is no work list yet: choose a folder of scans.")
        news = self.engine.worklist.refresh()
        more = f" And {len(news) - 2} more." if len(news) > 2 else ""
        self.workspace.say(
            " ".join(news[:2]) + more if news else "The folder is as it was."
        )

    def go(self, name: str) -> None:
        """Open a scan of the list in the background; the one at work is saved."""
        if self.engine is None:
            raise ViewerError("There is no work list yet: choose a folder of scans.")
        if name == self._opening:
            return
        if self.at_work and self.engine.worklist.current == name:
            self.reviewer.show()
            return
        binding = self.workspace.binding
        if binding is not None:
            binding.flush()
        self._opening = name
        self.workspace.say(f"Opening {name} …")
        task = partial(opening, self.engine, self.workspace.session, name)
        self._open = self.workspace.jobs.submit(
            OPEN, task, self._on_opened, self._on_refused, self._on_not_opened
        )

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
        self.binding.flush()
        self.reviewer.settle()
        record = engine.finish()
        name, item = engine.item.name, engine.worklist.step(open_only=True)
        said = f"{name} is accepted in {engine.item.seconds:.0f} s."
        if record.get("proposals"):
            said += f" {record['accepted']} of {record['proposals']} masks unchanged."
        self.changed.emit()
        if item is None:
            self.workspace.say(f"{said} Every scan of the list is done.")
            return
        self.workspace.say(said)
        self.go(item.name)

    # --- proposals

    def propose(self) -> None:
        """Let the model propose masks for the plane on screen, in the background."""
        engine = self.working()
        binding = self.binding
        binding.check_image()
        binding.flush()
        if not engine.sources(but=engine.worklist.current):
            raise ViewerError(
                "No scan is accepted yet: label this one by hand and press Done, then "
                "the model proposes for the next."
            )
        self.workspace.say("The model looks for what you labelled before …")
        task = partial(proposing, engine, binding.session, binding.plane)
        self.workspace.get(PromptController).engine.run(
            PROPOSE, binding.session, task, self._on_proposed
        )

    def close(self) -> None:
        """Let go of workspace, viewer, and project; everything is saved."""
        self.superpixels.close()
        self.reviewer.close()
        self.thumbnails.close()
        self._moved.stop()
        self._leave()
        self.workspace.session_changed.disconnect(self._on_session)
        try:
            viewer = self.workspace.viewer
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
        self.thumbnails.follow(engine.worklist)
        self._settle()
        self.changed.emit()

    def _leave(self) -> None:
        if self.engine is None:
            return
        self.engine.worklist.changed.disconnect(self._on_list)
        if self.engine.session is not None:
            self.engine.leave(close=False)  # the workspace closes its own sessions
        project = self.engine.project
        if not project.in_use:
            project.close()
        self.engine = None

    def _settle(self) -> None:
        """Go on with the scan shown if it is one of the list."""
        session, engine = self.workspace.session, self.engine
        if (
            session is None
            or engine is None
            or session.document.project is not engine.project
        ):
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
            self.reviewer.show()

    def _on_session(self) -> None:
        """Another scan is shown; perhaps it brings its own list along."""
        engine, session = self.engine, self.workspace.session
        self.superpixels.stop()
        self.reviewer.hide()
        if engine is not None and engine.session not in (None, session):
            engine.leave(close=False)
        project = None if session is None else session.document.project
        if engine is None and project is not None:
            from napari_sesami.worklist import WorkList

            if WorkList.lies_in(project):
                try:
                    self._begin(project, None)
                except (SesamiError, OSError) as error:
                    self.workspace.say(sentence(error))
        else:
            self._settle()
        self.changed.emit()

    def _on_opened(self, opened: Opened) -> None:
        name, self._opening = self._opening, ""
        engine = self.engine
        if engine is None or name != opened.name:
            opened.session.close()
            return
        engine.leave(close=False)
        trouble: SesamiError | None = None
        try:
            engine.settle(opened.session, name)
        except SesamiError as error:
            trouble = error
        self.workspace.take(opened.session, closes=self.workspace.binding)
        if trouble is not None:
            self.workspace.show_error(trouble)
        self._welcome(engine, opened.session)
        self.changed.emit()

    def _welcome(self, engine: WorklistEngine, session: Session) -> None:
        self.reviewer.show()
        if engine.notice:
            self.workspace.say(engine.notice)
        elif engine.review is not None and engine.review.waiting:
            self.workspace.say(f"{len(engine.review.waiting)} proposals wait.")
        elif self._can_propose(engine):
            self.propose()
        elif not engine.sources():
            self.workspace.say(
                "Label this scan by hand (clicks, strokes, superpixels), then press "
                "Done; the model proposes for the next."
            )

    def _can_propose(self, engine: WorklistEngine) -> bool:
        fresh = engine.item.state == "new"
        return self.at_once and fresh and bool(engine.sources(but=engine.item.name))

    def _on_not_opened(self) -> None:
        """Open nothing, unless another scan was asked for meanwhile."""
        if self._open is not None and self._open.dropped:
            self._opening = ""
            self.changed.emit()

    def _on_refused(self, text: str) -> None:
        self._opening = ""
        self.changed.emit()

    def _on_proposed(self, found: tuple[list[Mask], Source]) -> None:
        if not self.at_work or self.engine is None:
            return
        try:
            review = self.engine.take(*found)
        except (SesamiError, OSError) as error:
            self.workspace.say(sentence(error))
            return
        source = review.source
        scans = "scan" if source.taught_by == 1 else "scans"
        whence = (
            f"learnt from {source.taught_by} {scans}"
            if source.taught_by
            else f"by the segmenter “{source.name}”"
        )
        self.workspace.say(
            f"{len(review)} proposals, {whence}: A takes one, C corrects, R rejects."
        )
        self.reviewer.show()
        self.changed.emit()

    def _on_list(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self.changed.emit()
        else:  # a scan that the work thread could not open
            self.workspace.jobs.post(self.changed.emit)

    def _on_cursor(self, event: Any = None) -> None:
        if not self._waits and self.at_work:
            self._waits = True
            self._moved.soon()

    def _beat(self) -> None:
        self._waits = False
        if self.at_work and self.engine is not None:
            self.engine.worklist.beat()
