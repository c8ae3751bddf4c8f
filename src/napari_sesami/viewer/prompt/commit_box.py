"""How the mask is committed: class, overlap, instance or material, edge snap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.widgets.class_table import swatch

if TYPE_CHECKING:
    from napari_sesami.viewer.prompt.controller import PromptController

_OVERLAPS = (
    ("overwrite", "Overwrite", "Take every pixel of the mask"),
    ("keep", "Keep objects", "Leave other committed objects their pixels"),
    ("free", "Free pixels only", "Take only pixels without any label"),
)


class CommitBox(QWidget):
    """Chooses class and policy, and commits."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.classes = QComboBox()
        self.classes.setToolTip("Class of the next mask (keys 1 to 9)")
        self.classes.setAccessibleName("Class of the mask")
        self.overlap = QComboBox()
        for value, text, tip in _OVERLAPS:
            self.overlap.addItem(text, value)
            self.overlap.setItemData(self.overlap.count() - 1, tip, 3)
        self.overlap.setToolTip("What happens to pixels that are labelled already")
        self.overlap.setAccessibleName("Overlap with what is committed")
        self.instance = QCheckBox("One thing of its own")
        self.instance.setToolTip(
            "On: an instance that is counted, e.g. a void. Off: just some of a material"
        )
        self.instance.setAccessibleName("Commit as an instance")
        self.snap = QSpinBox()
        self.snap.setRange(0, 50)
        self.snap.setSuffix(" px")
        self.snap.setSpecialValueText("off")
        self.snap.setKeyboardTracking(False)
        self.snap.setToolTip(
            "Move the border to the steepest edge within so many pixels"
        )
        self.snap.setAccessibleName("Snap to edges within")
        self.next = QCheckBox("Next object at once")
        self.next.setToolTip("Off: the committed object stays current")
        self.next.setAccessibleName("Begin the next object after a commit")
        self.commit = QPushButton("Commit")
        self.commit.setToolTip(
            "Give the mask to its class (key U); Ctrl+Z takes it back"
        )
        self.commit.setAccessibleName("Commit the mask")
        self._compose()
        self._connect()

    def _compose(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(2)
        form.addRow("Class", self.classes)
        form.addRow("Overlap", self.overlap)
        form.addRow("Snap to edges", self.snap)
        form.addRow(self.instance)
        row = QHBoxLayout()
        row.addWidget(self.next)
        row.addWidget(self.commit, 1)
        form.addRow(row)

    def _connect(self) -> None:
        self.classes.activated.connect(self._on_class)
        self.overlap.activated.connect(self._on_overlap)
        self.instance.clicked.connect(self._on_instance)
        self.snap.valueChanged.connect(self._on_snap)
        self.next.clicked.connect(self._on_next)
        self.commit.clicked.connect(self._on_commit)

    def reflect(self) -> None:
        """Show options and classes, whoever changed them."""
        controller, options = self._controller, self._controller.options
        session = controller.workspace.session
        self.setEnabled(session is not None)
        with signals_blocked(self.classes):
            self.classes.clear()
            for entry in session.classes if session is not None else ():
                self.classes.addItem(swatch(entry.color), entry.name, entry.id)
            found = self.classes.findData(options.class_id)
            self.classes.setCurrentIndex(max(found, 0))
        if self.classes.count() == 0:
            self.classes.addItem("Name a class first (key N)", 0)
        with signals_blocked(self.overlap), signals_blocked(self.snap):
            self.overlap.setCurrentIndex(self.overlap.findData(options.overlap))
            self.snap.setValue(options.snap)
        self.instance.setChecked(options.instance)
        self.next.setChecked(options.next_at_once)
        self.commit.setEnabled(bool(controller.draft.planes) and not controller.busy)

    def _on_class(self) -> None:
        self._controller.options.class_id = int(self.classes.currentData() or 0)

    def _on_overlap(self) -> None:
        self._controller.options.overlap = self.overlap.currentData()

    def _on_instance(self, on: bool) -> None:
        self._controller.options.instance = on

    def _on_snap(self, reach: int) -> None:
        self._controller.resnap(reach)

    def _on_next(self, on: bool) -> None:
        self._controller.options.next_at_once = on

    def _on_commit(self) -> None:
        self._controller.workspace.act(Action.PROMPT_COMMIT)
