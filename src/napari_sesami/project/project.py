"""Project: a folder ``*.sesami`` with scans, classes, and all work on them."""

from __future__ import annotations

import shutil
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.common.inside import inside
from napari_sesami.project import disk
from napari_sesami.project import index as _index
from napari_sesami.project.autosave import Ticker
from napari_sesami.project.classes import ClassChange, ClassTable
from napari_sesami.project.errors import ProjectError, SaveError
from napari_sesami.project.lock import Lock
from napari_sesami.project.scan_labels import ScanLabels
from napari_sesami.project.scans import ScanList
from napari_sesami.project.store import ScanStore

if TYPE_CHECKING:
    from napari_sesami.project.scan_entries import Locate, ScanEntry, Sizes
    from napari_sesami.scan import Scan

ROOMS = (
    "banks", "queries", "runs", "prompts", "adapters", "segmenters", "noise",
)  # fmt: skip

# One object per folder and process, so that two sessions share classes and lock.
_OPEN: weakref.WeakValueDictionary[Path, Project] = weakref.WeakValueDictionary()


class Project:
    """Keeps scans, their labels, strokes and objects, and one class table on disk.

    Made by `Project.open` or `Project.create`. Only one process writes at a time; in a
    folder where nobody may write it opens read-only.

    Attributes
    ----------
    path
        The folder.
    classes
        The `ClassTable`; every edit is written at once.
    read_only
        Whether nothing can be saved here.
    autosave_every
        Seconds after which `tick` saves unsaved work; None never does.
    """

    trouble = Signal(str)
    """One sentence, when the disk refuses something. Nothing is lost in memory."""
    saved = Signal()
    """After every save, also from the autosave thread."""

    def __init__(self, path: Path, index: dict[str, Any], lock: Lock | None) -> None:
        self.path = path
        self.read_only = lock is None
        self.autosave_every: float | None = 60.0
        self.last_trouble: str | None = None
        self._lock = lock
        self._closed = False
        self._mirroring = False
        # the index: edits are counted, so that what is written last is the newest
        self._edits = self._written = 0
        self._writing = threading.RLock()
        self._more = {k: v for k, v in index.items() if k not in _index.OWN_KEYS}
        self.take_classes(ClassTable.from_dict(index["classes"]))
        self._scans = ScanList(path, index["scans"], self._index_changed)
        self._works: dict[str, ScanLabels] = {}
        self._guard = threading.RLock()
        self._saved_at = time.monotonic()
        self._locate: Locate = None
        self._ticker: Ticker | None = None

    # --- opening and closing

    @classmethod
    def create(cls, path: str | Path) -> Project:
        """Make a new project folder; an empty folder may be there already."""
        folder = Path(path).expanduser().resolve()
        if _index.is_project(folder):
            raise ProjectError(f"{folder} is already a project; open it instead.")
        if folder.is_file() or (folder.is_dir() and _index.foreign(folder)):
            raise ProjectError(
                f"{folder} is there already and is no project; choose a new name, such "
                f"as {folder.stem}-2.sesami."
            )
        with disk.saying(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = Lock(folder / "lock")
            index = {"classes": ClassTable().to_dict(), "scans": []}
            project = cls(folder, index, lock)
            try:
                project._write_index()
            except BaseException:
                project._undo_create()
                raise
        _OPEN[folder] = project
        return project

    @classmethod
    def open(
        cls, path: str | Path, *, locate: Locate = None, read_only: bool = False
    ) -> Project:
        """Open a project folder.

        Parameters
        ----------
        path
            The folder; if this process has it open already, that `Project` is given.
        locate
            Where moved scans are now: ``{key, name or old path: new path}``, or a
            function of the `ScanEntry`.
        read_only
            Only look, also while another process writes.
        """
        folder = Path(path).expanduser().resolve()
        project = _OPEN.get(folder)
        if project is None or project._closed or project.read_only != read_only:
            project = cls._opened(folder, read_only)
        project._locate = locate if locate is not None else project._locate
        return project

    @classmethod
    def _opened(cls, folder: Path, read_only: bool) -> Project:
        if not _index.is_project(folder):
            raise _index.no_project(folder)
        lock = None if read_only else _index.try_lock(folder)
        try:
            project = cls(folder, _index.read_index(folder), lock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        if lock is not None:
            disk.remove_leftovers(folder)
            _OPEN[folder] = project
        elif not read_only:
            project._tell(
                f"{folder} is read-only for you, so nothing can be saved into it; save "
                "into another folder to keep your work."
            )
        return project

    @classmethod
    def open_or_create(cls, path: str | Path) -> Project:
        """Open the project if it is there, else make it."""
        folder = Path(path).expanduser().resolve()
        return cls.open(folder) if _index.is_project(folder) else cls.create(folder)

    def close(self) -> None:
        """Let go of the folder. What is unsaved stays in the journal."""
        self.stop_autosave()
        with self._guard:
            for work in self._works.values():
                work.retire(f"The project {self.path} was closed; open it again.")
            self._works.clear()
            self._flush_index()
            if self._lock is not None:
                self._lock.release()
            self._closed = True
            if _OPEN.get(self.path) is self:
                del _OPEN[self.path]

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Project({str(self.path)!r}, {len(self.scans)} scans)"

    # --- scans

    @property
    def scans(self) -> tuple[ScanEntry, ...]:
        """The scans of this project, in the order in which they came."""
        return self._scans.all

    def entry(self, key: str | int) -> ScanEntry:
        """Look a scan up by key, name or position."""
        return self._scans.get(key)

    def open_scan(self, key: str | int = 0, *, locate: Locate = None) -> Scan:
        """Open the file of a scan, with the pixel size that the user gave it.

        Raises
        ------
        ScanMoved
            The file is not where it was; ask, and call again with `locate`.
        ProjectError
            The file there has other pixels.
        """
        return self._scans.open(key, locate if locate is not None else self._locate)

    def missing(self) -> tuple[ScanEntry, ...]:
        """Give the scans whose file is not where it was."""
        return self._scans.missing()

    def add_scan(self, scan: Scan) -> ScanEntry:
        """Find the scan among those of the project by its content, or add it."""
        return self._scans.add(scan)

    def set_pixel_size(self, key: str, size: Sizes) -> None:
        """Remember the pixel size that the user gave a scan."""
        self._scans.set_size(key, size)

    def work_on(self, entry: ScanEntry, work: ScanLabels | None = None) -> ScanLabels:
        """Open the labels of a scan; whoever had them before can no longer write.

        A given `work` goes on here instead, with all that it holds in memory.
        """
        with self._guard:
            self._check_open()
            before = self._works.get(entry.key)
            if before is not None and before is not work:
                before.retire(
                    f"The scan {entry.name!r} was opened again in another session, "
                    "which has all of your work; go on there."
                )
            store = ScanStore(self._scan_folder(entry), read_only=self.read_only)
            if work is None:
                work = _fresh_work(entry, self.classes, store)
            else:
                work.move(store)
            work.on_trouble = self._tell
            work.sync_each = self._ticker is None
            work.classes.changed.connect(partial(self._class_edited, work))
            self._works[entry.key] = work
            return work

    def labels_of(self, key: str) -> ScanLabels:
        """Look at the labels of a scan as they are now; they are not to be edited.

        Where a session has the scan open, these are its own; else what was saved, with
        what a journal holds since.
        """
        entry = self.entry(key)
        live = self._works.get(entry.key)
        if live is not None:
            return live
        store = ScanStore(self._scan_folder(entry), read_only=True)
        found = _fresh_work(entry, self.classes, store)
        found.replay()
        return found

    def saved_labels(self, key: str) -> ScanStore | None:
        """Look at the labels of a scan as they were saved last; None before a save."""
        folder = self._scan_folder(self.entry(key))
        return ScanStore(folder, read_only=True) if folder.is_dir() else None

    def take_classes(self, table: ClassTable) -> None:
        """Start with the classes of another table."""
        self.classes = ClassTable.from_dict(table.to_dict())
        self.classes.changed.connect(partial(self._class_edited, None))

    @property
    def in_use(self) -> bool:
        """Whether any scan's work is open."""
        return bool(self._works)

    def release(self, work: ScanLabels) -> None:
        """Hear that a session has done with its work."""
        with self._guard:
            kept = {k: w for k, w in self._works.items() if w is not work}
            self._works = kept

    # --- saving

    @property
    def _loose(self) -> bool:
        """Whether the index on disk is older than the one in memory."""
        return self._edits != self._written

    @property
    def dirty(self) -> bool:
        """Whether anything has changed since the last save."""
        return self._loose or any(work.dirty for work in self._works.values())

    def folder(self, room: str) -> Path:
        """Give, and make if needed, the folder of banks, queries, runs and so on."""
        if room not in ROOMS:
            raise ProjectError(f"A project has folders {', '.join(ROOMS)}; not {room}.")
        path = inside(self.path, room)
        if not self.read_only:
            with disk.saying(path):
                path.mkdir(exist_ok=True)
        return path

    def write_json(self, room: str, name: str, value: dict[str, Any]) -> None:
        """Write a JSON file into one of the folders, in one step."""
        self.folder(room)
        path = inside(self.path, room, name)
        with disk.saying(path):
            disk.write_json(path, value)

    def read_json(
        self, room: str, name: str, kind: Any = dict[str, Any]
    ) -> dict[str, Any] | None:
        """Read what `write_json` wrote, checked as `kind`; None if it is not there."""
        path = inside(self.path, room, name)
        return disk.read_json(path, kind) if path.exists() else None

    def remove_json(self, room: str, name: str) -> None:
        """Take away what `write_json` wrote, if it is there."""
        path = inside(self.path, room, name)
        with disk.saying(path):
            path.unlink(missing_ok=True)

    def save(self) -> None:
        """Write all that changed. A `SaveError` says why that failed."""
        self._check_open()
        if self.read_only:
            raise SaveError(
                f"{self.path} is open read-only; save into another folder to keep "
                "your work."
            )
        with self._guard:
            works = list(self._works.values())
        if self._loose:
            with disk.saying(self.path):
                self._write_index()
        for work in works:
            work.save()
        self._saved_at, self.last_trouble = time.monotonic(), None
        self.saved.emit()

    def tick(self) -> None:
        """Secure the journals, and save if the last save is long ago; never raises."""
        if self._closed or self.read_only:
            return
        for work in list(self._works.values()):
            work.sync()
        self._flush_index()
        due = self.autosave_every
        if due is None or time.monotonic() - self._saved_at < due:
            return
        self._saved_at = time.monotonic()  # a full disk is not tried every second
        if self.dirty:
            try:
                self.save()
            except ProjectError as error:
                self._tell(str(error))

    def start_autosave(self, every: float = 1.0) -> None:
        """Call `tick` from a thread of its own; edits then no longer wait for the disk.

        `saved` and `trouble` are emitted from that thread.
        """
        if self._ticker is None and not self.read_only:
            self._set_ticker(Ticker(self, every))

    def stop_autosave(self) -> None:
        """End the thread of `start_autosave`."""
        if self._ticker is not None:
            self._ticker.stop()
            self._set_ticker(None)

    def copy_to(self, path: str | Path) -> Project:
        """Copy all that was saved, with the classes as they are now."""
        copy = Project.create(path)
        try:
            with disk.saying(copy.path):
                for name in ("scans", *ROOMS):
                    disk.copy_tree(inside(self.path, name), copy.path / name)
            copy.take_classes(self.classes)
            copy._scans = self._scans.moved(copy.path, copy._index_changed)
            copy._more = dict(self._more)
            with disk.saying(copy.path):
                copy._write_index()
        except BaseException:
            copy._undo_create()
            raise
        return copy

    # --- inside

    def _undo_create(self) -> None:
        """Take away what was begun, so that the same save can be tried again."""
        self._closed = True
        _OPEN.pop(self.path, None)
        for name in ("scans", *ROOMS):
            shutil.rmtree(self.path / name, ignore_errors=True)
        if self._lock is not None:
            self._lock.release()
        for name in (*_index.OWN_FILES, "lock"):
            with suppress(OSError):
                (self.path / name).unlink()
        with suppress(OSError):  # it was there before, or somebody else uses it
            self.path.rmdir()

    def _scan_folder(self, entry: ScanEntry) -> Path:
        return inside(self.path, "scans", entry.key)

    def _write_index(self) -> None:
        """Write the index as it is now; who comes later has the newer one."""
        with self._writing:
            edits = self._edits
            scans = [entry.to_dict() for entry in self.scans]
            index = {**self._more, "classes": self.classes.to_dict(), "scans": scans}
            _index.write_index(self.path, index)
            self._written = edits

    def _index_changed(self) -> None:
        """Write the index at once; if the disk refuses, at the next save."""
        with self._writing:
            self._edits += 1
        self._flush_index()

    def _flush_index(self) -> None:
        if self.read_only or self._closed:
            return
        try:
            with self._writing:
                if self._loose:
                    self._write_index()
        except OSError as error:
            self._tell(disk.sentence(error, self.path))

    def _class_edited(self, source: ScanLabels | None, change: ClassChange) -> None:
        """Carry a class edit over to the other scans and to the disk."""
        if self._mirroring or (source and source not in self._works.values()):
            return
        self._mirroring = True
        try:
            if source is not None:
                self.classes.apply(change)
            for work in self._works.values():
                if work is not source:
                    work.adopt(change)
        finally:
            self._mirroring = False
        self._index_changed()

    def _check_open(self) -> None:
        if self._closed:
            raise ProjectError(f"The project {self.path} was closed; open it again.")

    def _set_ticker(self, ticker: Ticker | None) -> None:
        self._ticker = ticker
        for work in self._works.values():
            work.sync_each = ticker is None

    def _tell(self, text: str) -> None:
        self.last_trouble = text
        self.trouble.emit(text)


def _fresh_work(entry: ScanEntry, classes: ClassTable, store: ScanStore) -> ScanLabels:
    """Open what the store has, under a class table of its own."""
    shape = entry.shape[:-1] if entry.axes[-1] == "c" else entry.shape
    height, width = shape[-2:]
    own = ClassTable.from_dict(classes.to_dict())
    return ScanLabels(shape[:-2], (height, width), own, store)
