"""Control charts and gauge studies: is a process steady, is a tool good enough."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

D2 = 1.128  # mean moving range of two over σ
ENOUGH = 20  # groups that limits should be made of


@dataclass(frozen=True, eq=False)
class ControlChart:
    """Means of groups over time with limits and alarms.

    Attributes
    ----------
    labels, values, errors
        Of the groups, in order; errors are expanded uncertainties.
    centre, sigma
        Of the limits: centre ± 3 σ.
    alarms
        Position of a group → numbers of the Western Electric rules it breaks.
    preliminary
        Whether limits are made of fewer than 20 groups.
    """

    labels: tuple[str, ...]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    centre: float
    sigma: float
    alarms: dict[int, tuple[int, ...]]
    preliminary: bool

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper control limit."""
        return self.centre - 3 * self.sigma, self.centre + 3 * self.sigma

    def svg(self) -> str:
        """Draw it."""
        from napari_sesami.measure.plots import control_chart

        return control_chart(
            self.values.tolist(), self.errors.tolist(), self.centre, self.limits,
            tuple(self.alarms),
        )  # fmt: skip


def chart_of(
    values: Sequence[float],
    errors: Sequence[float] | None = None,
    labels: Sequence[str] = (),
    given: tuple[float, float] | None = None,
) -> ControlChart:
    """Make a chart of group means; limits by moving ranges, or given (centre, σ)."""
    x = np.asarray(values, float)
    u = np.zeros(x.size) if errors is None else np.asarray(errors, float)
    if given is not None:
        centre, sigma = given
    else:
        centre = float(x.mean()) if x.size else math.nan
        sigma = float(np.abs(np.diff(x)).mean() / D2) if x.size > 1 else math.nan
    names = tuple(labels) or tuple(str(k + 1) for k in range(x.size))
    alarms = western_electric(x, centre, sigma)
    return ControlChart(
        names, x, u, centre, sigma, alarms, given is None and x.size < ENOUGH
    )


def western_electric(
    values: NDArray[np.float64], centre: float, sigma: float
) -> dict[int, tuple[int, ...]]:
    """Find the points that break rules 1 to 4.

    1: one beyond 3 σ; 2: two of three beyond 2 σ on one side; 3: four of five beyond
    1 σ on one side; 4: eight in a row on one side.
    """
    out: dict[int, tuple[int, ...]] = {}
    if not sigma > 0:
        return out
    z = (np.asarray(values, float) - centre) / sigma
    rules = ((1, 1, 1, 3.0), (2, 2, 3, 2.0), (3, 4, 5, 1.0), (4, 8, 8, 0.0))
    for k in range(z.size):
        broken = []
        for rule, many, of, beyond in rules:
            if k + 1 < of:
                continue
            part = z[k + 1 - of : k + 1]
            for side in (1, -1):
                if side * z[k] > beyond and (side * part > beyond).sum() >= many:
                    broken.append(rule)
        if broken:
            out[k] = tuple(broken)
    return out


def ewma(
    values: Sequence[float], centre: float, sigma: float, weight: float = 0.2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the exponentially weighted mean and its 3 σ width at each point."""
    x = np.asarray(values, float)
    mean = np.empty(x.size)
    last = centre
    for k, value in enumerate(x):
        last = weight * value + (1 - weight) * last
        mean[k] = last
    n = np.arange(1, x.size + 1)
    share = weight / (2 - weight) * (1 - (1 - weight) ** (2 * n))
    return mean, 3 * sigma * np.sqrt(share)


@dataclass(frozen=True)
class GaugeStudy:
    """Repeatability and reproducibility of measuring.

    Attributes
    ----------
    ev, av, pv
        Standard deviations of repeats, of appraisers (who labelled), and of parts.
    repeats, parts, appraisers
        How many.
    tolerance
        Upper minus lower limit, or NaN.
    """

    ev: float
    av: float
    pv: float
    repeats: int
    parts: int
    appraisers: int
    tolerance: float = math.nan

    @property
    def grr(self) -> float:
        """Both of measuring together."""
        return math.hypot(self.ev, self.av)

    @property
    def total(self) -> float:
        """Of measuring and parts."""
        return math.hypot(self.grr, self.pv)

    @property
    def percent(self) -> float:
        """%GRR of the total spread: up to 10 is good, up to 30 conditional."""
        return 100 * self.grr / self.total if self.total > 0 else math.nan

    @property
    def precision_to_tolerance(self) -> float:
        """P/T = 6 GRR / tolerance."""
        return 6 * self.grr / self.tolerance if self.tolerance > 0 else math.nan

    @property
    def categories(self) -> int:
        """Number of distinct categories, 1.41 PV / GRR."""
        return int(1.41 * self.pv / self.grr) if self.grr > 0 else 0

    def __str__(self) -> str:
        text = (
            f"EV {self.ev:.4g}, AV {self.av:.4g}, GRR {self.grr:.4g}, "
            f"PV {self.pv:.4g}, "
            f"{self.percent:.1f} % of the spread, ndc {self.categories}"
        )
        if math.isfinite(self.precision_to_tolerance):
            text += f", P/T {self.precision_to_tolerance:.3f}"
        return text


def gauge_study(
    values: Sequence[float],
    parts: Sequence[Any],
    appraisers: Sequence[Any] | None = None,
    tolerance: float = math.nan,
) -> GaugeStudy:
    """Split the spread of repeated values into repeats, appraisers and parts (ANOVA).

    EV is pooled within a part and appraiser; AV and PV are what the means of
    appraisers and of parts spread beyond that.
    """
    x = np.asarray(values, float)
    who = list(appraisers) if appraisers is not None else [""] * x.size
    cells: dict[tuple[Any, Any], list[float]] = {}
    for value, part, person in zip(x, parts, who, strict=True):
        cells.setdefault((part, person), []).append(float(value))
    squares = sum(
        float(np.sum((np.array(c) - np.mean(c)) ** 2)) for c in cells.values()
    )
    free = sum(len(c) - 1 for c in cells.values())
    ev = math.sqrt(squares / free) if free else math.nan
    repeats = float(np.mean([len(c) for c in cells.values()])) if cells else 0.0
    people, things = dict.fromkeys(who), dict.fromkeys(parts)

    def beyond(groups: list[list[float]], per: float) -> float:
        means = [float(np.mean(g)) for g in groups]
        if len(means) < 2:
            return 0.0
        noise = ev**2 / max(per, 1.0) if math.isfinite(ev) else 0.0
        return math.sqrt(max(0.0, float(np.var(means, ddof=1)) - noise))

    by_person = [
        [v for (_, q), c in cells.items() if q == p for v in c] for p in people
    ]
    by_part = [[v for (t, _), c in cells.items() if t == p for v in c] for p in things]
    return GaugeStudy(
        ev,
        beyond(by_person, repeats * len(things)),
        beyond(by_part, repeats * len(people)),
        round(repeats),
        len(things),
        len(people),
        tolerance,
    )
