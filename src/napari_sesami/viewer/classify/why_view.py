"""Where a defect is unlike its surroundings, on both magnifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QWidget

from napari_sesami.viewer.widgets.factory import named
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtGui import QPaintEvent

    from napari_sesami.classify import DefectPlaces
    from napari_sesami.viewer.classify.controller import ClassifyController

WORDS = 18
HEAT = np.array([255, 140, 0])


class WhyView(PanelPart, QWidget):
    """Low and high of the picked defect; orange is what the features were taken from.

    Parameters
    ----------
    controller
        Of the lot.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__()
        self.controller, self.workspace = controller, controller.workspace
        named(
            self,
            "Orange: unlike its surroundings, and unlike the good die if there is one",
            "Where the defect is",
        )
        self.setMinimumHeight(160)
        self._images: list[tuple[str, QImage]] = []
        self.watch(controller.explained, self._changed)

    def sizeHint(self) -> QSize:
        """Ask for two pictures side by side."""
        return QSize(290, 165)

    def _changed(self) -> None:
        found = self.controller.places
        self._images = [] if found is None else [(p.view, _drawn(p)) for p in found[1]]
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the pictures with their heat."""
        painter = QPainter(self)
        painter.setRenderHint(painter.RenderHint.SmoothPixmapTransform)
        painter.setPen(self.palette().text().color())
        if not self._images:
            flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
            text = "Pick a defect and press Why: orange shows what it is told by."
            painter.drawText(self.rect(), flags, text)
            return
        side = min(self.width() / 2 - 4, self.height() - WORDS)
        for k, (view, image) in enumerate(self._images):
            left = k * (side + 8)
            size = image.size()
            size.scale(int(side), int(side), Qt.AspectRatioMode.KeepAspectRatio)
            painter.drawImage(QRectF(left, WORDS, size.width(), size.height()), image)
            painter.drawText(QRectF(left, 0, side, WORDS), 0, view)


def _drawn(places: DefectPlaces) -> QImage:
    """Colour a picture by its heat."""
    grey = np.repeat(255 * places.grey[..., None], 3, 2)
    heat = 0.65 * _enlarged(places.unlike, places.grey.shape)[..., None]
    rgb = np.ascontiguousarray((grey * (1 - heat) + HEAT * heat).astype(np.uint8))
    height, width, _ = rgb.shape
    bits = QImage.Format.Format_RGB888
    return QImage(rgb.tobytes(), width, height, 3 * width, bits).copy()


def _enlarged(
    coarse: NDArray[np.float32], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    rows = np.arange(shape[0]) * coarse.shape[0] // shape[0]
    columns = np.arange(shape[1]) * coarse.shape[1] // shape[1]
    found: NDArray[np.float32] = coarse[rows][:, columns] ** 2
    return found
