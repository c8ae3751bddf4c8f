"""What labelling cost per scan, by hand and with proposals, and what was saved."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from napari_sesami.project import saying

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sesami.worklist.worklist import WorkItem

FIRST, LAST = 3, 5  # scans by hand, and the newest with proposals


@dataclass(frozen=True)
class Times:
    """Seconds per accepted scan, in the order in which they were finished.

    Attributes
    ----------
    names, seconds, helped
        Of every accepted scan; `helped` where a model proposed masks.
    by_hand
        Mean of the first ones by hand; None without one.
    lately
        Mean of the last ones with proposals; None without one.
    """

    names: tuple[str, ...]
    seconds: tuple[float, ...]
    helped: tuple[bool, ...]
    by_hand: float | None
    lately: float | None
    n_hand: int
    n_lately: int

    @property
    def saving(self) -> float | None:
        """Share of the time by hand that proposals save now; negative if they cost."""
        if not self.by_hand or self.lately is None:
            return None
        return 1 - self.lately / self.by_hand

    @property
    def sentence(self) -> str:
        """The same in words."""
        hand, lately, saving = self.by_hand, self.lately, self.saving
        if hand is None and lately is None:
            return "No scan is accepted yet, so there is no time to compare."
        parts = []
        if hand is not None:
            which = (
                "First by hand" if self.n_hand == 1 else f"First {self.n_hand} by hand"
            )
            parts.append(f"{which}: {hand:.0f} s each")
        if lately is not None:
            which = "last" if self.n_lately == 1 else f"last {self.n_lately}"
            parts.append(f"{which} with proposals: {lately:.0f} s")
        text = "; ".join(parts)
        if saving is not None:
            less = (
                f"{100 * saving:.0f} % less"
                if saving >= 0
                else f"{-100 * saving:.0f} % more"
            )
            text += f" ({less})"
        return f"{text[0].upper()}{text[1:]}."


def times_of(items: Iterable[WorkItem]) -> Times:
    """Sum up the accepted scans of a work list."""
    done = [i for i in items if i.state == "accepted" and i.seconds > 0]
    done.sort(key=lambda i: i.finished or 0.0)
    hand = [i.seconds for i in done if not i.helped][:FIRST]
    lately = [i.seconds for i in done if i.helped][-LAST:]
    return Times(
        tuple(i.name for i in done),
        tuple(i.seconds for i in done),
        tuple(i.helped for i in done),
        fmean(hand) if hand else None,
        fmean(lately) if lately else None,
        len(hand),
        len(lately),
    )


def write_table(items: Iterable[WorkItem], path: str | Path) -> Path:
    """Write one line per scan: state, seconds, and what reviewing measured."""
    rows = list(items)
    keys = sorted({key for item in rows for key in item.record})
    head = ["scan", "state", "seconds", "by_hand", "finished", *keys, "trouble"]
    target = Path(path)
    with (
        saying(target),
        target.open("w", newline="", encoding="utf-8") as out,
    ):
        writer = csv.writer(out)
        writer.writerow(head)
        for i in rows:
            done = "" if i.finished is None else _stamp(i.finished)
            facts = [i.record.get(key, "") for key in keys]
            time_ = f"{i.seconds:.1f}"
            hand = "no" if i.helped else "yes"
            writer.writerow([i.name, i.state, time_, hand, done, *facts, i.trouble])
    return target


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
