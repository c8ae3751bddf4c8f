"""The preview layer: the mask at work, the one under the cursor, marks of prompts.

Only the pixels that differ are written, in one call, so that napari redraws one box.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.box import around
from napari_sesami.viewer.app.plane_arrays import SMALL, LayerArray
from napari_sesami.viewer.layers.spatial import plane_index, spatial_kwargs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.prompt import Mask

    Drawn = tuple[int, BBox, NDArray[np.bool_]]  # value, box, pixels within

MASK, HOVER, ADD, CUT, LINE, EDGE, FOUND = 1, 2, 3, 4, 5, 6, 7
_COLORS = {
    0: (0.0, 0.0, 0.0, 0.0),
    MASK: (0.1, 0.8, 1.0, 0.28),  # what is below is what one judges the mask by
    EDGE: (0.1, 0.85, 1.0, 1.0),
    HOVER: (1.0, 1.0, 1.0, 0.3),
    ADD: (0.1, 1.0, 0.2, 1.0),
    CUT: (1.0, 0.1, 0.1, 1.0),
    LINE: (1.0, 0.95, 0.2, 1.0),
    None: (1.0, 0.55, 0.0, 0.4),  # FOUND and more: one of many
}
_WRITES = 20  # after as many, napari's own undo of this layer is emptied
PREVIEW = "prompt"


class MaskOverlay:
    """Shows masks and marks of one plane in a Labels layer of its own.

    Parameters
    ----------
    viewer
        Where the layer is added.
    image
        The layer it lies on, in all seven spatial attributes.
    shape
        Of the label layers: without a channel axis.
    """

    def __init__(
        self, viewer: ViewerModel, image: Image, shape: tuple[int, ...]
    ) -> None:
        from napari.utils.colormaps import DirectLabelColormap

        self.plane = 0
        self._plane_shape = shape[-2:]
        self._drawn: BBox | None = None
        self._writes = 0
        data: Any = np.zeros(shape, np.uint8)  # costs memory where it is written only
        if math.prod(shape) > SMALL:
            data = LayerArray(shape, np.dtype(np.uint8), self._nothing)
        self.layer: Labels = viewer.add_labels(
            data,
            name=f"{image.name} {PREVIEW}",
            opacity=1.0,
            colormap=DirectLabelColormap(color_dict=_COLORS),
            metadata={"sesami_layer": PREVIEW},
            **spatial_kwargs(image),
        )

    def show(self, plane: int, drawn: Iterable[Drawn]) -> None:
        """Draw one above the other; what was there before goes."""
        pieces = [piece for piece in drawn if piece[2].size]
        if plane != self.plane:
            self._wipe()
            self.plane = plane
        boxes = [box for _, box, _ in pieces]
        old = [] if self._drawn is None else [self._drawn]
        self._drawn = around(boxes) if boxes else None
        if not boxes and not old:
            return
        y0, x0, y1, x1 = around(boxes + old)
        target = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for value, (t, le, b, r), mask in pieces:
            target[t - y0 : b - y0, le - x0 : r - x0][mask] = value
        self._write(y0, x0, target)

    def clear(self) -> None:
        """Show nothing."""
        self.show(self.plane, ())

    def _write(self, y0: int, x0: int, target: NDArray[np.uint8]) -> None:
        lead = self._lead(self.plane)
        h, w = target.shape
        now = np.asarray(self.layer.data[(*lead, ...)])[y0 : y0 + h, x0 : x0 + w]
        rows, columns = np.nonzero(now != target)
        if not rows.size:
            return
        where = (
            *(np.full(rows.size, i) for i in lead),
            rows + y0,
            columns + x0,
        )
        self.layer.data_setitem(where, target[rows, columns])
        self._writes += 1
        if self._writes % _WRITES == 0:
            # what napari remembers of this layer is of no use, and could grow large
            self.layer.editable = False
            self.layer.editable = True

    def _wipe(self) -> None:
        """Empty the plane that is left; nobody looks at it any more."""
        if self._drawn is not None:
            y0, x0, y1, x1 = self._drawn
            if isinstance(self.layer.data, LayerArray):
                self.layer.data.forget(self.plane)
            else:
                self.layer.data[
                    (*self._lead(self.plane), slice(y0, y1), slice(x0, x1))
                ] = 0
        self._drawn = None

    def _lead(self, plane: int) -> tuple[int, ...]:
        return plane_index(self.layer.data.shape[:-2], plane)

    def _nothing(self, plane: int) -> NDArray[np.uint8]:
        return np.zeros(self._plane_shape, np.uint8)


def of_mask(mask: Mask, value: int = MASK) -> Drawn:
    """Draw a mask."""
    return value, mask.bbox, mask.mask


def edge_of(mask: Mask, width: float) -> Drawn:
    """Draw the border of a mask, so many pixels wide, inside it."""
    pixels, step = mask.mask, max(1, round(width))
    inner = np.zeros_like(pixels)
    room = pixels[step:-step, step:-step]
    if room.size:
        inner[step:-step, step:-step] = room & (
            pixels[: -2 * step, step:-step]
            & pixels[2 * step :, step:-step]
            & pixels[step:-step, : -2 * step]
            & pixels[step:-step, 2 * step :]
        )
    return EDGE, mask.bbox, pixels & ~inner


def disc(yx: Sequence[float], radius: float, value: int, shape: Any) -> Drawn:
    """Draw a click."""
    from skimage.draw import disk

    reach = math.ceil(radius)
    y, x = round(yx[0]), round(yx[1])
    box = _clip((y - reach, x - reach, y + reach + 1, x + reach + 1), shape)
    pixels = np.zeros(_size(box), bool)
    centre = (yx[0] - box[0], yx[1] - box[1])
    pixels[disk(centre, max(radius, 0.6), shape=pixels.shape)] = True
    return value, box, pixels


def path(points: Any, width: float, value: int, shape: Any, close: bool) -> Drawn:
    """Draw a line; closed, it is an outline."""
    from skimage.draw import line

    at = np.rint(np.asarray(points, float)).astype(int)
    at = np.clip(at, 0, np.array(shape) - 1)
    if close:
        at = np.concatenate([at, at[:1]])
    thick = max(0, round((width - 1) / 2))
    low, high = at.min(0) - thick, at.max(0) + thick + 1
    box = _clip((int(low[0]), int(low[1]), int(high[0]), int(high[1])), shape)
    pixels = np.zeros(_size(box), bool)
    corner = np.array(box[:2])
    for a, b in zip(at[:-1] - corner, at[1:] - corner, strict=True):
        rows, columns = line(*a, *b)
        for dy in range(-thick, thick + 1):
            for dx in range(-thick, thick + 1):
                r = np.clip(rows + dy, 0, pixels.shape[0] - 1)
                c = np.clip(columns + dx, 0, pixels.shape[1] - 1)
                pixels[r, c] = True
    return value, box, pixels


def corners(box: Sequence[float]) -> list[tuple[float, float]]:
    """The corners of a half-open box, in pixel centres."""
    y0, x0, y1, x1 = box[0], box[1], box[2] - 1, box[3] - 1
    return [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]


def _clip(box: BBox, shape: Any) -> BBox:
    h, w = shape
    y0, x0, y1, x1 = box
    return (
        min(max(y0, 0), h),
        min(max(x0, 0), w),
        min(max(y1, 0), h),
        min(max(x1, 0), w),
    )


def _size(box: BBox) -> tuple[int, int]:
    return max(box[2] - box[0], 0), max(box[3] - box[1], 0)
