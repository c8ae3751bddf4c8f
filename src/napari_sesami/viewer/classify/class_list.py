"""The class book: key, colour, name, counts; names are edited in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTreeWidget, QTreeWidgetItem
from superqt.utils import signals_blocked

from napari_sesami.viewer.widgets.factory import swatch, tree
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.viewer.classify.controller import ClassifyController

NAME, KEY, LABELLED, ALL = range(4)


class ClassList(PanelPart, QTreeWidget):
    """One row for each class; a click shows its defects, F2 renames it.

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
            ("Class", "Key", "Labels", "All"),
            "Classes of defects",
            "Key, labels by people, and all defects of each class. Double-click or F2 "
            "renames; an existing name merges the two",
        )
        self.setMaximumHeight(170)
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
                        str(labels.get(known.name, 0)),
                        str(counts.get(known.name, "")),
                    ]
                )
                item.setIcon(NAME, swatch(controller.color_of(known.name)))
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                self.addTopLevelItem(item)
            row = self.topLevelItem(chosen)
            if row is not None:
                self.setCurrentItem(row)

    def _edited(self, item: QTreeWidgetItem, column: int) -> None:
        row = self.indexOfTopLevelItem(item)
        old, new = self._names[row], item.text(NAME)
        if column == NAME and new != old:
            self.run(self.controller.rename, old, new)
        self._refresh()

    def _clicked(self, item: QTreeWidgetItem, column: int) -> None:
        row = self.indexOfTopLevelItem(item)
        if self.controller.decisions is not None and 0 <= row < len(self._names):
            name = self._names[row]
            self.run(self.controller.show, f"class:{name}", name)
