"""A site: one plane of a scan with its labels, as all quantities of a recipe see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.measure.edge import (
    FEW_BLOCKS,
    NearPixels,
    StepFit,
    fit_step,
    polynomial,
)
from napari_sesami.measure.errors import MeasureError
from napari_sesami.measure.guide import (
    CurvedGuide,
    StraightGuide,
    boundary_points,
    robust_line,
)
from napari_sesami.scan import LENGTHS, luminance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.measure.edge import Basis
    from napari_sesami.scan import Scan

    Points = NDArray[np.float64]

REACH = 6.0  # pixels to each side of a guide, or 4 σ
CLEAR = 2.5  # σ by which pixels stay away from the next edge
PLATEAU = 2.0  # least pixels of a plateau
DEFAULT_SIGMA = 1.0


@dataclass(frozen=True, eq=False)
class FoundEdge:
    """An edge of a site: a fit along a guide, or the reason why there is none.

    Attributes
    ----------
    guide
        Where it was looked for.
    status
        "ok", or why the fit is no measurement.
    fit, basis
        The fit, if there is one, and its shapes.
    inside, outside
        Class ids to both sides.
    label_offset
        Mean distance of the fitted edge from the guide.
    """

    guide: StraightGuide | CurvedGuide
    status: str
    fit: StepFit | None = None
    basis: Basis | None = None
    inside: int = 0
    outside: int = 0
    label_offset: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the fit is a measurement."""
        return self.status == "ok"

    def offsets(self, along: Points) -> Points:
        """Give the fitted distance from the guide, the pull of curvature taken back."""
        assert self.fit is not None and self.basis is not None
        away = self.basis(along) @ self.fit.shape
        if isinstance(self.guide, CurvedGuide):
            bend = self.guide.curvature_at(along)
            return away + 0.5 * self.fit.sigma**2 * bend / np.maximum(
                1 + away * bend, 0.3
            )
        if self.fit.shape.size > 2:  # a parabola's curvature, outside convex positive
            half = self.guide.length / 2
            bend = -2 * self.fit.shape[2] / half**2
            return away + 0.5 * self.fit.sigma**2 * bend
        return away

    def line(self, count: int = 24) -> Points:
        """Give points (y, x) on the fitted edge, to be drawn."""
        if isinstance(self.guide, StraightGuide):
            along = np.linspace(-0.5, 0.5, count) * self.guide.length
        else:
            along = np.linspace(0, self.guide.length, count)
        return self.guide.at(along, self.offsets(along))


