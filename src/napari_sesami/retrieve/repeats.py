"""Repeats: cells of a periodic structure that match a labelled one, and what differs.

Matching is by tokens, so it forgives brightness and noise; the last pixel is aligned on
the grey image. The repeats' median is the golden cell that no one had to provide.
Sums are made by Fourier transforms: similarities agree within 1e-5 from one processor
to another, so that a repeat at the very limit may be found on one alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sesami.common.correlation import correlate
from napari_sesami.retrieve.bank import RetrieveError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.retrieve.token_store import TokenStore


@dataclass(frozen=True)
class Repeats:
    """Cells that look like the chosen one.

    Attributes
    ----------
    boxes
        (n, 4): y0, x0, y1, x1 in pixels, best match first; the chosen cell is among
        them.
    similarity
        (n,): mean cosine of the tokens.
    consensus
        Median grey cell.
    difference
        (H, W): how far each pixel of a repeat is from the consensus, in robust standard
        deviations of that place in the cell; 0 outside the repeats.
    """

    boxes: NDArray[np.int64]
    similarity: NDArray[np.float32]
    consensus: NDArray[np.float32]
    difference: NDArray[np.float32]


def find_repeats(
    store: TokenStore,
    plane: int,
    box: BBox,
    *,
    least: float = 0.8,
    most: int = 2000,
    search: int | None = None,
) -> Repeats:
    """Find the repeats of the cell `box` on a plane.

    Parameters
    ----------
    store, plane
        Where to look.
    box
        (y0, x0, y1, x1) in pixels, at least two patches wide and high.
    least
        Smallest mean cosine similarity of a repeat.
    most
        How many repeats at the most.
    search
        Pixels by which a match is shifted to fit the grey image; one patch by default.
    """
    tokens = store.plane(plane)
    if tokens is None:
        raise RetrieveError("The tokens of this plane are not computed yet.")
    tokens = tokens.astype(np.float32, copy=False)
    p = store.patch
    y0, x0, y1, x1 = box
    if min(y1 - y0, x1 - x0) < 2 * p:
        raise RetrieveError(
            f"A cell must be at least {2 * p} pixels wide and high to be found again; "
            f"this one is {y1 - y0} × {x1 - x0}."
        )
    score = match_map(tokens, (y0 // p, x0 // p, -(-y1 // p), -(-x1 // p)))
    image = store.scan.grey(plane)
    cell = image[y0:y1, x0:x1]
    offset = (y0 - y0 // p * p, x0 - x0 // p * p)
    found: list[tuple[int, int, float]] = []
    for row, column, similarity in _peaks(score, cell.shape, p, least, most):
        y, x = _align(
            image, cell, row * p + offset[0], column * p + offset[1], search or p
        )
        if 0 <= y <= image.shape[0] - cell.shape[0] and (
            0 <= x <= image.shape[1] - cell.shape[1]
        ):
            found.append((y, x, similarity))
    h, w = cell.shape
    boxes = np.array([(y, x, y + h, x + w) for y, x, _ in found], np.int64)
    consensus, difference = _compare(image, boxes.reshape(-1, 4), cell)
    return Repeats(
        boxes.reshape(-1, 4),
        np.array([s for *_, s in found], np.float32),
        consensus,
        difference,
    )


def match_map(tokens: NDArray[np.float32], cells: BBox) -> NDArray[np.float32]:
    """Mean cosine of a token template at every place, (h − th + 1, w − tw + 1)."""
    r0, c0, r1, c1 = cells
    template = tokens[r0:r1, c0:c1]
    total = correlate(tokens, template)
    return total / np.float32(template[..., 0].size)


def transfer_labels(labels: NDArray[Any], box: BBox, repeats: Repeats) -> NDArray[Any]:
    """Copy the labels of the cell into every repeat; labelled pixels there are kept."""
    y0, x0, y1, x1 = box
    cell = labels[y0:y1, x0:x1]
    out = labels.copy()
    for top, left, bottom, right in repeats.boxes:
        target = out[top:bottom, left:right]
        target[...] = np.where(target == 0, cell, target)
    return out


def _peaks(
    score: NDArray[np.float32], cell: tuple[int, int], p: int, least: float, most: int
) -> list[tuple[int, int, float]]:
    """Local maxima that lie at least 0.6 of a cell apart, best first."""
    size = tuple(max(3, int(0.6 * n / p) | 1) for n in cell)
    top = (score == ndimage.maximum_filter(score, size)) & (score >= least)
    rows, columns = np.nonzero(top)
    order = np.argsort(-score[rows, columns], kind="stable")[:most]
    return [
        (int(rows[i]), int(columns[i]), float(score[rows[i], columns[i]]))
        for i in order
    ]


def _align(
    image: NDArray[np.float32], cell: NDArray[np.float32], y: int, x: int, search: int
) -> tuple[int, int]:
    """Shift a match so that the grey cell correlates best."""
    h, w = cell.shape
    a, b = max(0, y - search), max(0, x - search)
    window = image[a : y + h + search, b : x + w + search]
    if window.shape[0] < h or window.shape[1] < w or cell.std() < 1e-6:
        return y, x
    from skimage.feature import match_template

    score = match_template(window, cell)
    dy, dx = np.unravel_index(int(score.argmax()), score.shape)
    return a + int(dy), b + int(dx)


def _compare(
    image: NDArray[np.float32], boxes: NDArray[np.int64], cell: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    difference = np.zeros_like(image)
    if len(boxes) < 3:  # a median of two says nothing about which one is odd
        return cell.copy(), difference
    stack = np.stack([image[a:c, b:d] for a, b, c, d in boxes])
    consensus = np.median(stack, axis=0)
    spread = 1.4826 * np.median(np.abs(stack - consensus), axis=0)
    spread = np.maximum(spread, max(float(np.median(spread)), 1e-3))
    for (a, b, c, d), piece in zip(boxes, stack, strict=True):
        target = difference[a:c, b:d]
        np.maximum(target, np.abs(piece - consensus) / spread, out=target)
    return consensus.astype(np.float32), difference
