"""Mouse events of the preview layer become prompts in data pixels of the plane."""

from __future__ import annotations

import weakref
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.session import PromptStep
from napari_sesami.viewer.app.errors import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sesami.viewer.prompt.controller import PromptController

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


def listen(layer: Labels, controller: PromptController) -> Callable[[], None]:
    """Send clicks, drags and moves on a layer to a prompter; returns its own undo.

    napari keeps callbacks as long as the layer lives, so they hold the prompter weakly.
    """
    target = weakref.ref(controller)

    def pressed(layer: Labels, event: Any) -> Iterator[None]:
        found = target()
        if found is None or found.tool is Tool.NONE or event.button not in (1, 2):
            return
        yield from _drag(found, layer, event)

    def moved(layer: Labels, event: Any) -> None:
        found = target()
        if found is not None and found.tool is not Tool.NONE:
            found.hover(position(layer, event))

    layer.mouse_drag_callbacks.append(pressed)
    layer.mouse_move_callbacks.append(moved)

    def stop() -> None:
        layer.mouse_drag_callbacks.remove(pressed)
        layer.mouse_move_callbacks.remove(moved)

    return stop


def position(layer: Labels, event: Any) -> tuple[float, float]:
    """Row and column of an event, in data pixels; the one place that converts them."""
    y, x = layer.world_to_data(event.position)[-2:]
    return float(y), float(x)


def _drag(controller: PromptController, layer: Labels, event: Any) -> Iterator[None]:
    """Follow one press until the release, then hand over what was meant."""
    tool, start = controller.tool, np.array(event.pos, float)
    names = {str(getattr(m, "name", m)) for m in event.modifiers}
    off = event.button == 2 or "Shift" in names
    if "Control" in names:
        tool = Tool.CORRECT
    path, farthest = [position(layer, event)], 0.0
    drawing = tool in DRAWN and event.button == 1
    yield
    while event.type == "mouse_move":
        farthest = max(farthest, float(np.abs(np.array(event.pos) - start).max()))
        if drawing:
            path.append(position(layer, event))
            controller.sketch(tool, path)
        yield
    farthest = max(farthest, float(np.abs(np.array(event.pos) - start).max()))
    if drawing and farthest > MOVED:
        path.append(position(layer, event))
    elif farthest > MOVED:
        return  # napari moved the view
    try:
        if drawing and farthest > MOVED:
            controller.drawn(tool, path, off)
        else:
            controller.clicked(tool, path[0], off)
    except ValueError as error:
        controller.workspace.say(sentence(error))


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
