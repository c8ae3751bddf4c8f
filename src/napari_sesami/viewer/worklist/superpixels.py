"""The superpixel tool: outlines on the scan, a click or drag gives them to a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_sesami.common.errors import SesamiError
from napari_sesami.session import touched
from napari_sesami.viewer.app.errors import ViewerError, sentence
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.layers.mouse import hear, position, reverses
from napari_sesami.viewer.layers.overlay import HOVER, MASK
from napari_sesami.viewer.worklist.layers import SuperpixelLayers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_sesami.project import ClassEntry
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.worklist.controller import WorklistController

TOPIC = "superpixels"
REST = 200  # ms after the last change of scale or plane before superpixels are cut


class SuperpixelTool:
    """Whether the tool is in use, at which scale, and what it shows.

    Attributes
    ----------
    on
        Whether the mouse gives superpixels to classes.
    scale
        Side of a superpixel in pixels, about.
    """

    changed = Signal()
    """on, off, scale, class, or superpixels are ready"""

    def __init__(self, controller: WorklistController) -> None:
        self._controller = controller
        self.on = False
        self.scale = 16
        self._binding: LayerBinding | None = None
        self._layers: SuperpixelLayers | None = None
        self._pieces: NDArray[np.int32] | None = None
        self._plane = 0
        self._hovered = 0
        self._closing = False
        self._cut = Debounced(self._ask, REST)

    @property
    def ready(self) -> bool:
        """Whether the superpixels of the plane on screen are there."""
        return self._pieces is not None

    @property
    def class_entry(self) -> ClassEntry:
        """The class that superpixels go to: that of the brush, or the first."""
        binding = self._controller.binding
        classes = binding.session.classes
        if not len(classes):
            raise ViewerError("Name a class first, in the panel Label (key N).")
        if binding.current_class not in classes:
            binding.strokes.selected_label = next(iter(classes)).id
        return classes[binding.current_class]

    # --- on and off

    def toggle(self) -> None:
        """Take the tool, or put it down."""
        if self.on:
            self.stop()
            return
        controller = self._controller
        binding = controller.binding
        _ = self.class_entry  # says what is missing
        binding.check_image()
        if not binding.strokes.editable:
            raise ViewerError("Superpixels need the flat view of the slices (2-D).")
        self.on, self._binding = True, binding
        viewer = controller.workspace.viewer
        viewer.layers.selection.events.active.connect(self._on_active)
        viewer.dims.events.current_step.connect(self._on_dims)
        self._show_proposals(False)
        self._layers = SuperpixelLayers(controller.workspace, binding, self._hear)
        self._ask()
        self.changed.emit()

    def stop(self) -> None:
        """Put the tool down, and take its layers out."""
        if not self.on:
            return
        self.on, self._binding, self._pieces = False, None, None
        workspace = self._controller.workspace
        workspace.jobs.cancel(TOPIC)
        self._cut.stop()
        viewer = workspace.viewer
        viewer.layers.selection.events.active.disconnect(self._on_active)
        viewer.dims.events.current_step.disconnect(self._on_dims)
        if self._layers is not None:
            self._layers.close(workspace.jobs)
        self._layers = None
        self._show_proposals(True)
        self.changed.emit()

    def close(self) -> None:
        """Let go of everything."""
        try:
            self.stop()
        except ViewerError:  # the window went first
            self.on = False

    def set_scale(self, scale: int) -> None:
        """Cut anew, into larger or smaller pieces."""
        self.scale = int(scale)
        if self.on:
            self._pieces = None
            self._cut.soon()
        self.changed.emit()

    def pick(self, number: int) -> None:
        """Choose the n-th class of the table, without taking the brush."""
        binding = self._controller.binding
        entries = list(binding.session.classes)
        if not 1 <= number <= len(entries):
            raise ViewerError(f"There is no class {number} yet; press N to name one.")
        binding.strokes.selected_label = entries[number - 1].id
        self._controller.workspace.say(
            f"Superpixels become {entries[number - 1].name}."
        )
        self.changed.emit()

    # --- the mouse

    def hover(self, at: tuple[float, float]) -> None:
        """Show the superpixel under the cursor."""
        found = self._under([at])
        number = int(found[0]) if len(found) else 0
        if number == self._hovered:
            return
        self._hovered = number
        self._show(found, HOVER)

    def sketch(self, path: list[tuple[float, float]]) -> None:
        """Show the superpixels under a drag."""
        self._show(self._under(path), MASK)

    def assign(self, path: list[tuple[float, float]], erase: bool) -> None:
        """Give the superpixels under a path to the class, or take it from them."""
        binding = self._controller.binding
        if self._pieces is None:
            raise ViewerError("The superpixels are still being cut; in a moment.")
        entry = self.class_entry
        binding.flush()
        box = binding.session.retrieval.superpixels.assign(
            path, 0 if erase else entry.id, binding.plane, scale=self.scale
        )
        self._hovered = 0
        self._show((), HOVER)
        what = "cleared" if erase else f"given to {entry.name}"
        said = f"Superpixels {what}; undo (Ctrl+Z) takes it back."
        self._controller.workspace.say(said if box else "Nothing changed there.")

    # --- inside

    def _show_proposals(self, visible: bool) -> None:
        screen = self._controller.reviewer.screen
        if screen is not None:
            screen.set_visible(visible)

    def _under(self, path: Any) -> NDArray[np.int32]:
        if self._pieces is None:
            return np.zeros(0, np.int32)
        return touched(self._pieces, path)

    def _show(self, numbers: Any, value: int) -> None:
        layers, pieces = self._layers, self._pieces
        if layers is None:
            return
        drawn = []
        if pieces is not None and len(numbers):
            mask = np.isin(pieces, numbers)
            rows, columns = (np.flatnonzero(mask.any(1 - a)) for a in (0, 1))
            y0, y1 = int(rows[0]), int(rows[-1]) + 1
            x0, x1 = int(columns[0]), int(columns[-1]) + 1
            drawn = [(value, (y0, x0, y1, x1), mask[y0:y1, x0:x1])]
        layers.show(self._controller.binding.plane, drawn)

    def _hear(self, layer: Labels) -> Callable[[], None]:
        return hear(layer, self, follow_press, SuperpixelTool.hover)

    def _ask(self) -> None:
        binding = self._binding
        if binding is None:
            return
        self._plane, scale = binding.plane, self.scale
        task = _Cutting(binding.session, self._plane, scale)
        self._controller.workspace.say(f"Cutting superpixels of {scale} pixels …")
        self._controller.workspace.jobs.submit(TOPIC, task, self._on_cut)

    def _on_cut(self, found: tuple[NDArray[np.int32], NDArray[np.uint8]]) -> None:
        if not self.on or self._layers is None:
            return
        self._pieces, borders = found
        self._hovered = 0
        self._layers.show_borders(self._plane, borders)
        self._controller.workspace.say(
            f"Click or drag: superpixels become {self.class_entry.name}; Shift clears."
        )
        self.changed.emit()

    def _on_active(self, event: Any) -> None:
        """Another layer was chosen: the tool is put down."""
        if self._layers is not None and event.value is not self._layers.layer:
            self.stop()

    def _on_dims(self, event: Any = None) -> None:
        if self._binding is not None and self._binding.plane != self._plane:
            self._pieces = None
            self._cut.soon()


class _Cutting:
    """The job of cutting a plane: superpixels, and where their borders are."""

    def __init__(self, session: Session, plane: int, scale: int) -> None:
        self.session, self.plane, self.scale = session, plane, scale

    def __call__(self, job: Job) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        pieces = self.session.retrieval.superpixels.cut(self.plane, scale=self.scale)
        job.check()
        lines = np.zeros(pieces.shape, np.uint8)
        lines[:-1] |= pieces[:-1] != pieces[1:]
        lines[:, :-1] |= pieces[:, :-1] != pieces[:, 1:]
        return pieces, lines


def follow_press(pieces: SuperpixelTool, layer: Labels, event: Any) -> Iterator[None]:
    """Follow a press until the release: what was touched goes to the class."""
    if event.button not in (1, 2):
        return
    erase, path = reverses(event), [position(layer, event)]
    yield
    while event.type == "mouse_move":
        path += between(path[-1], position(layer, event))
        pieces.sketch(path)
        yield
    try:
        pieces.assign(path, erase)
    except (SesamiError, OSError) as error:
        pieces._controller.workspace.say(sentence(error))


def between(
    a: tuple[float, float], b: tuple[float, float]
) -> list[tuple[float, float]]:
    """Points from `a` (left out) to `b`, a pixel or two apart: a quick hand jumps."""
    n = max(1, round(max(abs(b[0] - a[0]), abs(b[1] - a[1])) / 2))
    return [
        (a[0] + (b[0] - a[0]) * i / n, a[1] + (b[1] - a[1]) * i / n)
        for i in range(1, n + 1)
    ]
