"""Strokes become labels while one paints: requests, results and layers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_sesami.session import ReadOptions
from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError, sentence
from napari_sesami.viewer.app.jobs import Debounced, Priority
from napari_sesami.viewer.layers.camera import go_to, middle
from napari_sesami.viewer.layers.result_planes import MAPS
from napari_sesami.viewer.layers.shown_maps import ShownMaps
from napari_sesami.viewer.prompt.controller import PromptController
from napari_sesami.viewer.strokes import jobs
from napari_sesami.viewer.strokes.layers import ResultLayers
from napari_sesami.viewer.strokes.whole_scan import AcceptAll, WholeScan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.retrieve import Method
    from napari_sesami.session import (
        Cleaned,
        Explanation,
        PlaneLabels,
        Session,
        StrokeFacts,
    )
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.workspace import Workspace

QUICK, REFINE, ZOOM, WHY, WORTH, CLEAN = (
    "strokes",
    "fine borders",
    "zoom of strokes",
    "why",
    "worth of strokes",
    "clean up",
)
SLOW_TOPICS = (REFINE, ZOOM, WHY, WORTH, CLEAN)
REST = 250  # ms without a stroke before borders are refined


class StrokesController(Controller):
    """Keeps labels, maps and reasons in step with the strokes.

    Attributes
    ----------
    on
        Whether a stroke is answered by itself.
    auto
        Whether the scale at which the scan is read is chosen from the strokes.
    zoom
        That scale.
    method
        Ours, or one of the published methods.
    overlap
        Whether classes may overlap.
    vote_class
        Class whose votes are shown as a map.
    off
        Strokes that are silent.
    last
        The labels found last.
    """

    explained = Signal(object)
    """list of `Why`"""
    weighed = Signal(object)
    """how likely each class is at the pixel that was explained, by its id"""
    looked = Signal(object)
    """list of `LookShare`"""
    accepted = Signal()
    """the result of a slice was written into the labels"""
    progressed = Signal(int, int)
    """planes of the whole scan: done, all"""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.on = self.auto = self.refine = True
        self.zoom = 1.0
        self.method: Method = "ours"
        self.overlap = False
        self.vote_class = 1
        self.maps: set[str] = set()
        self.off: set[int] = set()
        self.layers: ResultLayers | None = None
        self._scaled: frozenset[int] = frozenset()
        self.worth: dict[int, float] = {}
        self.last: PlaneLabels | None = None
        self.seconds = 0.0  # that the labels took after the last stroke
        self._judging = False
        self.whole = WholeScan(self)
        self.accept_all = AcceptAll(self)
        self._binding: LayerBinding | None = None
        self._session: Session | None = None
        self._shown = -1
        self._soon = Debounced(self.request, 0)
        self._rest = Debounced(self._refine, REST)
        workspace.session_changed.connect(self._on_session)
        workspace.viewer.dims.events.current_step.connect(self._on_dims)
        self._on_session()

    # --- what a user can choose

    @property
    def how(self) -> ReadOptions:
        """How the strokes are read now."""
        return ReadOptions(
            self.zoom,
            frozenset(self.off),
            self.refine,
            self.method,
            self.overlap,
            votes=bool(self.maps),
        )

    def turn(self, on: bool) -> None:
        """Answer strokes by itself, or not."""
        self.on = on
        if on:
            self.request()
        else:
            self._stop()
        self.changed.emit()

    def show_map(self, key: str, on: bool) -> None:
        """Show a map, or take it away; one at a time unless several are allowed."""
        shown = self.workspace.get(ShownMaps)
        if on:
            self.maps.add(key)
            shown.put_on(f"strokes {key}", partial(self.show_map, key, False))
            self.request()
        else:
            self.maps.discard(key)
            shown.taken_off(f"strokes {key}")
            if self.layers is not None:
                self.layers.hide_map(next(kind for kind in MAPS if kind.key == key))
        self.changed.emit()

    def set_vote_class(self, class_id: int) -> None:
        """Choose the class whose votes are shown."""
        self.vote_class = class_id
        if "vote" in self.maps:
            self.request()

    def set_zoom(self, zoom: float | None) -> None:
        """Read the scan at this zoom; None chooses it from the strokes."""
        self.auto, self._scaled = zoom is None, frozenset()
        self.zoom = self.zoom if zoom is None else zoom
        self.request()

    def set_refine(self, on: bool) -> None:
        """Sharpen borders in a second pass, or not."""
        self.refine = on
        self.request()

    def set_method(self, method: Method) -> None:
        """Use the strokes in this way."""
        self.method = method
        self.request()
        self.changed.emit()

    def set_overlap(self, on: bool) -> None:
        """Let classes overlap: painting over a stroke then keeps what is below."""
        self.overlap = on
        if self.workspace.session is not None:
            self.workspace.session.strokes.overlap = on
        if self.layers is not None and not on:
            self.layers.hide_overlap()
        self.request()
        self.changed.emit()

    def switch(self, stroke: int, on: bool) -> None:
        """Let a stroke speak or be silent; its pixels stay."""
        if on:
            self.off.discard(stroke)
        else:
            self.off.add(stroke)
        self.request()

    # --- asking

    @property
    def strokes(self) -> tuple[StrokeFacts, ...]:
        """What the bank held when labels were found last."""
        return () if self.last is None else self.last.strokes

    @property
    def against(self) -> tuple[int, ...]:
        """Two strokes that contradict each other, by name, if there are such."""
        return () if self.last is None else self.last.against

    def request(self) -> None:
        """Label the plane on screen; an older request is dropped."""
        if self.workspace.binding is None:
            return
        self._stop()
        if self.workspace.binding.stale:  # strokes on other pixels would teach nonsense
            self._refuse()
            return
        session, plane = self.binding.session, self.binding.plane
        how = replace(
            self.how, near=middle(self.workspace.viewer, self.binding.strokes)
        )
        show = partial(self.workspace.jobs.post, self._on_preview)
        task = partial(jobs.quick, session, plane, how, show)
        self.workspace.jobs.submit(
            QUICK, task, self._on_quick, self._on_refused, priority=Priority.STROKE
        )

    def explain(self, at: tuple[float, float]) -> None:
        """Find out why the pixel (y, x) of the plane on screen got its class."""
        session, plane = self.binding.session, self.binding.plane
        height, width = session.scan.plane_shape
        if not (0 <= at[0] < height and 0 <= at[1] < width):
            raise ViewerError(
                "Point at a pixel of the scan to see why it got its class."
            )
        task = partial(jobs.explained, session, plane, at, self.how)
        self.workspace.jobs.submit(WHY, task, self._on_explained)

    def judge(self) -> None:
        """Find out what each stroke is worth; a stroke meanwhile begins it anew."""
        self._judging = True
        task = partial(jobs.judged, self.binding.session, self.how)
        self.workspace.jobs.submit(
            WORTH,
            task,
            self._on_worth,
            self._on_not_judged,
            priority=Priority.RANKING,
        )

    def clean_up(self) -> None:
        """Let the prompt model redraw what it agrees with, on the plane on screen."""
        session, plane = self.binding.session, self.binding.plane
        if self.last is None:
            raise ViewerError("There is no result to clean up yet: paint a stroke.")
        self._stop()
        task = partial(jobs.cleaned, session, plane, self.how)
        engine = self.workspace.get(PromptController).engine
        engine.run(CLEAN, session, task, self._on_cleaned)
        self.workspace.say("The prompt model looks at the parts of the result …")

    # --- what is done with a result

    def accept(self, overwrite: bool) -> None:
        """Write the result of the plane on screen into the session's labels, undoably.

        Without `overwrite` only pixels that have no label yet are taken.
        """
        session, plane = self.binding.session, self.binding.plane
        found = None if self.layers is None else self.layers.labels.plane(plane)
        if found is None or not found.any():
            raise ViewerError("There is no result on this slice yet: paint a stroke.")
        if not session.document.labels.accept(found, plane, overwrite=overwrite):
            self.workspace.say("Nothing changed: every pixel has a label already.")
        else:
            self.workspace.say(
                "The result is in the labels; undo (Ctrl+Z) takes it back."
            )
            if self.layers is not None and not self.overlap:
                self.layers.hide()
            self.accepted.emit()

    def forget_stroke(self, stroke: int) -> None:
        """Erase a stroke, undoably; one that comes from a bank is switched off."""
        session = self.binding.session
        found = session.retrieval.learner.stroke_pixels(stroke)
        if found is None:
            self.switch(stroke, False)
            self.workspace.say("What the bank said there is switched off.")
            return
        plane, box, pixels = found
        session.strokes.erase(pixels, plane, at=box[:2])
        self.workspace.say("The stroke is forgotten; undo (Ctrl+Z) brings it back.")

    def jump(self, plane: int, y: float, x: float) -> None:
        """Show a place of the scan in the middle of the canvas."""
        go_to(self.workspace.viewer, self.binding.strokes, plane, y, x)

    def covers(self, at: tuple[float, float]) -> bool:
        """Whether a place (y, x) lies on the scan."""
        height, width = self.binding.session.scan.plane_shape
        return 0 <= at[0] < height and 0 <= at[1] < width

    def close(self) -> None:
        """Let go of workspace, viewer and session."""
        self.whole.stop()
        self.accept_all.stop()
        self._soon.stop()
        self._rest.stop()
        if self.layers is not None:
            self.layers.labels.drop_disk()
        self._follow(None)
        self.workspace.session_changed.disconnect(self._on_session)
        try:
            dims = self.workspace.viewer.dims
        except ViewerError:  # the window went first, and its events with it
            return
        dims.events.current_step.disconnect(self._on_dims)

    # --- answers

    def _on_quick(self, found: PlaneLabels) -> None:
        self.seconds = found.seconds
        self._show(found)
        if found.classes == 1:
            self.workspace.say(
                "One class only: everything becomes it. Paint a second one."
            )
        else:
            self.workspace.say("The slice is labelled by your strokes.")
        if self._judging:
            self.judge()
        if self.refine or self.maps or self.method != "ours":
            self._rest.soon()

    def _refuse(self) -> None:
        """Say that the image shows other pixels than the scan."""
        try:
            self.binding.check_image()
        except ViewerError as error:
            self.workspace.say(sentence(error))

    def _on_preview(self, plane: int, labels: NDArray[np.uint8]) -> None:
        """Show what is known already; the rest of the slice is being read."""
        if self.layers is not None and self.workspace.binding is self._binding:
            self.layers.show(plane, labels)

    def _on_refined(self, found: PlaneLabels) -> None:
        self._show(found)
        said = found.said
        for kind in MAPS:
            if said is None or kind.key not in self.maps or self.layers is None:
                continue
            channel = min(self.vote_class, said.votes.shape[-1]) - 1
            pixels = {
                "vote": said.votes[..., channel],
                "margin": 1 - said.margin,
                "novelty": said.novelty,
            }[kind.key]
            self.layers.show_map(kind, found.plane, np.ascontiguousarray(pixels))
        strokes = frozenset(s.stroke for s in found.strokes)
        if self.auto and strokes != self._scaled:
            self._scaled = strokes
            task = partial(jobs.best_zoom, self.binding.session)
            self.workspace.jobs.submit(
                ZOOM, task, self._on_zoom, priority=Priority.RANKING
            )

    def _on_zoom(self, zoom: float) -> None:
        if zoom != self.zoom:
            self.zoom = zoom
            self.workspace.say(f"The strokes are told apart best at zoom {zoom:g}.")
            self.request()

    def _on_refused(self, text: str) -> None:
        """Show nothing where nothing is known, e.g. after the last stroke is gone."""
        self.last = None
        if self.layers is not None:
            self.layers.blank()
        self.changed.emit()

    def _on_explained(self, found: tuple[Explanation, object]) -> None:
        self.explained.emit(found[0].strokes)
        self.weighed.emit(found[0].shares)
        self.looked.emit(found[1])

    def _on_cleaned(self, answer: tuple[int, NDArray[np.uint8], Cleaned]) -> None:
        plane, labels, told = answer
        if self.layers is None:
            return
        self.layers.show(plane, labels)
        self.workspace.say(
            f"{told.redrawn} of {told.asked} parts were redrawn and {told.specks} "
            "specks dropped. Accept keeps this; a stroke starts anew."
        )

    def _on_worth(self, worth: dict[int, float]) -> None:
        self._judging, self.worth = False, worth
        self.changed.emit()

    def _on_not_judged(self, text: str) -> None:
        self._judging = False

    def _show(self, found: PlaneLabels) -> None:
        if self.layers is None or self._binding is not self.workspace.binding:
            return
        self.last = found
        self.layers.show(found.plane, found.labels)
        self.layers.show_overlap(found.plane, found.masks)
        self.changed.emit()

    def _refine(self) -> None:
        if self.workspace.binding is None:
            return
        session, plane = self.binding.session, self.binding.plane
        task = partial(jobs.refined, session, plane, self.how)
        self.workspace.jobs.submit(REFINE, task, self._on_refined)

    def _stop(self) -> None:
        self._rest.stop()
        for topic in SLOW_TOPICS:
            self.workspace.jobs.cancel(topic)

    # --- what happens elsewhere

    def _on_session(self) -> None:
        self._follow(self.workspace.binding)
        if self.on and self._session is not None and self._session.strokes.planes:
            self._soon.soon()
        self.changed.emit()

    def _follow(self, binding: LayerBinding | None) -> None:
        if self._session is not None:
            self._session.document.events.changed.disconnect(self._on_changed)
            self._session.document.events.classes.disconnect(self._on_classes)
            self.whole.stop()
            self.accept_all.stop()
            self._stop()
        if self.layers is not None:  # napari may be in the middle of removing layers
            self.workspace.jobs.post(self.layers.close)
        self._binding, self.layers, self.last = binding, None, None
        self._session = None if binding is None else binding.session
        self.off, self.worth, self._scaled = set(), {}, frozenset()
        self._judging = False
        self.overlap = self._session is not None and self._session.strokes.overlap
        if binding is not None and self._session is not None:
            self.layers = ResultLayers(self.workspace, binding)
            self._shown = binding.plane
            self._session.document.events.changed.connect(self._on_changed)
            self._session.document.events.classes.connect(self._on_classes)

    def _on_changed(self, plane: int, bbox: tuple[int, ...], layer: str) -> None:
        if layer != "strokes" or not self.on:
            return
        if self.layers is not None and self.layers.put_away:
            self.layers.bring_back()
        self._soon.soon()
        y0, x0, y1, x1 = bbox
        ignore = None if self._session is None else self._session.scan.ignore
        if ignore is not None and ignore[y0:y1, x0:x1].any():
            self.workspace.say(
                "Pixels on the data bar teach nothing: paint on the scan."
            )

    def _on_classes(self) -> None:
        if self.layers is not None:
            self.layers.recolor()
        self.changed.emit()

    def _on_dims(self, event: Any = None) -> None:
        if self._binding is None or self._binding.plane == self._shown:
            return
        self._shown = self._binding.plane
        if self.on and self._session is not None and self._session.strokes.planes:
            self._soon.soon()
