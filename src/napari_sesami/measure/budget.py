"""The error budget of a value: what adds to its uncertainty, and what a mean shrinks.

Vocabulary and rules are those of JCGM 100: terms add in squares, the degrees of freedom
follow Welch and Satterthwaite, the expanded uncertainty covers 95 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from scipy.special import stdtrit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Scope = Literal["edge", "feature", "scan", "lot"]

SCOPES: dict[str, Scope] = {
    "edge": "edge",
    "sampling": "feature",
    "model": "edge",
    "segmentation": "feature",
    "scale": "scan",
    "distortion": "scan",
    "tilt": "scan",
    "offset": "lot",
}
"""Every term of a budget and how far its error is the same: a mean over features makes
only `edge` and `feature` terms smaller."""

MANY = 1e6
"""Degrees of freedom of a term that is known, not estimated."""


@dataclass(frozen=True)
class ErrorBudget:
    """Standard uncertainties of one value by name, each with degrees of freedom.

    Attributes
    ----------
    terms
        Name (a key of `SCOPES`) to (standard uncertainty, degrees of freedom).
    """

    terms: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, **terms: float | tuple[float, float]) -> ErrorBudget:
        """Make a budget of ``name=u`` or ``name=(u, dof)``; zeros are left out."""
        pairs = {n: t if isinstance(t, tuple) else (t, MANY) for n, t in terms.items()}
        return cls({n: t for n, t in pairs.items() if t[0] > 0 and n in SCOPES})

    def __add__(self, other: ErrorBudget) -> ErrorBudget:
        """Add independent budgets, term by term in squares."""
        names = [n for n in SCOPES if n in self.terms or n in other.terms]
        return ErrorBudget({n: _join(*_both(n, self, other)) for n in names})

    def scaled(self, factor: float) -> ErrorBudget:
        """Give the budget of `factor` times the value."""
        return ErrorBudget(
            {n: (abs(factor) * u, d) for n, (u, d) in self.terms.items()}
        )

    def common(self, **terms: float) -> ErrorBudget:
        """Add terms whose size is known, such as ``scale=…``."""
        return self + ErrorBudget.of(**terms)

    @staticmethod
    def mean(budgets: Iterable[ErrorBudget]) -> ErrorBudget:
        """Give the budget of the mean: only edge and feature terms average out."""
        given = list(budgets)
        if not given:
            return ErrorBudget({})
        n = len(given)
        out: dict[str, tuple[float, float]] = {}
        for name, scope in SCOPES.items():
            found = [b.terms.get(name, (0.0, MANY)) for b in given]
            if not any(u for u, _ in found):
                continue
            if scope in ("edge", "feature"):
                u, dof = _join(*found)
                out[name] = (u / n, dof)
            else:
                out[name] = (
                    sum(u for u, _ in found) / n,
                    min(d for u, d in found if u),
                )
        return ErrorBudget(out)

    def u(self, name: str) -> float:
        """Give one term, 0 if it is not there."""
        return self.terms.get(name, (0.0, MANY))[0]

    @property
    def standard(self) -> float:
        """The combined standard uncertainty."""
        return math.sqrt(sum(u * u for u, _ in self.terms.values()))

    @property
    def dof(self) -> float:
        """Effective degrees of freedom."""
        return _join(*self.terms.values())[1] if self.terms else MANY

    @property
    def k(self) -> float:
        """The coverage factor for 95 %: t, and 2 once there are over 60 degrees."""
        return coverage_factor(self.dof)

    @property
    def expanded(self) -> float:
        """The expanded uncertainty U = k u."""
        return self.k * self.standard


def coverage_factor(dof: float) -> float:
    """Give t of 97.5 % for degrees of freedom, 2 for more than 60."""
    return 2.0 if dof > 60 else _t(round(max(1.0, dof), 2))


@lru_cache(maxsize=4096)
def _t(dof: float) -> float:
    return float(stdtrit(dof, 0.975))


def _both(name: str, *budgets: ErrorBudget) -> list[tuple[float, float]]:
    return [b.terms[name] for b in budgets if name in b.terms]


def _join(*terms: tuple[float, float]) -> tuple[float, float]:
    """Add terms in squares; Welch and Satterthwaite for their degrees of freedom."""
    total = math.sqrt(sum(u * u for u, _ in terms))
    if total == 0:
        return 0.0, MANY
    weight = sum((u / total) ** 4 / dof for u, dof in terms)
    return total, min(MANY, 1 / weight) if weight > 0 else MANY


def stated(value: float, expanded: float, unit: str, k: float = 2.0) -> str:
    """Write ``17.32 ± 0.21 nm (k = 2)``: U to two digits, the value to the same place.

    Examples
    --------
    >>> stated(17.3214, 0.2083, "nm")
    '17.32 ± 0.21 nm (k = 2)'
    >>> stated(88.04, 0.312, "°", 2.31)
    '88.04 ± 0.31° (k = 2.31)'
    """
    gap = "" if unit in ("°", "%") else " "
    if not math.isfinite(expanded) or expanded <= 0:
        return f"{value:.4g}{gap}{unit}".strip()
    places = max(0, 1 - math.floor(math.log10(expanded)))
    if f"{expanded:.{places}f}".lstrip("0.") in ("100", "1000"):
        places -= places > 0
    factor = f"{k:.2f}".rstrip("0").rstrip(".")
    number = f"{value:.{places}f} ± {expanded:.{places}f}{gap}{unit}".rstrip()
    return f"{number} (k = {factor})"
