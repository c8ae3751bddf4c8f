"""What the work thread does for the work list; knows no widget and no layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sesami.prompt import Mask
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.worklist import Source, WorklistEngine


@dataclass(frozen=True)
class Opened:
    """A scan of the list, opened."""

    name: str
    session: Session


def opening(
    engine: WorklistEngine, leaving: Session | None, name: str, job: Job
) -> Opened:
    """Save the scan that is left, and open another."""
    project = None if leaving is None else leaving.document.project
    if leaving is not None and project is not None and not project.read_only:
        leaving.save()
    job.check()
    return Opened(name, engine.load(name))


def proposing(
    engine: WorklistEngine,
    session: Session,
    plane: int,
    job: Job,
) -> tuple[list[Mask], Source]:
    """Make proposals; nothing is changed yet."""
    return engine.proposer.compute(
        session,
        plane,
        progress=job.report,
        cancelled=lambda: job.cancelled,
    )
