"""WorkList: a folder of scans to label, with the state of each and the time it took.

It lies in the project's folder and is written in one step, so that a crash loses at
most a few seconds of measured time.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from pydantic import ConfigDict
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from napari_sesami.common.disk import write_json
from napari_sesami.common.inside import FileName, OutsideError, plain_name
from napari_sesami.project import ProjectError, SaveError, places, read_json, sentence
from napari_sesami.worklist.files import counted, scans_in
from napari_sesami.worklist.times import Times, times_of, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_sesami.project import Project
    from napari_sesami.scan import Scan

STATES = ("new", "proposed", "corrected", "accepted")
"""new: nothing done. proposed: the model's masks wait. corrected: somebody is at it.
accepted: somebody stands for it, and it teaches the others."""
FILE, BEFORE, VERSION = "worklist.json", "worklist.previous.json", 1
IDLE = 30.0  # s; a longer pause between two things that the user does counts as this
WRITE_EVERY = 5.0  # s; measured time that a crash may lose


@dataclass
class WorkItem:
    """One scan of the work list.

    Attributes
    ----------
    name
        Its file in the folder.
    state
        One of `STATES`.
    seconds
        How long somebody was at work on it.
    helped
        Whether a model proposed masks for it before it was accepted.
    key
        Its key in the project, once it was opened.
    trouble
        Why it cannot be worked on, in one sentence, or "".
    finished
        When it was accepted last (seconds since 1970), or None.
    record
        What reviewing its proposals measured.
    size, modified
        Of the file when it was seen last; by them a renamed file is known again.
    """

    name: str
    state: str = "new"
    seconds: float = 0.0
    helped: bool = False
    key: str | None = None
    trouble: str = ""
    finished: float | None = None
    record: dict[str, Any] = field(default_factory=dict)
    size: int = -1
    modified: int = -1

    @property
    def usable(self) -> bool:
        """Whether it can be opened, as far as is known."""
        return not self.trouble

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WorkItem:
        """Read what `asdict` gave; keys of other versions are left out."""
        known = {f.name for f in fields(cls)}
        item = cls(**{k: v for k, v in data.items() if k in known})
        if item.state not in STATES:
            item.state = "new"
        return item


class _NamedRow(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    name: FileName


class _ItemRow(_NamedRow, total=False):
    """One scan as the file has it."""

    state: str
    seconds: float
    helped: bool
    key: str | None
    trouble: str
    finished: float | None
    record: dict[str, Any]
    size: int
    modified: int


class _FolderRow(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    folder: str
    items: list[_ItemRow]


class _ListRow(_FolderRow, total=False):
    """The file ``worklist.json``."""

    version: int
    relative: str | None
    current: str | None


class WorkList:
    """The scans of a folder, in the order in which people count.

    Parameters
    ----------
    project
        Where the list and all labels are kept.
    folder
        The scans; by default the folder of last time.
    now
        The clock, in seconds.
    """

    changed = Signal()
    """an item, its state or its time"""

    def __init__(
        self,
        project: Project,
        folder: str | Path | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.project = project
        self._now = now
        self._items: dict[str, WorkItem] = {}
        self._at: str | None = None
        self._beat: float | None = None
        self._written = now()
        self._loose = False
        self.current: str | None = None
        known = self._read()
        if folder is None and known is None:
            raise ProjectError(
                f"{project.path} has no work list yet; give the folder of the scans."
            )
        self.folder = Path(folder if folder is not None else known or "")
        self.folder = self.folder.expanduser().resolve()
        self.news = self.refresh()

    @property
    def path(self) -> Path:
        """The file that holds the list."""
        return self.project.path / "queries" / FILE

    @staticmethod
    def lies_in(project: Project) -> bool:
        """Whether a project has a work list."""
        queries = project.path / "queries"
        return any((queries / name).exists() for name in (FILE, BEFORE))

    # --- looking

    @property
    def items(self) -> tuple[WorkItem, ...]:
        """All items, as people count: slice 9 before slice 10."""
        return tuple(sorted(self._items.values(), key=lambda i: counted(i.name)))

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[WorkItem]:
        return iter(self.items)

    def __getitem__(self, name: str | int) -> WorkItem:
        items = self.items
        if isinstance(name, int) and 0 <= name < len(items):
            return items[name]
        for item in items:
            if name in (item.name, item.key):
                return item
        raise ProjectError(
            f"The work list of {self.folder.name} has no scan {name!r}; it has "
            f"{len(items)}, from {items[0].name} on."
            if items
            else f"There is no readable scan in {self.folder}."
        )

    def count(self, state: str) -> int:
        """How many items are in a state."""
        return sum(item.state == state for item in self._items.values())

    def step(
        self, by: int = 1, *, start: str | None = None, open_only: bool = False
    ) -> WorkItem | None:
        """The next item that can be opened (or with −1 the one before).

        With `open_only` it is one that nobody has accepted yet, and the search goes
        round once; otherwise it ends at the ends of the list.
        """
        items = list(self.items)
        names = [item.name for item in items]
        start = self.current if start is None else start
        at = names.index(start) if start in names else (-1 if by > 0 else len(items))
        order = range(at + by, len(items) if by > 0 else -1, by)
        around = [*order, *(range(len(items)) if open_only else ())]
        for i in around:
            fits = not open_only or items[i].state != "accepted"
            if items[i].usable and fits and items[i].name != start:
                return items[i]
        return None

    def times(self) -> Times:
        """What by hand and with proposals cost, in seconds per scan."""
        return times_of(self._items.values())

    # --- the files

    def refresh(self) -> list[str]:
        """Look at the folder again; one sentence for each thing that is different."""
        try:
            files = {p.name: p.stat() for p in scans_in(self.folder)}
        except OSError as error:
            for item in self._items.values():
                item.trouble = item.trouble or f"{self.folder} cannot be read."
            self.changed.emit()
            return [f"{self.folder} cannot be read ({error.strerror}); is it there?"]
        news = self._renamed(files)
        for name, stat in files.items():
            if name not in self._items:
                self._items[name] = WorkItem(name)
                news.append(f"{name} is new.")
            item = self._items[name]
            if item.trouble and self._changed(item, stat):
                item.trouble = ""  # perhaps it was mended
            elif item.trouble.endswith(GONE):
                item.trouble = ""
            item.size, item.modified = stat.st_size, stat.st_mtime_ns
        for item in list(self._items.values()):
            if item.name not in files:
                news += self._vanished(item)
        self._write()
        self.changed.emit()
        return news

    def open_scan(self, name: str) -> Scan:
        """Open a scan of the list; one that cannot be read is marked as such."""
        from napari_sesami.scan import ScanError, open_scan

        item = self[name]
        try:
            scan = open_scan(self.folder / plain_name(item.name))
        except (ScanError, OutsideError, OSError) as error:
            self.trouble(item.name, str(error))
            raise
        item.trouble = ""
        return scan

    def trouble(self, name: str, sentence: str) -> None:
        """Say why a scan cannot be worked on; the next one is taken instead."""
        self[name].trouble = sentence
        self._touched()

    # --- state and time

    def enter(self, name: str, key: str | None = None) -> WorkItem:
        """Begin or go on to work on a scan: its clock runs with every `beat`."""
        self.pause()
        item = self[name]
        if key is not None:
            self._same_pixels(item, key)
            item.key = key
        self.current = self._at = item.name
        self._beat = self._now()
        self._touched()
        return item

    def beat(self) -> None:
        """Hear that the user did something; pauses longer than `IDLE` count as that."""
        if self._at is None or self._at not in self._items:
            return
        now = self._now()
        if self._beat is not None:
            self._items[self._at].seconds += min(max(now - self._beat, 0.0), IDLE)
            self._loose = True
        self._beat = now
        if now - self._written > WRITE_EVERY:
            self._touched()

    def pause(self) -> None:
        """Stop the clock, and write what it says."""
        if self._at is not None:
            self.beat()
        self._at = self._beat = None
        if self._loose:
            self._touched()

    def set_state(self, name: str, state: str) -> None:
        """Put an item into one of `STATES`."""
        if state not in STATES:
            raise ProjectError(f"A state is one of {', '.join(STATES)}; not {state!r}.")
        item = self[name]
        if state == item.state:
            return
        item.state = state
        if state == "proposed":
            item.helped = True
        item.finished = time.time() if state == "accepted" else None
        self._touched()

    def note(self, name: str, record: Mapping[str, Any]) -> None:
        """Remember what reviewing a scan measured."""
        self[name].record = dict(record)
        self._touched()

    def to_csv(self, path: str | Path) -> Path:
        """Write one line per scan: state, seconds, and what reviewing measured."""
        return write_table(self, path)

    # --- inside

    def _renamed(self, files: Mapping[str, Any]) -> list[str]:
        """A file that is gone and one that is new, alike in size and time, are one."""
        gone = [i for i in self._items.values() if i.name not in files and i.size >= 0]
        news = []
        for name, stat in files.items():
            if name in self._items:
                continue
            same = [i for i in gone if not self._changed(i, stat)]
            if len(same) != 1:
                continue
            item = same[0]
            gone.remove(item)
            news.append(f"{item.name} is called {name} now.")
            self._rename(item, name)
        return news

    def _rename(self, item: WorkItem, name: str) -> None:
        old = item.name
        del self._items[old]
        item.name, item.trouble = name, ""
        self._items[name] = item
        self.current = name if self.current == old else self.current
        self._at = name if self._at == old else self._at

    def _vanished(self, item: WorkItem) -> list[str]:
        if item.state == "new" and not item.seconds:
            del self._items[item.name]
            return [f"{item.name} is gone; nothing was done on it."]
        if item.trouble.endswith(GONE):
            return []
        item.trouble = f"{item.name}{GONE}"
        return [f"{item.name}{GONE}"]

    @staticmethod
    def _changed(item: WorkItem, stat: Any) -> bool:
        return (item.size, item.modified) != (stat.st_size, stat.st_mtime_ns)

    def _same_pixels(self, item: WorkItem, key: str) -> None:
        """Two files with the same pixels are one scan of the project."""
        for other in list(self._items.values()):
            if other is item or other.key != key:
                continue
            if other.trouble.endswith(GONE):  # it was renamed, and touched besides
                del self._items[other.name]
                for name in ("state", "seconds", "helped", "finished", "record"):
                    setattr(item, name, getattr(other, name))
                return
            sentence = f"{item.name} has the same pixels as {other.name}; label that."
            self.trouble(item.name, sentence)
            raise ProjectError(sentence)

    def _touched(self) -> None:
        self._write()
        self.changed.emit()

    def _read(self) -> Path | None:
        """Take up the list of last time; gives its folder."""
        if not self.lies_in(self.project):
            return None
        try:
            data = read_json(self.path, _ListRow)
        except ProjectError:
            if not self.path.with_name(BEFORE).exists():
                raise
            data = read_json(self.path.with_name(BEFORE), _ListRow)
        if int(data.get("version", 1)) > VERSION:
            raise ProjectError(
                f"{self.path} was written by a newer napari-sesami; update to use it."
            )
        read = (WorkItem.from_dict(entry) for entry in data["items"])
        self._items = {item.name: item for item in read}
        self.current = data.get("current")
        beside = self.project.path / (data.get("relative") or ".")
        inside = data.get("relative") and beside.is_dir()
        return beside if inside else Path(data["folder"])

    def _write(self) -> None:
        self._written, self._loose = self._now(), False
        if self.project.read_only:
            return
        folder, relative = places(self.folder, self.project.path)
        data = {
            "version": VERSION,
            "folder": folder,
            "relative": relative,
            "current": self.current,
            "items": [asdict(item) for item in self.items],
        }
        try:
            self.project.folder("queries")
            write_json(self.path, data, previous=self.path.with_name(BEFORE))
        except (OSError, SaveError) as error:
            self._loose = True  # tried again with the next thing that happens
            text = str(error)
            if isinstance(error, OSError):
                text = sentence(error, self.path)
            self.project.trouble.emit(text)


GONE = " is no longer in the folder; its labels are kept in the project."
