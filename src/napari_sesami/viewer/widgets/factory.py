"""Small makers that the panels share: all of them speak to a screen reader, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QImage, QPixmap
from qtpy.QtWidgets import (
    QBoxLayout,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QTabWidget,
    QTreeWidget,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible
from superqt.utils import signals_blocked

from napari_sesami.viewer.widgets.plain import plain_label, plain_tip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from qtpy.QtGui import QResizeEvent

    from napari_sesami.project import ClassEntry

W = TypeVar("W", bound=QWidget)
WIDTH = 300  # px; with the dock's frame this stays below 320


def named(made: W, tip: str, name: str = "") -> W:
    """Give a widget its tooltip, and its name for a screen reader."""
    made.setToolTip(plain_tip(tip))
    made.setAccessibleName(name or tip)
    if isinstance(made, QLabel):
        plain_label(made)
    return made


def button(text: str, tip: str, least: int | None = None) -> QPushButton:
    """A button; `least` px let several share a row."""
    made = named(QPushButton(text), tip, f"{text.strip('◀▶ ')}: {tip}")
    if least is not None:
        made.setMinimumWidth(least)
    return made


def tick(text: str, tip: str, on: bool = False) -> QCheckBox:
    """A tick box."""
    made = named(QCheckBox(text), tip, f"{text}: {tip}")
    made.setChecked(on)
    return made


def note(text: str, name: str, tip: str = "") -> QLabel:
    """A line of words that may wrap."""
    made = named(QLabel(text), tip, name)
    made.setWordWrap(True)
    return made


class WrappedNote(QLabel):
    """A line of words that wraps and keeps the height that it needs.

    In a page that scrolls Qt gives wrapped words one line, and takes the rest from
    what lies around them.
    """

    def __init__(self, name: str, tip: str = "") -> None:
        super().__init__()
        named(self, tip, name)
        self.setWordWrap(True)

    def setText(self, text: str | None) -> None:
        """Show other words."""
        super().setText(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Wrap anew."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setMinimumHeight(max(0, self.heightForWidth(self.width())))


def combo(
    tip: str, entries: Iterable[tuple[Any, ...]] = (), letters: int = 8, name: str = ""
) -> QComboBox:
    """A choice of (text, value) or (text, value, tip), no wider than it must be."""
    made = named(QComboBox(), tip, name)
    made.setMinimumContentsLength(letters)
    made.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    for entry in entries:
        add_entry(made, *entry)
    return made


def add_entry(made: QComboBox, text: str, value: Any, tip: str = "") -> None:
    """Add one choice to a combo."""
    made.addItem(text, value)
    if tip:
        role = Qt.ItemDataRole.ToolTipRole
        made.setItemData(made.count() - 1, tip, role)


def choose(made: QComboBox, value: Any) -> None:
    """Show a value in a combo without reporting it as chosen."""
    with signals_blocked(made):
        made.setCurrentIndex(made.findData(value))


def fill_classes(made: QComboBox, classes: Iterable[ClassEntry], chosen: int) -> None:
    """List classes with their colours; the chosen one is shown, else the first."""
    with signals_blocked(made):
        made.clear()
        for entry in classes:
            made.addItem(swatch(str(entry.color)), entry.name, entry.id)
        made.setCurrentIndex(max(made.findData(chosen), 0))


def spin(
    tip: str,
    low: int,
    high: int,
    value: int = 0,
    *,
    step: int = 1,
    suffix: str = "",
    zero: str = "",
) -> QSpinBox:
    """A whole number; `zero` is what its smallest value reads as."""
    made = named(QSpinBox(), tip)
    made.setRange(low, high)
    made.setValue(value)
    made.setSingleStep(step)
    made.setSuffix(suffix)
    made.setSpecialValueText(zero)
    made.setKeyboardTracking(False)
    return made


def share(tip: str, low: float = 0.0, high: float = 1.0) -> QDoubleSpinBox:
    """A number between 0 and 1."""
    made = named(QDoubleSpinBox(), tip)
    made.setRange(low, high)
    made.setSingleStep(0.05)
    made.setKeyboardTracking(False)
    return made


def row(*parts: QWidget | tuple[QWidget, int]) -> QHBoxLayout:
    """Widgets beside each other; (widget, share) takes its share of what is left."""
    made = QHBoxLayout()
    made.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        made.addWidget(*(part if isinstance(part, tuple) else (part,)))
    return made


def column(
    parent: QWidget | None, *parts: QWidget | QLayout | None, margin: int = 0
) -> QVBoxLayout:
    """Parts below each other, in a widget or for one; None is room that gives way."""
    made = QVBoxLayout() if parent is None else QVBoxLayout(parent)
    made.setContentsMargins(margin, margin, margin, margin)
    stack(made, parts)
    return made


def stack(layout: QBoxLayout, parts: Iterable[QWidget | QLayout | None]) -> None:
    """Put parts into a layout, one after the other."""
    for part in parts:
        if part is None:
            layout.addStretch(1)
        elif isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)


def box(title: str, *parts: QWidget | QLayout) -> QGroupBox:
    """A frame with a title around parts."""
    made = QGroupBox(title)
    column(made, *parts, margin=4)
    return made


def tabs(name: str, pages: Sequence[tuple[str, str, QWidget]]) -> QTabWidget:
    """Tabs of (title, tip, page)."""
    made = QTabWidget()
    made.setAccessibleName(name)
    made.setDocumentMode(True)
    made.tabBar().setDrawBase(False)  # else a bright line beside the tabs
    for title, tip, part in pages:
        made.setTabToolTip(made.addTab(part, title), tip)
    return made


def fold(title: str, part: QWidget, *, unfolded: bool = False) -> QCollapsible:
    """A bar with a title that shows or hides a part."""
    made = QCollapsible(title, expandedIcon="▼", collapsedIcon="▶")
    made.setAccessibleName(title)
    made.setContent(part)
    change = made.expand if unfolded else made.collapse
    change(animate=False)
    return made


def scrolled(page: QWidget) -> QScrollArea:
    """A page that scrolls up and down, never sideways."""
    made = QScrollArea()
    made.setWidgetResizable(True)
    made.setFrameShape(QFrame.Shape.NoFrame)
    made.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    made.setWidget(page)
    return made


def tree(made: QTreeWidget, columns: Sequence[str], name: str, tip: str) -> None:
    """Set up a flat table whose first column takes the room that is left."""
    named(made, tip, name)
    made.setHeaderLabels(list(columns))
    made.setRootIsDecorated(False)
    header = made.header()
    header.setStretchLastSection(False)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for number in range(1, len(columns)):
        mode = QHeaderView.ResizeMode.ResizeToContents
        header.setSectionResizeMode(number, mode)


def swatch(color: str, side: int = 14) -> QIcon:
    """A small square of a colour."""
    pixels = QPixmap(side, side)
    pixels.fill(QColor(color))
    icon = QIcon(pixels)
    icon.addPixmap(pixels, QIcon.Mode.Selected)  # else Qt tints it in a chosen row
    return icon


def picture(grey: NDArray[np.uint8], side: int) -> QPixmap:
    """A grey thumbnail (n, n), scaled to a side on screen."""
    height, width = grey.shape
    made = QImage(grey.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
    return QPixmap.fromImage(made).scaled(side, side)


def pixmap(rgb: NDArray[np.uint8]) -> QPixmap:
    """A colour picture (h, w, 3)."""
    height, width, _ = rgb.shape
    made = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(made)
