"""Measuring on the scan at work: quantities by picking, values that follow the hand."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.box import around
from napari_sesami.common.disk import write_atomic
from napari_sesami.measure import KINDS, Recipe, classes_for
from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.jobs import Debounced, Priority
from napari_sesami.viewer.layers.camera import frame
from napari_sesami.viewer.measure import jobs
from napari_sesami.viewer.measure.layers import MeasureLayers
from napari_sesami.viewer.measure.tools import MeasureTools

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.common.box import BBox
    from napari_sesami.measure import (
        FoundFeature,
        LiveMeasurement,
        Measurement,
        Result,
        Results,
    )
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.app.workspace import Workspace

TOPIC = "measure"
SOON, SETTLE = 30, 700  # ms
AT_ONCE = 60  # values that are measured while the mouse moves; more go to the jobs


class MeasureController(Controller):
    """Edits the recipe of the session at work, and keeps its values up to date.

    Attributes
    ----------
    kind, picked
        The quantity that the next picks are for, and the classes picked so far.
    tools
        What a press on the canvas does.
    rows
        All values, of the plane on screen or of the whole scan.
    live
        What measures the plane on screen and follows edits, once it has.
    chosen
        Number of the chosen row, or −1.
    focus
        Name of the quantity whose numbers stand on the canvas.
    whole
        Whether all slices are measured.
    anchor
        Name of the feature in whose frame the next caliper is kept; "" for the picture.
    took
        Seconds that the last live update took.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.kind = "cd"
        self.picked: list[str] = []
        self.tools = MeasureTools(self)
        self.rows: list[Result] = []
        self.focus = ""
        self.chosen, self.whole, self.anchor, self.took = -1, False, "", 0.0
        self.status_shown = self.verdict_shown = ""
        self.layers: MeasureLayers | None = None
        self.live: LiveMeasurement | None = None
        self._job: Job | None = None
        self._results: Results | None = None
        self._followed: Session | None = None
        self._dirty: list[BBox] = []
        self._plane = -1
        self._soon = Debounced(self._follow_labels, SOON)
        self._settle = Debounced(self.measure_now, SETTLE)
        workspace.session_changed.connect(self._on_session)
        workspace.viewer.dims.events.current_step.connect(self._on_dims)
        self._on_session()

    # --- what is measured

    @property
    def recipe(self) -> Recipe:
        """The recipe of the session at work; empty without one."""
        return Recipe() if self.session is None else self.session.measurements.recipe

    @property
    def busy(self) -> bool:
        """Whether values are on their way."""
        return self._job is not None and not self._job.ended

    @property
    def shown(self) -> list[int]:
        """Numbers of the rows that the filters let through."""
        return [
            k
            for k, r in enumerate(self.rows)
            if self.status_shown in ("", r.status, _group(r.status))
            and self.verdict_shown in ("", r.verdict)
        ]

    def choose_kind(self, kind: str) -> None:
        """Choose the quantity that the next picks are for."""
        self.kind, self.picked = kind, []
        self.changed.emit()

    def pick(self, class_name: str) -> None:
        """Pick a class; with enough of them the quantity is measured at once."""
        most = classes_for(self.kind)[1]
        if class_name in self.picked:
            return
        self.picked = [*self.picked, class_name][-most:] if most else []
        if len(self.picked) >= classes_for(self.kind)[0]:
            self.add()
        else:
            self.changed.emit()

    def add(self, **fields: Any) -> str:
        """Add the quantity of the classes picked to the recipe."""
        session, picked = self.binding.session, self.picked
        if self.kind == "caliper" and "ends" not in fields:
            raise ViewerError("Draw a caliper over what is to be measured (Shift+C).")
        if self.kind == "pitch walking":
            fields.setdefault("period", 2)
        elif self.kind == "cd":  # one line, which can be dragged
            fields.setdefault("at", [0.5])
        name = session.measurements.add(
            self.kind, picked, self.binding.plane, **fields
        )  # fmt: skip
        self.picked, self.focus, self.chosen = [], name, -1
        what = f"every {_of(self.recipe, name)} is measured."
        if self.kind == "caliper" and "feature" not in fields:
            what = "the distance of the edges nearest to its ends."
        self.workspace.say(f"{name}: {what}")
        self.changed.emit()
        return name

    def change(self, name: str, key: int | None = None, **fields: Any) -> None:
        """Change fields of a quantity; undoable, and measured at once."""
        self.binding.session.measurements.change(name, key, **fields)

    def remove(self, name: str) -> None:
        """Take a quantity out of the recipe."""
        self.binding.session.measurements.remove(name)
        self.workspace.say(f"{name} is not measured any more; Ctrl+Z brings it back.")

    def level_by(self, **axis: Any) -> None:
        """Turn the frame: ``level=(class, class)``, ``feature=name`` or nothing."""
        recipe = self.recipe
        data = recipe.model_dump(by_alias=True, exclude_defaults=True, mode="json")
        data.pop("frame", None)
        if axis:
            data["frame"] = {"axis": axis}
        self.binding.session.measurements.edit(Recipe.of(data), "turn the frame")

    # --- looking

    def choose(self, row: int) -> None:
        """Choose a row: its edges and line stand out."""
        if row != self.chosen:
            self.chosen = row if 0 <= row < len(self.rows) else -1
            if self.chosen >= 0:
                self.focus = self.rows[row].measurement
            self.draw()
            self.changed.emit()

    def look_at(self, name: str) -> None:
        """Write the numbers of one quantity on the canvas."""
        if name != self.focus:
            self.focus, self.chosen = name, -1
            self.draw()
            self.changed.emit()

    def jump(self, row: int) -> None:
        """Choose a row, and show its place in the middle of the canvas."""
        self.choose(row)
        if self.chosen < 0:
            return
        r = self.rows[self.chosen]
        parts = [*r.geometry.lines, *r.geometry.edges]
        if parts:
            points = np.concatenate(parts)
            (y0, x0), (y1, x1) = points.min(0), points.max(0)
        elif (feature := self.feature_of(r)) is not None:
            y0, x0, y1, x1 = feature.box
        else:
            return
        margin = 0.15 * max(y1 - y0, x1 - x0) + 4
        spread = (y0 - margin, x0 - margin, y1 + margin, x1 + margin)
        whole = tuple(int(v) for v in spread)
        frame(self.workspace.viewer, self.binding.image, r.plane, whole)

    def filter(self, status: str, verdict: str) -> None:
        """Show rows of a status ("ok", "none" or its name) and verdict only."""
        self.status_shown, self.verdict_shown = status, verdict
        self.draw()
        self.changed.emit()

    def measure_whole(self, on: bool) -> None:
        """Measure all slices of a stack, or the one on screen."""
        self.whole = on
        self.measure_now()

    def results(self) -> Results:
        """Give all values with where they come from, as a script would get them."""
        if self._results is not None:
            return self._results
        if self.live is None or not self.rows:
            raise ViewerError("Nothing is measured yet: pick a quantity and a class.")
        return self.live.results(self.binding.session.measurements.source)

    def table(self) -> str:
        """Give the rows that are shown as text with a header, for a spreadsheet."""
        head = (
            "measurement", "zone", "at", "of", "statistic", "value", "U", "unit", "k",
            "n", "status", "verdict",
        )  # fmt: skip
        lines = ["\t".join(head)]
        for k in self.shown:
            r = self.rows[k]
            value = f"{r.value:.9g}" if r.has_value else ""
            bar = f"{r.U:.3g}" if r.has_value and np.isfinite(r.U) else ""
            factor = f"{r.budget.k:.3g}" if bar else ""
            cells = (
                r.measurement, r.zone, "" if r.at is None else f"{r.at:g}", of(r),
                r.statistic, value, bar, r.unit, factor, str(r.n), r.status, r.verdict,
            )  # fmt: skip
            lines.append("\t".join(cells))
        return "\n".join(lines) + "\n"

    # --- files

    def save(self, path: Path) -> None:
        """Write by the ending: .csv, .json or .toml; else a folder with a report."""
        found = self.results()
        if path.suffix == ".toml":
            self.recipe.save(path)
        elif path.suffix == ".csv":
            write_atomic(path, found.to_csv().encode("utf-8-sig"))
        elif path.suffix == ".json":
            text = json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False)
            write_atomic(path, text.encode())
        else:
            found.save(path)
        self.workspace.say(f"{len(found)} values are in {path.name}.")

    def load(self, path: Path) -> None:
        """Take a recipe from a file; what was measured before can be undone to."""
        recipe = Recipe.load(path)
        session = self.binding.session
        lacking = recipe.check(session.classes)
        session.measurements.edit(recipe, f"recipe {recipe.name}")
        if lacking:
            self.workspace.say(f"The labels lack {', '.join(lacking)}.")

    @property
    def pointing(self) -> bool:
        """Whether a press on the canvas is ours."""
        return bool(self.tools.tool)

    def measure_now(self) -> None:
        """Measure from the beginning, in the background."""
        session = self.session
        self._dirty = []
        self._soon.stop()
        self._settle.stop()
        if session is None or not session.measurements.recipe.measure:
            self.workspace.jobs.cancel(TOPIC)
            self._take(None, [])
            return
        lacking = session.measurements.recipe.check(session.classes)
        if lacking:
            self._take(None, [])
            self.workspace.say(f"The labels lack {', '.join(lacking)}.")
            return
        run: Any
        done: Any
        if self.whole:
            run = partial(jobs.measured_whole, session)
            done = self._on_whole
        else:
            live = session.measurements.live(self.binding.plane)
            run, done = partial(jobs.measured, live), self._on_measured
        self._job = self.workspace.jobs.submit(
            TOPIC, run, done, self._on_failed, self._on_stopped,
            priority=Priority.BACKGROUND, restartable=True,
        )  # fmt: skip
        self.changed.emit()

    def close(self) -> None:
        """Let go of workspace, viewer and session."""
        self._soon.stop()
        self._settle.stop()
        self.tools.put_down()
        self.workspace.session_changed.disconnect(self._on_session)
        try:
            self.workspace.viewer.dims.events.current_step.disconnect(self._on_dims)
        except ViewerError:
            pass
        self._follow(None)

    # --- inside: values

    def _on_failed(self, sentence: str) -> None:
        self.changed.emit()

    def _on_stopped(self) -> None:
        self.changed.emit()

    def _on_measured(self, live: LiveMeasurement) -> None:
        session = self.session
        if session is None or live.plane != self.binding.plane or self._dirty:
            return  # another measuring is on its way
        if live.recipe != session.measurements.recipe:
            live.use_recipe(session.measurements.recipe)
        self._results = None
        self._take(live, live.rows)
        for sentence in live.failures[:1]:
            self.workspace.say(sentence)

    def _on_whole(self, results: Results) -> None:
        self.live, self._results = None, results
        self._take(None, results.rows, results)

    def _take(
        self,
        live: LiveMeasurement | None,
        rows: list[Result],
        results: Results | None = None,
    ) -> None:
        chosen = self._place(self.chosen)
        self.live, self.rows, self._results = live, rows, results
        places = [_place(r) for r in rows]
        if chosen is not None and chosen not in places:  # its depth was dragged
            near = [p for p in places if p[:-1] == chosen[:-1]]
            chosen = min(near, key=lambda p: abs(p[-1] - chosen[-1]), default=None)
        self.chosen = places.index(chosen) if chosen in places else -1
        known = [m.name for m in self.recipe.measure]
        if self.focus not in known:
            self.focus = known[-1] if known else ""
        self.draw()
        self.changed.emit()

    def _place(self, row: int) -> Any:
        return _place(self.rows[row]) if 0 <= row < len(self.rows) else None

    def _on_recipe(self) -> None:
        """Measure what another recipe asks for, at once if that is quick."""
        recipe = self.recipe
        live = self.live
        quick = live is not None and len(self.rows) <= 4 * AT_ONCE and not self._dirty
        if not recipe.measure or not quick or self.whole or self.busy:
            self.measure_now()
            return
        assert live is not None
        same = (live.recipe.features, live.recipe.frame, live.recipe.sigma_px) == (
            recipe.features, recipe.frame, recipe.sigma_px,
        )  # fmt: skip
        known = {m.name: m for m in live.recipe.measure}
        new = [m for m in recipe.measure if known.get(m.name) != m]
        slow = any(self._count(m) > AT_ONCE for m in new)
        if not same or slow or recipe.check(self.binding.session.classes):
            self.measure_now()
            return
        start = time.perf_counter()
        live.use_recipe(recipe)
        self._take(live, live.rows)
        self.took = time.perf_counter() - start

    def _count(self, m: Measurement) -> int:
        """How many values a quantity will be about."""
        if self.live is None or m.feature is None:
            return 1
        return len(self.live.work.features(m.feature)) * max(1, len(m.at))

    def _on_labels(self, plane: int, box: BBox, layer: str) -> None:
        if layer == "labels" and self.recipe.measure:
            if self.whole:
                self._settle.soon()
            elif plane == self.binding.plane:
                self._dirty.append(box)
                self._soon.soon()

    def _follow_labels(self) -> None:
        """Measure what was labelled just now, and all of it once the hand rests."""
        if not self._dirty or self.session is None:
            return
        live, box = self.live, around(self._dirty)
        self._dirty = []
        if live is None or self.busy or len(self.rows) > 4 * AT_ONCE:
            self._settle.soon()
            return
        start = time.perf_counter()
        labels = self.session.document.labels.plane(self.binding.plane)
        live.relabel(np.array(labels), box)
        self._take(live, live.rows)
        self.took = time.perf_counter() - start
        self._settle.soon()

    # --- inside: what the canvas shows

    @property
    def canvas(self) -> MeasureLayers:
        """The layers of the session at work; made when they are first needed."""
        if self.layers is None:
            self.layers = MeasureLayers(self.workspace, self.binding)
        return self.layers

    def draw(self) -> None:
        """Draw the rows that are shown, and what is being drawn by hand."""
        draft = self.tools.draft
        if self.workspace.binding is None:
            return
        if not self.rows and draft is None:
            if self.layers is not None:
                self.layers.clear()
            return
        shown = [k for k in self.shown if self.rows[k].geometry.lines
                 or self.rows[k].geometry.edges]  # fmt: skip
        self.canvas.show(self.rows, self.chosen, shown, self.focus, draft)

    def feature_of(self, r: Result) -> FoundFeature | None:
        """The instance that a row is of, if the plane on screen was measured."""
        live = self.live
        if live is None or not r.feature:
            return None
        found = live.work.features(r.feature)
        return next((f for f in found if f.number == r.number), None)

    # --- inside: following

    def _on_dims(self, event: Any = None) -> None:
        if self.workspace.binding is not None and not self.whole:
            plane = self.workspace.binding.plane
            if plane != self._plane:
                self._plane = plane
                if self.recipe.measure:
                    self._settle.soon()

    def _on_session(self) -> None:
        self.tools.put_down()
        if self.layers is not None:
            self.layers.close()
            self.layers = None
        self._follow(self.session)
        self.picked, self.chosen, self.whole, self.anchor = [], -1, False, ""
        binding = self.workspace.binding
        self._plane = -1 if binding is None else binding.plane
        self.measure_now()

    def _follow(self, session: Session | None) -> None:
        for each, connect in ((self._followed, False), (session, True)):
            if each is None:
                continue
            events = each.document.events
            for signal, slot in (
                (events.recipe, self._on_recipe),
                (events.changed, self._on_labels),
                (events.classes, self._on_classes),
                (events.scan, self._on_scan),
            ):
                (signal.connect if connect else signal.disconnect)(slot)
        self._followed = session

    def _on_classes(self) -> None:
        if self.recipe.measure:
            self._settle.soon()
        self.changed.emit()

    def _on_scan(self, scan: object) -> None:
        if self.recipe.measure:
            self.measure_now()


def of(r: Result) -> str:
    """What a row is of: a feature with its number, or the statistic over all."""
    if r.number:
        return f"{r.feature} {r.number}"
    return r.statistic if r.statistic != "value" else ""


def _of(recipe: Recipe, name: str) -> str:
    m = next(m for m in recipe.measure if m.name == name)
    return m.feature or " to ".join(m.between or ()) or KINDS[m.kind].definition


def _group(status: str) -> str:
    return "ok" if status in ("ok", "uncalibrated") else "none"


def _place(r: Result) -> tuple[Any, ...]:
    at = -1.0 if r.at is None else r.at
    return r.measurement, r.plane, r.number, r.zone, r.statistic, at
