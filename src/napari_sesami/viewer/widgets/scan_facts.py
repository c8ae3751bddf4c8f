"""What is known about the scan, with the pixel size to correct or to fill in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QWidget,
)
from superqt import QElidingLabel
from superqt.utils import signals_blocked

from napari_sesami.scan import LENGTHS, Scan
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.widgets.plain import plain_label, plain_tip

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNKNOWN = "unknown"


class ScanFacts(QWidget):
    """Size, kind and file of a scan, and one editable pixel size per axis."""

    size_edited = Signal(object, object)
    """sizes and units over the axes of the scan, None for unknown"""
    refused = Signal(str)
    """why an entry cannot be a pixel size"""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scan: Scan | None = None
        self.rows: dict[str, PixelSizeRow] = {}
        self.extent = _fact("Width and height of the field, as far as known")
        self.kind = _fact("Kind of microscope, and the numbers in a pixel")
        self.file = plain_label(QElidingLabel())
        self.file.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.file.setAccessibleName("File of the scan")
        self.note = plain_label(QLabel())
        self.note.setWordWrap(True)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.addRow("File", self.file)
        self._form.addRow("Kind", self.kind)
        self._form.addRow("Field", self.extent)
        self._form.addRow(self.note)
        self.setVisible(False)

    def show_scan(self, scan: Scan | None) -> None:
        """Reflect a scan, or nothing."""
        self._scan = scan
        self.setVisible(scan is not None)
        if scan is None:
            return
        self.file.setText(scan.path.name if scan.path else scan.name)
        self.file.setToolTip(plain_tip(str(scan.path or "Not from a file")))
        self.kind.setText(kind_text(scan))
        self.extent.setText(extent_text(scan))
        self.note.setText(note_text(scan))
        self.note.setVisible(bool(self.note.text()))
        self._fill_rows(scan)

    def _fill_rows(self, scan: Scan) -> None:
        axes = [axis for axis in scan.axes if axis != "c"]
        if list(self.rows) != axes:
            for row in self.rows.values():
                self._form.removeRow(row)
            self.rows = {axis: PixelSizeRow(axis, self) for axis in axes}
            for position, (axis, row) in enumerate(self.rows.items()):
                self._form.insertRow(3 + position, f"Pixel {axis}", row)
                row.edited.connect(self._on_edited)
        for axis, row in self.rows.items():
            index = scan.axes.index(axis)
            row.reflect(scan.pixel_size[index], scan.units[index])

    def _on_edited(self) -> None:
        if self._scan is None:
            return
        sizes: list[float | None] = []
        units: list[str | None] = []
        for axis in self._scan.axes:
            row = self.rows.get(axis)
            try:
                size, unit = row.value() if row else (None, None)
            except ViewerError as error:
                self.refused.emit(str(error))
                return
            sizes.append(size)
            units.append(unit)
        if (tuple(sizes), tuple(units)) != (self._scan.pixel_size, self._scan.units):
            self.size_edited.emit(tuple(sizes), tuple(units))


class PixelSizeRow(QWidget):
    """A number and its unit; an empty number or the unit "unknown" means unknown."""

    edited = Signal()

    def __init__(self, axis: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.axis = axis
        self._size: float | None = None
        self.number = QLineEdit()
        self.number.setPlaceholderText(UNKNOWN)
        self.number.setAccessibleName(f"Pixel size along {axis}")
        self.number.setToolTip(
            f"Distance between pixels along {axis}; empty if nobody knows it"
        )
        self.unit = QComboBox()
        self.unit.addItems([*LENGTHS, UNKNOWN])
        self.unit.setAccessibleName(f"Unit of the pixel size along {axis}")
        self.unit.setToolTip("Unit of the pixel size")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.number, 1)
        row.addWidget(self.unit)
        self.number.editingFinished.connect(self._on_number)
        self.unit.activated.connect(self._on_unit)

    def reflect(self, size: float | None, unit: str | None) -> None:
        """Show a size without reporting it as an edit."""
        self._size = size
        with signals_blocked(self.number), signals_blocked(self.unit):
            self.number.setText("" if size is None else f"{size:.6g}")
            name = UNKNOWN if size is None else unit or UNKNOWN
            if self.unit.findText(name) < 0:
                self.unit.insertItem(self.unit.count() - 1, name)
            self.unit.setCurrentText(name)

    def value(self) -> tuple[float | None, str | None]:
        """Give size and unit, or (None, None); a ViewerError says what is wrong."""
        text = self.number.text().strip().replace(",", ".")
        unit = self.unit.currentText()
        if not text or unit == UNKNOWN:
            return None, None
        if self._size is not None and text == f"{self._size:.6g}":
            return self._size, unit  # untouched: keep all its digits
        try:
            size = float(text)
        except ValueError:
            size = math.nan
        if not (math.isfinite(size) and size > 0):
            raise ViewerError(
                f'The pixel size along {self.axis} must be a number above 0; "{text}" '
                "is not. Leave it empty if it is not known."
            )
        return size, unit

    def _on_number(self) -> None:
        if self.number.text().strip() and self.unit.currentText() == UNKNOWN:
            self.unit.setCurrentText("nm")  # a typed number needs some unit to start
        self.edited.emit()

    def _on_unit(self) -> None:
        if self.unit.currentText() == UNKNOWN:
            self.number.clear()
        if self.unit.currentText() == UNKNOWN or self.number.text().strip():
            self.edited.emit()


def _fact(tip: str) -> QLabel:
    label = plain_label(QLabel())
    label.setWordWrap(True)
    label.setToolTip(tip)
    return label


def kind_text(scan: Scan) -> str:
    """Modality, colour and number type, e.g. "TEM, uint16"."""
    words = [scan.modality or "unknown kind"]
    if scan.is_rgb:
        words.append("colour")
    words.append(str(scan.data.dtype))
    return ", ".join(words)


def extent_text(scan: Scan) -> str:
    """Pixels, and the length they cover, e.g. "512 × 512 px, 256 × 256 nm"."""
    count = len(scan.axes) - scan.is_rgb
    text = " × ".join(str(n) for n in scan.shape[:count]) + " px"
    sizes, units = scan.pixel_size[:count], scan.units[:count]
    if None in sizes or len(set(units)) != 1:
        return text
    lengths = [
        size * n for size, n in zip(sizes, scan.shape, strict=False) if size is not None
    ]
    return f"{text}\n{' × '.join(f'{length:.4g}' for length in lengths)} {units[0]}"


def note_text(scan: Scan) -> str:
    """What the user should know besides: parts left out, sizes missing."""
    notes = []
    if scan.ignore is not None and scan.ignore.any():
        notes.append(
            f"{_share(scan.ignore)} % is data bar and is left out of all work."
        )
    lengths = [s for s, a in zip(scan.pixel_size, scan.axes, strict=True) if a != "c"]
    if None in lengths:
        notes.append("Type the pixel size to measure in real units.")
    return " ".join(notes)


def _share(mask: NDArray) -> int:
    return max(1, round(100 * float(mask.mean())))
