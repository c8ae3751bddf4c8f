"""What the work thread does for retrieval; knows no widget and no layer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.viewer.app.jobs import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.retrieve import Labelled, Reason, Repeats, Retriever, Way
    from napari_sesami.session import Cleaned, Session
    from napari_sesami.viewer.app.jobs import Job

    Show = Callable[[int, NDArray[np.uint8]], None]

THUMBNAIL = 96  # pixels of the scan
PREVIEW_EVERY = 1.0  # s


@dataclass(frozen=True)
class ReadOptions:
    """How the strokes are read.

    Attributes
    ----------
    zoom
        Scale at which the scan is read.
    off
        Strokes that are switched off.
    refine
        Whether labels are sharpened in a second pass.
    maps
        Keys of the maps that are shown.
    way
        Ours, or one of the published ways.
    overlap
        Whether classes may overlap: each is found by itself.
    """

    zoom: float = 1.0
    off: frozenset[int] = frozenset()
    refine: bool = True
    maps: tuple[str, ...] = ()
    way: Way = "ours"
    overlap: bool = False
    near: tuple[float, float] | None = None  # pixel whose surroundings come first


@dataclass(frozen=True)
class StrokeFacts:
    """A stroke as the bank knows it; `worth` is NaN until it was judged."""

    stroke: int
    class_id: int
    plane: int
    patches: int
    worth: float = float("nan")


@dataclass(frozen=True)
class PlaneResult:
    """Labels of one plane and what is known besides."""

    plane: int
    labels: NDArray[np.uint8]
    strokes: tuple[StrokeFacts, ...]
    classes: int
    seconds: float
    maps: dict[str, Labelled] = field(default_factory=dict)
    masks: NDArray[np.bool_] | None = None  # (H, W, C) if classes may overlap
    told: str = ""  # what was chosen or left out, for the panel


@dataclass(frozen=True)
class Why:
    """A reason with its picture (n, n) uint8, or None if it comes from a bank."""

    reason: Reason
    picture: NDArray[np.uint8] | None


class PartlyRead:
    """Shows labels of what was read of a plane already, now and then."""

    def __init__(
        self, session: Session, plane: int, how: ReadOptions, show: Show
    ) -> None:
        self._session, self._plane, self._how = session, plane, how
        self._show, self._next = show, 0.0

    def __call__(self, tokens: NDArray[np.float32], known: NDArray[np.bool_]) -> None:
        """Label the part that is known, if the last time was long ago."""
        if perf_counter() < self._next:
            return
        labels = self._session.retrieval.preview(
            self._plane, tokens, known, self._how.zoom
        )
        if labels is not None:
            self._show(self._plane, labels)
        self._next = perf_counter() + PREVIEW_EVERY


def retriever_of(
    session: Session,
    how: ReadOptions,
    job: Job,
    *,
    plane: int | None = None,
    tune: bool,
    preview: PartlyRead | None = None,
) -> Retriever:
    """Bring the retriever up to date; tokens of `plane` come first."""

    def progress(done: int, total: int) -> None:
        job.report(done / total, f"Reading the scan: tile {done} of {total}.")

    def cancelled() -> bool:
        return job.cancelled

    store = session.retrieval.token_store(how.zoom)
    if plane is not None:
        tokens = store.plane(
            plane,
            near=how.near,
            progress=progress,
            partly=preview,
            cancelled=cancelled,
        )
        if tokens is None:
            raise Cancelled
    retriever = session.retrieval.retriever(
        how.zoom, cancelled, tune=tune, overlap=how.overlap
    )
    for stroke in retriever.bank.strokes:
        retriever.switch(stroke, stroke not in how.off)
    return retriever


def quick(
    session: Session, plane: int, how: ReadOptions, show: Show | None, job: Job
) -> PlaneResult:
    """Label a plane at once, without refining; `show` gets parts of it before."""
    begun = perf_counter()
    preview = None if show is None else PartlyRead(session, plane, how, show)
    retriever = retriever_of(
        session, how, job, plane=plane, tune=False, preview=preview
    )
    masks = None
    if how.overlap:
        rough = replace(how, refine=False)
        labels, masks = _overlapping(retriever, plane, rough, job)
    else:
        labels = retriever.quick(plane, how.way)
    return _found(retriever, plane, labels, how, begun, masks=masks)


def refined(session: Session, plane: int, how: ReadOptions, job: Job) -> PlaneResult:
    """Label a plane with fine borders, and give what maps need."""
    begun = perf_counter()
    retriever = retriever_of(session, how, job, plane=plane, tune=True)
    said = retriever.segment(plane, refine=how.refine, way=how.way, check=job.check)
    labels, masks = said.labels, None
    if how.overlap:
        labels, masks = _overlapping(retriever, plane, how, job)
    maps = dict.fromkeys(how.maps, said)
    return _found(retriever, plane, labels, how, begun, maps=maps, masks=masks)


def _overlapping(
    retriever: Retriever, plane: int, how: ReadOptions, job: Job
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The likeliest class of each pixel, and every class by itself."""
    from napari_sesami.retrieve import overlapping

    said = overlapping(
        retriever, plane, way=how.way, refine=how.refine, check=job.check
    )
    labels = (said.votes.argmax(-1) + 1).astype(np.uint8)
    ignore = retriever.store.scan.ignore
    if ignore is not None:
        labels[ignore] = 0
    return labels, said.masks


def _found(
    retriever: Retriever,
    plane: int,
    labels: NDArray[np.uint8],
    how: ReadOptions,
    begun: float,
    **more: Any,
) -> PlaneResult:
    strokes = facts(retriever)
    classes = len({s.class_id for s in strokes if s.stroke not in how.off})
    seconds = perf_counter() - begun
    told = told_of(retriever, how)
    return PlaneResult(plane, labels, strokes, classes, seconds, told=told, **more)


