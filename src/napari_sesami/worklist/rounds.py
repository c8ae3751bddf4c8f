"""Rounds of the data engine: what the proposals of one model were worth."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sesami.worklist.worklist import WorkItem


@dataclass(frozen=True)
class Round:
    """Proposals of one model, before the next training: how good they were.

    Attributes
    ----------
    model
        Key of the prompt model, its adapter included; `name` is for people.
    scans
        How many scans were accepted with its proposals.
    proposals, accepted, corrected, rejected, added
        Objects; `added` were missing among the proposals.
    iou, agreement
        Overlap of proposals with what was made of them, and share of labelled pixels
        whose class was proposed right; means over scans.
    seconds
        Mean time per scan.
    """

    model: str
    name: str
    scans: int
    proposals: int
    accepted: int
    corrected: int
    rejected: int
    added: int
    iou: float | None
    agreement: float | None
    seconds: float


def rounds_of(items: Iterable[WorkItem]) -> list[Round]:
    """Sum up the accepted scans that had proposals, model by model."""
    done = [i for i in items if i.state == "accepted" and "agreement" in i.record]
    done.sort(key=lambda i: i.finished or 0.0)
    groups: dict[str, list[WorkItem]] = {}
    for item in done:
        groups.setdefault(item.record["model"], []).append(item)
    return [_round(model, items) for model, items in groups.items()]


def _round(model: str, items: list[WorkItem]) -> Round:
    def total(key: str) -> int:
        return sum(int(i.record.get(key) or 0) for i in items)

    def mean(key: str) -> float | None:
        known = [float(i.record[key]) for i in items if i.record.get(key) is not None]
        return fmean(known) if known else None

    counts = {
        k: total(k) for k in ("proposals", "accepted", "corrected", "rejected", "added")
    }
    name = str(items[-1].record.get("model_name") or model)
    seconds = fmean(i.seconds for i in items)
    return Round(
        model,
        name,
        len(items),
        **counts,
        iou=mean("iou"),
        agreement=mean("agreement"),
        seconds=seconds,
    )
