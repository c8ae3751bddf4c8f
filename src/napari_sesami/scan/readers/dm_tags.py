"""The tag tree of Gatan DM3 and DM4 files, without their pixels.

ncempy reads it too, but `import ncempy.io` runs the whole of ncempy (matplotlib, and
code under the GPL) and refuses big-endian files.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

GROUP, DATA = 20, 21
STRUCT, TEXT, ARRAY = 15, 18, 20
NUMBERS = {
    2: "h",
    3: "i",
    4: "H",
    5: "I",
    6: "f",
    7: "d",
    8: "B",
    9: "b",
    10: "b",
    11: "q",
    12: "Q",
}
"""Gatan's numbers for the types of tags, as the struct module spells them."""

DEEPEST = 64
LONGEST_TEXT = 10_000


def read_tags(path: Path) -> tuple[dict[str, Any], str]:
    """Read all tags and the byte order of the file ("<" or ">").

    Keys are paths such as ``ImageList.2.ImageData.DataType``; tags without a name are
    counted from 1. Numbers and short texts are read, of arrays ``<key>.offset`` and
    ``<key>.bytes`` tell the place. Raises EOFError or ValueError on damaged files.
    """
    with path.open("rb") as file:
        version = int.from_bytes(file.read(4), "big")
        if version not in (3, 4):
            raise ValueError(f"its version is {version}")
        _exactly(file, 4 if version == 3 else 8)
        order = "<" if int.from_bytes(_exactly(file, 4), "big") == 1 else ">"
        parser = _Parser(file, version, order)
        parser.group("", 0)
    return parser.tags, order


def _exactly(file: BinaryIO, count: int) -> bytes:
    raw = file.read(count)
    if len(raw) < count:
        raise EOFError("it ends in the middle of a tag")
    return raw


class _Parser:
    """Walks through the tree once and collects `tags`."""

    def __init__(self, file: BinaryIO, version: int, order: str) -> None:
        self.file, self.version, self.order = file, version, order
        self.tags: dict[str, Any] = {}

    def count(self) -> int:
        """Read a length; they are big-endian, and wider in version 4."""
        size = 4 if self.version == 3 else 8
        return int.from_bytes(_exactly(self.file, size), "big")

    def group(self, prefix: str, depth: int) -> None:
        """Read a group: two flags, the number of entries, the entries."""
        if depth > DEEPEST:
            raise ValueError("its groups are nested without end")
        _exactly(self.file, 2)
        for number in range(1, self.count() + 1):
            kind = _exactly(self.file, 1)[0]
            if kind not in (GROUP, DATA):
                raise ValueError(f"an entry is of the unknown kind {kind}")
            length = int.from_bytes(_exactly(self.file, 2), "big")
            name = _exactly(self.file, length).decode("latin-1") or str(number)
            if self.version == 4:
                _exactly(self.file, 8)  # length of the entry
            if kind == GROUP:
                self.group(f"{prefix}{name}.", depth + 1)
            else:
                self.entry(prefix + name)

    def entry(self, key: str) -> None:
        """Read one value, or note where an array lies."""
        if _exactly(self.file, 4) != b"%%%%":
            raise ValueError(f"the tag {key} is out of place")
        length = self.count()
        if not 1 <= length <= 1000:
            raise ValueError(f"the tag {key} is described by {length} numbers")
        kinds = [self.count() for _ in range(length)]
        if kinds[0] in NUMBERS:
            self.tags[key] = self.number(kinds[0])
        elif kinds[0] == STRUCT:
            self.tags[key] = tuple(self.number(k) for k in kinds[4::2])
        elif kinds[0] == TEXT:
            self.text(key, kinds[1] * 2)
        elif kinds[0] == ARRAY:
            self.array(key, kinds[1:])
        else:
            raise ValueError(f"the tag {key} is of the unknown type {kinds[0]}")

    def number(self, kind: int) -> Any:
        """Read a number in the byte order of the file."""
        layout = self.order + NUMBERS[kind]
        return struct.unpack(layout, _exactly(self.file, struct.calcsize(layout)))[0]

    def array(self, key: str, kinds: list[int]) -> None:
        """Read a short text, skip everything else."""
        item, size = kinds[:-1], 0
        if item[0] == STRUCT:
            size = sum(struct.calcsize(f"<{NUMBERS[k]}") for k in item[4::2])
        elif item[0] in NUMBERS:
            size = struct.calcsize(f"<{NUMBERS[item[0]]}")
        if not size:
            raise ValueError(f"the array {key} holds the unknown type {item[0]}")
        total = size * kinds[-1]
        if item[0] == 4 and total <= LONGEST_TEXT:
            self.text(key, total)
            return
        start = self.file.tell()
        self.tags[f"{key}.offset"], self.tags[f"{key}.bytes"] = start, total
        self.file.seek(total, 1)

    def text(self, key: str, size: int) -> None:
        """Read a text; a small image of 16 bits looks the same, so keep its place."""
        start = self.file.tell()
        self.tags[f"{key}.offset"], self.tags[f"{key}.bytes"] = start, size
        coding = "utf-16-le" if self.order == "<" else "utf-16-be"
        self.tags[key] = _exactly(self.file, size).decode(coding, errors="replace")
