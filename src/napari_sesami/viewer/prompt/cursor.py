"""What the resting and the moving cursor bring: views encoded ahead, and previews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.layers.mouse import Tool

if TYPE_CHECKING:
    from napari_sesami.prompt import Mask
    from napari_sesami.viewer.prompt.at_work import ObjectAtWork

REST = 150  # ms that the cursor rests before the view around it is encoded
GLANCE = 25  # ms between two previews under the cursor
BUDGET = 0.1  # s; what a preview under the cursor may take
SLOW = 3  # as many slow previews in a row switch it off


class Cursor:
    """Follows the cursor over the preview layer."""

    def __init__(self, controller: ObjectAtWork) -> None:
        self._controller = controller
        self._at: tuple[float, float] | None = None
        self._slow = 0
        self._glance = Debounced(self._look, GLANCE)
        self._rest = Debounced(self._prefetch, REST)
        controller.engine.hovered.connect(self._on_hover)
        controller.engine.prefetched.connect(self._look)

    def begin(self, middle: tuple[float, float] | None) -> None:
        """Encode around the cursor, or the middle of the screen, before any click."""
        self._at = self._at or middle
        self._slow = 0
        self._rest.soon()

    def move(self, at: tuple[float, float]) -> None:
        """Follow to (y, x)."""
        self._at = at
        if self._controller.tool is not Tool.NONE:
            self._glance.soon()
            self._rest.soon()

    def stop(self) -> None:
        """Drop what was to come."""
        self._at = None
        self._glance.stop()
        self._rest.stop()

    def _inside(self) -> bool:
        binding = self._controller.workspace.binding
        if self._at is None or binding is None:
            return False
        h, w = binding.session.scan.plane_shape
        return 0 <= self._at[0] <= h - 1 and 0 <= self._at[1] <= w - 1

    def _wanted(self) -> bool:
        """Previews are for the time before the first click on an object."""
        controller = self._controller
        if controller.workspace.binding is None or controller.extra or controller.busy:
            return False
        if not controller.options.hover or self._slow >= SLOW:
            return False
        return controller.tool is Tool.CLICK and (
            controller.plane not in controller.draft.planes
        )

    def _look(self) -> None:
        if not self._wanted():
            return
        if not self._inside() or self._at is None:
            self._controller.draw()
            return
        session = self._controller.binding.session
        self._controller.engine.hover(session, self._controller.plane, self._at)

    def _prefetch(self) -> None:
        controller = self._controller
        if controller.tool is Tool.NONE or controller.busy or not self._inside():
            return
        assert self._at is not None
        controller.engine.prefetch(
            controller.binding.session, controller.plane, self._at
        )

    def _on_hover(self, mask: Mask | None, seconds: float) -> None:
        self._slow = self._slow + 1 if seconds > BUDGET else 0
        if self._wanted():
            self._controller.draw(hover=mask)
        if self._slow == SLOW:
            self._controller.workspace.say(
                "The preview under the cursor is too slow here; it is off for now."
            )
            self._controller.draw()
