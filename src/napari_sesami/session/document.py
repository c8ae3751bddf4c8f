"""Document: what was drawn on one scan, with its history, its journal and events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.common.box import around
from napari_sesami.project import (
    AnswerChange,
    Change,
    ClassChange,
    ClassTable,
    ObjectChange,
    PixelChange,
    Project,
    RecipeChange,
    Record,
    ScanLabels,
    SizeChange,
)
from napari_sesami.session import checks, edits
from napari_sesami.session.errors import SessionError
from napari_sesami.session.events import SessionEvents
from napari_sesami.session.history import History
from napari_sesami.session.labels import Labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.project import ScanEntry, Sizes
    from napari_sesami.scan import Scan
    from napari_sesami.session.checks import Plane


class Document:
    """Carries out changes, keeps their history, and keeps both on disk.

    Parameters
    ----------
    scan
        What is drawn on.
    project
        An open project, its folder, or None to keep all in memory.

    Attributes
    ----------
    scan
        The scan, with the pixel size that the user gave it.
    home
        The open project that all is written into, or None; also one that nobody asked
        for and that is only there for recovery after a crash.
    for_recovery
        Whether `home` is only there for recovery; `project` is then None.
    work
        Labels, strokes, objects and answers, as they are now.
    labels
        The class of every pixel, plane by plane.
    history
        Undo and redo.
    events
        What listeners are told.
    recovered
        How many steps after the last save a journal brought back.
    """

    def __init__(self, scan: Scan, project: Project | str | Path | None) -> None:
        self.events = SessionEvents()
        self.scan = scan
        self.home: Project | None = None
        self.for_recovery = False
        self.recovered = 0
        self.history = History(self.check_writable, self._note)
        self.labels = Labels(self)
        self._quiet = False  # while a change comes from us, not from the table
        self.owns_project = not isinstance(project, Project)
        if project is None:
            work = ScanLabels(scan.leading_shape, scan.plane_shape, ClassTable())
            self._take(work)
            return
        home = (
            project if isinstance(project, Project) else Project.open_or_create(project)
        )
        try:
            self._open(home)
        except BaseException:  # a folder that nobody works on is let go of
            if hasattr(self, "work"):
                home.release(self.work)
            if self.owns_project and not home.in_use:
                home.close()
            raise

    def plane_number(self, plane: Plane) -> int:
        """Give the flat number of a plane, however it was named."""
        return checks.plane_number(self.scan, plane)

    def read(self, layer: str, plane: Plane) -> NDArray[Any]:
        """Look at a plane of a layer; a read-only view, good until the next edit."""
        return self.work.layers[layer].read(self.plane_number(plane))

    def piece(
        self, values: ArrayLike, plane: Plane, at: Any, what: str
    ) -> tuple[int, tuple[int, int], NDArray[Any]]:
        """Check a whole plane, or with `at` a piece of it: number, corner, values."""
        number = self.plane_number(plane)
        array = np.asarray(values)
        if at is None:
            checks.same_shape(array, self.scan.plane_shape, what)
            return number, (0, 0), array
        corner = (int(at[0]), int(at[1]))
        checks.inside(corner, array.shape, self.scan)
        return number, corner, array

    def ids(
        self, values: ArrayLike, plane: Plane, at: Any, what: str
    ) -> tuple[int, tuple[int, int], NDArray[np.uint8]]:
        """Check class ids of a plane, or of a piece of it."""
        number, corner, array = self.piece(values, plane, at, what)
        return number, corner, checks.class_ids(array, self.classes, what)

    def set_pixel_size(self, size: Any, unit: Any) -> None:
        """Give the pixel size by hand, as in `Scan.with_pixel_size`; undoable."""
        sized = self.scan.with_pixel_size(size, unit)
        before = (tuple(self.scan.pixel_size), tuple(self.scan.units))
        after = (tuple(sized.pixel_size), tuple(sized.units))
        if before != after:
            self.do("pixel size", [SizeChange(before, after)])

    @property
    def classes(self) -> ClassTable:
        """The class table: ``add``, ``rename``, ``recolor``, ``remove``, undoable."""
        return self.work.classes

    # --- on disk

    @property
    def project(self) -> Project | None:
        """The project that the user keeps this in, or None."""
        return None if self.for_recovery else self.home

    @property
    def dirty(self) -> bool:
        """Whether anything has changed since the last save."""
        return self.work.dirty

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
                self.for_recovery = False
        if self.project is None:
            raise SessionError(
                "This session has no project folder yet; give save one, for example "
                "save('wafer12.sesami')."
            )
        self.check_writable()
        self.project.save()

    def keep_for_recovery(self, folder: Path) -> None:
        """Write everything, from now on, where it can be found after a crash.

        The session still has no project: `save` wants a folder as before, and whatever
        asks for the project gets None.
        """
        if self.home is None:
            self._move(folder)
            self.for_recovery = True
        if self.home is not None:
            self.home.save()

    def tick(self) -> None:
        """Secure the journal and save if it is time; see `Project.tick`."""
        if self.home is not None:
            self.home.tick()

    def close(self) -> None:
        """Let go of the project. Unsaved steps come back at the next opening."""
        if self.home is None:
            return
        self.work.retire("This session is closed; open the project again.")
        self.home.release(self.work)
        if self.owns_project and not self.home.in_use:
            self.home.close()

    # --- editing

    def check_writable(self) -> None:
        """Refuse edits once another session has taken this scan over."""
        self.work.check_writable()

    def do(self, name: str, changes: Sequence[Change]) -> BBox | None:
        """Carry a new step out, journal it, tell; gives the box that changed."""
        self.check_writable()
        if not changes:
            return None
        self._note("do", name, tuple(changes))
        boxes = [c.bbox for c in changes if isinstance(c, PixelChange)]
        return around(boxes) if boxes else None

    # --- inside

    def _note(
        self,
        kind: str,
        name: str,
        changes: tuple[Change, ...],
        to_apply: tuple[Change, ...] | None = None,
    ) -> None:
        """Apply, journal and tell. Some changes may have been applied already."""
        group, name = self.history.open_group or (None, name)
        to_apply = changes if to_apply is None else to_apply
        with self.work.lock:
            self._quiet = True
            try:
                self.work.apply(to_apply)
            finally:
                self._quiet = False
            self.work.note(Record(kind, name, changes, group))
        if kind == "do":
            self.history.push(name, changes, group)
        elif kind == "forget":
            self.history.clear()
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
        if any(isinstance(change, RecipeChange) for change in changes):
            self.events.recipe.emit()
        self.events.history.emit()

    def _on_class(self, change: ClassChange) -> None:
        """Hear that the table was edited, by this session's user or elsewhere."""
        if self._quiet:
            return
        gone = [change.id] if change.after is None else []
        if not self.work.adopting:
            pixels = tuple(edits.clear_classes(self.work, gone)) if gone else ()
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
        pixels = tuple(edits.clear_classes(self.work, gone))
        marks = tuple(ClassChange(id_, None, None) for id_ in sorted(gone))
        self._note("forget", "class removed", (*marks, *pixels), pixels)

    def _set_size(self, size: Sizes) -> None:
        self.scan = self.scan.with_pixel_size(*size)
        if self.home is not None:
            self.home.set_pixel_size(self.entry.key, size)
        self.events.scan.emit(self.scan)

    def _take(self, work: ScanLabels) -> None:
        self.work = work
        # before the project hears of it: a step is journaled before the index has it
        work.classes.changed.connect(self._on_class, priority=1)

    def _open(self, project: Project) -> None:
        """Take up the work on this scan where the project has it."""
        entry = project.add_scan(self.scan)
        self.scan = entry.known(self.scan)
        self._take(project.work_on(entry))
        self._settle(project, entry)
        size = (tuple(self.scan.pixel_size), tuple(self.scan.units))
        if size != (entry.own_size or entry.file_size):
            project.set_pixel_size(entry.key, size)
        self._quiet = True
        try:
            records = self.work.replay()
        finally:
            self._quiet = False
        self.history.relive(records)
        self.recovered = len({r.group or -i for i, r in enumerate(records, 1)})
        if self.work.size is not None:
            self._set_size(self.work.size.after)
        self._settle_classes(self.work.vanished())

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
        self.home, self.entry = project, entry
        project.trouble.connect(self._on_trouble)
        project.saved.connect(self._on_saved)

    # psygnal probes a connected `emit` by emitting, so these are methods of their own

    def _on_trouble(self, text: str) -> None:
        self.events.trouble.emit(text)

    def _on_saved(self) -> None:
        self.events.saved.emit()

    def _move(self, folder: Path) -> None:
        """Go on in a new project, which gets all that the old one has saved."""
        old = self.home
        if old is None:
            new = Project.create(folder)
            new.take_classes(self.classes)
            entry = new.add_scan(self.scan)
        else:
            new = old.copy_to(folder)
            entry = new.entry(self.entry.key)
            old.release(self.work)
            old.trouble.disconnect(self._on_trouble)
            old.saved.disconnect(self._on_saved)
        new.work_on(entry, self.work)
        self._settle(new, entry)
        if old is not None and self.owns_project and not old.in_use:
            old.close()
        self.owns_project = True
