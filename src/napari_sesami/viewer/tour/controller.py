"""The tour: shows one balloon after the other; each goes when the user did it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPoint, QRect, QSize
from qtpy.QtWidgets import QScrollArea, QWidget

from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.layers.camera import on_canvas
from napari_sesami.viewer.tour.balloon import AROUND, Balloon, Mark
from napari_sesami.viewer.tour.places import REACH, Spot, places_of
from napari_sesami.viewer.tour.steps import STEPS, TourStep

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.tour.places import Places

LOOK = 150  # ms between two looks at what the user did and where things are
SAMPLE = "tem"
END = "That was the tour. Help ▸ Tour of Sesami begins it anew."


class TourController(Controller):
    """Leads through click, strokes, heat map, run and table.

    Attributes
    ----------
    step
        The step whose balloon is shown, or None.
    balloon
        What is shown of it, or None.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.step: TourStep | None = None
        self.balloon: Balloon | None = None
        self._mark: Mark | None = None
        self._places: Places | None = None
        self._again = Debounced(self._look, LOOK)

    @property
    def number(self) -> int:
        """Which balloon is shown, from 1 on; 0 is none."""
        return 0 if self.step is None else STEPS.index(type(self.step)) + 1

    def start(self) -> None:
        """Begin with the first balloon, on the scan at work or else on a sample."""
        self.close()
        self.workspace.panels.show_workbench()
        if self.workspace.binding is None:
            self.workspace.viewer.open_sample("napari-sesami", SAMPLE)
        window = self.workspace.viewer.window._qt_window
        self._mark, self.balloon = Mark(window), Balloon(window)
        self.balloon.skipped.connect(self.skip)
        self.balloon.closed.connect(self.close)
        self._again.soon()

    def skip(self) -> None:
        """Go on to the next balloon, or end after the last."""
        number = self.number
        if number == len(STEPS):
            self.close()
            self.workspace.say(END)
            return
        self._leave()
        if self._places is None:
            return
        self.step = STEPS[number](self.workspace, self._places)
        self.workspace.panels.show(self.step.page)
        try:
            self.step.begin()
        except ViewerError as error:
            self.workspace.show_error(error)
        self._look()
        self.changed.emit()

    def close(self) -> None:
        """End the tour."""
        self._again.stop()
        self._leave()
        self._places = None
        for part in (self._mark, self.balloon):
            if part is not None:
                with suppress(RuntimeError):  # they went with their window
                    part.hide()
                    part.deleteLater()
        self._mark = self.balloon = None
        self.changed.emit()

    def _leave(self) -> None:
        if self.step is not None:
            self.step.end()
        self.step = None

    def _look(self) -> None:
        """Point where things are now; go on if it was done; look again in a moment."""
        if self.balloon is not None:
            self._again.soon()
            self._point()

    def _point(self) -> None:
        binding = self.workspace.binding
        if binding is None or self.balloon is None or self._mark is None:
            self._show(False)  # the sample comes, or the scan was closed
            return
        if self._places is None:
            self._places = places_of(self.workspace.viewer, binding)
        if self.step is None or self.step.done:
            self.skip()
            return
        if self.workspace.panels.find(self.step.page) is None:
            self.close()  # the user closed the workbench
            return
        hint = self.step.hint()
        if self.step.done:
            return  # the next look goes on
        target = self._where(hint.at)
        if target is None:
            self._show(False)  # another page is open, or a dialog covers it
            return
        self.balloon.say(self.step.title, hint.words, self.number, len(STEPS))
        self._mark.round = isinstance(hint.at, Spot) and not hint.at.half
        self._mark.setGeometry(target)
        self.balloon.point_at(target)
        self._show(True)

    def _show(self, on: bool) -> None:
        for part in (self._mark, self.balloon):
            if part is not None and part.isHidden() == on:
                part.setVisible(on)
        if on and self._mark is not None and self.balloon is not None:
            above = self.balloon.parentWidget()
            # docks that come forward, and pages that load, come above
            if above is not None and above.children()[-1] is not self.balloon:
                self._mark.raise_()
                self.balloon.raise_()

    def _where(self, at: QWidget | Spot) -> QRect | None:
        """Give the place of a widget or of a spot on the canvas, in the window."""
        qt_window: Any = self.workspace.viewer.window._qt_window
        if isinstance(at, Spot):
            canvas = qt_window._qt_viewer.canvas.native
            binding = self.binding
            y, x = on_canvas(self.workspace.viewer, binding.image, binding.plane, at.yx)
            room = canvas.rect().adjusted(REACH, REACH, -REACH, -REACH)
            point = QPoint(
                min(max(round(x), room.left()), room.right()),
                min(max(round(y), room.top()), room.bottom()),
            )
            end = on_canvas(
                self.workspace.viewer,
                binding.image,
                binding.plane,
                (at.yx[0], at.yx[1] + at.half),
            )
            wide = REACH + round(abs(end[1] - x))
            corner = canvas.mapTo(qt_window, point) - QPoint(wide, REACH)
            return QRect(corner, QSize(2 * wide, 2 * REACH))
        if not at.isVisible() or at.window() is not qt_window:
            return None
        area = at.parentWidget()
        while area is not None and area is not qt_window:
            if isinstance(area, QScrollArea) and at.visibleRegion().isEmpty():
                area.ensureWidgetVisible(at)
            area = area.parentWidget()
        rect = QRect(at.mapTo(qt_window, QPoint(0, 0)), at.size())
        return rect.adjusted(-AROUND, -AROUND, AROUND, AROUND)
