"""Which encoder reads the lot, fine-tuning it, and the model that is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import (
    add_entry,
    button,
    choose,
    column,
    combo,
    note,
    row,
)
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from napari_sesami.viewer.classify.controller import ClassifyController


class DefectModelBox(PanelPart, QWidget):
    """Chooses among the encoders of the catalog, and writes models.

    Parameters
    ----------
    controller
        Of the lot.
    """

    def __init__(self, controller: ClassifyController) -> None:
        super().__init__()
        self.controller, self.workspace = controller, controller.workspace
        self.encoder = combo(
            "Frozen encoder that reads the pictures; another one reads them again",
            name="Encoder",
        )
        self.tune_button = ActionButton(self.workspace, "defect_tune", least=0)
        self.save_button = button(
            "Model…", "Write a model for other lots: sesami classify LOT --model", 0
        )
        self.words = note("", "What the encoder is")
        self.more = note(
            "Fine-tune trains it on the labels, from 20 a class, in a process of its "
            "own. Lots that it never sees decide whether it is used.",
            "Fine-tuning",
        )
        column(
            self,
            row(note("Encoder", "Encoder"), (self.encoder, 1)),
            self.words,
            row(self.tune_button, self.save_button),
            self.more,
            None,
        )
        self.encoder.activated.connect(self._chosen)
        self.save_button.clicked.connect(self._ask_model)
        self.watch(controller.changed, self._refresh)
        self._refresh()

    def showEvent(self, event: QShowEvent) -> None:
        """Look which encoders there are now."""
        super().showEvent(event)
        self._fill()

    def _fill(self) -> None:
        from napari_sesami.classify import encoder_names

        self.encoder.clear()
        for name, title in encoder_names():
            add_entry(self.encoder, name, name, plain_tip(title))
        choose(self.encoder, self.controller.encoder)

    def _refresh(self) -> None:
        controller = self.controller
        answered = controller.decisions is not None
        self.save_button.setEnabled(answered and controller.matrix is not None)
        self.tune_button.setEnabled(controller.ready)
        self.tune_button.setText("Stop" if controller.is_tuning else "Fine-tune")
        if self.encoder.count() and self.encoder.currentData() != controller.encoder:
            self._fill()
        if controller.ready and controller.classifier is not None:
            key = controller.classifier.features.encoder
            self.words.setText(f"The lot was read with {key}.")
        else:
            self.words.setText("")

    def _chosen(self, _: int) -> None:
        self.run(self.controller.use_encoder, self.encoder.currentData())

    def _ask_model(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "A model of defects", "defects.model"
        )
        if name:
            self.run(self.controller.save_model, Path(name))
