"""Small pictures of the scans of a work list, read in a thread of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_sesami.viewer.app.jobs import JobQueue

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.worklist import WorkList

SIDE = 40  # pixels
LARGEST = 256 << 20  # bytes; larger files are not read for a picture alone


class Thumbnails:
    """Thumbnails by name, as they become known."""

    ready = Signal(str)
    """name of the scan"""

    def __init__(self) -> None:
        self.known: dict[str, NDArray[np.uint8]] = {}
        self._jobs = JobQueue()
        self._left: list[tuple[str, Path]] = []

    def follow(self, worklist: WorkList) -> None:
        """Read the thumbnails of a list."""
        self._left = [
            (item.name, worklist.folder / item.name)
            for item in worklist
            if item.usable and item.name not in self.known and item.size < LARGEST
        ]
        self._more()

    def close(self) -> None:
        """End the thread."""
        self._left = []
        self._jobs.close()

    def _more(self) -> None:
        if self._left:
            name, path = self._left.pop(0)
            task = partial(thumbnail, name, path)
            self._jobs.submit("thumbnail", task, self._take, self._failed)

    def _take(self, found: tuple[str, NDArray[np.uint8]]) -> None:
        name, self.known[found[0]] = found
        self.ready.emit(name)
        self._more()

    def _failed(self, text: str) -> None:
        self._more()  # opening it will say what is wrong


def thumbnail(name: str, path: Path, job: Job) -> tuple[str, NDArray[np.uint8]]:
    """A square grey picture of the middle plane of a scan."""
    from napari_sesami.scan import open_scan

    scan = open_scan(path)
    grey = scan.grey(scan.n_planes // 2)
    side = min(grey.shape)
    y, x = ((n - side) // 2 for n in grey.shape)
    square = grey[y : y + side, x : x + side]
    at = ((np.arange(SIDE) + 0.5) * side / SIDE).astype(int)
    half = max(1, side // SIDE // 2)
    rows = [square[max(0, i - half) : i + half] for i in at]
    lines = np.stack([r.mean(0) for r in rows])
    small = np.stack([lines[:, max(0, i - half) : i + half].mean(1) for i in at], 1)
    return name, (255 * small).clip(0, 255).astype(np.uint8)
