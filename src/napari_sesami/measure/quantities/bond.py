"""Wire bonds from above: wires, wedges, balls on pads, clearances, by their labels.

Light glances off round metal, so a wire's edge has no grey step to be fitted; the
outline of the labels is measured, and how far labels may be off is in the error bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.work import Reading, Work

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.recipe import Measurement

    Points = NDArray[np.float64]

LABEL_ERROR = 0.3  # pixels by which an outline of labels may be off, all in one way
BIN = 2.0  # pixels along a wire that one width is read over
SHORTEST = 12.0  # pixels of a wire
HIDDEN = 1.5  # pixels about a ball in which its pad's outline is not the pad's


@dataclass(frozen=True)
class WirePath:
    """A wire by its labels: middles along it (y, x) in steps, and local widths."""

    middles: Points
    widths: Points
    axis: Points

    @property
    def chord(self) -> float:
        """Distance of its ends."""
        return float(np.hypot(*(self.middles[-1] - self.middles[0])))


def wire_path(work: Work, feature: FoundFeature) -> WirePath | None:
    """Follow a wire along its longest direction; None where it is too short."""
    points, _ = feature.boundary
    points = work.frame.points(points)
    middle = points.mean(0)
    axis = np.linalg.eigh(np.cov((points - middle).T))[1][:, -1]
    side = np.array([-axis[1], axis[0]])
    s, v = (points - middle) @ axis, (points - middle) @ side
    if np.ptp(s) < SHORTEST:
        return None
    number = max(4, int(np.ptp(s) / BIN))
    which = np.clip(((s - s.min()) / np.ptp(s) * number).astype(int), 0, number - 1)
    low, high = np.full(number, np.inf), np.full(number, -np.inf)
    # the middle of what lies on each side, not its farthest pixel
    centre = np.bincount(which, v, number) / np.maximum(
        np.bincount(which, None, number), 1
    )
    for sign, out in ((-1, low), (1, high)):
        chosen = (v - centre[which]) * sign > 0
        n = np.bincount(which[chosen], None, number)
        mean = np.bincount(which[chosen], v[chosen], number) / np.maximum(n, 1)
        out[:] = np.where(n > 0, mean, np.nan)
    places = s.min() + (np.arange(number) + 0.5) * np.ptp(s) / number
    good = np.isfinite(low) & np.isfinite(high)
    good[:1] = good[-1:] = False  # round ends
    if good.sum() < 4:
        return None
    places, middles = places[good], ((low + high) / 2)[good]
    smooth = ndimage.gaussian_filter1d(middles, 2.0, mode="nearest")
    lean = np.gradient(smooth, places)
    widths = (high - low)[good] / np.hypot(1, lean)
    path = middle + places[:, None] * axis + smooth[:, None] * side
    return WirePath(path, widths, axis)


def _paths(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[tuple[FoundFeature, WirePath | None]]:
    return [(f, wire_path(work, f)) for f in work.chosen(m, only)]


def wire_diameter(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[Reading]:
    """Measure the median of local widths."""
    found = []
    for feature, path in _paths(work, m, only):
        if path is None:
            found.append(Reading(status="too_thin", feature=feature))
            continue
        value = float(np.median(path.widths))
        spread = 1.4826 * float(np.median(np.abs(path.widths - value)))
        n = len(path.widths)
        at = n // 2
        side = np.array([-path.axis[1], path.axis[0]]) * value / 2
        middle = path.middles[at]
        found.append(
            Reading(
                value=value, feature=feature, n=n,
                budget=ErrorBudget.of(edge=(1.25 * spread / np.sqrt(n), n - 1.0),
                                      segmentation=2 * LABEL_ERROR / np.sqrt(3)),
                lines=[np.stack([middle - side, middle + side])],
                edges=[path.middles],
            )
        )  # fmt: skip
    return found


def wire_sweep(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[Reading]:
    """Measure the largest distance from the chord over the chord; chord and arc, too.

    A wire that the picture cuts has no chord.
    """
    found = []
    for feature, path in _paths(work, m, only):
        if path is None or feature.status != "ok":
            status = feature.status if feature.status != "ok" else "too_thin"
            found.append(Reading(status=status, feature=feature, power=0, zone="sweep"))
            continue
        first, last, chord = path.middles[0], path.middles[-1], path.chord
        ahead = (last - first) / chord
        away = np.abs((path.middles - first) @ [-ahead[1], ahead[0]])
        farthest = int(away.argmax())
        place = path.middles[farthest]
        foot = first + ahead * ((place - first) @ ahead)
        u = LABEL_ERROR / np.sqrt(3)
        arc = float(np.hypot(*np.diff(path.middles, axis=0).T).sum())
        found += [
            Reading(
                value=100 * float(away[farthest]) / chord, power=0, unit="%",
                zone="sweep", feature=feature, n=len(away),
                budget=ErrorBudget.of(segmentation=100 * u / chord),
                lines=[np.stack([foot, place])], edges=[path.middles],
            ),
            *(
                Reading(value=value, zone=zone, feature=feature, n=len(away),
                        budget=ErrorBudget.of(segmentation=2.0 * BIN / np.sqrt(3)),
                        lines=[np.stack([first, last])])
                for zone, value in (("chord", chord), ("arc", arc))
            ),
        ]  # fmt: skip
    return found


def wedge(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure width and length along the wire (`to`); also in wire diameters."""
    wires = [(f, wire_path(work, f)) for f in work.features(m.to)] if m.to else []
    known = [(f, p) for f, p in wires if p is not None]
    found = []
    for feature in work.chosen(m, only):
        if feature.status != "ok":
            found.append(Reading(status=feature.status, feature=feature, zone="width"))
            continue
        points = work.frame.points(feature.boundary[0])
        middle = points.mean(0)
        axis = np.linalg.eigh(np.cov((points - middle).T))[1][:, -1]
        wire = None
        if known:
            wire = min(
                (p for _, p in known),
                key=lambda p: float(np.hypot(*(p.middles - middle).T).min()),
            )
            axis = wire.axis
        side = np.array([-axis[1], axis[0]])
        u = 2 * LABEL_ERROR / np.sqrt(3)
        for zone, way in (("width", side), ("length", axis)):
            along = (points - middle) @ way
            # boundary points are mid-points of pixel sides: the ends are half out
            low, high = np.quantile(along, [0.01, 0.99])
            value = float(high - low)
            bar = ErrorBudget.of(segmentation=u)
            ends = np.stack([middle + low * way, middle + high * way])
            found.append(Reading(value=value, zone=zone, feature=feature, budget=bar,
                                 lines=[ends]))  # fmt: skip
            if wire is not None:
                thick = float(np.median(wire.widths))
                ratio = value / thick
                rest = u / thick * float(np.hypot(1, ratio))
                found.append(Reading(
                    value=ratio, power=0, zone=f"{zone} in wires", statistic="ratio",
                    feature=feature, budget=ErrorBudget.of(segmentation=rest),
                ))  # fmt: skip
    return found


