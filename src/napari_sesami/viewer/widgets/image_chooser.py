"""Asks which image of a file that holds several is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sesami.viewer.widgets.plain import plain_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sesami.scan import ImageInfo


class ImageChooser(QDialog):
    """A list of the images in a file; `chosen` is the key of the picked one."""

    def __init__(
        self, name: str, images: Sequence[ImageInfo], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Which image?")
        self.list = QListWidget()
        self.list.setAccessibleName("Images in the file")
        self.list.setToolTip("Double-click, or choose one and press OK")
        for image in images:
            item = QListWidgetItem(describe(image))
            item.setData(Qt.ItemDataRole.UserRole, image.key)
            self.list.addItem(item)
        self.list.setCurrentRow(0)  # readers put the image that is meant first
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        layout = QVBoxLayout(self)
        words = f"{name} holds {len(images)} images. Open which one?"
        layout.addWidget(plain_label(QLabel(words)))
        layout.addWidget(self.list)
        layout.addWidget(buttons)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.list.itemDoubleClicked.connect(self.accept)
        self.setMinimumWidth(360)

    @property
    def chosen(self) -> str | None:
        """Key of the picked image."""
        item = self.list.currentItem()
        return None if item is None else item.data(Qt.ItemDataRole.UserRole)


def describe(image: ImageInfo) -> str:
    """Name, size and type of an image, on one line."""
    return f"{image.name}   {' × '.join(map(str, image.shape))}   {image.dtype}"
