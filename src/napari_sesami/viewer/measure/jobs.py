"""Background work of measuring: one plane from the beginning, or the whole scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.measure import LiveMeasurement, Results
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.jobs import Job


def measured(live: LiveMeasurement, job: Job) -> LiveMeasurement:
    """Measure a plane from the beginning."""
    live.measure_all(_progress(job), _stop(job))
    return live


def measured_whole(session: Session, job: Job) -> Results:
    """Measure all slices that have labels, and what a volume is measured as."""
    return session.measurements.measure(progress=_progress(job), stop=_stop(job))


def _progress(job: Job) -> Progress:
    def tell(done: int, of: int) -> None:
        job.report(done / max(of, 1), "Measuring")

    return tell


def _stop(job: Job) -> IsCancelled:
    return lambda: job.cancelled
