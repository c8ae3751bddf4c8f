"""A verdict as columns and rows of words, ready for a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sesami.train import Verdict


@dataclass(frozen=True)
class Column:
    """A number that is compared: its key, its title, and whether less is better."""

    key: str
    title: str
    fewer: bool = False


COLUMNS = (
    Column("mIoU", "Overlap, all prompts (mIoU)"),
    Column("clicks 1", "Overlap after 1 click"),
    Column("clicks 3", "Overlap after 3 clicks"),
    Column("box", "Overlap from a box"),
    Column("clicks to 0.9", "Clicks until the overlap is 0.9", fewer=True),
)


@dataclass(frozen=True)
class Line:
    """One class in words; `gain` is above zero where the run made it better."""

    name: str
    before: str
    after: str
    change: str
    gain: float
    tip: str


def columns_of(verdict: Verdict) -> list[Column]:
    """What was measured, in the order in which people ask for it."""
    return [column for column in COLUMNS if column.key in verdict.after]


def lines_of(verdict: Verdict, column: Column) -> list[Line]:
    """The mean over the classes, then each class, by one number."""
    found = []
    if len(verdict.rows) != 1:
        tip = f"Mean over the classes; {verdict.objects} objects held out"
        found.append(_line("mean", verdict.before, verdict.after, column, tip))
    for row in verdict.rows:
        tip = f"{row['class']}: {row['objects']} held out"
        found.append(_line(row["class"], row["before"], row["after"], column, tip))
    return [line for line in found if line is not None]


def _line(
    name: str,
    before: dict[str, float],
    after: dict[str, float],
    column: Column,
    tip: str,
) -> Line | None:
    if column.key not in before or column.key not in after:
        return None
    was, now = before[column.key], after[column.key]
    digits = 1 if column.fewer else 3
    change = f"{now - was:+.{digits}f}".replace("-", "−")
    gain = was - now if column.fewer else now - was
    return Line(name, f"{was:.{digits}f}", f"{now:.{digits}f}", change, gain, tip)
