"""Small pictures of defects, read in a thread of its own as the gallery asks."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtGui import QImage, QPixmap

from napari_sesami.classify import PictureReader
from napari_sesami.viewer.app.jobs import JobQueue
from napari_sesami.viewer.classify.jobs import shrinking

if TYPE_CHECKING:
    from napari_sesami.classify import Lot

SIDE = 144  # pixels read; shown at half of that, sharp on fine screens
KEPT = 6000
AT_ONCE = 24
MOST_WAITING = 400


class DefectThumbnails:
    """Pixmaps by (position, view); what was asked for last is read first."""

    ready = Signal()

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, str], QPixmap | None] = OrderedDict()
        self._waiting: OrderedDict[tuple[int, str], Any] = OrderedDict()
        self._jobs = JobQueue()
        self._busy = False
        self._lot: Lot | None = None
        self._reader = PictureReader()

    def follow(self, lot: Lot | None) -> None:
        """Show pictures of another lot."""
        self._lot = lot
        self._known.clear()
        self._waiting.clear()
        self._jobs.cancel()
        self._busy = False
        self._reader.close()
        self._reader = PictureReader()

    def close(self) -> None:
        """End the thread."""
        self._waiting.clear()
        self._jobs.close()
        self._reader.close()

    def get(self, position: int, view: str) -> QPixmap | None:
        """Give a picture, or ask for it; None where there is none (yet)."""
        key = position, view
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        picture = (
            None if self._lot is None else self._lot.defects[position].picture(view)
        )
        if picture is not None:
            self._waiting[key] = picture
            self._waiting.move_to_end(key)
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
            self._more()
        return None

    def is_known(self, position: int, view: str) -> bool:
        """Whether it was read, well or not."""
        return (position, view) in self._known

    def _more(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy = True
        some = [
            self._waiting.popitem() for _ in range(min(AT_ONCE, len(self._waiting)))
        ]
        task = partial(shrinking, self._reader, some, SIDE)
        self._jobs.submit("thumbnails", task, self._take, self._failed)

    def _take(self, found: dict[tuple[int, str], Any]) -> None:
        for key, grey in found.items():
            self._known[key] = None if grey is None else _pixmap(grey)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        self._busy = False
        self.ready.emit()
        self._more()

    def _failed(self, _: str) -> None:
        self._busy = False
        self._more()


def _pixmap(grey: Any) -> QPixmap:
    height, width = grey.shape
    image = QImage(
        grey.tobytes(), width, height, width, QImage.Format.Format_Grayscale8
    )
    return QPixmap.fromImage(image)
