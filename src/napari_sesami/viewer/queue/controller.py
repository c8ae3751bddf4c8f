"""What to label next: the queue, ranked and answered while one labels."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.jobs import Debounced, Priority
from napari_sesami.viewer.prompt.controller import PromptController
from napari_sesami.viewer.queue import jobs
from napari_sesami.viewer.queue.heat import HeatMaps
from napari_sesami.viewer.queue.layers import QueueLayers
from napari_sesami.viewer.queue.ranker import QueueRanker

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from napari_sesami.session import Queue, QueuedQuery, Session
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.workspace import Workspace

PROPOSAL, PICTURES, KEEP = "proposal", "pictures of queries", "keeping the queue"
MOST_SECONDS = 300.0  # that an answer counts for; the user may have gone for coffee


class QueueController(Controller):
    """Asks one query after the other; docks and keys come here.

    Attributes
    ----------
    current
        Number of the query that is being asked, or None.
    paused
        Whether keys have their usual meaning although a query is open.
    pictures
        Thumbnails by number.
    ranks
        Ranks the queue in the background.
    heat
        The heat maps.
    """

    changed = Signal()
    """the list, the query being asked, the options or the budget"""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.current: int | None = None
        self.paused = False
        self.pictures: jobs.Pictures = {}
        self.screen: QueueLayers | None = None
        self._session: Session | None = None
        self._binding: LayerBinding | None = None
        self._labels: NDArray[np.uint8] | None = None
        self._begun = 0.0
        self._there = 0  # strokes in the region when it was asked about
        self.ranker = QueueRanker(self)
        self.heat = HeatMaps(self)
        self._told = Debounced(self._on_told, 0)
        workspace.session_changed.connect(self._on_session)
        self._on_session()

    # --- looking

    @property
    def queue(self) -> Queue | None:
        """The session's queue."""
        return None if self._session is None else self._session.queue

    @property
    def entries(self) -> list[QueuedQuery]:
        """Open queries, best first."""
        return [] if self.queue is None else self.queue.open

    @property
    def asked(self) -> QueuedQuery | None:
        """The query that is being asked."""
        return next((e for e in self.entries if e.id == self.current), None)

    @property
    def asking(self) -> bool:
        """Whether keys mean the query."""
        return self.asked is not None and not self.paused

    @property
    def answering(self) -> bool:
        """Whether keys mean the query now: a click tool has them first."""
        prompts = self.workspace.find(PromptController)
        return self.asking and (prompts is None or not prompts.pointing)

    @property
    def takes_numbers(self) -> bool:
        """Whether a number is the class of the region; else that of the brush."""
        return self.answering and not self.binding.painting

    # --- asking

    def ask(self, id_: int) -> None:
        """Go to a query and outline it."""
        entry = self._queue().entry(id_)
        self.binding.flush()
        self.current, self.paused, self._labels = entry.id, False, None
        self._begun = time.monotonic()
        self._there = self._queue().strokes_in(entry)
        self._show(entry)
        if not self.binding.painting:
            self.binding.select()
        self.changed.emit()

    def next(self) -> None:
        """Go to the next query; what was painted in this one counts as its answer."""
        entries = self.entries
        if not entries:
            self.ranker.begin()
            self.workspace.say("Looking for what is worth a label …")
            return
        asked = self.asked
        if asked is not None and not self.paused and self._painted_in(asked):
            self._said("painted")
            return
        ids = [e.id for e in entries]
        at = ids.index(asked.id) + 1 if asked is not None else 0
        self.ask(ids[at % len(ids)])

    def accept(self) -> None:
        """Say that the region is what it looks like, or what was painted in it."""
        entry = self._asked()
        if self._painted_in(entry):
            self._said("painted")
        else:
            self._said("accept")

    def change(self, class_id: int) -> None:
        """Give the whole region another class."""
        self._asked()
        self._said("change", class_id)

    def change_to(self, number: int) -> None:
        """Give the region the n-th class of the table."""
        entries = list(self.binding.session.classes)
        if not 1 <= number <= len(entries):
            raise ViewerError(
                f"There is no class {number}; there are {len(entries)}. Type a new "
                "name in the panel Label."
            )
        self.change(entries[number - 1].id)

    def paint(self) -> None:
        """Turn the brush on with the class that the region looks like, or off."""
        entry, binding = self._asked(), self.binding
        if entry.control:
            raise ViewerError(
                "This one judges and must not teach: give it a class, or skip it."
            )
        if not binding.painting and entry.query.class_id in binding.session.classes:
            binding.pick(entry.query.class_id)
            self.workspace.say("Paint in the outline; then N for the next one.")
        else:
            binding.toggle_brush()
        self.changed.emit()

    def skip(self) -> None:
        """Leave the query out."""
        self._asked()
        self._said("skip")

    def pause(self, on: bool) -> None:
        """Give the keys their usual meaning, and hide the outline; or go on."""
        self.paused = on
        entry = self.asked
        if on or entry is None:
            self._hide()
            self.changed.emit()
        else:
            self.ask(entry.id)

    def close(self) -> None:
        """Let go of workspace, viewer and session."""
        self.workspace.session_changed.disconnect(self._on_session)
        self._follow(None)
        self.ranker.close()
        self.heat.close()

    # --- inside

    def _queue(self) -> Queue:
        _ = self.binding  # says what is missing
        queue = self.queue
        if queue is None:
            raise ViewerError("There is no queue without a scan: open one.")
        return queue

    def _asked(self) -> QueuedQuery:
        _ = self._queue()
        entry = self.asked
        if entry is None:
            raise ViewerError("Choose a query in the list first, or press N.")
        return entry

    def _painted_in(self, entry: QueuedQuery) -> bool:
        self.binding.flush()
        return not entry.control and self._queue().strokes_in(entry) > self._there

    def _said(self, how: str, class_id: int = 0) -> None:
        """Answer, and go on to what comes next in the list."""
        entry, queue = self._asked(), self._queue()
        ids = [e.id for e in queue.open]
        at = ids.index(entry.id)
        after = ids[at + 1 :] + ids[:at]
        seconds = min(time.monotonic() - self._begun, MOST_SECONDS)
        self.binding.flush()
        if how == "accept":
            if entry.query.kind in ("patch", "slice") and self._labels is None:
                raise ViewerError("One moment: what it looks like is being found out.")
            queue.accept(entry.id, labels=self._labels, seconds=seconds)
        elif how == "change":
            queue.change(entry.id, class_id, seconds=seconds)
        elif how == "painted":
            queue.painted(entry.id, seconds=seconds)
        else:
            queue.skip(entry.id, seconds=seconds)
        self._brush_off()
        left = {e.id for e in queue.open}
        following = next((id_ for id_ in after if id_ in left), None)
        if following is not None:
            self.ask(following)
        else:
            self.current = None
            self._hide()
            self.changed.emit()
        self.ranker.soon()

    def _brush_off(self) -> None:
        if self.binding.painting:
            self.binding.toggle_brush()

    def _show(self, entry: QueuedQuery) -> None:
        if self.screen is None:
            return
        self.screen.go(entry.query)
        self.screen.outline(entry.query)
        if entry.query.kind in ("patch", "slice"):
            zoom = self.ranker.zoom or 1.0
            task = partial(jobs.proposed, self.binding.session, entry, zoom)
            self.workspace.jobs.submit(PROPOSAL, task, self._on_proposed)
        else:
            self.screen.fill(entry.query, None)

    def _hide(self) -> None:
        if self.screen is not None:
            self.screen.clear()

    def _on_proposed(self, found: tuple[int, NDArray[np.uint8]]) -> None:
        id_, labels = found
        entry = self.asked
        if entry is not None and entry.id == id_ and self.screen is not None:
            self._labels = labels
            if not self.paused:
                self.screen.fill(entry.query, labels)

    def want_pictures(self) -> None:
        """Make thumbnails that are missing."""
        missing = [e for e in self.entries if e.id not in self.pictures]
        if missing and self._session is not None:
            task = partial(jobs.pictures, self._session, missing)
            self.workspace.jobs.submit(
                PICTURES, task, self._on_pictures, priority=Priority.RANKING
            )

    def _on_pictures(self, found: jobs.Pictures) -> None:
        self.pictures.update(found)
        self.changed.emit()

    # --- what happens elsewhere

    def _on_session(self) -> None:
        self._follow(self.workspace.binding)
        self.changed.emit()

    def _follow(self, binding: LayerBinding | None) -> None:
        old = self._session
        if old is not None:
            old.document.events.queries.disconnect(self._on_queries)
            old.document.events.classes.disconnect(self._on_classes)
            old.document.events.changed.disconnect(self._on_changed)
            old.queue.writer = None
        self.ranker.stop()
        if self.screen is not None:  # napari may be in the middle of removing layers
            self.workspace.jobs.post(self.screen.close)
        self.heat.follow(binding)
        self.screen, self.current, self.pictures = None, None, {}
        self._binding, self._labels = binding, None
        self._session = session = None if binding is None else binding.session
        if binding is None or session is None:
            return
        self.screen = QueueLayers(self.workspace, binding)
        session.document.events.queries.connect(self._on_queries)
        session.document.events.classes.connect(self._on_classes)
        session.document.events.changed.connect(self._on_changed)
        session.queue.writer = self._write
        if session.queue.trouble:
            self.workspace.say(session.queue.trouble)
        self.want_pictures()

    def _write(self, write: Callable[[], None]) -> None:
        """Write the queue in the background; an older request is dropped."""

        def task(job: Any) -> None:
            write()

        self.workspace.jobs.submit(KEEP, task, priority=Priority.BACKGROUND)

    def _on_queries(self) -> None:
        """Answers came, or undo took one back: that one is asked again."""
        self._told.soon()

    def _on_told(self) -> None:
        entry = self.asked
        if self.current is not None and entry is None:
            self.current = None
            self._hide()
        self.want_pictures()
        self.changed.emit()

    def _on_classes(self) -> None:
        self.changed.emit()

    def _on_changed(self, plane: int, bbox: tuple[int, ...], layer: str) -> None:
        if layer == "strokes" and (self.entries or self.ranker.trouble):
            self.ranker.soon()
            self.heat.soon()
