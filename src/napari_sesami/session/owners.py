"""Names of strokes: connected pixels of one class belong to one stroke.

A stroke is named by the place of its first pixel, so that undoing an edit gives the
same names. A change joins or splits only strokes that touch the changed box, and only
those are named again: what was painted elsewhere costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.common.box import BBox, around, slices
from napari_sesami.retrieve import PaintedPixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.session.document import Document

    At = tuple[int, int]

LAYERS = ("strokes", "below")
"""What is painted on top, and what that was painted over."""
DENSE = 64  # up to so many pixels of a box for each painted one, the box is labelled


class StrokeOwners:
    """Which stroke painted each pixel of a scan, kept in step box by box.

    Parameters
    ----------
    document
        Where strokes are kept.

    Attributes
    ----------
    known
        Painted pixels by plane and level, as of the last `update`.
    version
        Grows whenever they change.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self.known: dict[At, PaintedPixels] = {}
        self.version = 0
        height, width = document.scan.plane_shape
        self._dirty: dict[At, BBox] = {
            (plane, level): (0, 0, height, width)
            for level, layer in enumerate(LAYERS)
            for plane in document.work.layers[layer].planes
        }

    def touch(self, plane: int, box: BBox, level: int = 0) -> None:
        """Hear that pixels changed within a box of a plane."""
        with self._document.work.lock:
            before = self._dirty.get((plane, level))
            self._dirty[plane, level] = box if before is None else around([before, box])

    def update(self) -> dict[At, NDArray[np.int64]]:
        """Look at what changed; gives the strokes that may differ, by plane and level.

        Data bars teach nothing: what is painted there is left out.
        """
        scan, work = self._document.scan, self._document.work
        with work.lock:  # somebody may be painting just now
            dirty, self._dirty = self._dirty, {}
            crops = {
                at: np.array(work.layers[LAYERS[at[1]]].read(at[0])[slices(box)])
                for at, box in dirty.items()
            }
        out: dict[At, NDArray[np.int64]] = {}
        for at, box in dirty.items():
            crop = crops[at]
            if scan.ignore is not None:
                crop[scan.ignore[slices(box)]] = 0
            before = self.known.get(at, PaintedPixels.none())
            first = (at[0] + at[1] * scan.n_planes) * int(np.prod(scan.plane_shape))
            now, names = renamed(before, box, crop, scan.plane_shape, first)
            if len(names):
                out[at] = names
                self.known.pop(at, None)
                if len(now):
                    self.known[at] = now
        self.version += bool(out)
        return out


def renamed(
    before: PaintedPixels,
    box: BBox,
    crop: NDArray[np.uint8],
    shape: tuple[int, int],
    first: int = 0,
) -> tuple[PaintedPixels, NDArray[np.int64]]:
    """Put new pixels into a box and name the strokes that touch it again.

    Parameters
    ----------
    before
        What was painted on the plane.
    box, crop
        Where it changed, and the class ids that are there now.
    shape
        Height and width of the plane.
    first
        What names of this plane begin from.

    Returns
    -------
    tuple
        What is painted now, and the names of strokes that may differ.
    """
    y0, x0, y1, x1 = box
    rows, columns = np.nonzero(crop)
    pixels = (rows + y0) * shape[1] + columns + x0
    classes = crop[rows, columns]
    y, x = np.divmod(before.pixels, shape[1])
    inside = (y >= y0) & (y < y1) & (x >= x0) & (x < x1)
    same = np.array_equal(before.pixels[inside], pixels)
    if same and np.array_equal(before.classes[inside], classes):
        return before, np.zeros(0, np.int64)
    near = (y >= y0 - 1) & (y <= y1) & (x >= x0 - 1) & (x <= x1)
    touching = np.unique(before.owners[near])
    again = np.isin(before.owners, touching)
    rest = again & ~inside
    pixels = np.concatenate([before.pixels[rest], pixels])
    classes = np.concatenate([before.classes[rest], classes])
    order = np.argsort(pixels)
    pixels, classes = pixels[order], classes[order]
    owners = names_of(pixels, classes, shape) + first
    names = np.unique(np.concatenate([touching, owners]))
    pixels = np.concatenate([before.pixels[~again], pixels])
    classes = np.concatenate([before.classes[~again], classes])
    owners = np.concatenate([before.owners[~again], owners])
    order = np.argsort(pixels)
    return PaintedPixels(pixels[order], classes[order], owners[order]), names


def stroke_owners(classes: NDArray[np.uint8], plane: int) -> NDArray[np.int64]:
    """Name every stroke of a whole plane (H, W); 0 where nothing is painted."""
    owners = np.zeros(classes.size, np.int64)
    pixels = np.flatnonzero(classes)
    shape = (classes.shape[0], classes.shape[1])
    names = names_of(pixels, classes.ravel()[pixels], shape)
    owners[pixels] = names + plane * classes.size
    return owners.reshape(classes.shape)


def names_of(
    pixels: NDArray[np.int64], classes: NDArray[np.uint8], shape: tuple[int, int]
) -> NDArray[np.int64]:
    """Give each pixel (flat, ascending) the first pixel of its connected part, plus 1.

    Parts hang together along edges and corners.
    """
    if len(pixels) == 0:
        return np.zeros(0, np.int64)
    _, first, who = np.unique(
        _parts(pixels, classes, shape[1]), return_index=True, return_inverse=True
    )
    return pixels[first[who]] + 1


def _parts(
    pixels: NDArray[np.int64], classes: NDArray[np.uint8], width: int
) -> NDArray[np.int32]:
    """Number of the connected part of each pixel."""
    y, x = np.divmod(pixels, width)
    top, left = int(y[0]), int(x.min())
    size = (int(y[-1]) - top + 1, int(x.max()) - left + 1)
    if size[0] * size[1] < DENSE * len(pixels):
        from skimage.measure import label

        crop = np.zeros(size, np.uint8)
        crop[y - top, x - left] = classes
        parts = label(crop, background=0, connectivity=2)
        return parts[y - top, x - left].astype(np.int32)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, pairs = len(pixels), []
    for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
        there = pixels + down * width + right
        at = np.minimum(np.searchsorted(pixels, there), n - 1)
        inside = (x + right >= 0) & (x + right < width)
        joined = inside & (pixels[at] == there) & (classes[at] == classes)
        mine = np.flatnonzero(joined)
        pairs.append((mine, at[mine]))
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(n, n))
    found: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return found
