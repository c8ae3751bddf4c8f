"""Strokes become labels while one paints: requests, results and layers of one desk."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_sesami.viewer import _retrieve_jobs as jobs
from napari_sesami.viewer._errors import ViewerError
from napari_sesami.viewer._later import Later
from napari_sesami.viewer._retrieve_layers import MAPS, ResultLayers
from napari_sesami.viewer._retrieve_whole import WholeScan

if TYPE_CHECKING:
    from napari_sesami.session import Session
    from napari_sesami.viewer._desk import Desk
    from napari_sesami.viewer._link import Link
    from napari_sesami.viewer._retrieve_jobs import Found, How, StrokeFacts

QUICK, REFINE, SCALE, WHY, WORTH = (
    "strokes",
    "fine borders",
    "scale of strokes",
    "why",
    "worth of strokes",
)
SLOW_TOPICS = (REFINE, SCALE, WHY, WORTH)
REST = 250  # ms without a stroke before borders are refined


class Live:
    """Keeps labels, maps and reasons in step with the strokes.

    Attributes
    ----------
    on
        Whether a stroke is answered by itself.
    auto
        Whether the scale at which the scan is read is chosen from the strokes.
    zoom
        That scale.
    vote_class
        Class whose votes are shown as a map.
    last
        The labels found last.
    """

    changed = Signal()
    """labels, strokes, options: whatever a dock reflects"""
    explained = Signal(object)
    """list of `Why`"""
    progressed = Signal(int, int)
    """planes of the whole scan: done, all"""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.on = True
        self.auto = True
        self.zoom = 1.0
        self.refine = True
        self.vote_class = 1
        self.maps: set[str] = set()
        self.off: set[int] = set()
        self.worth: dict[int, float] = {}
        self.last: Found | None = None
        self.seconds = 0.0  # that the labels took after the last stroke
        self.layers: ResultLayers | None = None
        self._judging = False
        self.whole = WholeScan(self)
        self._link: Link | None = None
        self._session: Session | None = None
        self._shown = -1
        self._scaled: frozenset[int] = frozenset()
        self._soon = Later(self.request, 0)
        self._rest = Later(self._refine, REST)
        desk.session_changed.connect(self._on_session)
        desk.viewer.dims.events.current_step.connect(self._on_dims)
        self._on_session()

    # --- asking

    @property
    def link(self) -> Link:
        """The session's layers, or one sentence about what is missing."""
        if self.desk.link is None:
            raise ViewerError(
                "There is no scan to label yet: open one, or take an image of the "
                "viewer."
            )
        return self.desk.link

    @property
    def how(self) -> How:
        """How the strokes are read now."""
        shown = tuple(kind.key for kind in MAPS if kind.key in self.maps)
        return jobs.How(self.zoom, frozenset(self.off), self.refine, shown)

    @property
    def strokes(self) -> tuple[StrokeFacts, ...]:
        """What the bank held when labels were found last."""
        return () if self.last is None else self.last.strokes

    def request(self) -> None:
        """Label the plane on screen; an older request is dropped."""
        if self.desk.link is None:
            return
        self._stop()
        session, plane = self.link.session, self.link.plane
        job = partial(jobs.quick, session, plane, self.how)
        self.desk.work.submit(QUICK, job, self._on_quick, self._on_refused)

    def turn(self, on: bool) -> None:
        """Answer strokes by itself, or not."""
        self.on = on
        if on:
            self.request()
        else:
            self._stop()
        self.changed.emit()

    def show_map(self, key: str, on: bool) -> None:
        """Show a map, or take it away."""
        if on:
            self.maps.add(key)
            self.request()
        else:
            self.maps.discard(key)
            if self.layers is not None:
                self.layers.hide_map(next(kind for kind in MAPS if kind.key == key))
        self.changed.emit()

    def set_vote_class(self, class_id: int) -> None:
        """Choose the class whose votes are shown."""
        self.vote_class = class_id
        if "vote" in self.maps:
            self.request()

    def set_zoom(self, zoom: float | None) -> None:
        """Read the scan at this scale; None chooses it from the strokes."""
        self.auto, self._scaled = zoom is None, frozenset()
        self.zoom = self.zoom if zoom is None else zoom
        self.request()

    def set_refine(self, on: bool) -> None:
        """Sharpen borders in a second pass, or not."""
        self.refine = on
        self.request()

    def switch(self, stroke: int, on: bool) -> None:
        """Let a stroke speak or be silent; its pixels stay."""
        if on:
            self.off.discard(stroke)
        else:
            self.off.add(stroke)
        self.request()

    def explain(self, at: tuple[float, float]) -> None:
        """Find out why the pixel (y, x) of the plane on screen got its class."""
        session, plane = self.link.session, self.link.plane
        height, width = session.scan.plane_shape
        if not (0 <= at[0] < height and 0 <= at[1] < width):
            raise ViewerError(
                "Point at a pixel of the scan to see why it got its class."
            )
        job = partial(jobs.explained, session, plane, at, self.how)
        self.desk.work.submit(WHY, job, self._on_explained)

    def judge(self) -> None:
        """Find out what each stroke is worth; a stroke meanwhile begins it anew."""
        self._judging = True
        job = partial(jobs.judged, self.link.session, self.how)
        self.desk.work.submit(WORTH, job, self._on_worth, self._on_not_judged)

    def close(self) -> None:
        """Let go of desk, viewer and session."""
        self.whole.stop()
        self._soon.stop()
        self._rest.stop()
        if self.layers is not None:
            self.layers.labels.drop_disk()
        self._follow(None)
        self.desk.session_changed.disconnect(self._on_session)
        try:
            dims = self.desk.viewer.dims
        except ViewerError:  # the window went first, and its events with it
            return
        dims.events.current_step.disconnect(self._on_dims)

    # --- answers

    def _on_quick(self, found: Found) -> None:
        self.seconds = found.seconds
        self._show(found)
        if found.classes == 1:
            self.desk.say("One class only: everything becomes it. Paint a second one.")
        else:
            self.desk.say("The slice is labelled by your strokes.")
        if self._judging:
            self.judge()
        if self.refine or self.maps:
            self._rest.soon()

    def _on_refined(self, found: Found) -> None:
        self._show(found)
        for kind in MAPS:
            said = found.maps.get(kind.key)
            if said is None or kind.key not in self.maps or self.layers is None:
                continue
            channel = min(self.vote_class, said.votes.shape[-1]) - 1
            pixels = {
                "vote": said.votes[..., channel],
                "margin": said.margin,
                "novelty": said.novelty,
            }[kind.key]
            self.layers.show_map(kind, found.plane, np.ascontiguousarray(pixels))
        strokes = frozenset(s.stroke for s in found.strokes)
        if self.auto and strokes != self._scaled:
            self._scaled = strokes
            job = partial(jobs.best_zoom, self.link.session)
            self.desk.work.submit(SCALE, job, self._on_scale)

    def _on_scale(self, zoom: float) -> None:
        if zoom != self.zoom:
            self.zoom = zoom
            self.desk.say(f"The strokes are told apart best at {zoom:g}× scale.")
            self.request()

    def _on_refused(self, text: str) -> None:
        """Show nothing where nothing is known, e.g. after the last stroke is gone."""
        self.last = None
        if self.layers is not None:
            self.layers.blank()
        self.changed.emit()

    def _on_explained(self, reasons: object) -> None:
        self.explained.emit(reasons)

    def _on_worth(self, worth: dict[int, float]) -> None:
        self._judging, self.worth = False, worth
        self.changed.emit()

    def _on_not_judged(self, text: str) -> None:
        self._judging = False

    def _show(self, found: Found) -> None:
        if self.layers is None or self._link is not self.desk.link:
            return
        self.last = found
        self.layers.show(found.plane, found.labels)
        self.changed.emit()

    def _refine(self) -> None:
        if self.desk.link is None:
            return
        session, plane = self.link.session, self.link.plane
        job = partial(jobs.refined, session, plane, self.how)
        self.desk.work.submit(REFINE, job, self._on_refined)

    def _stop(self) -> None:
        self._rest.stop()
        for topic in SLOW_TOPICS:
            self.desk.work.cancel(topic)

    # --- what happens elsewhere

    def _on_session(self) -> None:
        self._follow(self.desk.link)
        if self.on and self._session is not None and self._session.planes_with():
            self._soon.soon()
        self.changed.emit()

    def _follow(self, link: Link | None) -> None:
        if self._session is not None:
            self._session.events.changed.disconnect(self._on_changed)
            self._session.events.classes.disconnect(self._on_classes)
            self.whole.stop()
            self._stop()
        if self.layers is not None:  # napari may be in the middle of removing layers
            self.desk.work.post(self.layers.close)
        self._link, self.layers, self.last = link, None, None
        self._session = None if link is None else link.session
        self.off, self.worth, self._scaled = set(), {}, frozenset()
        self._judging = False
        if link is not None and self._session is not None:
            self.layers = ResultLayers(self.desk, link)
            self._shown = link.plane
            self._session.events.changed.connect(self._on_changed)
            self._session.events.classes.connect(self._on_classes)

    def _on_changed(self, plane: int, bbox: tuple[int, ...], layer: str) -> None:
        if layer == "strokes" and self.on:
            self._soon.soon()

    def _on_classes(self) -> None:
        if self.layers is not None:
            self.layers.recolor()
        self.changed.emit()

    def _on_dims(self, event: Any = None) -> None:
        if self._link is None or self._link.plane == self._shown:
            return
        self._shown = self._link.plane
        if self.on and self._session is not None and self._session.planes_with():
            self._soon.soon()


def live_of(desk: Desk) -> Live:
    """Give the desk's live retrieval; the first call sets it up."""
    if desk.live is None:
        desk.live = Live(desk)
    return desk.live