def told_of(retriever: Retriever, how: ReadOptions) -> str:
    """What leaving out strokes chose, and what a large bank leaves out."""
    lines = []
    if how.overlap and how.way in retriever.overlap_choices:
        limits = retriever.overlap_choices[how.way][1].thresholds
        lines.append("Thresholds " + ", ".join(f"{t:.2f}" for t in limits) + ".")
    elif how.way != "ours":
        chosen = retriever.settings(how.way)
        heat = "" if how.way == "distance" else f", temperature {chosen.beta:g}"
        lines.append(f"Chosen by left-out strokes: {chosen.k} neighbours{heat}.")
    if retriever.voters.condensed is not None:
        lines.append(retriever.voters.condensed.sentence)
    if retriever.store.trouble:
        lines.append(retriever.store.trouble)
    return "\n".join(lines)


def cleaned(
    session: Session, plane: int, how: ReadOptions, job: Job, predictor: Any
) -> tuple[int, NDArray[np.uint8], Cleaned]:
    """Label a plane and let the prompt model redraw what it agrees with."""
    from napari_sesami.session import clean_plane

    def progress(done: int, total: int) -> None:
        job.report(done / max(total, 1), f"Cleaning up: part {done} of {total}.")

    retriever = retriever_of(session, how, job, plane=plane, tune=True)
    said = retriever.segment(plane, refine=how.refine, way=how.way, check=job.check)
    labels, told = clean_plane(
        predictor,
        session.scan,
        plane,
        said.labels,
        said.votes,
        progress=progress,
        check=job.check,
    )
    return plane, labels, told


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


def one_of_all(
    session: Session, plane: int, how: ReadOptions, disk: Any, keep: int, job: Job
) -> int:
    """Label a plane of a whole scan and write it; gives its number."""
    retriever = retriever_of(session, how, job, plane=plane, tune=True)
    if how.overlap:
        labels, _ = _overlapping(retriever, plane, how, job)
    else:
        labels = retriever.segment(
            plane, refine=how.refine, way=how.way, check=job.check
        ).labels
    if plane != keep:
        retriever.forget(plane)
    disk[plane] = labels
    return plane


def facts(retriever: Retriever) -> tuple[StrokeFacts, ...]:
    """Everything that is in the bank, stroke by stroke."""
    out = []
    for stroke, rows in retriever.bank:
        flat = rows.patches[0].ravel()
        class_id = int(flat[flat != 255][0])
        out.append(StrokeFacts(stroke, class_id, int(rows.where[0, 0]), len(rows)))
    return tuple(out)


def judged(session: Session, how: ReadOptions, job: Job) -> dict[int, float]:
    """What every stroke is worth to the others."""
    from napari_sesami.retrieve import worth

    return worth(retriever_of(session, how, job, tune=True), job.check)


def best_zoom(session: Session, job: Job) -> float:
    """The scale at which the strokes are told apart best."""
    return session.retrieval.best_zoom(lambda: job.cancelled)


def explained(
    session: Session, plane: int, at: tuple[float, float], how: ReadOptions, job: Job
) -> list[Why]:
    """Why a pixel got its class, with pictures."""
    from napari_sesami.retrieve import why

    retriever = retriever_of(session, how, job, plane=plane, tune=True)
    reasons = why(retriever, plane, *at)
    greys = {p: session.scan.grey(p) for p in {r.plane for r in reasons} if p >= 0}
    return [Why(r, _picture(greys.get(r.plane), r.bbox)) for r in reasons]


def saved_bank(
    session: Session, how: ReadOptions, path: Path, thumbnails: bool, job: Job
) -> Path:
    """Write what was learned."""
    retriever_of(session, how, job, tune=True)
    return session.retrieval.export_bank(path, thumbnails=thumbnails, zoom=how.zoom)


def repeats_of(
    session: Session,
    plane: int,
    box: tuple[int, int, int, int],
    least: float,
    how: ReadOptions,
    job: Job,
) -> tuple[int, tuple[int, int, int, int], Repeats]:
    """Find the repeats of a cell."""
    from napari_sesami.retrieve import find_repeats

    def progress(done: int, total: int) -> None:
        job.report(done / total, f"Reading the scan: tile {done} of {total}.")

    if not session.retrieval.tokens(
        plane, how.zoom, progress=progress, cancelled=lambda: job.cancelled
    ):
        raise Cancelled
    store = session.retrieval.token_store(how.zoom)
    return plane, box, find_repeats(store, plane, box, least=least)


def _picture(
    grey: NDArray[np.float32] | None, bbox: Iterable[int]
) -> NDArray[np.uint8] | None:
    """The surroundings of a patch, as large as the scan allows."""
    if grey is None:
        return None
    y0, x0, y1, x1 = bbox
    side = min(THUMBNAIL, *grey.shape)
    y = int(np.clip((y0 + y1 - side) // 2, 0, grey.shape[0] - side))
    x = int(np.clip((x0 + x1 - side) // 2, 0, grey.shape[1] - side))
    out = (255 * grey[y : y + side, x : x + side].clip(0, 1)).astype(np.uint8)
    edge = np.zeros(out.shape, bool)
    edge[max(0, y0 - y - 2) : y1 - y + 2, max(0, x0 - x - 2) : x1 - x + 2] = True
    edge[max(0, y0 - y) : y1 - y, max(0, x0 - x) : x1 - x] = False
    out[edge] = 255 if out.mean() < 160 else 0  # a frame around the patch itself
    return np.ascontiguousarray(out)
