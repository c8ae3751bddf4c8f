"""The "SeSAMI" dock: composes the parts of prompting and wires them, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFrame, QGroupBox, QScrollArea, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_sesami.viewer.app.dock import DeskDock
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.prompt.adapter_box import AdapterRow
from napari_sesami.viewer.prompt.commit_box import CommitBox
from napari_sesami.viewer.prompt.controller import prompter_of
from napari_sesami.viewer.prompt.help import PromptHelp
from napari_sesami.viewer.prompt.model_box import ModelRow
from napari_sesami.viewer.prompt.object_box import ObjectFacts
from napari_sesami.viewer.prompt.search_box import ManyBox
from napari_sesami.viewer.prompt.slices_box import VolumeBox
from napari_sesami.viewer.prompt.tools import ToolRow
from napari_sesami.viewer.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_sesami.session import Session

WIDTH = 300  # px; with the dock's frame this stays below 320


class PromptDock(DeskDock):
    """Clicks, boxes, lassos and strokes become masks, and masks become labels.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self._session: Session | None = None
        self.controller = prompter_of(self.workspace)
        self.model = ModelRow(self.controller)
        self.adapter = AdapterRow(self.controller)
        self.tools = ToolRow(self.controller)
        self.facts = ObjectFacts(self.controller)
        self.commit = CommitBox(self.controller)
        self.volume = VolumeBox(self.controller)
        self.many = ManyBox(self.controller)
        self.help = PromptHelp()
        self.status = StatusLine(self.workspace)
        self._compose()
        self.workspace.session_changed.connect(self._on_session)
        self.controller.changed.connect(self._reflect)
        self.take_image()
        self._on_session()

    def _let_go(self) -> None:
        """Let go of all that would keep the panel alive, and of the mouse."""
        self.status.disconnect_from_desk()
        self.volume.disconnect_from_prompter()
        self.many.disconnect_from_prompter()
        self.adapter.disconnect_from_board()
        self.workspace.session_changed.disconnect(self._on_session)
        self.controller.changed.disconnect(self._reflect)
        self._follow(None)
        if self.controller.tool is not Tool.NONE:
            self.controller.use(Tool.NONE)
        self.controller.engine.stop()

    def _compose(self) -> None:
        page = QWidget()
        inner = QVBoxLayout(page)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(
            _box("Prompts", self.model, self.adapter, self.tools, self.facts)
        )
        inner.addWidget(_box("Commit", self.commit))
        self.slices_fold = _fold("Slices", self.volume, open_=True)
        self.many_fold = _fold("Many at once", self.many, open_=False)
        for part in (self.slices_fold, self.many_fold, self.help):
            inner.addWidget(part)
        inner.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(area, 1)
        layout.addWidget(self.status)
        self.setMinimumWidth(WIDTH)

    def _on_session(self) -> None:
        self._follow(self.workspace.session)
        self._reflect()

    def _follow(self, session: Session | None) -> None:
        if self._session is not None:
            self._session.events.classes.disconnect(self._reflect)
            self._session.events.history.disconnect(self._reflect)
        self._session = session
        if session is not None:
            session.events.classes.connect(self._reflect)
            session.events.history.connect(self._reflect)

    def _reflect(self) -> None:
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
            part.reflect()


def _box(title: str, *parts: QWidget) -> QGroupBox:
    box = QGroupBox(title)
    layout = QVBoxLayout(box)
    layout.setContentsMargins(4, 4, 4, 4)
    for part in parts:
        layout.addWidget(part)
    return box


def _fold(title: str, part: QWidget, open_: bool) -> QCollapsible:
    fold = QCollapsible(title)
    fold.setAccessibleName(title)
    fold.setContent(part)
    fold.expand(animate=False) if open_ else fold.collapse(animate=False)
    return fold
