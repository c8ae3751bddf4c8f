"""What the resting and the moving cursor bring: views encoded ahead, and previews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.debounced import Later
from napari_sesami.viewer.layers.mouse import Tool

if TYPE_CHECKING:
    from napari_sesami.prompt import Mask
    from napari_sesami.viewer.prompt.controller import Prompter

REST = 150  # ms that the cursor rests before the view around it is encoded
GLANCE = 25  # ms between two previews under the cursor
BUDGET = 0.1  # s; what a preview under the cursor may take
SLOW = 3  # as many slow previews in a row switch it off


class Cursor:
    """Follows the cursor over the preview layer of a prompter."""

    def __init__(self, prompter: Prompter) -> None:
        self._prompter = prompter
        self._at: tuple[float, float] | None = None
        self._slow = 0
        self._glance = Later(self._look, GLANCE)
        self._rest = Later(self._prefetch, REST)
        prompter.engine.hovered.connect(self._on_hover)
        prompter.engine.prefetched.connect(self._look)

    def begin(self, middle: tuple[float, float] | None) -> None:
        """Encode around the cursor, or the middle of the screen, before any click."""
        self._at = self._at or middle
        self._slow = 0
        self._rest.soon()

    def move(self, at: tuple[float, float]) -> None:
        """Follow to (y, x)."""
        self._at = at
        if self._prompter.tool is not Tool.NONE:
            self._glance.soon()
            self._rest.soon()

    def stop(self) -> None:
        """Drop what was to come."""
        self._at = None
        self._glance.stop()
        self._rest.stop()

    def _inside(self) -> bool:
        link = self._prompter.desk.link
        if self._at is None or link is None:
            return False
        h, w = link.session.scan.plane_shape
        return 0 <= self._at[0] <= h - 1 and 0 <= self._at[1] <= w - 1

    def _wanted(self) -> bool:
        """Previews are for the time before the first click on an object."""
        prompter = self._prompter
        if prompter.desk.link is None or prompter.extra or prompter.busy:
            return False
        if not prompter.options.hover or self._slow >= SLOW:
            return False
        return prompter.tool is Tool.CLICK and (
            prompter.plane not in prompter.draft.planes
        )

    def _look(self) -> None:
        if not self._wanted():
            return
        if not self._inside() or self._at is None:
            self._prompter.draw()
            return
        session = self._prompter.link.session
        self._prompter.engine.hover(session, self._prompter.plane, self._at)

    def _prefetch(self) -> None:
        prompter = self._prompter
        if prompter.tool is Tool.NONE or prompter.busy or not self._inside():
            return
        assert self._at is not None
        prompter.engine.prefetch(prompter.link.session, prompter.plane, self._at)

    def _on_hover(self, mask: Mask | None, seconds: float) -> None:
        self._slow = self._slow + 1 if seconds > BUDGET else 0
        if self._wanted():
            self._prompter.draw(hover=mask)
        if self._slow == SLOW:
            self._prompter.desk.say(
                "The preview under the cursor is too slow here; it is off for now."
            )
            self._prompter.draw()