class Site:
    """One plane of a scan with labels, class names and the blur of its edges.

    Parameters
    ----------
    scan
        Its raw pixels are measured.
    labels
        Class ids (y, x), or with the scan's shape.
    classes
        A class table, entries with `id` and `name`, or a mapping of name to id.
    plane
        Number of the plane.
    sigma
        Blur of an edge in pixels where it is known; else estimated.
    """

    def __init__(
        self,
        scan: Scan,
        labels: Any,
        classes: Any,
        plane: int = 0,
        sigma: float | None = None,
    ) -> None:
        self.scan, self.plane = scan, plane
        self.classes = class_ids(classes)
        self.labels = _plane_of(labels, scan, plane)
        self._given_sigma = sigma
        self.unit, self.pixel, self.spacing = _pixel_of(scan)

    @cached_property
    def _pixels(self) -> NDArray[Any]:
        """The plane in the file's dtype, one grey value a pixel."""
        plane = self.scan.plane(self.plane)
        if self.scan.is_rgb:
            return luminance(plane)
        return np.abs(plane) if np.iscomplexobj(plane) else plane

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.scan.plane_shape

    def class_id(self, name: str) -> int:
        """Look a class up by its name."""
        if name not in self.classes:
            raise MeasureError(
                f'The labels have no class "{name}"; they have '
                f"{', '.join(self.classes) or 'none'}."
            )
        return self.classes[name]

    def class_name(self, id_: int) -> str:
        """Give the name of a class id."""
        return next((n for n, i in self.classes.items() if i == id_), "nothing")

    def to_data(self, points: Points) -> Points:
        """Bring points in equal steps to (y, x) in pixels of the plane."""
        return np.asarray(points, float) / self.spacing

    def from_data(self, points: Points) -> Points:
        """Bring (y, x) in pixels of the plane to equal steps."""
        return np.asarray(points, float) * self.spacing

    def grey(self, box: BBox) -> NDArray[np.float64]:
        """Read grey values of a box; NaN where there is no specimen."""
        part = np.s_[box[0] : box[2], box[1] : box[3]]
        values = self._pixels[part].astype(np.float64)
        if self.scan.ignore is not None:
            values[self.scan.ignore[part]] = np.nan
        return values

    def labels_at(self, points: Points) -> NDArray[np.int64]:
        """Give the class ids nearest to points in equal steps; −1 off the picture."""
        at = np.rint(self.to_data(points)).astype(np.int64)
        y, x = at[..., 0], at[..., 1]
        inside = (y >= 0) & (x >= 0) & (y < self.shape[0]) & (x < self.shape[1])
        found = np.full(y.shape, -1, np.int64)
        found[inside] = self.labels[y[inside], x[inside]]
        return found

    def near(
        self,
        guide: StraightGuide | CurvedGuide,
        reach_in: float,
        reach_out: float,
    ) -> NearPixels:
        """Collect raw pixels beside a guide, from −reach_in to reach_out."""
        if isinstance(guide, StraightGuide):
            ends = guide.at(np.array([-0.5, 0.5]) * guide.length)
        else:
            ends = guide.points
        margin = max(reach_in, reach_out) + 1
        low = np.floor(self.to_data(ends.min(0) - margin)).astype(int)
        high = np.ceil(self.to_data(ends.max(0) + margin)).astype(int) + 1
        y0, x0 = (max(0, int(v)) for v in low)
        y1, x1 = (min(n, int(v)) for n, v in zip(self.shape, high, strict=True))
        if y0 >= y1 or x0 >= x1:
            empty = np.zeros(0)
            return NearPixels(empty, empty, empty)
        grey = self.grey((y0, x0, y1, x1)).ravel()
        y = np.repeat(np.arange(y0, y1), x1 - x0) * self.spacing[0]
        x = np.tile(np.arange(x0, x1), y1 - y0) * self.spacing[1]
        points = np.stack([y, x], axis=1)
        if isinstance(guide, CurvedGuide):  # only look closely at what may be near
            close = self._close_to(guide, (y0, x0, y1, x1), margin).ravel()
            points, grey = points[close], grey[close]
        along, across = guide.locate(points)
        keep = (across >= -reach_in) & (across <= reach_out) & np.isfinite(grey)
        if isinstance(guide, StraightGuide):
            keep &= np.abs(along) <= guide.length / 2
        elif not guide.closed:
            keep &= (along >= 0) & (along <= guide.length)
        return NearPixels(along[keep], across[keep], grey[keep])

    def _close_to(
        self, guide: CurvedGuide, box: BBox, margin: float
    ) -> NDArray[np.bool_]:
        """Mark pixels of a box that lie in squares around the guide's samples."""
        close = np.zeros((box[2] - box[0], box[3] - box[1]), bool)
        near = np.unique(np.rint(self.to_data(guide.points)).astype(int), axis=0)
        ry, rx = (int(np.ceil(margin / s)) for s in self.spacing)
        for y, x in near[:: max(1, min(ry, rx) // 2)]:
            y, x = y - box[0], x - box[1]
            close[max(0, y - ry) : y + ry + 1, max(0, x - rx) : x + rx + 1] = True
        return close

    def edge(
        self,
        guide: StraightGuide | CurvedGuide,
        basis: Basis,
        inside: int | None = None,
        outside: int | None = None,
        *,
        free_sigma: bool | None = None,
        sigma: float | None = None,
    ) -> FoundEdge:
        """Fit the edge along a guide, with pixels of other edges left out.

        Parameters
        ----------
        guide
            Where the labels say it is.
        basis
            The shapes that it may take.
        inside, outside
            Class ids to both sides; by default what most of the guide shows.
        free_sigma
            Whether the blur is fitted; by default where both plateaus are long.
        sigma
            The blur to begin with; by default the scan's.
        """
        blur = sigma if sigma is not None else self.sigma
        reach = max(REACH, 4 * blur)
        view = self.beside(guide, reach + CLEAR * blur, inside, outside)
        if view.status != "ok":
            return FoundEdge(guide, view.status, inside=view.inside)
        ids: dict[str, Any] = {"inside": view.inside, "outside": view.outside}
        if min(view.room_in, view.room_out) < max(PLATEAU, 1.5 * blur):
            return FoundEdge(guide, "too_thin", **ids)
        moved, fit = 0.0, None
        for again in range(3):
            room_in, room_out = view.room_in + moved, view.room_out - moved
            least = max(PLATEAU, 1.5 * blur)
            reach_in, reach_out = (
                max(least, min(reach, room - CLEAR * blur))
                for room in (room_in, room_out)
            )
            pixels = self.near(guide, reach_in, reach_out)
            if not view.whole:
                pixels = pixels.where(view.along_ok(pixels.along))
            free = free_sigma
            if free is None:
                free = min(reach_in, reach_out) >= 2 * blur + 1
            fit = fit_step(
                pixels, basis, sigma=blur, free_sigma=free,
                period=guide.length if getattr(guide, "closed", False) else None,
                inflation=self.inflation,
            )  # fmt: skip
            if fit is None:
                flat = pixels.grey.size > 20 and not np.ptp(pixels.grey) > 0
                status = "low_contrast" if flat else "not_found"
                return FoundEdge(guide, status, **ids)
            if again == 2 or not isinstance(guide, StraightGuide):
                break
            # the labels were off: look again with the window on the edge itself, so
            # that the value does not depend on how far off they were
            lean = fit.shape[1] * 2 / guide.length if fit.shape.size > 1 else 0.0
            step = float(fit.shape[0])
            if max(abs(step), abs(lean) * guide.length / 2) < 0.3 or abs(step) > 4:
                break
            moved += step
            guide = guide.moved(step, lean)
        assert fit is not None
        offset = moved + float(np.mean(basis(pixels.along) @ fit.shape))
        u = float(np.sqrt(max(fit.own_covariance[0, 0], fit.covariance[0, 0])))
        allowed = 4.0 if min(view.room_in, view.room_out) >= 8 else 2.5
        enough = 6 * fit.noise / np.sqrt(max(1.0, len(pixels) / 4))
        status = "ok"
        if not np.isfinite(u) or u > 0.5 or abs(fit.step) < enough:
            status = "low_contrast"
        elif abs(offset) > max(allowed, 2 * blur):
            status = "mismatch"
        elif free and not blur / 2.2 <= fit.sigma <= blur * 2.2 and sigma is None:
            status = "mismatch"
        elif fit.misfit > 0.35:
            status = "ambiguous"
        return FoundEdge(guide, status, fit, basis, label_offset=offset, **ids)

    def beside(
        self,
        guide: StraightGuide | CurvedGuide,
        reach: float,
        inside: int | None = None,
        outside: int | None = None,
    ) -> LabelView:
        """See what the labels show to both sides of a guide."""
        length = guide.length
        count = max(5, int(np.ceil(length)) + 1)
        straight = isinstance(guide, StraightGuide)
        along = (
            np.linspace(-0.5, 0.5, count) * length
            if straight
            else np.linspace(0, length, count)
        )
        across = np.arange(-np.ceil(reach * 2) / 2, np.ceil(reach * 2) / 2 + 0.25, 0.5)
        seen = self.labels_at(guide.at(along[:, None], across[None, :]))
        inner = seen[:, (across <= -1) & (across >= -2.5)]
        outer = seen[:, (across >= 1) & (across <= 2.5)]
        if inside is None:
            inside = _most_common(inner[inner >= 0])
        if outside is None:
            outside = _most_common(outer[(outer >= 0) & (outer != inside)])
        if inside is None or outside is None:
            return LabelView("not_found", inside or 0, outside or 0, along, None, 0, 0)
        good = (inner == inside).any(1) & (outer == outside).any(1)
        if good.mean() < 0.5:
            off = (seen < 0).any(1).mean() > 0.2
            status = "cut_off" if off else "not_found"
            return LabelView(status, inside, outside, along, good, 0, 0)
        rooms = []
        for side, class_ in ((-1, inside), (1, outside)):
            order = across * side
            chosen = np.argsort(order)[np.sort(order) >= 1.5]
            other = seen[good][:, chosen] != class_
            first = np.where(other.any(1), order[chosen][other.argmax(1)], np.inf)
            low = int(0.15 * (first.size - 1))
            rooms.append(float(np.partition(first, low)[low]))
        return LabelView("ok", inside, outside, along, good, rooms[0], rooms[1])

    @cached_property
    def inflation(self) -> float:
        """How many times the variance of means exceeds that of independent pixels.

        From means of 4 × 4 pixels within classes; texture counts as noise, too.
        """
        rng = np.random.default_rng(1)
        rows, columns = self.shape
        side, part = 12, 4
        ratios = []
        if min(rows, columns) <= side:
            return FEW_BLOCKS
        for _ in range(4000):
            y = int(rng.integers(0, rows - side))
            x = int(rng.integers(0, columns - side))
            labels = self.labels[y : y + side, x : x + side]
            if labels[0, 0] == labels[-1, -1] and (labels == labels[0, 0]).all():
                grey = self.grey((y, x, y + side, x + side))
                if not np.all(np.isfinite(grey)) or not np.ptp(grey) > 0:
                    continue
                # slow shading is no noise: take a plane off
                t = np.linspace(-1, 1, side)
                grey = grey - grey.mean()
                grey -= np.outer(t, np.full(side, (t @ grey).mean() / (t @ t)))
                grey -= np.outer(np.full(side, (grey @ t).mean() / (t @ t)), t)
                cells = grey.reshape(side // part, part, side // part, part)
                means = cells.mean((1, 3))
                ratios.append((float(np.sum(means**2)), float(np.sum(grey**2))))
                if len(ratios) == 150:
                    break
        if len(ratios) < 8:
            return FEW_BLOCKS
        blocks, pixels = np.median(ratios, axis=0)
        # of white noise: 9 cells and 144 pixels, three degrees of freedom taken off
        white = (9 - 3) / part**2 / (side**2 - 3)
        return float(np.clip(blocks / pixels / white, 1.0, 12.0))

    @property
    def sigma(self) -> float:
        """The blur of an edge in pixels: the median over isolated edges."""
        return self._blur[0]

    @property
    def u_sigma(self) -> float:
        """Standard uncertainty of the blur; large where no edge stands alone."""
        return self._blur[1]

    @cached_property
    def _blur(self) -> tuple[float, float]:
        if self._given_sigma is not None:
            return self._given_sigma, 0.01 * self._given_sigma
        found = []
        for guide in _isolated_pieces(self, most=24):
            edge = self.edge(
                guide, polynomial(guide.length, 1), free_sigma=True, sigma=1.2
            )
            if edge.ok and edge.fit is not None and edge.fit.cnr > 1:
                found.append(edge.fit.sigma)
        if not found:
            return DEFAULT_SIGMA, 0.15 * DEFAULT_SIGMA
        middle = float(np.median(found))
        spread = 1.4826 * float(np.median(np.abs(np.array(found) - middle)))
        return middle, max(spread, 0.05 * middle) * 1.25 / float(np.sqrt(len(found)))


@dataclass(frozen=True, eq=False)
class LabelView:
    """What labels show beside a guide.

    Attributes
    ----------
    status
        "ok", "not_found" or "cut_off".
    inside, outside
        Class ids.
    along, good
        Places looked at, and whether both classes are there.
    room_in, room_out
        How far it is to the next class on most of the guide.
    """

    status: str
    inside: int
    outside: int
    along: Points
    good: NDArray[np.bool_] | None
    room_in: float
    room_out: float

    @property
    def whole(self) -> bool:
        """Whether both classes are there all along."""
        return self.good is None or bool(self.good.all())

    def along_ok(self, along: Points) -> NDArray[np.bool_]:
        """Say for places along the guide whether both classes are there."""
        assert self.good is not None
        nearest = np.clip(
            np.rint(
                (along - self.along[0])
                / max(1e-9, self.along[-1] - self.along[0])
                * (self.along.size - 1)
            ).astype(int),
            0,
            self.along.size - 1,
        )
        return self.good[nearest]


def class_ids(classes: Any) -> dict[str, int]:
    """Name → id of a class table, of entries, of a mapping or of plain names."""
    if hasattr(classes, "items"):
        return {str(name): int(id_) for name, id_ in classes.items()}
    found: dict[str, int] = {}
    entries: Iterable[Any] = classes
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, str):
            found[entry] = number
        else:
            found[str(entry.name)] = int(entry.id)
    return found


def _plane_of(labels: Any, scan: Scan, plane: int) -> NDArray[Any]:
    """One plane of labels as an array, whatever shape they came with."""
    shape = tuple(int(n) for n in labels.shape)
    if shape == scan.plane_shape:
        return np.asarray(labels)
    if shape == (*scan.leading_shape, *scan.plane_shape):
        where = np.unravel_index(plane, scan.leading_shape)
        return np.asarray(labels[tuple(int(i) for i in where)])
    raise MeasureError(
        f"Labels of shape {shape} do not fit the scan {scan.name}, whose planes are "
        f"{scan.plane_shape}; give labels of one plane or of the whole scan."
    )


def _pixel_of(scan: Scan) -> tuple[str, float, tuple[float, float]]:
    """Unit, size of one step in it, and the spacing of rows and columns in steps."""
    axes = {a: i for i, a in enumerate(scan.axes)}
    at = [axes["y"], axes["x"]]
    sizes = [scan.pixel_size[i] for i in at]
    units = [scan.units[i] for i in at]
    if any(s is None for s in sizes) or any(u not in LENGTHS for u in units):
        return "px", 1.0, (1.0, 1.0)
    unit = str(units[1])
    y = float(sizes[0] or 1) * LENGTHS[str(units[0])] / LENGTHS[unit]
    x = float(sizes[1] or 1)
    step = float(np.sqrt(y * x))
    return unit, step, (y / step, x / step)


def _most_common(ids: NDArray[Any]) -> int | None:
    return int(np.bincount(ids.ravel()).argmax()) if ids.size else None


def _isolated_pieces(site: Site, most: int) -> list[StraightGuide]:
    """Short straight pieces of class boundaries with nothing else near."""
    labels, clear = site.labels, 7
    pieces: list[StraightGuide] = []
    rng = np.random.default_rng(0)
    for axis in (0, 1):
        turned = labels if axis == 1 else labels.T
        rows = np.arange(8, max(9, turned.shape[0] - 8), 5)[:400]
        if turned.shape[0] > 2000:
            rows = np.linspace(8, turned.shape[0] - 9, 400).astype(int)
        lines = turned[rows]
        if lines.shape[1] < 2 * clear + 2:
            continue
        step = lines[:, 1:] != lines[:, :-1]
        step[:, : clear - 1] = step[:, -clear + 1 :] = False
        total = np.cumsum(np.pad(lines[:, 1:] != lines[:, :-1], ((0, 0), (1, 0))), 1)
        span = total[:, 2 * clear - 1 :] - total[:, : -2 * clear + 1]
        alone = np.zeros_like(step)
        width = min(span.shape[1], alone.shape[1] - clear + 1)
        alone[:, clear - 1 : clear - 1 + width] = span[:, :width] == 1
        found = np.argwhere(step & alone)
        for k in rng.permutation(len(found))[: 4 * most]:
            row, column = int(rows[found[k, 0]]), int(found[k, 1])
            window = turned[row - 8 : row + 9, column - 5 : column + 7]
            a, b = int(turned[row, column]), int(turned[row, column + 1])
            points, normals = boundary_points(window == a)
            side = normals[:, 1] > 0
            if side.sum() < 13 or not np.isin(window, (a, b)).all():
                continue
            offset, slope = robust_line(points[side, 0] - 8, points[side, 1])
            rest = points[side, 1] - offset - slope * (points[side, 0] - 8)
            if abs(slope) > 0.5 or np.abs(rest).max() > 1.2:
                continue
            middle = np.array([row, column - 5 + offset], float)
            normal = np.array([-slope, 1.0])
            if axis == 0:
                middle, normal = middle[::-1], normal[::-1]
            normal = normal * site.spacing[::-1]
            normal /= np.hypot(*normal)
            middle = middle * site.spacing
            pieces.append(
                StraightGuide(
                    (float(middle[0]), float(middle[1])),
                    (float(normal[0]), float(normal[1])),
                    16.0,
                )
            )
            if len(pieces) >= most // 2 * (axis + 1):
                break
    return pieces
