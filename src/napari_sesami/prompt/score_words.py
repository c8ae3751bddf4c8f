"""Words for a score: sure, check or poor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

SURE_FROM, CHECK_FROM = 0.8, 0.5
"""Expected overlap (IoU) with what was meant.

From 0.8 on the border is off by a pixel or two: commit. Below 0.5 more is wrong than
right: another click, a box or a stroke. Scores are calibrated (docs/model-card.md).
"""


def certainty(score: float) -> Literal["sure", "check", "poor"]:
    """Say how far a mask can be trusted, from the overlap to expect of it."""
    if score >= SURE_FROM:
        return "sure"
    return "check" if score >= CHECK_FROM else "poor"


def tally(scores: Iterable[float]) -> str:
    """Say how many of several masks are sure, to check and poor."""
    words: list[str] = [certainty(score) for score in scores]
    named = (("sure", "sure"), ("check", "to check"), ("poor", "poor"))
    counts = ((words.count(word), name) for word, name in named)
    return ", ".join(f"{count} {name}" for count, name in counts if count)
