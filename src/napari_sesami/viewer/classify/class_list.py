"""The class book: key, colour, name, number, counts; edited in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTreeWidget, QTreeWidgetItem
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.widgets.factory import swatch, tree
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent

    from napari_sesami.classify import DefectClass
    from napari_sesami.viewer.classify.controller import ClassifyController

NAME, KEY, NUMBER, LABELLED, ALL = range(5)
EDITED = (NAME, NUMBER)


class ClassList(PanelPart, QTreeWidget):
    """One row for each class; a click shows its defects, F2 edits it.

    Parameters
    ----------
    controller
        Of the lot.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__()
        self.controller, self.workspace = controller, controller.workspace
        tree(
            self,
            ("Class", "Key", "No.", "Labels", "All"),
            "Classes of defects",
            "Key, CLASSNUMBER in KLARF files, labels by people, and all defects of "
            "each class. Double-click or F2 edits name and number; an existing name "
            "merges the two",
        )
        self.setEditTriggers(QTreeWidget.EditTrigger.NoEditTriggers)
        self.itemDoubleClicked.connect(self._edit)
        self.watch(controller.changed, self._refresh)
        self.itemChanged.connect(self._edited)
        self.itemClicked.connect(self._clicked)
        self._names: list[str] = []
        self._refresh()

    def _refresh(self) -> None:
        controller = self.controller
        with signals_blocked(self):
            chosen = self.currentIndex().row()
            self.clear()
            self._names = []
            if controller.classifier is None:
                return
            labels: dict[str, int] = {}
            for name, _ in controller.sorting.labels.values():
                labels[name] = labels.get(name, 0) + 1
            counts = (
                {} if controller.decisions is None else controller.decisions.counts()
            )
            for place, known in enumerate(controller.sorting.classes, start=1):
                self._names.append(known.name)
                item = QTreeWidgetItem(
                    [
                        known.name,
                        str(place) if place <= 9 else "",
                        "" if known.number is None else str(known.number),
                        str(labels.get(known.name, 0)),
                        str(counts.get(known.name, "")),
                    ]
                )
                item.setIcon(NAME, swatch(controller.color_of(known.name)))
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                item.setToolTip(NAME, plain_tip(known.definition or known.name))
                self.addTopLevelItem(item)
            row = self.topLevelItem(chosen)
            if row is not None:
                self.setCurrentItem(row)

    @property
    def chosen(self) -> DefectClass | None:
        """The class whose row is chosen."""
        row = self.currentIndex().row()
        if self.controller.classifier is None or not 0 <= row < len(self._names):
            return None
        return self.controller.sorting.classes[row]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Edit with F2, as everywhere."""
        if event.key() == Qt.Key.Key_F2 and self.currentItem() is not None:
            self._edit(self.currentItem(), max(self.currentColumn(), NAME))
        else:
            super().keyPressEvent(event)

    def _edit(self, item: QTreeWidgetItem, column: int) -> None:
        self.editItem(item, column if column in EDITED else NAME)

    def _edited(self, item: QTreeWidgetItem, column: int) -> None:
        known = self.controller.sorting.classes[self.indexOfTopLevelItem(item)]
        text = item.text(column).strip()
        if column == NAME and text != known.name:
            self.run(self.controller.rename, known.name, text)
        elif column == NUMBER:
            self.run(self._number, known, text)
        self._refresh()

    def _number(self, known: DefectClass, text: str) -> None:
        if text and not text.isdecimal():
            raise ViewerError(f"{text} is no number; a class number is 0, 1, 2 …")
        number = int(text) if text else None
        if number != known.number:
            self.controller.define(known.name, number, known.definition)

    def _clicked(self, item: QTreeWidgetItem, column: int) -> None:
        row = self.indexOfTopLevelItem(item)
        if self.controller.decisions is not None and 0 <= row < len(self._names):
            name = self._names[row]
            self.run(self.controller.show, f"class:{name}", name)
