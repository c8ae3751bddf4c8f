"""Where the view is and where the cursor points, in data pixels; going to a place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.viewer.layers.spatial import plane_index

if TYPE_CHECKING:
    from napari.layers import Layer

SMALL, LARGE = 1 / 20, 0.8  # of the canvas: regions beyond are zoomed to
SHOWN = 1 / 8  # of the canvas that a small region then takes


def show_plane(viewer: Any, layer: Layer, plane: int) -> tuple[int, ...]:
    """Bring a plane of a layer on screen; gives its index along the leading axes."""
    index = plane_index(layer.data.shape[: layer.ndim - 2], plane)
    for axis, step in enumerate(index):
        viewer.dims.set_current_step(viewer.dims.ndim - layer.ndim + axis, step)
    return index


def go_to(viewer: Any, layer: Layer, plane: int, y: float, x: float) -> None:
    """Show a place of a layer in the middle of the canvas."""
    world = layer.data_to_world((*show_plane(viewer, layer, plane), y, x))
    viewer.scene.camera.center = tuple(float(w) for w in world[-2:])


def bring_into_view(viewer: Any, layer: Layer, plane: int, y: float, x: float) -> None:
    """Move the view only if the place is not on screen."""
    world = np.array(layer.data_to_world((*show_plane(viewer, layer, plane), y, x)))
    camera = viewer.scene.camera
    half = np.array(viewer.canvas.size) / 2 / camera.zoom
    if (np.abs(world[-2:] - camera.center[-2:]) > half).any():
        camera.center = tuple(float(w) for w in world[-2:])


def frame(viewer: Any, layer: Layer, plane: int, box: tuple[int, ...]) -> None:
    """Show a box in the middle of the canvas, large enough to be judged."""
    index = show_plane(viewer, layer, plane)
    y0, x0, y1, x1 = box
    corners = [
        np.array(layer.data_to_world((*index, *yx)))[-2:]
        for yx in ((y0 - 0.5, x0 - 0.5), (y1 - 0.5, x1 - 0.5))
    ]
    camera = viewer.scene.camera
    camera.center = tuple(float(w) for w in (corners[0] + corners[1]) / 2)
    canvas = float(min(viewer.canvas.size))
    size = float(np.abs(corners[1] - corners[0]).max())
    part = size * float(camera.zoom) / canvas
    if not SMALL <= part <= LARGE:
        whole = LARGE if part > LARGE else SHOWN
        camera.zoom = whole * canvas / max(size, 1e-12)


def fit(viewer: Any, layer: Layer) -> None:
    """Show the whole of a layer, whatever else the viewer holds."""
    low, high = np.asarray(layer.extent.world)[:, -2:]
    camera = viewer.scene.camera
    camera.center = tuple(float(w) for w in (low + high) / 2)
    size = np.maximum(high - low, 1e-12)
    camera.zoom = 0.95 * float((np.array(viewer.canvas.size) / size).min())


def middle(viewer: Any, layer: Layer) -> tuple[float, float]:
    """The place (y, x) in the middle of the canvas."""
    point = [*viewer.dims.point]
    point[-2:] = viewer.scene.camera.center[-2:]
    y, x = layer.world_to_data(point[-layer.ndim :])[-2:]
    return float(y), float(x)


def on_canvas(
    viewer: Any, layer: Layer, plane: int, yx: tuple[float, float]
) -> tuple[float, float]:
    """Where a place of a layer lies on the canvas, in pixels (y, x) of the screen."""
    index = plane_index(layer.data.shape[: layer.ndim - 2], plane)
    world = np.array(layer.data_to_world((*index, *yx))[-2:])
    camera = viewer.scene.camera
    at = np.array(viewer.canvas.size) / 2
    at += (world - camera.center[-2:]) * float(camera.zoom)
    return float(at[0]), float(at[1])


def cursor(viewer: Any, layer: Layer) -> tuple[float, float]:
    """The pixel (y, x) under the cursor."""
    y, x = layer.world_to_data(viewer.cursor.position[-layer.ndim :])[-2:]
    return float(round(y)), float(round(x))


def data_pixels(viewer: Any, layer: Layer, on_screen: float) -> float:
    """How many pixels of a layer a length on screen is."""
    scale = abs(float(layer.scale[-1])) or 1.0
    return on_screen / max(float(viewer.scene.camera.zoom) * scale, 1e-12)
