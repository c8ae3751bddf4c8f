"""The mouse over layers of ours: presses, drags and moves, in data pixels."""

from __future__ import annotations

import weakref
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_sesami.session import PromptStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sesami.viewer.app.jobs import Debounced as Debounced

T = TypeVar("T")
MOVED = 4  # screen pixels; a press that moved farther is a drag, not a click


class Tool(Enum):
    """What the left button does; NONE leaves it to napari."""

    NONE = "none"
    CLICK = "click"
    BOX = "box"
    LASSO = "lasso"
    STROKE = "stroke"
    CORRECT = "correct"


DRAWN = {Tool.BOX, Tool.LASSO, Tool.STROKE}
"""Tools that draw while the button is down, so that napari must not move the view."""


def hear(
    layer: Labels,
    owner: T,
    drag: Callable[[T, Labels, Any], Iterator[None]],
    move: Callable[[T, tuple[float, float]], None] | None = None,
) -> Callable[[], None]:
    """Follow presses (and moves) on a layer for an owner; returns its own undo.

    napari keeps callbacks as long as the layer lives, so the owner is held weakly.
    `drag` is a generator that goes on with every event until the release; `move` gets
    the place in data pixels.
    """
    target = weakref.ref(owner)

    def pressed(layer: Labels, event: Any) -> Iterator[None]:
        found = target()
        if found is not None:
            yield from drag(found, layer, event)

    def moved(layer: Labels, event: Any) -> None:
        found = target()
        if found is not None and move is not None:
            move(found, position(layer, event))

    layer.mouse_drag_callbacks.append(pressed)
    layer.mouse_move_callbacks.append(moved)

    def stop() -> None:
        layer.mouse_drag_callbacks.remove(pressed)
        layer.mouse_move_callbacks.remove(moved)

    return stop


def hear_moves(viewer: Any, later: Debounced) -> Callable[[], None]:
    """Call after each rest of the mouse over a viewer; returns its own undo."""
    timer, window = weakref.ref(later), weakref.ref(viewer)

    def moved(viewer: Any, event: Any) -> None:
        found = timer()
        if found is not None:
            found.soon()

    def stop() -> None:
        found = window()
        if found is not None and moved in found.mouse_move_callbacks:
            found.mouse_move_callbacks.remove(moved)

    viewer.mouse_move_callbacks.append(moved)
    return stop


def reverses(event: Any) -> bool:
    """Whether a press means the opposite: the right button, or Shift."""
    return event.button == 2 or "Shift" in modifiers(event)


def modifiers(event: Any) -> set[str]:
    """Names of the keys that are held, e.g. "Shift"."""
    return {str(getattr(m, "name", m)) for m in event.modifiers}


def far(event: Any, start: Any) -> float:
    """How far the mouse is from where it was pressed, in pixels of the screen."""
    return float(np.abs(np.array(event.pos, float) - np.array(start, float)).max())


def position(layer: Labels, event: Any) -> tuple[float, float]:
    """Row and column of an event, in data pixels; the one place that converts them."""
    y, x = layer.world_to_data(event.position)[-2:]
    return float(y), float(x)


def ask_of(tool: Tool, points: Any, label: int, shape: tuple[int, int]) -> PromptStep:
    """Make the prompt that a drawn line means; lines are cut at the plane's edges."""
    line = np.clip(np.asarray(points, float), 0, np.array(shape) - 1)
    if tool is Tool.BOX:
        (y0, x0), (y1, x1) = line[[0, -1]].min(0), line[[0, -1]].max(0)
        # half-open: the pixels at both corners belong to it
        return PromptStep("box", (round(y0), round(x0), round(y1) + 1, round(x1) + 1))
    moved = np.abs(np.diff(line, axis=0)).max(1, initial=0) > 0
    line = line[np.concatenate([[True], moved])]
    return PromptStep("lasso" if tool is Tool.LASSO else "stroke", line, label)


def outline(tool: Tool, points: Any) -> NDArray[Any]:
    """Give the line to show while it is being drawn: for a box, its four corners."""
    line = np.asarray(points, float)
    if tool is Tool.BOX:
        (y0, x0), (y1, x1) = line[0], line[-1]
        line = np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)])
    return line
