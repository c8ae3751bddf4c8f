"""The "Runs" dock: composes its parts and wires them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy, QToolButton, QWidget

from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.runs.controller import RunsController
from napari_sesami.viewer.runs.curves import Curves
from napari_sesami.viewer.runs.facts import (
    health_points,
    held_points,
    loss_points,
    pictures_of,
    score_key,
)
from napari_sesami.viewer.runs.form import StartForm
from napari_sesami.viewer.runs.log import LogBox
from napari_sesami.viewer.runs.noise_box import NoiseBox
from napari_sesami.viewer.runs.pictures import PictureGrid
from napari_sesami.viewer.runs.progress_box import ProgressBox
from napari_sesami.viewer.runs.run_list import RunList
from napari_sesami.viewer.runs.verdict_box import GateBox
from napari_sesami.viewer.widgets.factory import tabs
from napari_sesami.viewer.widgets.panel import Panel

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_sesami.train import Run


class FoldBar(QToolButton):
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


class RunsPanel(Panel):
    """Train on what was labelled, in the background, and decide what is used.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = self.workspace.get(RunsController)
        self.form = StartForm(self.controller)
        self.list = RunList(self.controller)
        self.progress = ProgressBox(self.controller)
        self.curves = Curves(self.controller.jobs)
        self.pictures = PictureGrid(
            "Sample predictions",
            "What the run predicts for held-out objects; click to see one large",
            "Pictures of held-out objects appear as the run goes on.",
        )
        self.gate = GateBox(self.controller)
        self.noise = NoiseBox(self.controller)
        self.log = LogBox(self.controller)
        self.fold = FoldBar("New run", self.form)
        self.tabs = tabs(
            "Curves, pictures, result, noise, log",
            (
                ("Curves", "Loss and held-out overlap, live", self.curves),
                ("Pictures", "Sample predictions", self.pictures),
                ("Result", "Before and after, and whether it is used", self.gate),
                ("Noise", "Draw noise like that of your scans", self.noise),
                ("Log", "What the training process wrote", self.log),
            ),
        )
        parts = (self.fold, self.form, self.list, self.progress, self.tabs)
        self.lay_out(*parts, stretch=self.tabs)
        self.watch(self.controller.changed, self.refresh)
        self.watch(self.controller.ticked, self.refresh)
        self.watch(self.controller.started, self._on_started)
        self.watch(self.controller.finished, self._on_finished)
        self.watch(napari_viewer.events.theme, self._on_theme)
        self.tabs.currentChanged.connect(self.refresh)
        self.curves.ready.connect(self.refresh)
        self._on_theme()
        self._take = Debounced(self.take_image, 0)  # after the panel is on screen
        self._take.soon()
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Show the selected run on the tab that is open."""
        run = self.controller.selected
        shown = self.tabs.currentWidget()
        if run is not None:
            self.curves.prepare()
        if shown is self.curves:
            steps = 0 if run is None else run.status.steps
            score = "" if run is None else score_key(run)
            session = self.workspace.session
            classes = () if session is None else session.classes
            self.curves.show_points(
                loss_points(run), held_points(run), steps, score,
                health_points(run), {c.name: c.color for c in classes},
            )  # fmt: skip
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
