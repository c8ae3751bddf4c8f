"""The "Runs" dock: composes its parts and wires them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFrame,
    QScrollArea,
    QSizePolicy,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_sesami.viewer.app.dock import DeskDock
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.runs.controller import board_of
from napari_sesami.viewer.runs.curves import Curves
from napari_sesami.viewer.runs.facts import (
    held_points,
    loss_points,
    pictures_of,
    score_key,
)
from napari_sesami.viewer.runs.form import StartForm
from napari_sesami.viewer.runs.log import LogBox
from napari_sesami.viewer.runs.pictures import Thumbnails
from napari_sesami.viewer.runs.progress_box import ProgressBox
from napari_sesami.viewer.runs.run_list import RunList
from napari_sesami.viewer.runs.verdict_box import GateBox
from napari_sesami.viewer.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_sesami.train import Run

WIDTH = 300  # px; with the dock's frame this stays below 320


class Fold(QToolButton):
    """A bar that shows or hides what lies below it, at whatever height that needs."""

    def __init__(self, title: str, part: QWidget) -> None:
        super().__init__()
        self._part = part
        self.setText(title)
        self.setCheckable(True)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(f"{title}: show or hide the form")
        self.setAccessibleName(title)
        self.setChecked(True)  # the part has no window yet: it is not shown here
        self.setArrowType(Qt.ArrowType.DownArrow)
        self.toggled.connect(self._on_toggled)

    def _on_toggled(self, on: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow
        self.setArrowType(arrow)
        self._part.setVisible(on)


class RunsDock(DeskDock):
    """Train on what was labelled, in the background, and decide what is used.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = board_of(self.workspace)
        self.form = StartForm(self.controller)
        self.list = RunList(self.controller)
        self.progress = ProgressBox(self.controller)
        self.curves = Curves(self.controller.jobs)
        self.pictures = Thumbnails(
            "Sample predictions",
            "What the run predicts for held-out objects; click to see one large",
            "Pictures of held-out objects appear as the run goes on.",
        )
        self.gate = GateBox(self.controller)
        self.log = LogBox(self.controller)
        self.status = StatusLine(self.workspace)
        self._viewer_events = napari_viewer.events
        self._compose()
        self._connect()
        self._on_theme()
        self._take = Debounced(self.take_image, 0)  # after the panel is on screen
        self._take.soon()
        self._reflect()

    def _let_go(self) -> None:
        """Let go of everything that would keep the panel alive; runs go on."""
        for part in (self.form, self.list, self.progress, self.gate, self.log):
            part.disconnect_from_board()
        self.status.disconnect_from_desk()
        self.controller.changed.disconnect(self._reflect)
        self.controller.ticked.disconnect(self._reflect)
        self.controller.started.disconnect(self._on_started)
        self.controller.finished.disconnect(self._on_finished)
        self._viewer_events.theme.disconnect(self._on_theme)

    def _compose(self) -> None:
        self.fold = Fold("New run", self.form)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("Curves, pictures, result, log")
        self.tabs.setDocumentMode(True)
        for title, tip, part in (
            ("Curves", "Loss and held-out overlap, live", self.curves),
            ("Pictures", "Sample predictions", self.pictures),
            ("Result", "Before and after, and whether it is used", self.gate),
            ("Log", "What the training process wrote", self.log),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(part, title), tip)
        page = QWidget()
        inner = QVBoxLayout(page)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.fold)
        inner.addWidget(self.form)
        inner.addWidget(self.list)
        inner.addWidget(self.progress)
        inner.addWidget(self.tabs, 1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(area, 1)
        layout.addWidget(self.status)
        self.setMinimumWidth(WIDTH)

    def _connect(self) -> None:
        self.controller.changed.connect(self._reflect)
        self.controller.ticked.connect(self._reflect)
        self.controller.started.connect(self._on_started)
        self.controller.finished.connect(self._on_finished)
        self._viewer_events.theme.connect(self._on_theme)
        self.tabs.currentChanged.connect(self._reflect)
        self.curves.ready.connect(self._reflect)

    def _reflect(self, *_: object) -> None:
        """Show the selected run on the tab that is open."""
        run = self.controller.selected
        shown = self.tabs.currentWidget()
        if run is not None:
            self.curves.prepare()
        if shown is self.curves:
            steps = 0 if run is None else run.status.steps
            score = "" if run is None else score_key(run)
            self.curves.show_points(loss_points(run), held_points(run), steps, score)
        elif shown is self.pictures:
            self.pictures.show_pictures(pictures_of(run))

    def _on_started(self) -> None:
        self.fold.setChecked(False)
        self.tabs.setCurrentWidget(self.curves)

    def _on_finished(self, run: Run) -> None:
        if run is self.controller.selected:
            self.tabs.setCurrentWidget(self.gate)

    def _on_theme(self, *_: object) -> None:
        from napari.utils.theme import get_theme

        theme = get_theme(self.workspace.viewer.theme)
        self.curves.use_theme(theme.background.as_hex(), theme.text.as_hex())
