"""Strokes become labels while one paints: requests, results and layers of one desk."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_sesami.viewer.app.debounced import Later
from napari_sesami.viewer.app.errors import ViewerError, sentence
from napari_sesami.viewer.layers.camera import middle
from napari_sesami.viewer.layers.result_planes import MAPS
from napari_sesami.viewer.prompt.controller import prompter_of
from napari_sesami.viewer.strokes import jobs
from napari_sesami.viewer.strokes.layers import ResultLayers
from napari_sesami.viewer.strokes.options import LiveOptions
from napari_sesami.viewer.strokes.whole_scan import AcceptAll, WholeScan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.session import Cleaned, Session
    from napari_sesami.viewer.app.binding import Link
    from napari_sesami.viewer.app.workspace import Desk
    from napari_sesami.viewer.strokes.jobs import Found, StrokeFacts

QUICK, REFINE, SCALE, WHY, WORTH, CLEAN = (
    "strokes",
    "fine borders",
    "scale of strokes",
    "why",
    "worth of strokes",
    "clean up",
)
SLOW_TOPICS = (REFINE, SCALE, WHY, WORTH, CLEAN)
REST = 250  # ms without a stroke before borders are refined


class Live(LiveOptions):
    """Keeps labels, maps and reasons in step with the strokes.

    Attributes
    ----------
    last
        The labels found last.
    """

    explained = Signal(object)
    """list of `Why`"""
    progressed = Signal(int, int)
    """planes of the whole scan: done, all"""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.worth: dict[int, float] = {}
        self.last: Found | None = None
        self.seconds = 0.0  # that the labels took after the last stroke
        self._judging = False
        self.whole = WholeScan(self)
        self.accept_all = AcceptAll(self)
        self._link: Link | None = None
        self._session: Session | None = None
        self._shown = -1
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
    def strokes(self) -> tuple[StrokeFacts, ...]:
        """What the bank held when labels were found last."""
        return () if self.last is None else self.last.strokes

    def request(self) -> None:
        """Label the plane on screen; an older request is dropped."""
        if self.desk.link is None:
            return
        self._stop()
        if self.desk.link.stale:  # strokes on other pixels would teach nonsense
            self._refuse()
            return
        session, plane = self.link.session, self.link.plane
        how = replace(self.how, near=middle(self.desk.viewer, self.link.strokes))
        show = partial(self.desk.work.post, self._on_preview)
        job = partial(jobs.quick, session, plane, how, show)
        self.desk.work.submit(QUICK, job, self._on_quick, self._on_refused)

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

    def clean_up(self) -> None:
        """Let the prompt model redraw what it agrees with, on the plane on screen."""
        session, plane = self.link.session, self.link.plane
        if self.last is None:
            raise ViewerError("There is no result to clean up yet: paint a stroke.")
        self._stop()
        job = partial(jobs.cleaned, session, plane, self.how)
        engine = prompter_of(self.desk).engine
        engine.run(CLEAN, session, job, self._on_cleaned)
        self.desk.say("The prompt model looks at the parts of the result …")

    def close(self) -> None:
        """Let go of desk, viewer and session."""
        self.whole.stop()
        self.accept_all.stop()
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
        if self.refine or self.maps or self.way != "ours":
            self._rest.soon()

    def _refuse(self) -> None:
        """Say that the image shows other pixels than the scan."""
        try:
            self.link.check_image()
        except ViewerError as error:
            self.desk.say(sentence(error))

    def _on_preview(self, plane: int, labels: NDArray[np.uint8]) -> None:
        """Show what is known already; the rest of the slice is being read."""
        if self.layers is not None and self.desk.link is self._link:
            self.layers.show(plane, labels)

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

    def _on_cleaned(self, answer: tuple[int, NDArray[np.uint8], Cleaned]) -> None:
        plane, labels, told = answer
        if self.layers is None:
            return
        self.layers.show(plane, labels)
        self.desk.say(
            f"{told.redrawn} of {told.asked} parts were redrawn and {told.specks} "
            "specks dropped. Accept keeps this; a stroke starts anew."
        )

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
        self.layers.show_overlap(found.plane, found.masks)
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
            self.accept_all.stop()
            self._stop()
        if self.layers is not None:  # napari may be in the middle of removing layers
            self.desk.work.post(self.layers.close)
        self._link, self.layers, self.last = link, None, None
        self._session = None if link is None else link.session
        self.off, self.worth, self._scaled = set(), {}, frozenset()
        self._judging = False
        self.overlap = self._session is not None and self._session.overlap
        if link is not None and self._session is not None:
            self.layers = ResultLayers(self.desk, link)
            self._shown = link.plane
            self._session.events.changed.connect(self._on_changed)
            self._session.events.classes.connect(self._on_classes)

    def _on_changed(self, plane: int, bbox: tuple[int, ...], layer: str) -> None:
        if layer != "strokes" or not self.on:
            return
        self._soon.soon()
        y0, x0, y1, x1 = bbox
        ignore = None if self._session is None else self._session.scan.ignore
        if ignore is not None and ignore[y0:y1, x0:x1].any():
            self.desk.say("Pixels on the data bar teach nothing: paint on the scan.")

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
