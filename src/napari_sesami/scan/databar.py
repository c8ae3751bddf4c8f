"""Find the data bar that a scanning electron microscope burns into its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHALLOWEST, DEEPEST = 0.015, 0.25  # of the image's height
SMALLEST = 96  # rows and columns an image needs to have a legible bar
TOLERANCE = 0.04  # of the image's range of grey: how constant the ground is
GROUND = 0.5  # share of a bar's row that is ground; text and frames take the rest
LINES = 0.12  # share of a bar's rows that may be frame lines or logos
LETTERS, ON_A_LINE = 12, 7  # marks of a letter's size, and on the same base line


def find_data_bar(image: NDArray[Any]) -> int | None:
    """Find the first row of the data bar, None where there is none.

    A bar is a band at the lower edge with a constant ground over the whole width, at
    least one line of small text on it, and an image above that does not have this
    ground.
    """
    height, width = image.shape[:2]
    if image.ndim != 2 or min(height, width) < SMALLEST or image.dtype.kind not in "ui":
        return None
    first = height - int(height * DEEPEST) - 16
    band = image[first:].astype(np.float32)
    low, high = float(band.min()), float(band.max())
    if not high > low:
        return None
    ground = _ground(band, low, high)
    on_ground = np.abs(band - ground) <= TOLERANCE * (high - low)
    top = _top(on_ground.mean(axis=1), height)
    if top is None or not _has_text(on_ground[top:], band[top:], ground, high - low):
        return None
    while 0 < top and _is_line(band[top - 1], high - low):
        top -= 1  # the frame line above the ground belongs to the bar
    return first + top


def _is_line(row: NDArray[np.float32], contrast: float) -> bool:
    """Whether a row has one grey value from edge to edge."""
    distance = np.abs(row - np.median(row))
    return bool((distance <= TOLERANCE * contrast).mean() > 0.98)


def _ground(band: NDArray[np.float32], low: float, high: float) -> float:
    """Grey value that the lowest rows have most often."""
    rows = band[-max(4, int(len(band) * SHALLOWEST * 4)) :]
    counts, edges = np.histogram(rows, bins=64, range=(low, high))
    most = int(counts.argmax())
    chosen = rows[(rows >= edges[most]) & (rows <= edges[most + 1])]
    return float(np.median(chosen))


def _top(share: NDArray[np.floating[Any]], height: int) -> int | None:
    """First row of the band whose rows are mostly ground, if it ends sharply.

    `share` is, for every row, how much of it is ground.
    """
    is_bar = share >= GROUND
    top = len(share)
    allowed = max(3, int(LINES * height * SHALLOWEST * 4))
    gap = 0
    for row in range(len(share) - 1, -1, -1):
        gap = 0 if is_bar[row] else gap + 1
        if gap > allowed:
            break
        if is_bar[row]:
            top = row
    else:
        return None  # deeper than any bar
    depth = len(share) - top
    if not SHALLOWEST * height <= depth <= DEEPEST * height:
        return None
    if (~is_bar[top:]).mean() > LINES:
        return None
    return top if _ends_sharply(share, top) else None


def _ends_sharply(share: NDArray[np.floating[Any]], top: int) -> bool:
    """Whether the band starts with an empty margin and the image above is another."""
    margin = share[top : top + 8]
    margin = margin[margin > 0.1]  # without frame lines
    above = share[max(0, top - 4) : top]
    empty = margin.size >= 2 and margin[:2].min() > 0.94
    return bool(empty and above.size and above.mean() < 0.35)


def _has_text(
    on_ground: NDArray[np.bool_],
    band: NDArray[np.float32],
    ground: float,
    contrast: float,
) -> bool:
    """Whether small marks of strong contrast stand on common base lines."""
    from scipy import ndimage

    spread = np.median(np.abs(band[on_ground] - ground))
    marks = np.abs(band - ground) > 0.25 * contrast
    if spread > 0.01 * contrast or not 0.003 < marks.mean() < 0.4:
        return False
    found, _ = ndimage.label(marks, structure=np.ones((3, 3)))
    boxes = ndimage.find_objects(found)
    height, width = band.shape
    letters = [
        (rows.stop, rows.stop - rows.start)
        for rows, columns in boxes
        if 4 <= rows.stop - rows.start <= 0.6 * height
        and columns.stop - columns.start <= 0.1 * width
    ]
    if len(letters) < LETTERS:
        return False
    ends = np.bincount([end for end, _ in letters], minlength=height + 2)
    line = int((ends[:-1] + ends[1:]).argmax())  # two neighbouring rows
    on_line = [high for end, high in letters if end in (line, line + 1)]
    return len(on_line) >= ON_A_LINE and float(np.median(on_line)) < 0.5 * height
