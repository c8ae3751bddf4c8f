"""The object at work: its facts, its candidates, undo, redo and clear."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QWidget

from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import column, note, row
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari_sesami.prompt import Mask
    from napari_sesami.scan import Scan
    from napari_sesami.viewer.prompt.controller import PromptController


class ObjectFacts(PanelPart, QWidget):
    """Score and area of the object at work, and what can be done with its prompts."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.workspace = controller.workspace
        self.text = note(
            "", "Object at work", "The model's own guess of its quality, and the area"
        )
        self.candidate, self.undo, self.redo, self.clear = (
            ActionButton(self.workspace, name, least=0)  # four share a row of 300 px
            for name in ("prompt_candidate", "undo", "redo", "prompt_clear")
        )
        buttons = row(self.candidate, self.undo, self.redo, self.clear)
        column(self, self.text, buttons).setSpacing(2)

    def refresh(self) -> None:
        """Show the object of the plane on screen."""
        controller = self._controller
        binding, draft = controller.workspace.binding, controller.draft
        self.text.setText(self._describe())
        self.candidate.setText(f"Candidate {controller.candidate + 1}/3")
        has = binding is not None and controller.plane in draft.heads
        self.candidate.setEnabled(has)
        self.clear.setEnabled(bool(draft.planes))
        session = None if binding is None else binding.session
        self.undo.setEnabled(
            draft.can_undo or bool(session and session.history.can_undo)
        )
        self.redo.setEnabled(
            draft.can_redo or bool(session and session.history.can_redo)
        )

    def _describe(self) -> str:
        controller = self._controller
        if controller.workspace.binding is None:
            return "No scan yet: open one in the panel Label."
        id_ = controller.draft.object_id
        name = "New object" if id_ is None else f"Object {id_}"
        if controller.busy:
            return f"{name}: asking the model …"
        mask = controller.mask
        if mask is None or mask.empty:
            return f"{name}: nothing in this slice yet."
        scan = controller.binding.session.scan
        planes = len(controller.draft.planes)
        more = f", {planes} slices" if planes > 1 else ""
        return f"{name}: score {mask.score:.2f}, {area(mask, scan)}{more}."


def area(mask: Mask, scan: Scan) -> str:
    """Give an area in square units, or in pixels where the pixel size is unknown."""
    count = int(np.count_nonzero(mask.mask))
    rows = len(scan.axes) - scan.is_rgb - 2
    sizes, units = scan.pixel_size[rows : rows + 2], scan.units[rows : rows + 2]
    height, width = sizes
    if height is None or width is None or units[0] != units[1] or units[0] is None:
        return f"{count} px"
    value = count * height * width
    digits = max(0, 2 - math.floor(math.log10(value))) if 0 < value < 100 else 0
    return f"{value:.{digits}f} {units[0]}² ({count} px)"
