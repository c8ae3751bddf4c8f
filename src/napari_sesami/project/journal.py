"""What happened since the last save, record by record, for after a crash."""

from __future__ import annotations

import json
import os
import re
import weakref
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sesami.common.checked import checked
from napari_sesami.project.changes import Change, pack, unpack
from napari_sesami.project.disk import sync_folder, write_all
from napari_sesami.project.schema import RecordRow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEAD = re.compile(rb"SESAMI ([0-9a-f]{8}) (\d{1,12}) (\d{1,12})\n")


@dataclass(frozen=True)
class Record:
    """One line of the history as it was lived through.

    `kind` is "do", "undo" or "redo"; `changes` are as they were carried out then, so
    that those of an "undo" are already inverted. Records of one `group` are one step.
    """

    kind: str
    name: str
    changes: tuple[Change, ...]
    group: int | None = None

    def encode(self) -> bytes:
        """Turn the record into bytes with a checksum."""
        head, body = pack(self.changes)
        info = {
            "kind": self.kind,
            "name": self.name,
            "group": self.group,
            "changes": head,
        }
        return _block(info, body)

    @classmethod
    def decode(cls, head: dict[str, Any], body: bytes) -> Record:
        """Read what `encode` gave; a `DamagedFile` if it is something else."""
        told = checked(RecordRow, json.dumps(head), "a record of a journal")
        changes = unpack(told["changes"], body)
        return cls(told["kind"], told["name"], changes, told["group"])


class Journal:
    """A file that only grows, and only by whole records.

    A new journal names the one it continues and how much of that one counts, since
    the last record of a killed process may be torn.
    """

    def __init__(self, path: Path, follows: tuple[int, int] | None = None) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._fd = os.open(path, flags, 0o666)
        self._closer = weakref.finalize(self, os.close, self._fd)
        self._good = 0
        self._unsynced = False
        self.records = 0
        try:
            self._put(_block({"kind": "start", "follows": follows}, b""))
            self.sync()
            sync_folder(path.parent)
        except BaseException:
            self.close()
            path.unlink(missing_ok=True)
            raise

    @property
    def size(self) -> int:
        """Bytes that are safely written."""
        return self._good

    def append(self, block: bytes) -> None:
        """Write an encoded record; it survives the death of this process."""
        self._put(block)
        self.records += 1

    def sync(self) -> None:
        """Make what was appended survive the death of the machine, too."""
        if self._unsynced:
            os.fsync(self._fd)
            self._unsynced = False

    def close(self) -> None:
        """Close the file."""
        self._closer()

    def _put(self, block: bytes) -> None:
        try:
            write_all(self._fd, block)
        except OSError:
            # half a record would hide all that comes after it
            os.ftruncate(self._fd, self._good)
            os.lseek(self._fd, self._good, os.SEEK_SET)
            raise
        self._good += len(block)
        self._unsynced = True


def read(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Read blocks, the "start" one first, up to the first torn or damaged one."""
    left = path.stat().st_size
    with path.open("rb") as file:
        while match := _HEAD.fullmatch(file.readline(64)):
            crc, length, bulk = int(match[1], 16), int(match[2]), int(match[3])
            if length + bulk > left:
                return
            data = file.read(length + bulk + 1)
            whole = len(data) == length + bulk + 1 and data.endswith(b"\n")
            if not whole or zlib.crc32(data[:-1]) != crc:
                return
            yield checked(dict[str, Any], data[:length], str(path)), data[length:-1]


def _block(info: dict[str, Any], body: bytes) -> bytes:
    head = json.dumps(info, ensure_ascii=False).encode()
    crc = zlib.crc32(body, zlib.crc32(head))
    mark = b"SESAMI %08x %d %d\n" % (crc, len(head), len(body))
    return b"".join((mark, head, body, b"\n"))
