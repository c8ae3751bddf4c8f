"""The panel of click masks (SeSAMI): composes the parts of prompting and wires them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.prompt.adapter_box import AdapterRow
from napari_sesami.viewer.prompt.commit_box import CommitBox
from napari_sesami.viewer.prompt.controller import PromptController
from napari_sesami.viewer.prompt.model_box import ModelRow
from napari_sesami.viewer.prompt.object_box import ObjectFacts
from napari_sesami.viewer.prompt.search_box import ManyBox
from napari_sesami.viewer.prompt.slices_box import VolumeBox
from napari_sesami.viewer.prompt.tools import ToolRow
from napari_sesami.viewer.widgets.factory import box, fold
from napari_sesami.viewer.widgets.key_help import MOUSE, HelpCard
from napari_sesami.viewer.widgets.panel import Panel

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget


class PromptPanel(Panel):
    """Clicks, boxes, lassos and strokes become masks, and masks become labels.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = self.workspace.get(PromptController)
        self.model = ModelRow(self.controller)
        self.adapter = AdapterRow(self.controller)
        self.tools = ToolRow(self.controller)
        self.facts = ObjectFacts(self.controller)
        self.commit = CommitBox(self.controller)
        self.volume = VolumeBox(self.controller)
        self.many = ManyBox(self.controller)
        self.help = HelpCard("Mouse and keys", "click", MOUSE)
        self.slices_fold = fold("Slices", self.volume, unfolded=True)
        self.many_fold = fold("Many at once", self.many)
        self.lay_out(
            box("Prompts", self.model, self.adapter, self.tools, self.facts),
            box("Commit", self.commit),
            self.slices_fold,
            self.many_fold,
            self.help,
            None,
        )
        self.watch(self.workspace.session_changed, self._on_session)
        self.watch(self.controller.changed, self.refresh)
        self.watch(self.controller.search.changed, self._on_search)
        self.take_image()
        self._on_session()

    def take_up(self) -> None:
        """Take the click tool, unless a tool is in use or the view is not flat."""
        strokes = self.controller.binding.strokes
        if not self.controller.pointing and strokes.editable:
            self.controller.use(Tool.CLICK)

    def _let_go(self) -> None:
        """Let go of all that would keep the panel alive, and of the mouse."""
        super()._let_go()
        if self.controller.tool is not Tool.NONE:
            self.controller.use(Tool.NONE)
        self.controller.engine.stop()

    def _on_session(self) -> None:
        session = self.workspace.session
        self.unwatch("session")
        if session is not None:
            self.watch(session.document.events.classes, self.refresh, "session")
            self.watch(session.document.events.history, self.refresh, "session")
        self.refresh()

    def _on_search(self) -> None:
        """Show the buttons that take what was found."""
        if self.controller.search.found and not self.many_fold.isExpanded():
            self.many_fold.expand(animate=False)

    def refresh(self) -> None:
        """Show what is, whoever changed it."""
        session = self.workspace.session
        self.slices_fold.setVisible(session is not None and session.scan.n_planes > 1)
        for part in (
            self.model,
            self.adapter,
            self.tools,
            self.facts,
            self.commit,
            self.volume,
            self.many,
        ):
            part.refresh()
