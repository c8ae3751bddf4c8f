"""The part of a session that opens, remembers, undoes and saves."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.project import (
    AnswerChange,
    Change,
    ClassChange,
    ClassTable,
    ObjectChange,
    PixelChange,
    Project,
    Record,
    SizeChange,
    Work,
)
from napari_sesami.session import edits
from napari_sesami.session.errors import SessionError
from napari_sesami.session.events import SessionEvents
from napari_sesami.session.history import History

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from napari_sesami.common.box import BBox
    from napari_sesami.project import ScanEntry
    from napari_sesami.project.scan_entries import Sizes
    from napari_sesami.scan import Scan


class SessionCore:
    """Carries out changes, keeps their history, and keeps both on disk."""

    def __init__(self, scan: Scan, project: Project | str | Path | None) -> None:
        self.events = SessionEvents()
        self.scan = scan
        self.project: Project | None = None
        self.recovered = 0
        self._history = History()
        self._group: tuple[int, str] | None = None
        self._quiet = False  # while a change comes from us, not from the table
        self._owns_project = not isinstance(project, Project)
        if project is None:
            work = Work(scan.leading_shape, scan.plane_shape, ClassTable())
            self._take(work)
        elif isinstance(project, Project):
            self._open(project)
        else:
            self._open(Project.open_or_create(project))

    @property
    def classes(self) -> ClassTable:
        """The class table: ``add``, ``rename``, ``recolor``, ``remove``, undoable."""
        return self._work.classes

    # --- history

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._history.done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return bool(self._history.undone)

    def undo(self) -> str | None:
        """Take the last step back and give its name; None if there is none."""
        return self._travel("undo")

    def redo(self) -> str | None:
        """Do the step undone last again and give its name; None if there is none."""
        return self._travel("redo")

    @contextmanager
    def group(self, name: str, key: int | None = None) -> Iterator[None]:
        """Make one step of all edits within; each is journaled as it happens.

        Groups of the same `key` become one step, too, unless something came between.
        """
        if self._group is not None:  # the outer group goes on
            yield
            return
        self._group = (time.time_ns() if key is None else key, name)
        try:
            yield
        finally:
            self._group = None

    # --- on disk

    @property
    def dirty(self) -> bool:
        """Whether anything has changed since the last save."""
        return self._work.dirty

    def save(self, path: str | Path | None = None) -> None:
        """Write everything into the project, or into a new one at `path`.

        Raises
        ------
        SaveError
            The disk refused; all is still in memory, so that a later save works.
        """
        if path is not None:
            folder = Path(path).expanduser().resolve()
            if self.project is None or folder != self.project.path:
                self._move(folder)
        if self.project is None:
            raise SessionError(
                "This session has no project folder yet; give save one, for example "
                "save('wafer12.sesami')."
            )
        self._work.check_writable()
        self.project.save()

    def tick(self) -> None:
        """Secure the journal and save if it is time; see `Project.tick`."""
        if self.project is not None:
            self.project.tick()

    def close(self) -> None:
        """Let go of the project. Unsaved steps come back at the next opening."""
        if self.project is None:
            return
        self._work.retire("This session is closed; open the project again.")
        self.project.release(self._work)
        if self._owns_project and not self.project.in_use:
            self.project.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside

    def _do(self, name: str, changes: Sequence[Change]) -> BBox | None:
        """Carry a new step out, journal it, tell; gives the box that changed."""
        self._work.check_writable()
        if not changes:
            return None
        self._note("do", name, tuple(changes), tuple(changes))
        boxes = [c.bbox for c in changes if isinstance(c, PixelChange)]
        return _around(boxes) if boxes else None

    def _travel(self, kind: str) -> str | None:
        if self._group is not None:
            raise SessionError(f"Finish the group {self._group[1]!r} before {kind}.")
        self._work.check_writable()
        step = self._history.undo() if kind == "undo" else self._history.redo()
        if step is None:
            return None
        changes = step.inverse() if kind == "undo" else step.changes
        self._note(kind, step.name, changes, changes)
        return step.name

    def _note(
        self,
        kind: str,
        name: str,
        changes: tuple[Change, ...],
        to_apply: tuple[Change, ...],
    ) -> None:
        """Apply, journal and tell. Some changes may have been applied already."""
        group, name = self._group or (None, name)
        with self._work.lock:
            self._quiet = True
            try:
                self._work.apply(to_apply)
            finally:
                self._quiet = False
            self._work.note(Record(kind, name, changes, group))
        if kind == "do":
            self._history.push(name, changes, group)
        elif kind == "forget":
            self._history.clear()
        self._tell(changes)

    def _tell(self, changes: tuple[Change, ...]) -> None:
        objects = []
        for change in changes:
            if isinstance(change, PixelChange):
                self.events.changed.emit(change.plane, change.bbox, change.layer)
            elif isinstance(change, ObjectChange):
                objects.append(change.id)
            elif isinstance(change, SizeChange):
                self._set_size(change.after)
        if any(isinstance(change, ClassChange) for change in changes):
            self.events.classes.emit()
        if objects:
            self.events.objects.emit(tuple(objects))
        if any(isinstance(change, AnswerChange) for change in changes):
            self.events.queries.emit()
        self.events.history.emit()

    def _on_class(self, change: ClassChange) -> None:
        """Hear that the table was edited, by this session's user or elsewhere."""
        if self._quiet:
            return
        gone = [change.id] if change.after is None else []
        if not self._work.adopting:
            pixels = tuple(edits.clear_classes(self._work, gone)) if gone else ()
            what = "add" if change.before is None else "remove" if gone else "edit"
            entry = change.after or change.before
            name = f"{what} class {entry.name if entry else ''}"
            self._note("do", name, (change, *pixels), pixels)
        elif gone:
            self._forget({change.id})
        else:
            self.events.classes.emit()

    def _forget(self, gone: set[int]) -> None:
        """Clear classes that were removed elsewhere; no step can bring them back."""
        pixels = tuple(edits.clear_classes(self._work, gone))
        marks = tuple(ClassChange(id_, None, None) for id_ in sorted(gone))
        self._note("forget", "class removed", (*marks, *pixels), pixels)

    def _set_size(self, size: Sizes) -> None:
        self.scan = self.scan.with_pixel_size(*size)
        if self.project is not None:
            self.project.set_pixel_size(self._entry.key, size)
        self.events.scan.emit(self.scan)

    def _take(self, work: Work) -> None:
        self._work = work
        work.classes.changed.connect(self._on_class)

    def _open(self, project: Project) -> None:
        """Take up the work on this scan where the project has it."""
        entry = project.add_scan(self.scan)
        self.scan = entry.sized(self.scan)
        self._take(project.work_on(entry))
        self._settle(project, entry)
        size = (tuple(self.scan.pixel_size), tuple(self.scan.units))
        if size != (entry.own_size or entry.file_size):
            project.set_pixel_size(entry.key, size)
        self._quiet = True
        try:
            records = self._work.replay()
        finally:
            self._quiet = False
        self._history.relive(records)
        self.recovered = len({r.group or -i for i, r in enumerate(records, 1)})
        if self._work.size is not None:
            self._set_size(self._work.size.after)
        self._settle_classes(self._work.vanished())

    def _settle_classes(self, missing: set[int]) -> None:
        """Clear what was removed elsewhere; keep what an old index does not know."""
        unknown = {id_ for id_ in missing if id_ >= self.classes.next_id}
        for id_ in sorted(unknown):
            self._quiet = True
            try:
                self.classes.revive(id_)
            finally:
                self._quiet = False
        if missing - unknown:
            self._forget(missing - unknown)

    def _settle(self, project: Project, entry: ScanEntry) -> None:
        self.project, self._entry = project, entry
        project.trouble.connect(self._on_trouble)
        project.saved.connect(self._on_saved)

    # psygnal probes a connected `emit` by emitting, so these are methods of their own

    def _on_trouble(self, text: str) -> None:
        self.events.trouble.emit(text)

    def _on_saved(self) -> None:
        self.events.saved.emit()

    def _move(self, folder: Path) -> None:
        """Go on in a new project, which gets all that the old one has saved."""
        old = self.project
        if old is None:
            new = Project.create(folder)
            new.take_classes(self.classes)
            entry = new.add_scan(self.scan)
        else:
            new = old.copy_to(folder)
            entry = new.entry(self._entry.key)
            old.release(self._work)
            old.trouble.disconnect(self._on_trouble)
            old.saved.disconnect(self._on_saved)
        new.work_on(entry, self._work)
        self._settle(new, entry)
        if old is not None and self._owns_project and not old.in_use:
            old.close()
        self._owns_project = True


def _around(boxes: Sequence[BBox]) -> BBox:
    """Give the box around boxes."""
    lows, highs = np.array(boxes)[:, :2].min(0), np.array(boxes)[:, 2:].max(0)
    return int(lows[0]), int(lows[1]), int(highs[0]), int(highs[1])
