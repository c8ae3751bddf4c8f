"""The tab "Noise": fit it, look at it beside the scan, let runs use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_sesami.viewer.widgets.factory import (
    WrappedNote,
    button,
    column,
    named,
    picture,
    row,
)
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_label

if TYPE_CHECKING:
    from napari_sesami.viewer.runs.controller import RunsController

SIDE = 80  # px of a picture; three fit beside each other in a narrow dock
SHOWN = (
    ("Your scan", "A part of the slice as it is"),
    ("Usual noise", "The same part without its noise, and the usual noise drawn on it"),
    ("Fitted noise", "The same part without its noise, and the fitted noise on it"),
)
NONE = "Runs draw the usual noise. Fit it, and they draw noise like that of your scans."


class NoiseBox(PanelPart, QWidget):
    """Asks for a fit, shows what was found, and uses it."""

    def __init__(
        self, controller: RunsController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._noise, self.workspace = controller.noise, controller.workspace
        self.scan_button = button(
            "Noise like mine", "Fit dose, read-out, grain and scan lines on the scan"
        )
        self.list_button = button(
            "Of the work list", "Fit them on all scans of the work list, with the range"
        )
        self.words = WrappedNote("Fitted noise", "What was found, or why not")
        self.pictures = [plain_label(QLabel()) for _ in SHOWN]
        self.captions = []
        columns = []
        for label, (name, tip) in zip(self.pictures, SHOWN, strict=True):
            named(label, tip, name)
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            caption = plain_label(QLabel(name))
            caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            caption.setSizePolicy(
                QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred
            )
            self.captions.append(caption)
            part = QWidget()
            column(part, label, caption)
            columns.append(part)
        self.use_button = button("Use it", "Let every run draw noise like this")
        self.forget_button = button("Forget", "Let runs draw the usual noise again")
        column(
            self,
            row((self.scan_button, 1), (self.list_button, 1)),
            row(*((part, 1) for part in columns)),
            self.words,
            None,
            row((self.use_button, 1), (self.forget_button, 1)),
        )
        self.on(self.scan_button.clicked, self._on_fit)
        self.on(self.list_button.clicked, self._noise.fit_list)
        self.on(self.use_button.clicked, self._noise.use)
        self.on(self.forget_button.clicked, self._noise.forget)
        self.watch(self._noise.changed, self.refresh)
        self.watch(controller.workspace.session_changed, self.refresh)
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Show the last fit, or the one in use."""
        noise = self._noise
        some = self.workspace.session is not None
        self.scan_button.setText("Cancel" if noise.busy else "Noise like mine")
        self.scan_button.setEnabled(some)
        self.list_button.setEnabled(some and not noise.busy)
        self.use_button.setEnabled(noise.found is not None)
        kept = noise.used is not None
        self.forget_button.setEnabled(kept or bool(noise.refusal))
        self.words.setText(self._words())
        for part in (*self.pictures, *self.captions):
            part.setVisible(bool(noise.pictures))
        for label, grey in zip(self.pictures, noise.pictures, strict=False):
            # pixel by pixel: a smaller picture of it would hide its noise
            part = grey[:SIDE, :SIDE]
            byte = np.ascontiguousarray(part.clip(0, 1) * 255).astype(np.uint8)
            label.setPixmap(picture(byte, SIDE))

    def _words(self) -> str:
        noise = self._noise
        if noise.busy:
            return "Fitting noise …"
        if noise.refusal:
            return noise.refusal
        if noise.found is not None:
            return "\n".join(noise.found.sentences())
        if noise.used is not None:
            return "\n".join(["In use by runs:", *noise.used.sentences()])
        return NONE

    def _on_fit(self) -> None:
        if self._noise.busy:
            self._noise.cancel()
        else:
            self._noise.fit_scan()