def ball(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure diameters along and across, and their ratio; with `to` in wires, too.

    An ellipse through the outline where the wire does not lie on the ball.
    """
    wires = [(f, wire_path(work, f)) for f in work.features(m.to)] if m.to else []
    paths = [p for _, p in wires if p is not None]
    found = []
    for feature in work.chosen(m, only):
        if feature.status != "ok":
            found.append(Reading(status=feature.status, feature=feature))
            continue
        fit = _ellipse(work, feature)
        if fit is None:
            found.append(Reading(status="few", feature=feature))
            continue
        middle, half, turn, rest = fit
        value = 2 * float(np.sqrt(half[0] * half[1]))
        u = 2 * LABEL_ERROR / np.sqrt(3)
        bar = ErrorBudget.of(segmentation=u, edge=rest)
        arm = half[0] * np.array([np.sin(turn), np.cos(turn)])
        ends = np.stack([middle - arm, middle + arm])
        found.append(Reading(value=value, feature=feature, budget=bar, lines=[ends]))
        found.append(Reading(
            value=float(half.max() / half.min()), power=0, zone="aspect",
            feature=feature, statistic="ratio",
            budget=ErrorBudget.of(edge=2 * rest / value),
        ))  # fmt: skip
        if paths:
            near = min(
                paths, key=lambda p: float(np.hypot(*(p.middles - middle).T).min())
            )
            thick = float(np.median(near.widths))
            both = u / thick * float(np.hypot(1, value / thick))
            found.append(Reading(
                value=value / thick, power=0, zone="in wires", feature=feature,
                statistic="ratio", budget=ErrorBudget.of(segmentation=both),
            ))  # fmt: skip
    return found


def _ellipse(
    work: Work, feature: FoundFeature
) -> tuple[Points, Points, float, float] | None:
    """Fit middle (y, x), half axes and turn to an outline, wires on it left out."""
    site = work.site
    points, normals = feature.boundary
    points = work.frame.points(points)
    out = normals @ np.array([work.frame.depth_axis, work.frame.across_axis])
    beyond = site.labels_at(points + out)
    usual = np.bincount(np.maximum(beyond, 0)).argmax()
    free = points[beyond == usual]
    if len(free) < 24:
        return None
    centre = points.mean(0)
    x, y = (free - centre)[:, 1], (free - centre)[:, 0]
    # a conic near the circle: a (x² − y²) + b x y + c x + d y + e = −(x² + y²)
    system = np.stack([x * x - y * y, x * y, x, y, np.ones_like(x)], 1)
    p, q, r, s, e = np.linalg.lstsq(system, -(x * x + y * y), rcond=None)[0]
    form = np.array([[1 + p, q / 2], [q / 2, 1 - p]])
    values, vectors = np.linalg.eigh(form)
    if values.min() <= 0:
        return None
    xc, yc = np.linalg.solve(form, [-r / 2, -s / 2])
    level = float(np.array([xc, yc]) @ form @ [xc, yc] - e)
    if level <= 0:
        return None
    a, b = np.sqrt(level / values)  # the longer half axis first
    turn = float(np.arctan2(vectors[1, 0], vectors[0, 0]))
    shape = np.einsum("ni,ij,nj->n", np.stack([x - xc, y - yc], 1), form,
                      np.stack([x - xc, y - yc], 1))  # fmt: skip
    rest = (np.sqrt(np.maximum(shape, 0) / level) - 1) * float(np.sqrt(a * b))
    u = float(np.sqrt(np.mean(np.square(rest)) * 4 / len(free)))
    return centre + np.array([yc, xc]), np.array([a, b]), turn, u


def ball_offset(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[Reading]:
    """Measure balls (`feature`) against pads (`to`): offset, margin, share on it."""
    assert m.to is not None
    site = work.site
    pads = work.features(m.to)
    found = []
    for ball in work.chosen(m, only):
        if ball.status != "ok":
            found.append(Reading(status=ball.status, feature=ball, zone="length"))
            continue
        fit = _ellipse(work, ball)
        if fit is None:
            found.append(Reading(status="few", feature=ball, zone="length"))
            continue
        outline, middle = work.frame.points(ball.boundary[0]), fit[0]
        radius = float(fit[1].mean())
        near = [
            p for p in pads
            if np.hypot(*(work.frame.points(p.centre) - middle)) < 3 * radius
        ]  # fmt: skip
        if not near:
            found.append(Reading(status="not_found", feature=ball, zone="length"))
            continue
        if any(p.status != "ok" for p in near):
            found.append(Reading(status="cut_off", feature=ball, zone="length"))
            continue
        corners = np.concatenate([work.frame.points(p.boundary[0]) for p in near])
        away = cKDTree(outline).query(corners)[0]
        rim = corners[away > HIDDEN]
        box = _rectangle(rim)
        if box is None:
            found.append(Reading(status="few", feature=ball, zone="length"))
            continue
        centre, axes, half = box
        dy, dx = middle - centre
        u = LABEL_ERROR / np.sqrt(3) * np.sqrt(2)
        bar = ErrorBudget.of(segmentation=float(u))
        line = [np.stack([centre, middle])]
        for zone, value in (("dx", dx), ("dy", dy), ("length", np.hypot(dy, dx))):
            found.append(Reading(value=float(value), zone=zone, feature=ball,
                                 budget=bar, lines=line))  # fmt: skip
        inside = half - np.abs((outline - centre) @ axes.T)
        found.append(Reading(value=float(inside.min()), zone="to the pad's edge",
                             feature=ball, budget=bar))  # fmt: skip
        y, x = np.nonzero(ball.mask)
        body = np.stack([y, x], 1) + np.array(ball.box[:2], float)
        body = (body * site.spacing - centre) @ axes.T
        on = float((np.abs(body) <= half).all(1).mean())
        found.append(Reading(
            value=100 * on, power=0, unit="%", zone="on the pad", feature=ball,
            budget=ErrorBudget.of(segmentation=100 * LABEL_ERROR / radius / np.sqrt(3)),
        ))  # fmt: skip
    return found


def _rectangle(points: Points) -> tuple[Points, Points, Points] | None:
    """Fit a rectangle to points of its rim: middle, axes, half sides."""
    if len(points) < 12:
        return None
    best: tuple[float, Points, Points, Points] | None = None
    for degrees in np.arange(-45, 45, 1.0):
        t = np.deg2rad(degrees)
        axes = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
        turned = points @ axes.T
        low, high = np.quantile(turned, [0.02, 0.98], axis=0)
        rest = np.minimum(np.abs(turned - low), np.abs(turned - high)).min(1).mean()
        if best is None or rest < best[0]:
            best = (float(rest), axes, low, high)
    assert best is not None
    _, axes, low, high = best
    return (low + high) / 2 @ axes, axes, (high - low) / 2


def clearance(
    work: Work, m: Measurement, only: Collection[int] | None
) -> list[Reading]:
    """Measure from each wire to the nearest other one, outline to outline."""
    assert m.feature is not None
    all_wires = work.features(m.feature)
    outlines = {f.number: work.frame.points(f.boundary[0]) for f in all_wires}
    found = []
    for feature in work.chosen(m, only):
        best: tuple[float, Points] | None = None
        for other in all_wires:
            if other.number == feature.number:
                continue
            away, near = cKDTree(outlines[other.number]).query(outlines[feature.number])
            k = int(away.argmin())
            if best is None or away[k] < best[0]:
                ends = outlines[feature.number][k], outlines[other.number][near[k]]
                best = float(away[k]), np.stack(ends)
        if best is None:
            found.append(Reading(status="few", feature=feature))
            continue
        found.append(
            Reading(
                value=best[0], feature=feature, lines=[best[1]],
                budget=ErrorBudget.of(segmentation=2 * LABEL_ERROR / np.sqrt(3)),
            )
        )  # fmt: skip
    return found
