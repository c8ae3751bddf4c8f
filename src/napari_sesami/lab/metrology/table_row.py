"""A row of the self-test: how well one quantity was measured many times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TableRow:
    """What measuring one quantity many times gave.

    Attributes
    ----------
    name, unit
        Of the quantity.
    n, missed
        Values with status ok, and those without.
    bias, scatter
        Mean and standard deviation of value minus truth.
    bound
        Scatter over the Cramér-Rao bound, where there is one.
    ratio
        Mean stated standard uncertainty over the scatter.
    coverage
        Share of intervals that hold the truth.
    worst
        Largest error.
    target
        What the bias must stay within, and the coverage.
    """

    name: str
    unit: str
    n: int
    missed: int
    bias: float
    scatter: float
    bound: float
    ratio: float
    coverage: float
    worst: float
    target: tuple[float, float, float]

    @property
    def met(self) -> bool:
        """Whether bias and coverage meet the target, chance of n draws allowed for."""
        chance = 2.6 * self.scatter / max(1, self.n) ** 0.5
        bias, low, high = self.target
        slack = 2.6 * (0.05 * 0.95 / max(1, self.n)) ** 0.5
        if not self.n:
            return False
        if not np.isfinite(bias):  # a rival: shown, not judged
            return True
        held = low - slack <= self.coverage <= high + slack or high >= 1
        return abs(self.bias) <= bias + chance and held and self.coverage >= low - slack

    def line(self) -> str:
        """One line of the table."""
        bound = f"{self.bound:5.2f}" if np.isfinite(self.bound) else "    –"
        target = f"|bias| ≤ {self.target[0]:g}, {100 * self.target[1]:.0f} %"
        if not np.isfinite(self.target[0]):
            return (
                f"{self.name:<46} {self.n:5d} {self.missed:4d} {self.bias:+8.4f} "
                f"{self.scatter:8.4f} {'':5} {'':5} {'':5} {self.worst:6.2f}"
            )
        return (
            f"{self.name:<46} {self.n:5d} {self.missed:4d} {self.bias:+8.4f} "
            f"{self.scatter:8.4f} {bound} {self.ratio:5.2f} {100 * self.coverage:5.1f} "
            f"{self.worst:6.2f} "
            f"{self.unit:<3} {target:<22} {'yes' if self.met else 'NO'}"
        )


TITLE = (
    f"{'quantity':<46} {'n':>5} {'none':>4} {'bias':>8} {'scatter':>8} "
    f"{'/CRB':>5} {'u/sd':>5} {'cover':>5} {'worst':>6} {'':<3} {'target':<22} met"
)


def row_of(
    name: str,
    unit: str,
    values: list[Any],
    missed: int,
    target: tuple[float, float, float],
    bound: float = float("nan"),
) -> TableRow:
    """Make a row of (error, standard uncertainty, U) of many values."""
    if not values:
        nan = float("nan")
        return TableRow(name, unit, 0, missed, nan, nan, nan, nan, nan, nan, target)
    error, u, bar = np.array(values, float).T
    scatter = float(error.std()) if error.size > 1 else float("nan")
    return TableRow(
        name, unit, error.size, missed, float(error.mean()), scatter, scatter / bound,
        float(np.sqrt(np.mean(u**2))) / scatter if scatter else float("nan"),
        float(np.mean(np.abs(error) <= bar)) if bar.any() else float("nan"),
        float(np.abs(error).max()), target,
    )  # fmt: skip
