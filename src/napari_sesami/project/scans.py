"""The list of scans of a project."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.project.errors import ProjectError
from napari_sesami.project.scan_entries import ScanEntry, find, places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_sesami.project.scan_entries import Locate, Sizes
    from napari_sesami.scan import Scan


class ScanList:
    """The entries in the order in which they came; calls `changed` after edits."""

    def __init__(
        self,
        folder: Path,
        entries: Iterable[dict[str, Any]],
        changed: Callable[[], None],
    ) -> None:
        self._folder, self._changed = folder, changed
        read = (ScanEntry.from_dict(entry) for entry in entries)
        self._entries = {entry.key: entry for entry in read}

    @property
    def all(self) -> tuple[ScanEntry, ...]:
        """All entries."""
        return tuple(self._entries.values())

    def get(self, key: str | int) -> ScanEntry:
        """Look an entry up by key, name or position."""
        if isinstance(key, int):
            if 0 <= key < len(self._entries):
                return self.all[key]
        else:
            for entry in self.all:
                if key in (entry.key, entry.name):
                    return entry
        raise ProjectError(
            f"{self._folder} has no scan {key!r}; it has "
            f"{', '.join(e.name for e in self.all) or 'none yet'}."
        )

    def open(self, key: str | int, locate: Locate) -> Scan:
        """Open an entry's file, and remember where it was found."""
        entry = self.get(key)
        scan = find(entry, self._folder, locate)
        self._remember_place(entry, scan)
        return entry.known(scan)

    def missing(self) -> tuple[ScanEntry, ...]:
        """Give the entries whose file is not where it was."""
        return tuple(entry for entry in self.all if not self._there(entry))

    def add(self, scan: Scan) -> ScanEntry:
        """Find a scan by its content, or add it."""
        for entry in self.all:
            same_image = entry.image_key in (None, scan.image_key)
            if same_image and entry.content_hash == scan.content_hash:
                if entry.shape != scan.shape:
                    raise ProjectError(
                        f"The project remembers {entry.name!r} with the shape "
                        f"{entry.shape}, but the scan has {scan.shape}: project.json "
                        "is damaged. Copy project.previous.json over it."
                    )
                self._remember_place(entry, scan)
                return self._entries[entry.key]
        self._check_unchanged(scan)
        number = 1 + max((int(key.split("-")[0]) for key in self._entries), default=0)
        stem = re.sub(r"[^A-Za-z0-9_.]+", "-", scan.name).strip("-.")[:40] or "scan"
        entry = ScanEntry.of(scan, f"{number:04d}-{stem}", self._folder)
        self._put(entry)
        return entry

    def set_size(self, key: str, size: Sizes) -> None:
        """Remember the pixel size that the user gave, unless it is the file's own."""
        entry = self.get(key)
        own = None if size == entry.file_size else size
        if own != entry.own_size:
            self._put(replace(entry, own_size=own))

    def moved(self, folder: Path, changed: Callable[[], None]) -> ScanList:
        """Give the same list for a project in another folder."""
        copy = ScanList(folder, (), changed)
        for entry in self.all:
            _, relative = places(Path(entry.path) if entry.path else None, folder)
            copy._entries[entry.key] = replace(entry, relative=relative)
        return copy

    def _put(self, entry: ScanEntry) -> None:
        self._entries[entry.key] = entry
        self._changed()

    def _there(self, entry: ScanEntry) -> bool:
        # joining an absolute path gives that path
        places_ = [p for p in (entry.path, entry.relative) if p]
        return any((self._folder / p).exists() for p in places_)

    def _remember_place(self, entry: ScanEntry, scan: Scan) -> None:
        path, relative = places(scan.path, self._folder)
        if path is not None and (path, relative) != (entry.path, entry.relative):
            self._put(replace(entry, path=path, relative=relative))

    def _check_unchanged(self, scan: Scan) -> None:
        path, _ = places(scan.path, self._folder)
        for entry in self.all:
            if path and (path, scan.image_key) == (entry.path, entry.image_key):
                raise ProjectError(
                    f"{path} has other pixels than when this project was made on it; "
                    "bring the old file back, or give the new one another name."
                )
