"""Sample predictions of a run as thumbnails; a click shows one large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QImageReader, QPixmap
from qtpy.QtWidgets import (
    QDialog,
    QLabel,
    QListView,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sesami.viewer.widgets.plain import plain_label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIDE, WIDE = 124, 256  # px; two square pictures, or a wide one, in a row of the panel
LARGE = 900
MOST = 60  # thumbnails; older ones stay in the folder


class PictureGrid(QWidget):
    """Pictures in a grid, the newest first."""

    def __init__(self, name: str, tip: str, empty: str) -> None:
        super().__init__()
        self.list = QListWidget()
        self.list.setViewMode(QListView.ViewMode.IconMode)
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
        self.list.setMovement(QListView.Movement.Static)
        self.list.setIconSize(QSize(SIDE, SIDE))
        self.list.setSpacing(2)
        self.list.setWordWrap(True)
        self.list.setAccessibleName(name)
        self.list.setToolTip(tip)
        self.empty = plain_label(QLabel(empty))
        self.empty.setWordWrap(True)
        self.empty.setAccessibleName(f"{name}, state")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.empty)
        layout.addWidget(self.list, 1)
        self.large: LargePicture | None = None
        self._paths: list[Path] = []
        self.list.itemClicked.connect(self._on_click)
        self.list.itemActivated.connect(self._on_click)
        self.show_pictures([])

    def show_pictures(self, pictures: Sequence[tuple[Path, str]]) -> None:
        """Show these files with their captions; what is shown already stays."""
        wanted = list(pictures[:MOST])
        paths = [path for path, _ in wanted]
        if paths != self._paths or not paths:
            self._fill(wanted)
            self._paths = paths
        self.empty.setVisible(self.list.count() == 0 and bool(self.empty.text()))
        self.list.setVisible(self.list.count() > 0)

    def _fill(self, wanted: Sequence[tuple[Path, str]]) -> None:
        size = _icon_size([path for path, _ in wanted])
        known = {}
        while self.list.count():
            item = self.list.takeItem(0)
            if size == self.list.iconSize():
                known[str(item.data(Qt.ItemDataRole.UserRole))] = item
        self.list.setIconSize(size)
        for path, caption in wanted:
            item = known.get(str(path)) or _item(path, caption, size)
            if item is not None:
                self.list.addItem(item)

    def _on_click(self, item: QListWidgetItem) -> None:
        if self.large is None:
            self.large = LargePicture(self)
        self.large.show_file(str(item.data(Qt.ItemDataRole.UserRole)), item.text())


class LargePicture(QDialog):
    """One picture as large as the screen allows; Escape closes it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.label = QLabel()
        self.label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.label.setAccessibleName("Picture")
        layout = QVBoxLayout(self)
        layout.addWidget(self.label)

    def show_file(self, path: str, caption: str) -> None:
        """Show this file; keeps the window where it is."""
        pixmap = QPixmap(path)
        self.setWindowTitle(caption)
        if pixmap.isNull():
            self.label.setText("This picture cannot be read any more.")
        else:
            self.label.setPixmap(_fitted(pixmap, QSize(LARGE, LARGE)))
        self.adjustSize()
        self.show()
        self.raise_()


def _icon_size(paths: Sequence[Path]) -> QSize:
    """Size of thumbnails; files with pictures side by side get the whole width."""
    heights = []
    for path in paths:
        size = QImageReader(str(path)).size()
        if size.isValid():
            heights.append(WIDE * size.height() // size.width())
    if not heights or max(heights) > 0.7 * WIDE:
        return QSize(SIDE, SIDE)
    return QSize(WIDE, max(heights))


def _item(path: Path, caption: str, size: QSize) -> QListWidgetItem | None:
    pixmap = QPixmap(str(path))
    if pixmap.isNull():  # just being written, or gone
        return None
    item = QListWidgetItem(QIcon(_fitted(pixmap, size)), caption)
    item.setData(Qt.ItemDataRole.UserRole, str(path))
    item.setToolTip(f"{caption}: click to see it large")
    return item


def _fitted(pixmap: QPixmap, size: QSize) -> QPixmap:
    """Scale into a size; small pictures get larger without being smoothed away."""
    up = pixmap.width() < size.width() and pixmap.height() < size.height()
    mode = (
        Qt.TransformationMode.FastTransformation
        if up
        else Qt.TransformationMode.SmoothTransformation
    )
    return pixmap.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, mode)
