"""The classes of a project: ids 1, 2, ..., each with a name and a colour."""

from __future__ import annotations

import colorsys
import operator
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, SupportsIndex

from psygnal import Signal

from napari_sesami.project.errors import ClassError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_CLASSES = 255
"""Labels are kept as one byte per pixel."""

# Six colours of Okabe and Ito, then those that lie farthest from all before them in
# CIELAB, for normal sight, deuteranopia and protanopia alike, among those that are
# bright enough to be seen over a dark scan (scripts/choose_palette.py).
PALETTE = tuple(
    "#E69F00 #56B4E9 #009E73 #F0E442 #D55E00 #CC79A7 #7766FF #BBFFAA #99FFEE "
    "#66BB66 #2288DD #77DDAA #66DDEE #CCEE77 #FF0044 #668844".split()
)
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


def default_color(position: int) -> str:
    """Give the colour of the n-th class (from 0), never the same one twice."""
    if position < len(PALETTE):
        return PALETTE[position]
    hue = (position * 0.618034) % 1.0  # the golden angle keeps neighbours apart
    rgb = colorsys.hls_to_rgb(hue, (0.35, 0.5, 0.65)[position % 3], 0.7)
    return "#" + "".join(f"{round(255 * v):02X}" for v in rgb)


@dataclass(frozen=True)
class ClassEntry:
    """One class. Stands for its id wherever an integer is asked for."""

    id: int
    name: str
    color: str

    def __index__(self) -> int:
        return self.id

    def __int__(self) -> int:
        return self.id

    def to_dict(self) -> dict[str, Any]:
        """Give the entry as plain JSON values."""
        return {"id": self.id, "name": self.name, "color": self.color}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ClassEntry:
        """Read what `to_dict` wrote."""
        return cls(int(data["id"]), str(data["name"]), str(data["color"]))


@dataclass(frozen=True)
class ClassChange:
    """One edit of the table: `before` is None when added, `after` when removed."""

    id: int
    before: ClassEntry | None
    after: ClassEntry | None

    def inverse(self) -> ClassChange:
        """Give the edit that takes this one back."""
        return ClassChange(self.id, self.after, self.before)


class ClassTable:
    """Named, coloured classes; 0 is "nothing" and never in the table.

    An id is never given twice, so a label written long ago cannot change its meaning.
    `changed` is emitted with a `ClassChange` after every edit.

    Examples
    --------
    >>> table = ClassTable()
    >>> table.add("oxide").id, table.add("void").id
    (1, 2)
    >>> table["void"].color
    '#56B4E9'
    """

    changed = Signal(ClassChange)

    def __init__(self, entries: tuple[ClassEntry, ...] = (), next_id: int = 1) -> None:
        self._entries = {entry.id: entry for entry in entries}
        self._next = max([next_id, *(entry.id + 1 for entry in entries)])

    def __iter__(self) -> Iterator[ClassEntry]:
        return iter(sorted(self._entries.values(), key=int))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str | SupportsIndex) and self.get(key) is not None

    def __getitem__(self, key: str | SupportsIndex) -> ClassEntry:
        """Look a class up by id, name or entry; a `ClassError` lists what there is."""
        entry = self.get(key)
        if entry is None:
            what = f"the name {key!r}" if isinstance(key, str) else f"id {int(key)}"
            raise ClassError(f"There is no class with {what}; {self._listing()}.")
        return entry

    def __repr__(self) -> str:
        return f"ClassTable({', '.join(f'{e.id} {e.name}' for e in self)})"

    @property
    def ids(self) -> tuple[int, ...]:
        """All ids, ascending."""
        return tuple(sorted(self._entries))

    @property
    def next_id(self) -> int:
        """The id that the next class gets; all lower ones have been given."""
        return self._next

    def revive(self, id_: int) -> None:
        """Give a class that the table has lost a name and a colour again."""
        color = default_color(id_ - 1)
        self.apply(ClassChange(id_, None, ClassEntry(id_, f"class {id_}", color)))

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of their ids."""
        return tuple(entry.name for entry in self)

    def get(self, key: str | SupportsIndex) -> ClassEntry | None:
        """Look a class up by id, name or entry; None if there is no such class."""
        if isinstance(key, str):
            return next((e for e in self if e.name == key.strip()), None)
        return self._entries.get(operator.index(key))

    def add(self, name: str, color: str | None = None) -> ClassEntry:
        """Add a class under the next free id and return it."""
        if len(self) >= MAX_CLASSES or self._next > MAX_CLASSES:
            raise ClassError(
                f"A project holds {MAX_CLASSES} classes over its life; {name!r} would "
                "be one more, so start a new project."
            )
        chosen = self._free_color() if color is None else _checked_color(color)
        entry = ClassEntry(self._next, self._checked_name(name), chosen)
        self.apply(ClassChange(entry.id, None, entry))
        return entry

    def rename(self, key: str | SupportsIndex, name: str) -> ClassEntry:
        """Give a class another name; its labels stay."""
        old = self[key]
        return self._replace(old, replace(old, name=self._checked_name(name, old)))

    def recolor(self, key: str | SupportsIndex, color: str) -> ClassEntry:
        """Give a class another colour, as ``"#rrggbb"``."""
        old = self[key]
        return self._replace(old, replace(old, color=_checked_color(color)))

    def remove(self, key: str | SupportsIndex) -> ClassEntry:
        """Take a class out. A session then makes its pixels "nothing", undoably."""
        old = self[key]
        self.apply(ClassChange(old.id, old, None))
        return old

    def apply(self, change: ClassChange) -> None:
        """Carry out an edit, or the inverse of one, and tell everybody."""
        if change.after is None:
            self._entries.pop(change.id, None)
        else:
            self._entries[change.id] = change.after
        self._next = max(self._next, change.id + 1)
        self.changed.emit(change)

    def to_dict(self) -> dict[str, Any]:
        """Give the table as plain JSON values."""
        return {"next_id": self._next, "entries": [entry.to_dict() for entry in self]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ClassTable:
        """Read what `to_dict` wrote."""
        entries = tuple(ClassEntry.from_dict(item) for item in data["entries"])
        return cls(entries, int(data.get("next_id", 1)))

    def _replace(self, old: ClassEntry, new: ClassEntry) -> ClassEntry:
        if new != old:
            self.apply(ClassChange(old.id, old, new))
        return new

    def _free_color(self) -> str:
        used = {entry.color.upper() for entry in self}
        colors = (default_color(n) for n in range(MAX_CLASSES + len(PALETTE)))
        return next(color for color in colors if color not in used)

    def _checked_name(self, name: str, but: ClassEntry | None = None) -> str:
        text = str(name).strip()
        if not text:
            raise ClassError("A class needs a name; an empty one was given.")
        for entry in self:
            if entry != but and entry.name.casefold() == text.casefold():
                raise ClassError(
                    f"There is already a class named {entry.name!r} (id {entry.id}); "
                    "choose another name."
                )
        return text

    def _listing(self) -> str:
        if not self._entries:
            return "add one first, for example classes.add('oxide')"
        return "there are " + ", ".join(f"{e.id} {e.name!r}" for e in self)


def _checked_color(color: str) -> str:
    text = str(color).strip()
    if not _HEX.fullmatch(text):
        raise ClassError(f"A colour is written as '#rrggbb'; {color!r} was given.")
    if len(text) == 4:
        text = "#" + "".join(2 * digit for digit in text[1:])
    return text.upper()
