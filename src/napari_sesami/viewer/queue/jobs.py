"""What the work thread does for the queue; knows no widget and no layer."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.session import QueuedQuery, QueueJudge, Ranking, Session
    from napari_sesami.viewer.app.jobs import Job

    Pictures = dict[int, NDArray[np.uint8]]

SIDE = 44  # px of a thumbnail
MOST_MARGIN = 32  # pixels of the scan around a region
LINE = (255, 43, 214)


def best_zoom(session: Session, job: Job) -> float:
    """The zoom at which the strokes are told apart best."""
    return session.retrieval.learner.best_zoom(lambda: job.cancelled)


def scored(ranking: Ranking, plane: int, done: float, job: Job) -> Ranking:
    """Score one plane of a ranking; `done` is the share of planes before it."""
    job.report(done, f"Looking at slice {plane}.")
    ranking.take(plane, lambda: job.cancelled)
    return ranking


def finished(ranking: Ranking, controls: int, job: Job) -> Ranking:
    """Choose the best of what was scored."""
    ranking.finish(controls)
    return ranking


def tried(ranking: Ranking, job: Job) -> Ranking:
    """Choose among the first slice; it may have nothing left to ask."""
    with suppress(ValueError):
        ranking.finish()
    return ranking


def judged(judging: QueueJudge, number: int, job: Job) -> QueueJudge:
    """Learn one more stage of the answers again."""
    judging.take(judging.steps[number], lambda: job.cancelled)
    return judging


def heat(
    session: Session, plane: int, names: Sequence[str], zoom: float, job: Job
) -> tuple[int, dict[str, NDArray[np.float32]]]:
    """Heat maps of a plane."""
    found = session.queue.score_maps(
        plane,
        tuple(names),
        zoom=zoom,
        cancelled=lambda: job.cancelled,
    )
    return plane, found


def proposed(
    session: Session, entry: QueuedQuery, zoom: float, job: Job
) -> tuple[int, NDArray[np.uint8]]:
    """What the pixels of a patch or slice look like."""
    return entry.id, session.queue.proposed(entry, zoom)


def pictures(session: Session, entries: Sequence[QueuedQuery], job: Job) -> Pictures:
    """Thumbnails (SIDE, SIDE, 3) with the region outlined."""
    out = {}
    for entry in sorted(entries, key=lambda e: e.query.plane):
        job.check()
        out[entry.id] = picture(session, entry)
    return out


def picture(session: Session, entry: QueuedQuery) -> NDArray[np.uint8]:
    """One thumbnail: the region in its surroundings."""
    from scipy.ndimage import binary_dilation
    from skimage.transform import resize

    y0, x0, y1, x1 = entry.query.bbox
    height, width = session.scan.plane_shape
    side = max(y1 - y0, x1 - x0)
    side = min(side + 2 * min(side, MOST_MARGIN), height, width)
    top = int(np.clip((y0 + y1 - side) // 2, 0, height - side))
    left = int(np.clip((x0 + x1 - side) // 2, 0, width - side))
    box = (top, left, top + side, left + side)
    grey = resize(
        session.scan.grey(entry.query.plane, box), (SIDE, SIDE), anti_aliasing=True
    )
    low, high = np.percentile(grey, (1, 99))
    grey = np.clip((grey - low) / max(float(high - low), 0.2), 0, 1)
    out = np.repeat((255 * grey[..., None]).astype(np.uint8), 3, axis=2)
    inside = np.zeros((side, side), bool)
    at_y, at_x = max(0, y0 - top), max(0, x0 - left)
    mask = entry.query.mask[max(0, top - y0) :, max(0, left - x0) :]
    mask = mask[: side - at_y, : side - at_x]
    inside[at_y : at_y + mask.shape[0], at_x : at_x + mask.shape[1]] = mask
    at = ((np.arange(SIDE) + 0.5) * side / SIDE).astype(int)
    small = inside[at][:, at]
    out[binary_dilation(small) & ~small] = LINE
    return np.ascontiguousarray(out)
