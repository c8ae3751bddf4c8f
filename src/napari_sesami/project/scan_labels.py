"""The labels, strokes and objects of one scan, in memory and on disk."""

from __future__ import annotations

import heapq
import math
import threading
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sesami.project.changes import (
    LAYERS,
    AnswerChange,
    Change,
    ObjectChange,
    PixelChange,
    RecipeChange,
    SizeChange,
)
from napari_sesami.project.classes import ClassChange, ClassTable
from napari_sesami.project.disk import saying, sentence
from napari_sesami.project.errors import ProjectError
from napari_sesami.project.planes import PlaneStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_sesami.project.journal import Record
    from napari_sesami.project.store import ScanStore


class ScanLabels:
    """What a session edits. With a store, every edit is journaled as it happens.

    Attributes
    ----------
    layers
        "labels", "strokes" and "objects": a `PlaneStore` each.
    objects
        The committed objects by id, as JSON values.
    answers
        The answered queries by id, as JSON values.
    classes
        This work's class table; the project keeps those of its scans alike.
    last_object
        The highest id that an object ever had.
    recipe
        What is measured on the scan, as TOML; "" for nothing.
    size
        (sizes, units) if the user gave the scan a pixel size, else None.
    lock
        Held while something is edited or handed to a save.
    """

    def __init__(
        self,
        leading_shape: tuple[int, ...],
        plane_shape: tuple[int, int],
        classes: ClassTable,
        store: ScanStore | None = None,
    ) -> None:
        self.classes = classes
        self.lock = threading.RLock()
        self.size: SizeChange | None = None
        self.adopting = False
        self.sync_each = True
        self.on_trouble: Callable[[str], None] | None = None
        self._store = store
        self._saving = threading.Lock()
        self._retired: str | None = None
        self._loose = False  # something beside the planes is unsaved
        self._plane_shape, self._planes = plane_shape, math.prod(leading_shape)
        shapes = (leading_shape, plane_shape)
        self.layers = {
            layer: PlaneStore(*shapes, dtype, self._loader(layer), self._stored(layer))
            for layer, dtype in LAYERS.items()
        }
        self.objects = {} if store is None else store.read_objects()
        answers = {} if store is None else store.state.get("answers", {})
        self.answers: dict[int, Mapping[str, Any]] = {
            int(key): value for key, value in answers.items()
        }
        self.recipe = "" if store is None else str(store.state.get("recipe", ""))
        saved = [] if store is None else store.state["classes"]
        self._used = {int(i): True for i in saved}  # classes that pixels may have
        known = 0 if store is None else int(store.state.get("last_object", 0))
        self.last_object = max([known, *self.objects])
        # orders of all objects, the highest first; those that went are passed over
        self._orders = [-o["order"] for o in self.objects.values()]
        self._in_order = Counter(self._orders)
        heapq.heapify(self._orders)

    @property
    def last_order(self) -> int:
        """The highest order of an object, found without looking at all of them."""
        while self._orders and not self._in_order[self._orders[0]]:
            heapq.heappop(self._orders)
        return -self._orders[0] if self._orders else 0

    @property
    def dirty(self) -> bool:
        """Whether anything has changed since the last save."""
        return self._loose or any(layer.dirty for layer in self.layers.values())

    def apply(self, changes: tuple[Change, ...]) -> None:
        """Carry out edits, in order."""
        with self.lock:
            for change in changes:
                self._apply(change)
            self._loose = True

    def check_writable(self) -> None:
        """Refuse edits once another session has taken this scan over."""
        if self._retired:
            raise ProjectError(self._retired)

    def note(self, record: Record) -> None:
        """Journal what was just carried out; a disk that refuses is told, not fatal."""
        with self.lock:
            self._loose = True
            if self._store is None or self._store.read_only:
                return
            try:
                self._store.append(record, sync=self.sync_each)
            except OSError as error:
                self._tell(sentence(error, self._store.folder))

    def sync(self) -> None:
        """Make the journal survive the death of the machine."""
        with self.lock:
            if self._store is None or self._store.read_only:
                return
            try:
                self._store.sync()
            except OSError as error:
                self._tell(sentence(error, self._store.folder))

    def replay(self) -> list[Record]:
        """Carry out what the journal holds since the last save, and return it."""
        records = [] if self._store is None else self._store.replay()
        damaged = self._store is not None and self._store.skipped > 0
        for number, record in enumerate(records):
            if not all(self._fits(change) for change in record.changes):
                damaged, records = True, records[:number]
                break
            for change in record.changes:
                if not isinstance(change, ClassChange):
                    self._apply(change)
                    continue
                self._used[change.id] = change.after is not None
                if self.classes.get(change.id) == change.before:
                    # most class edits are already in the project's own file
                    self.classes.apply(change)
        self._loose = bool(records)
        if self._store is not None and damaged:
            self._tell(
                f"Part of what was done after the last save in {self._store.folder} is "
                "damaged and could not be brought back; all that was saved is there."
            )
        return records

    def adopt(self, change: ClassChange) -> None:
        """Follow a class edit that was made in another scan of the project."""
        self.adopting = True
        try:
            self.classes.apply(change)
        finally:
            self.adopting = False

    def vanished(self) -> set[int]:
        """Give the classes that saved pixels may still have although they are gone."""
        return {i for i, used in self._used.items() if used} - set(self.classes.ids)

    def save(self) -> None:
        """Write all that changed; edits may go on in another thread meanwhile."""
        store = self._store
        if store is None:
            raise ProjectError("There is no project folder to save into.")
        self.check_writable()
        if store.read_only:
            raise ProjectError(
                f"{store.folder} is open read-only; save into another folder."
            )
        with self._saving, saying(store.folder):
            with self.lock:
                journal = store.turn_page()
                taken = {name: ps.freeze() for name, ps in self.layers.items()}
                objects, more = dict(self.objects), self._more()
                self._loose = False
            done = False
            try:
                store.save(taken, journal, objects, more)
                done = True
            finally:
                self._thaw(taken, done)

    def move(self, store: ScanStore) -> None:
        """Go on in another folder that holds a copy of what was saved so far."""
        with self._saving, self.lock:
            if self._store is not None:
                with suppress(OSError):  # that journal has already been told of
                    self._store.close()
            self._store, self._retired, self._loose = store, None, True
            for name, layer in self.layers.items():
                layer.attach(self._loader(name) or _nothing)

    def retire(self, reason: str) -> None:
        """Hand the folder over to somebody else: nothing is written from here on."""
        with self._saving, self.lock:
            self._retired = reason
            if self._store is not None:
                try:
                    self._store.close()
                except OSError as error:
                    self._tell(sentence(error, self._store.folder))

    def _apply(self, change: Change) -> None:
        match change:
            case PixelChange():
                change.apply(self.layers[change.layer].writable(change.plane))
            case ObjectChange():
                gone = self.objects.pop(change.id, None)
                if gone is not None:
                    self._in_order[-gone["order"]] -= 1
                if change.after is not None:
                    self.objects[change.id] = dict(change.after)
                    self._in_order[-change.after["order"]] += 1
                    heapq.heappush(self._orders, -change.after["order"])
                self.last_object = max(self.last_object, change.id)
            case AnswerChange():
                self.answers.pop(change.id, None)
                if change.after is not None:
                    self.answers[change.id] = dict(change.after)
            case ClassChange():
                self.classes.apply(change)
            case SizeChange():
                self.size = change
            case RecipeChange():
                self.recipe = change.after

    def _fits(self, change: Change) -> bool:
        """Whether a change from a file lies in this scan and has all its pixels."""
        if not isinstance(change, PixelChange):
            return True
        y0, x0, y1, x1 = change.bbox
        height, width = self._plane_shape
        inside = y0 < y1 <= height and x0 < x1 <= width
        return inside and change.plane < self._planes and change.whole

    def _more(self) -> dict[str, Any]:
        known = {"last_object": self.last_object, "classes": list(self.classes.ids)}
        recipe = {"recipe": self.recipe} if self.recipe else {}
        return {**known, "answers": dict(self.answers), **recipe}

    def _thaw(self, taken: Mapping[str, Mapping[int, NDArray[Any]]], ok: bool) -> None:
        with self.lock:
            for name, layer in self.layers.items():
                planes = set(taken[name])
                layer.thaw(planes if ok else set(), set() if ok else planes)
            self._loose = self._loose or not ok

    def _loader(self, layer: str) -> partial[NDArray[Any] | None] | None:
        if self._store is None:
            return None
        return partial(self._store.read_plane, layer, shape=self._plane_shape)

    def _stored(self, layer: str) -> frozenset[int]:
        return frozenset() if self._store is None else self._store.stored(layer)

    def _tell(self, text: str) -> None:
        if self.on_trouble is not None:
            self.on_trouble(text)


def _nothing(plane: int) -> None:
    """Load nothing."""
