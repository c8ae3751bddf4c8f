"""Small drawings for the report as SVG text: no library, sharp in print."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.measure.budget import ErrorBudget
    from napari_sesami.measure.recipe import Limits

WIDTH, HEIGHT, EDGE = 300, 150, 34
TERM_COLORS = {
    "edge": "#0072B2", "sampling": "#56B4E9", "model": "#009E73",
    "segmentation": "#F0E442", "scale": "#E69F00", "distortion": "#D55E00",
    "tilt": "#CC79A7", "offset": "#999999",
}  # fmt: skip


def budget_bar(budget: ErrorBudget, width: int = 90) -> str:
    """Draw the shares of the terms in u²."""
    total = budget.standard**2
    if not total > 0:
        return ""
    x, parts = 0.0, []
    for name, (u, _) in budget.terms.items():
        share = width * u * u / total
        color = TERM_COLORS[name]
        parts.append(
            f"<rect x='{x:.1f}' width='{share:.1f}' height='9' fill='{color}'>"
            f"<title>{name} {u:.3g}</title></rect>"
        )
        x += share
    return f"<svg width='{width}' height='9'>{''.join(parts)}</svg>"


def histogram(values: NDArray[np.float64], unit: str, limits: Limits | None) -> str:
    """Draw how values are spread, and the limits."""
    marks = [limits.lower, limits.target, limits.upper] if limits else []
    known = [m for m in marks if m is not None]
    low, high = min([*known, values.min()]), max([*known, values.max()])
    if high <= low:
        low, high = low - 0.5, high + 0.5
    count = int(np.clip(np.sqrt(values.size) * 1.5, 5, 30))
    heights, bounds = np.histogram(values, count, (low, high))
    place = _axis(low, high, EDGE, WIDTH - 8)
    scale = (HEIGHT - 30) / max(int(heights.max()), 1)
    bars = "".join(
        f"<rect x='{place(bounds[k]):.1f}' y='{HEIGHT - 20 - n * scale:.1f}' "
        f"width='{place(bounds[k + 1]) - place(bounds[k]) - 1:.1f}' "
        f"height='{n * scale:.1f}' fill='#56B4E9'/>"
        for k, n in enumerate(heights)
    )
    lines = "".join(
        f"<path d='M{place(m):.1f} 8V{HEIGHT - 20}' stroke='#D55E00' "
        "stroke-dasharray='4 3'/>"
        for m in known
    )
    return _frame(bars + lines, (low, high), (0, int(heights.max())), unit)


def curve(
    x: Sequence[float],
    y: Sequence[float],
    band: float = math.nan,
    fit: Sequence[float] | None = None,
    logarithmic: bool = False,
) -> str:
    """Draw values over a place with their error as a band, or a spectrum and fit."""
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    more = [np.asarray(fit, float)] if fit is not None else []
    if logarithmic:
        xs, ys, *more = (np.log10(np.maximum(v, 1e-12)) for v in (xs, ys, *more))
    if not xs.size:
        return ""
    spread = band if math.isfinite(band) else 0.0
    all_y = np.concatenate([ys, *more])
    low, high = float(all_y.min()) - spread, float(all_y.max()) + spread
    if high <= low:
        low, high = low - 0.5, high + 0.5
    across = _axis(float(xs.min()), float(xs.max()), EDGE, WIDTH - 8)
    up = _axis(low, high, HEIGHT - 20, 8)
    inside = ""
    if spread:
        middle = float(ys.mean())
        inside += (
            f"<rect x='{EDGE}' width='{WIDTH - 8 - EDGE}' fill='#dfeaf3' "
            f"y='{up(middle + spread):.1f}' "
            f"height='{up(middle - spread) - up(middle + spread):.1f}'/>"
        )
    for values, colour in zip([ys, *more], ("#0072B2", "#D55E00"), strict=False):
        points = " ".join(
            f"{across(a):.1f},{up(b):.1f}" for a, b in zip(xs, values, strict=True)
        )
        inside += f"<polyline points='{points}' fill='none' stroke='{colour}'/>"
    ends = (float(xs.min()), float(xs.max()))
    if logarithmic:
        ends, low, high = (10 ** ends[0], 10 ** ends[1]), 10**low, 10**high
    return _frame(inside, ends, (low, high), "")


def control_chart(
    values: Sequence[float],
    errors: Sequence[float],
    centre: float,
    limits: tuple[float, float],
    alarms: Sequence[int],
) -> str:
    """Draw groups over time with error bars, limits and alarms."""
    ys, us = np.asarray(values, float), np.nan_to_num(np.asarray(errors, float))
    low = min(float((ys - us).min()), limits[0])
    high = max(float((ys + us).max()), limits[1])
    if high <= low:
        low, high = low - 0.5, high + 0.5
    across = _axis(0, max(1, ys.size - 1), EDGE + 6, WIDTH - 14)
    up = _axis(low, high, HEIGHT - 20, 8)
    inside = "".join(
        f"<path d='M{EDGE} {up(v):.1f}H{WIDTH - 8}' stroke='{c}' "
        f"stroke-dasharray='{d}'/>"
        for v, c, d in (
            (centre, "#444", "none"), (limits[0], "#D55E00", "4 3"),
            (limits[1], "#D55E00", "4 3"),
        )
    )  # fmt: skip
    for k, (value, u) in enumerate(zip(ys, us, strict=True)):
        colour = "#b3261e" if k in alarms else "#0072B2"
        inside += (
            f"<path d='M{across(k):.1f} {up(value - u):.1f}V{up(value + u):.1f}' "
            f"stroke='{colour}'/><circle cx='{across(k):.1f}' "
            f"cy='{up(value):.1f}' r='3' fill='{colour}'/>"
        )
    return _frame(inside, (1, ys.size), (low, high), "")


def _axis(
    low: float, high: float, start: float, end: float
) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda v: start + (v - low) / span * (end - start)


def _frame(
    inside: str, x: tuple[float, float], y: tuple[float, float], unit: str
) -> str:
    """Axes with the ends written at them."""
    text = "font-size='10' fill='#555'"
    return (
        f"<svg width='{WIDTH}' height='{HEIGHT}' xmlns='http://www.w3.org/2000/svg'>"
        f"{inside}<path d='M{EDGE} 8V{HEIGHT - 20}H{WIDTH - 8}' fill='none' "
        f"stroke='#888'/><text x='{EDGE}' y='{HEIGHT - 6}' {text}>{x[0]:.4g}</text>"
        f"<text x='{WIDTH - 8}' y='{HEIGHT - 6}' text-anchor='end' {text}>{x[1]:.4g} "
        f"{unit}</text><text x='2' y='{HEIGHT - 20}' {text}>{y[0]:.3g}</text>"
        f"<text x='2' y='14' {text}>{y[1]:.3g}</text></svg>"
    )
