"""The committed objects: which are there, and what is done with the chosen ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.layers.camera import frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sesami.session import ObjectRow, Session
    from napari_sesami.viewer.app.workspace import Workspace

SOON = 150  # ms; many objects may change at once


class ObjectsController(Controller):
    """Lists the objects of the session at work, and edits them.

    Attributes
    ----------
    rows
        One for each object, as of the last change.
    """

    saved = Signal(object)
    """the table was written: its path"""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.rows: list[ObjectRow] = []
        self._followed: Session | None = None
        self._later = Debounced(self.read, SOON)
        workspace.session_changed.connect(self._on_session)
        self._on_session()

    def read(self) -> None:
        """Read the objects again."""
        self.rows = [] if self.session is None else self.session.objects.table()
        self.changed.emit()

    def jump(self, object_id: int) -> None:
        """Show an object in the middle of the canvas."""
        target = self.binding.session.objects[object_id]
        viewer, image = self.workspace.viewer, self.binding.image
        frame(viewer, image, target.plane, target.bbox)

    def give_class(self, ids: Sequence[int], class_id: int) -> None:
        """Give the chosen objects another class."""
        self.binding.session.objects.set_class(self._some(ids), class_id)

    def merge(self, ids: Sequence[int]) -> None:
        """Make the chosen objects one."""
        merged = self.binding.session.objects.merge(self._some(ids))
        self.workspace.say(f"{len(ids)} objects are object {merged.id} now.")

    def split(self, ids: Sequence[int]) -> None:
        """Make the pieces of the chosen objects objects of their own."""
        objects = self.binding.session.objects
        with self.binding.session.history.group("split objects"):
            made = [objects.split(id_) for id_ in self._some(ids)]
        self.workspace.say(f"{sum(map(len, made))} pieces are objects of their own.")

    def remove(self, ids: Sequence[int]) -> None:
        """Delete the chosen objects and their pixels."""
        chosen = self._some(ids)
        objects = self.binding.session.objects
        with self.binding.session.history.group(f"delete {len(chosen)} objects"):
            for id_ in chosen:
                objects.remove(id_)
        self.workspace.say(f"{len(chosen)} deleted; Ctrl+Z brings them back.")

    def save_csv(self, path: Path) -> None:
        """Write the table for a spreadsheet."""
        self.binding.session.objects.save_csv(path)
        self.workspace.say(f"{len(self.rows)} objects are in {path.name}.")
        self.saved.emit(path)

    def close(self) -> None:
        """Let go of workspace and session."""
        self._later.stop()
        self.workspace.session_changed.disconnect(self._on_session)
        self._follow(None)

    def _some(self, ids: Sequence[int]) -> Sequence[int]:
        if not ids:
            raise ViewerError("Choose objects in the table first.")
        return ids

    def _on_session(self) -> None:
        self._follow(self.session)
        self.read()

    def _follow(self, session: Session | None) -> None:
        if self._followed is not None:
            self._followed.document.events.objects.disconnect(self._on_objects)
            self._followed.document.events.classes.disconnect(self._on_classes)
            self._followed.document.events.scan.disconnect(self._on_scan)
        self._followed = session
        if session is not None:
            session.document.events.objects.connect(self._on_objects)
            session.document.events.classes.connect(self._on_classes)
            session.document.events.scan.connect(self._on_scan)

    def _on_objects(self, ids: tuple[int, ...]) -> None:
        self._later.soon()

    def _on_classes(self) -> None:
        self._later.soon()

    def _on_scan(self, scan: object) -> None:
        self._later.soon()
