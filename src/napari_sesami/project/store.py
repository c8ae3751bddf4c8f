"""The folder of one scan: saved planes, committed objects, journals."""

from __future__ import annotations

import io
import json
import os
import re
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.checked import DamagedFile, checked, read_arrays
from napari_sesami.common.inside import inside, no_links
from napari_sesami.project import disk
from napari_sesami.project.changes import LAYERS
from napari_sesami.project.errors import ProjectError
from napari_sesami.project.journal import Journal, Record, read
from napari_sesami.project.schema import (
    Head,
    ObjectRows,
    ScanState,
    StartRow,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

STATE, PREVIOUS = "state.json", "state.previous.json"
_JOURNAL = re.compile(r"journal-(\d+)\.log")
_EMPTY = {"generation": 0, "journal": 1, "planes": {}, "objects": None, "classes": []}


class ScanStore:
    """Reads and writes one scan's folder; knows nothing of the pixels' meaning.

    A save writes new files under new names and then replaces ``state.json``, which
    says which files count. Until that instant the old state is whole, after it the new
    one; the journals from ``state["journal"]`` on are what came later.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder, self.read_only = folder, read_only
        no_links(folder, "planes", STATE, PREVIOUS)
        if not read_only:
            with disk.saying(folder):
                (folder / "planes").mkdir(parents=True, exist_ok=True)
                disk.remove_leftovers(folder)
        self.state = self._read_state()
        self.skipped = 0
        self._journal: Journal | None = None
        self._waiting: deque[bytes] = deque()
        self._tail: tuple[int, int] | None = None
        numbers = [*self._journals(), int(self.state["journal"]) - 1]
        self._next = max(numbers) + 1

    # --- reading

    def stored(self, layer: str) -> frozenset[int]:
        """Give the planes of a layer that were saved."""
        return frozenset(int(p) for p in self.state["planes"].get(layer, {}))

    def read_plane(
        self, layer: str, plane: int, shape: tuple[int, int] | None = None
    ) -> NDArray[Any] | None:
        """Read a saved plane (y, x), which must have the shape; None: all zeros."""
        name = self.state["planes"].get(layer, {}).get(str(plane))
        if name is None:
            return None
        path = inside(self.folder, "planes", name)
        try:
            found = read_arrays(path, {"pixels": (shape, "bui")})
        except DamagedFile as error:
            raise ProjectError(
                f"{path} is missing or damaged ({error.__cause__}); restore it from a "
                f"backup, or delete its line in {self.folder / STATE} to go on without "
                "it."
            ) from error
        return found["pixels"].astype(LAYERS[layer], copy=False)

    def read_objects(self) -> dict[int, dict[str, Any]]:
        """Read the committed objects as they were saved."""
        name = self.state["objects"]
        if name is None:
            return {}
        found = disk.read_json(inside(self.folder, name), ObjectRows)["objects"]
        return {int(key): value for key, value in found.items()}

    def replay(self) -> list[Record]:
        """Read what was done since the last save, up to where a crash tore it."""
        records: list[Record] = []
        first = int(self.state["journal"])
        for number, path in sorted(self._journals().items()):
            if number < first:
                continue
            blocks = read(inside(self.folder, path.name))
            found: list[Record] = []
            try:
                start = next(blocks, None)
                if start is None:  # killed before its first record
                    continue
                told = checked(StartRow, json.dumps(start[0]), str(path))
                follows = told["follows"]
                if self._tail is None:
                    fits = follows is None or follows[0] < first
                else:
                    fits = follows == self._tail
                if not fits:
                    self.skipped += 1
                    continue
                for block in blocks:
                    found.append(Record.decode(*block))
            except DamagedFile:  # its checksum is right, and yet it is not ours
                self.skipped += 1
            records += found
            self._tail = (number, len(found))
        return records

    # --- writing

    def append(self, record: Record, *, sync: bool) -> None:
        """Write a record into the journal.

        An `OSError` leaves it waiting, in its turn, for the next call that writes.
        """
        self._waiting.append(record.encode())
        self.flush()
        if sync:
            self.sync()

    def flush(self) -> None:
        """Write the records that are waiting; the journal is made on first use."""
        if self._waiting and self._journal is None:
            path = self.folder / f"journal-{self._next:06d}.log"
            self._next += 1  # also after a failure: half a file may lie there
            self._journal = Journal(path, self._tail)
        while self._waiting and self._journal is not None:
            self._journal.append(self._waiting[0])
            self._waiting.popleft()

    def sync(self) -> None:
        """Write what waits, and make it survive the death of the machine."""
        self.flush()
        if self._journal is not None:
            self._journal.sync()

    def turn_page(self) -> int:
        """End the journal; what comes next goes into the one whose number is given."""
        self.sync()
        if self._journal is not None:
            self._tail = (self._number(self._journal.path), self._journal.records)
            self._journal.close()
            self._journal = None
        return self._next

    def save(
        self,
        planes: Mapping[str, Mapping[int, NDArray[Any]]],
        journal: int,
        objects: Mapping[int, Mapping[str, Any]],
        more: Mapping[str, Any],
    ) -> None:
        """Write changed planes and all objects; then let them count, all at once."""
        generation = int(self.state["generation"]) + 1
        files = {layer: dict(names) for layer, names in self.state["planes"].items()}
        for layer, changed in planes.items():
            names = files.setdefault(layer, {})
            for plane, pixels in changed.items():
                names.pop(str(plane), None)
                if pixels.any():
                    names[str(plane)] = self._write_plane(
                        f"{layer}-{plane:06d}-{generation:06d}.npz", pixels
                    )
        disk.sync_folder(self.folder / "planes")
        name = f"objects-{generation:06d}.json"
        text = json.dumps({"objects": objects}, ensure_ascii=False)
        disk.write_atomic(self.folder / name, text.encode())
        state = {
            "version": 1,
            "generation": generation,
            "journal": journal,
            "planes": files,
            "objects": name,
            **more,
        }
        old, had_file = self.state, (self.folder / STATE).exists()
        disk.write_json(self.folder / STATE, state, previous=self.folder / PREVIOUS)
        self.state = state
        self._sweep([state, old] if had_file else [state])

    def close(self) -> None:
        """Write what waits and close the journal."""
        try:
            self.sync()
        finally:
            if self._journal is not None:
                self._journal.close()
                self._journal = None

    # --- inside

    def _read_state(self) -> dict[str, Any]:
        """Read the state; if it is damaged, the one before it."""
        path, previous = self.folder / STATE, self.folder / PREVIOUS
        if not path.exists() and not previous.exists():
            return dict(_EMPTY)
        try:
            head = disk.read_json(path, Head)
        except ProjectError:
            if not previous.exists():
                raise
        else:
            if head.get("version", 1) > 1:
                raise ProjectError(
                    f"{path} was written by a newer napari-sesami; update to open it."
                )
        try:
            return {**_EMPTY, **disk.read_json(path, ScanState)}
        except ProjectError:
            if not previous.exists():
                raise
            return {**_EMPTY, **disk.read_json(previous, ScanState)}

    def _write_plane(self, name: str, pixels: NDArray[Any]) -> str:
        """Write one plane under a new name; nothing points to it yet."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, pixels=pixels)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        fd = os.open(inside(self.folder, "planes", name), flags, 0o666)
        try:
            disk.write_all(fd, buffer.getbuffer())
            os.fsync(fd)
        finally:
            os.close(fd)
        return name

    def _journals(self) -> dict[int, Path]:
        found = self.folder.glob("journal-*.log")
        return {self._number(p): p for p in found if _JOURNAL.fullmatch(p.name)}

    @staticmethod
    def _number(path: Path) -> int:
        return int(path.stem.rpartition("-")[2])

    def _sweep(self, states: list[dict[str, Any]]) -> None:
        """Delete what neither this state nor the one before needs."""
        needed = {state["objects"] for state in states}
        for state in states:
            for names in state["planes"].values():
                needed.update(names.values())
        first = min(int(state["journal"]) for state in states)
        stale = [*(self.folder / "planes").glob("*.npz")]
        stale += self.folder.glob("objects-*.json")
        stale = [p for p in stale if p.name not in needed]
        stale += [p for n, p in self._journals().items() if n < first]
        for path in stale:
            with suppress(OSError):  # it is swept at the next save
                path.unlink()
