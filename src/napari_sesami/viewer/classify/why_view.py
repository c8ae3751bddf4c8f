"""Where a defect is unlike its surroundings, on both magnifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QImage

from napari_sesami.viewer.classify.drawing import LotDrawing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtGui import QPainter

    from napari_sesami.classify import DefectPlaces
    from napari_sesami.viewer.classify.controller import ClassifyController

WORDS = 18
HEAT = np.array([255, 140, 0])


class WhyView(LotDrawing):
    """Low and high of the picked defect; orange is what the features were taken from.

    Parameters
    ----------
    controller
        Of the lot.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__(
            controller,
            "Where the defect is",
            "Orange: unlike its surroundings, and unlike the good die if there is one",
            controller.explained,
        )
        self.setMinimumHeight(160)
        self._images: list[tuple[str, QImage]] = []

    def sizeHint(self) -> QSize:
        """Ask for two pictures side by side."""
        return QSize(290, 165)

    def look_again(self) -> None:
        """Colour the pictures that were explained."""
        found = self.controller.places
        self._images = [] if found is None else [(p.view, _drawn(p)) for p in found[1]]
        self.update()

    def draw(self, painter: QPainter) -> None:
        """Draw the pictures with their heat."""
        if not self._images:
            self.say(
                painter, "Pick a defect and press Why: orange shows what it is told by."
            )
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
