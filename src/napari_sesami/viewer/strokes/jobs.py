"""What the work thread asks of the session for strokes; knows no widget, no layer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.common.cancel import Progress
    from napari_sesami.retrieve import LookShare, Repeats
    from napari_sesami.session import (
        Cleaned,
        Explanation,
        PlaneLabels,
        ReadOptions,
        Session,
    )
    from napari_sesami.viewer.app.jobs import Job

    Show = Callable[[int, NDArray[np.uint8]], None]


def quick(
    session: Session, plane: int, how: ReadOptions, show: Show, job: Job
) -> PlaneLabels:
    """Label a plane at once, without refining; `show` gets parts of it before."""
    return session.retrieval.label(
        plane,
        how,
        quick=True,
        partly=show,
        progress=_tiles(job),
        cancelled=lambda: job.cancelled,
    )


def refined(session: Session, plane: int, how: ReadOptions, job: Job) -> PlaneLabels:
    """Label a plane with fine borders."""
    return session.retrieval.label(
        plane, how, progress=_tiles(job), cancelled=lambda: job.cancelled
    )


def one_of_all(
    session: Session, plane: int, how: ReadOptions, disk: Any, keep: int, job: Job
) -> int:
    """Label a plane of a whole scan and write it; gives its number."""
    disk[plane] = refined(session, plane, replace(how, votes=False), job).labels
    if plane != keep:
        session.retrieval.learner.forget(plane)
    return plane


def cleaned(
    session: Session, plane: int, how: ReadOptions, job: Job
) -> tuple[int, NDArray[np.uint8], Cleaned]:
    """Label a plane and let the prompt model redraw what it agrees with."""

    def progress(done: int, total: int) -> None:
        job.report(done / max(total, 1), f"Cleaning up: part {done} of {total}.")

    found = session.retrieval.segment(
        plane,
        method=how.method,
        multi=how.overlap,
        zoom=how.zoom,
        refine=how.refine,
        off=how.off,
        cancelled=lambda: job.cancelled,
    )
    better, told = session.retrieval.clean(
        found, progress=progress, cancelled=lambda: job.cancelled
    )
    return plane, better.labels[0], told[0]


def explained(
    session: Session, plane: int, at: tuple[float, float], how: ReadOptions, job: Job
) -> tuple[Explanation, list[LookShare]]:
    """Tell why a pixel got its class: classes, strokes with pictures, and looks."""
    reasons = session.retrieval.explain(
        plane, at, how, progress=_tiles(job), cancelled=lambda: job.cancelled
    )
    looks = session.retrieval.looks(plane, at, how, cancelled=lambda: job.cancelled)
    return reasons, looks


def judged(session: Session, how: ReadOptions, job: Job) -> dict[int, float]:
    """Judge what every stroke is worth to the others."""
    return session.retrieval.worth(how, lambda: job.cancelled)


def best_zoom(session: Session, job: Job) -> float:
    """Find the zoom at which the strokes are told apart best."""
    return session.retrieval.learner.best_zoom(lambda: job.cancelled)


def repeats_of(
    session: Session, plane: int, box: BBox, least: float, zoom: float, job: Job
) -> tuple[int, BBox, Repeats]:
    """Find the repeats of a cell."""
    found = session.retrieval.repeats(
        plane,
        box,
        least=least,
        zoom=zoom,
        progress=_tiles(job),
        cancelled=lambda: job.cancelled,
    )
    return plane, box, found


def saved_bank(
    session: Session, how: ReadOptions, path: Path, thumbnails: bool, job: Job
) -> Path:
    """Write what was learned."""
    return session.retrieval.export_bank(path, thumbnails=thumbnails, zoom=how.zoom)


def combined_bank(
    session: Session, banks: list[Path], path: Path, job: Job
) -> tuple[Path, int]:
    """Write one bank of several."""
    return session.retrieval.combine_banks(banks, path)


def plane_of(
    read: Callable[[int], NDArray[np.uint8]], plane: int, job: Job
) -> tuple[int, NDArray[np.uint8]]:
    """Read a plane of a whole scan's result."""
    return plane, np.array(read(plane))


def _tiles(job: Job) -> Progress:
    def progress(done: int, total: int) -> None:
        job.report(done / total, f"Reading the scan: tile {done} of {total}.")

    return progress
