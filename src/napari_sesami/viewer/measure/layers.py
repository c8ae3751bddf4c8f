"""What the canvas shows of measuring: fitted edges, dimension lines with their text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.measure import stated
from napari_sesami.viewer.layers.camera import data_pixels
from napari_sesami.viewer.layers.session_layers import (
    in_viewer,
    keeping_selection,
    remove,
)
from napari_sesami.viewer.layers.spatial import (
    label_shape,
    plane_index,
    spatial_kwargs,
)
from napari_sesami.viewer.layers.zoom import ZoomFollower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Points as Points_
    from napari.layers import Shapes
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_sesami.measure import Result
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.workspace import Workspace

    Points = NDArray[np.float64]

DIMENSIONS, EDGES, TEXTS = "dimensions", "edges", "numbers"
WIDTH = 2.0  # px on screen
LINE, BAD, CHOSEN, EDGE = "#ffd400", "#ff6d3a", "#ff2bd6", "#35c9ff"
RIM_COLOR = "#101010"
RIM = [(y, x) for y in (-1.2, 0, 1.2) for x in (-1.2, 0, 1.2) if y or x]
"""Where dark copies of a number lie about it, px on screen: it reads on any label."""
MOST_EDGES = 300  # beyond, only the edges of the chosen row are drawn
MOST_LINES = 2000  # napari's shapes get slow
MOST_TEXTS = 60  # beyond, only the chosen line has its number


class MeasureLayers:
    """Edges, lines and numbers over the scan; each line knows its row of the table."""

    def __init__(self, workspace: Workspace, binding: LayerBinding) -> None:
        self._workspace, self._binding = workspace, binding
        self._lines: Shapes | None = None
        self._edges: Shapes | None = None
        self._texts: Points_ | None = None
        self._written: Points = np.zeros((0, 2))
        self._shape = label_shape(binding.session.scan)
        self.drawn: list[tuple[int, Points]] = []
        self._zoom = ZoomFollower(workspace, self._scale, 60)

    @property
    def lines(self) -> Shapes | None:
        """The layer of dimension lines, if it is in the viewer."""
        return in_viewer(self._viewer, self._lines)

    @property
    def edges(self) -> Shapes | None:
        """The layer of fitted edges, if it is in the viewer."""
        return in_viewer(self._viewer, self._edges)

    @property
    def texts(self) -> Points_ | None:
        """The layer of numbers beside the lines, if it is in the viewer."""
        return in_viewer(self._viewer, self._texts)

    @property
    def _viewer(self) -> Viewer:
        return self._workspace.viewer

    def show(
        self,
        rows: Sequence[Result],
        chosen: int,
        shown: Sequence[int],
        focus: str = "",
        draft: Points | None = None,
    ) -> None:
        """Draw rows by their numbers in `shown`; the chosen one stands out.

        Those of the quantity `focus` have their numbers beside them.
        """
        width = data_pixels(self._viewer, self._binding.strokes, WIDTH)
        drawn: list[tuple[int, Points]] = []
        paths: list[Points] = []
        colors: list[str] = []
        many = sum(len(rows[k].geometry.edges) for k in shown) > MOST_EDGES
        for k in shown:
            r = rows[k]
            if not (r.has_value or k == chosen):
                continue
            if len(drawn) < MOST_LINES or k == chosen:
                drawn += [(k, self._put(r.plane, line)) for line in r.geometry.lines]
            if not many or k == chosen:
                for edge in r.geometry.edges:
                    for piece in _pieces(edge):
                        paths.append(self._put(r.plane, piece))
                        colors.append(CHOSEN if k == chosen else EDGE)
        self.drawn = drawn
        named = [k for k, _ in drawn if rows[k].measurement == focus]
        few = len(named) <= MOST_TEXTS
        texts = [
            _text(rows[k])
            if k == chosen or (few and rows[k].measurement == focus)
            else ""
            for k, _ in drawn
        ]
        first: set[int] = set()
        for place, (k, _) in enumerate(drawn):  # one number a row
            texts[place] = "" if k in first else texts[place]
            first.add(k)
        ink = [
            CHOSEN if k == chosen else BAD if rows[k].verdict == "fail" else LINE
            for k, _ in drawn
        ]
        data = [line for _, line in drawn]
        said = [k for k, text in enumerate(texts) if text]
        words = (
            [data[k].min(0) for k in said],
            [texts[k] for k in said],
            [ink[k] for k in said],
        )
        if draft is not None:
            data, texts = [*data, self._put(self._binding.plane, draft)], [*texts, ""]
            ink = [*ink, CHOSEN]
        self._fill(self.edges or self._add(EDGES), paths, "path", colors, width)
        self._fill(self.lines or self._add(DIMENSIONS), data, "line", ink, width)
        if data:
            self.line_layer().features = {"text": texts}
        self._write(*words)  # above the lines

    def nearest(self, y: float, x: float, reach: float) -> int:
        """Give the row whose line lies nearest to a point of the plane; −1 if none."""
        best, row = reach, -1
        for k, line in self.drawn:
            if tuple(line[0, :-2]) != self._index(self._binding.plane):
                continue
            a, b = line[:, -2:]
            step = b - a
            t = np.clip((np.array([y, x]) - a) @ step / max(step @ step, 1e-9), 0, 1)
            away = float(np.hypot(*(a + t * step - [y, x])))
            if away < best:
                best, row = away, k
        return row

    def reach(self, on_screen: float) -> float:
        """How many pixels of the plane a length on screen is."""
        return data_pixels(self._viewer, self._binding.strokes, on_screen)

    def line_layer(self) -> Shapes:
        """The layer that hears the mouse; made if it is not there."""
        return self.lines or self._add(DIMENSIONS)

    def clear(self) -> None:
        """Draw nothing."""
        self.drawn = []
        self._write([], [], [])
        for layer in (self.lines, self.edges):
            if layer is not None and len(layer.data):
                layer.data = []

    def close(self) -> None:
        """Take the layers out, let go of the camera."""
        viewer = self._zoom.let_go()
        if viewer is not None:
            remove(viewer, self._lines, self._edges, self._texts)
            self._lines = self._edges = self._texts = None

    def _index(self, plane: int) -> tuple[float, ...]:
        return tuple(map(float, plane_index(self._shape[:-2], plane)))

    def _put(self, plane: int, points: Points) -> Points:
        ahead = np.broadcast_to(self._index(plane), (len(points), len(self._shape) - 2))
        return np.concatenate([ahead, points], axis=1)

    def _fill(
        self,
        layer: Shapes,
        data: list[Points],
        kind: str,
        colors: list[str],
        width: float,
    ) -> None:
        if not data:
            if len(layer.data):
                layer.data = []
            return
        with layer.events.blocker_all():  # else the viewer measures all layers twice
            layer.data = []
        layer.add(
            data, shape_type=kind, edge_width=width, edge_color=colors,
            face_color="transparent",
        )  # fmt: skip

    def _add(self, kind: str) -> Shapes:
        image = self._binding.image
        with keeping_selection(self._viewer):
            made = self._viewer.add_shapes(
                ndim=len(self._shape),
                name=f"{image.name} {kind}",
                opacity=1.0,
                metadata={"sesami_layer": kind},
                **spatial_kwargs(image),
            )
        made.editable = False
        if kind == DIMENSIONS:
            self._lines = made
        else:
            self._edges = made
        return made

    def _scale(self) -> None:
        if not self.drawn:
            return
        width = data_pixels(self._viewer, self._binding.strokes, WIDTH)
        for layer in (self.lines, self.edges):
            if layer is not None and 0 < len(layer.data) <= MOST_EDGES:
                if not 0.8 < layer.edge_width[0] / width < 1.25:
                    layer.edge_width = [width] * len(layer.data)
        if self.texts is not None and len(self.texts.data):
            self.texts.data = self._around()

    def _write(self, places: list[Points], words: list[str], ink: list[str]) -> None:
        """Write numbers over a dark rim, so that they read on any label."""
        self._written = np.array(places).reshape(len(places), len(self._shape))
        layer = self.texts
        if not words:
            if layer is not None and len(layer.data):
                layer.data = np.zeros((0, len(self._shape)))
            return
        layer = layer or self._add_texts()
        layer.data = self._around()
        layer.features = {"text": words * (len(RIM) + 1)}
        layer.text.color = [RIM_COLOR] * len(RIM) * len(words) + ink
        layer.refresh_text()

    def _around(self) -> Points:
        """Where copies of the numbers lie: the dark ones about, the bright one last."""
        step = data_pixels(self._viewer, self._binding.strokes, 1.0)
        offset = np.zeros((len(RIM) + 1, 1, len(self._shape)))
        offset[:-1, 0, -2:] = np.array(RIM) * step
        return np.asarray((self._written[None] + offset).reshape(-1, len(self._shape)))

    def _add_texts(self) -> Points_:
        image = self._binding.image
        with keeping_selection(self._viewer):
            self._texts = self._viewer.add_points(
                ndim=len(self._shape),
                name=f"{image.name} {TEXTS}",
                size=1e-3,
                opacity=1.0,
                features={"text": np.array([], object)},
                feature_defaults={"text": ""},
                text={"string": "{text}", "size": 10, "color": LINE,
                      "anchor": "lower_left"},
                metadata={"sesami_layer": TEXTS},
                **spatial_kwargs(image),
            )  # fmt: skip
        self._texts.editable = False
        return self._texts


def _pieces(edge: Points) -> list[Points]:
    """Cut a path where it leaps to another piece of the same edge."""
    steps = np.hypot(*np.diff(edge, axis=0).T)
    if not steps.size:
        return []
    cuts = np.flatnonzero(steps > max(4.0, 2.5 * float(np.median(steps)))) + 1
    return [piece for piece in np.split(edge, cuts) if len(piece) > 1]


def _text(r: Result) -> str:
    """Value ± U for the canvas, without the coverage factor."""
    return stated(r.value, r.U, r.unit).split(" (k")[0] if r.has_value else r.status
