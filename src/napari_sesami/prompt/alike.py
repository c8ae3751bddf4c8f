"""Find all like this one: from one object to every place that looks like it.

Likeness is summed by Fourier transforms of an embedding: it depends on the processor
within what the encoder does, and a place at the very limit may be found on one alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_sesami.common.cancel import cancellable, check_cancelled
from napari_sesami.common.correlation import correlate
from napari_sesami.prompt.errors import PromptError
from napari_sesami.prompt.everything import without_duplicates
from napari_sesami.prompt.view import View
from napari_sesami.scan import TilePlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.predictor import Predictor
    from napari_sesami.scan import Scan

OVERLAP = 64  # pixels that neighbouring views share
INSIDE = 0.5  # of a match that may lie in a better one
VISIBLE = 0.4  # of the object and its rim that the border of the plane must leave


@dataclass(frozen=True)
class Match:
    """An object that looks like the one asked for; 1 is the same."""

    mask: Mask
    likeness: float


def find_alike(
    predictor: Predictor,
    scan: Scan,
    like: Mask,
    plane: int | None = None,
    *,
    least: float = 0.6,
    most: int = 2000,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> list[Match]:
    """Find objects whose tokens and shape look like those of `like`, best first.

    Parameters
    ----------
    predictor, scan
        What is asked, and where.
    like
        The object to look for; itself is among the matches.
    plane
        Where to look; by default where the object is.
    least
        Smallest mean cosine of the tokens, relative to the plane's own background.
    most
        How many matches at the most.
    progress, cancel
        `progress(done, all)` counts views read, then matches outlined.
    """
    if like.empty:
        raise PromptError("There is no object to look for; click one first.")
    here = like.plane if plane is None else plane
    tokens, cell = token_map(predictor, scan, like.plane, progress, cancel)
    template, weight, corner = _template(tokens, like, cell)
    if here != like.plane:
        tokens, cell = token_map(predictor, scan, here, progress, cancel)
    likeness, before = match(tokens, template, weight)
    places = _peaks(likeness, template.shape[:2], least, most)
    offset = (np.array(corner) + before) * cell
    boxes, scores, areas = [], [], []
    height, width = scan.plane_shape
    for row, column in places:
        move = np.array([row, column]) * cell - offset
        whole = np.array(like.bbox) + np.tile(move, 2)
        box = np.clip(whole, 0, [height, width, height, width])
        if (box[2:] - box[:2] < cell).any():
            continue
        boxes.append(box.astype(float))
        scores.append(float(likeness[row, column]))
        y0, x0, y1, x1 = box - np.tile(whole[:2], 2)  # what the border leaves of it
        areas.append(int(np.count_nonzero(like.mask[y0:y1, x0:x1])))
    if not boxes:
        return []
    masks = predictor.predict_many(
        scan,
        here,
        boxes=np.array(boxes),
        multimask=False,
        cancel=cancel,
        progress=progress,
    )
    found = {
        id(m): Match(m, s * _same_size(m.area, area))
        for m, s, area in zip(masks, scores, areas, strict=True)
        if not m.empty
    }
    unique = without_duplicates([m.mask for m in found.values()], 0.5)
    matches: list[Match] = []
    for one in sorted((found[id(m)] for m in unique), key=lambda m: -m.likeness):
        # things that look alike do not lie in each other
        if all(_shared(one.mask, better.mask) < INSIDE for better in matches):
            matches.append(one)
    return matches


def token_map(
    predictor: Predictor,
    scan: Scan,
    plane: int,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Unit-length tokens (h, w, D) of a plane, and the side of their cells in pixels.

    Read from the same embeddings that answer prompts; models without dense tokens give
    their image embedding instead, on coarser cells.
    """
    shape, tile = scan.plane_shape, predictor.model.tile
    align = min(16, tile)
    overlap = min(OVERLAP, tile - align) // align * align
    plan = TilePlan.of(shape, tile=tile, overlap=overlap, align=align)
    out: NDArray[np.float32] | None = None
    cell = 4
    for i in range(len(plan)):
        ys, xs = plan[i]
        view = View((ys.start, xs.start, ys.stop, xs.stop))
        with cancellable(cancel):
            check_cancelled()
            emb = predictor.embed(scan, plane, view)
        cell = 4 if emb.tokens is not None else 16
        dense = (emb.image if emb.tokens is None else emb.tokens)[0].float().cpu()
        part = dense.permute(1, 2, 0).numpy()
        if out is None:
            size = [-(-n // cell) for n in shape]
            out = np.zeros((*size, part.shape[-1]), np.float32)
        plan.place(out, part, i, cell)
        if progress is not None:
            progress(i + 1, len(plan))
    assert out is not None  # a plan has at least one tile
    out -= out.mean((0, 1))  # what all of the plane shares says nothing
    norm = np.linalg.norm(out, axis=-1, keepdims=True)
    return out / np.maximum(norm, 1e-9), cell


def match(
    tokens: NDArray[np.float32],
    template: NDArray[np.float32],
    weight: NDArray[np.float32],
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Weighted mean cosine of a template at every place, also where it sticks out.

    Returns
    -------
    tuple
        The mean over those cells of the template that lie on the plane, -1 where they
        are too few; and how many rows and columns come before place (0, 0).
    """
    over = [int(n * (1 - VISIBLE)) for n in template.shape[:2]]
    around = [(n, n) for n in over]
    room = np.pad(np.ones(tokens.shape[:2], np.float32), around)
    if (np.array(room.shape) < template.shape[:2]).any():
        return np.zeros((0, 0), np.float32), (over[0], over[1])
    padded = np.pad(tokens, [*around, (0, 0)])
    weighted = template * weight[..., None]
    total = correlate(padded, weighted)
    seen = correlate(room[..., None], weight[..., None])
    enough = seen >= VISIBLE * weight.sum()
    mean = np.where(enough, total / np.maximum(seen, 1e-9), -1.0)
    return np.asarray(mean, np.float32), (over[0], over[1])


def _template(
    tokens: NDArray[np.float32], like: Mask, cell: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[int, int]]:
    """Tokens of the object and a rim around it, weights, and the upper left cell."""
    y0, x0, y1, x1 = like.bbox
    rim = max(1, round(0.15 * max(y1 - y0, x1 - x0) / cell))
    r0, c0 = max(0, y0 // cell - rim), max(0, x0 // cell - rim)
    r1 = min(tokens.shape[0], -(-y1 // cell) + rim)
    c1 = min(tokens.shape[1], -(-x1 // cell) + rim)
    inside = like.window((r0 * cell, c0 * cell, r1 * cell, c1 * cell))
    share = inside.reshape(r1 - r0, cell, c1 - c0, cell).mean((1, 3))
    # the surroundings count half: they hold the outline, but neighbours vary
    weight = np.maximum(share, 0.5 * share.mean()).astype(np.float32)
    return tokens[r0:r1, c0:c1], weight, (r0, c0)


def _peaks(
    likeness: NDArray[np.float32], size: tuple[int, ...], least: float, most: int
) -> NDArray[np.int64]:
    if not likeness.size:
        return np.zeros((0, 2), np.int64)
    window = tuple(max(3, n // 2 | 1) for n in size)
    top = likeness == ndimage.maximum_filter(likeness, window)
    at = np.argwhere(top & (likeness >= least))
    order = np.argsort(-likeness[at[:, 0], at[:, 1]], kind="stable")
    return at[order[:most]]


def _shared(mask: Mask, other: Mask) -> float:
    """Share of a mask that lies in another."""
    iou = mask.iou(other)
    return iou * (mask.area + other.area) / (1 + iou) / max(mask.area, 1)


def _same_size(area: int, expected: int) -> float:
    """1 for the same area, falling to a half for twice or half of it."""
    return min(area, expected) / max(area, expected, 1)
