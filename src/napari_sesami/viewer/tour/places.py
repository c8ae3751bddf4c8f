"""Where on a scan the tour points: inside what is there, as far as that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.viewer.app.binding import LayerBinding

REACH = 18  # px on screen around a click
SMALLEST, LARGEST = 1e-3, 0.05  # of the plane: what one would click first
STROKE = 0.06  # of the plane's width: half the length of a stroke


@dataclass(frozen=True)
class Spot:
    """A place (y, x) of the plane, and the class that is there, 0 if unknown.

    `half` is half the length of the stroke that is asked for, 0 for a click.
    """

    yx: tuple[float, float]
    where: str
    class_id: int = 0
    name: str = ""
    half: float = 0.0


@dataclass(frozen=True)
class Places:
    """Where to click, and where to paint two strokes."""

    click: Spot
    strokes: tuple[Spot, Spot]


def places_of(viewer: Any, binding: LayerBinding) -> Places:
    """Find places by the truth that came with a sample, else near the middle."""
    scan = binding.session.scan
    height, width = scan.plane_shape
    truth = _truth(viewer, binding)
    names = {entry.id: entry.name for entry in binding.session.classes}
    half = STROKE * width
    found = [] if truth is None else _largest_classes(truth, names)
    if truth is None or len(found) < 2:
        middle, below = (height / 2, width / 2), (0.75 * height, width / 2)
        first = Spot(middle, "on a thing that you know", half=half)
        second = Spot(below, "on something else", half=half)
        return Places(Spot(middle, "inside any object"), (first, second))
    click = _thing(truth, names) or Spot(found[0][1], "here", found[0][0])
    order = sorted(found, key=lambda each: each[0] != click.class_id)
    strokes = [
        Spot(yx, f"inside the {names[id_]}", id_, names[id_], half)
        for id_, yx in order[:2]
    ]
    return Places(click, (strokes[0], strokes[1]))


def _truth(viewer: Any, binding: LayerBinding) -> NDArray[np.uint8] | None:
    name = f"{binding.image.name} truth"
    if name not in viewer.layers:
        return None
    labels = np.asarray(viewer.layers[name].data)
    return labels.reshape(-1, *labels.shape[-2:])[binding.plane]


def _deepest(mask: NDArray[np.bool_]) -> tuple[float, tuple[float, float]]:
    """Depth and place of the pixel farthest from the border of a mask."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(depth[y, x]), (float(y), float(x))


def _largest_classes(
    truth: NDArray[np.uint8], names: dict[int, str]
) -> list[tuple[int, tuple[float, float]]]:
    """Give the classes with most room for a stroke, and its place."""
    found = [(*_deepest(truth == id_), id_) for id_ in names if (truth == id_).any()]
    return [(id_, yx) for _, yx, id_ in sorted(found, reverse=True)]


def _thing(truth: NDArray[np.uint8], names: dict[int, str]) -> Spot | None:
    """Find an object near the middle that one would click first: small and whole."""
    from scipy.ndimage import find_objects, label

    height, width = truth.shape
    best: tuple[float, Spot] | None = None
    for id_, name in names.items():
        parts, _ = label(truth == id_)
        for number, box in enumerate(find_objects(parts), 1):
            (y0, x0), (y1, x1) = ([s.start for s in box], [s.stop for s in box])
            mask = parts[box] == number
            if y0 == 0 or x0 == 0 or y1 == height or x1 == width:
                continue
            if not SMALLEST < mask.sum() / truth.size < LARGEST:
                continue
            depth, (y, x) = _deepest(mask)
            full = mask.sum() / mask.size  # of its box: a ring has little
            off = np.hypot(y0 + y - height / 2, x0 + x - width / 2) / width
            score = depth / max(height, width) + full - off
            if best is None or score > best[0]:
                spot = Spot((y0 + y, x0 + x), f"here, inside the {name}", id_, name)
                best = score, spot
    return None if best is None else best[1]
