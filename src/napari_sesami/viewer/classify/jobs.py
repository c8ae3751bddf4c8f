"""What the work thread does for the page of defect classes; knows no widget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sesami.classify import (
        Classifier,
        ConfusionMatrix,
        Decisions,
        DefectPicture,
        DefectPlaces,
        LotDrift,
        LotFeatures,
        PictureReader,
    )
    from napari_sesami.viewer.app.jobs import Job

SECONDS = 0.4
"""Between two looks at a run."""


@dataclass(frozen=True, eq=False)
class SortedLot:
    """The answers of the head to the labels as they are.

    Attributes
    ----------
    decisions
        Of the whole lot.
    matrix
        Of the labels, None before there are two classes.
    drift
        How much of each lot is unlike all labels.
    """

    decisions: Decisions
    matrix: ConfusionMatrix | None
    drift: tuple[LotDrift, ...]


def reading(classifier: Classifier, job: Job) -> LotFeatures:
    """Read and encode all pictures of a lot; what is cached is not encoded again."""
    from napari_sesami.classify import FeatureCache, features_of

    with FeatureCache() as cache:
        return features_of(
            classifier.lot.defects,
            classifier.encoder,
            cache=cache,
            progress=lambda done, of: job.report(done / max(1, of)),
            stop=lambda: job.cancelled,
        )


def answering(classifier: Classifier, purity: float, job: Job) -> SortedLot:
    """Decide the lot and judge its labels."""
    from napari_sesami.classify import drift

    decisions = classifier.decide(purity)
    job.check()
    matrix = None if classifier.model is None else classifier.matrix(purity)
    return SortedLot(decisions, matrix, tuple(drift(classifier).values()))


def tuning(classifier: Classifier, job: Job) -> Any:
    """Fine-tune the encoder in a process of its own, and wait for its end."""
    run = classifier.train()
    try:
        while not run.wait(SECONDS).over:
            status = run.status
            told = f"Fine-tuning: step {status.step} of {status.steps}."
            job.report(status.step / max(1, status.steps), told)
    except BaseException:
        run.stop()
        raise
    return run


def explaining(classifier: Classifier, position: int, job: Job) -> list[DefectPlaces]:
    """Find what is unlike its surroundings on both magnifications of a defect."""
    from napari_sesami.classify import unlike_places

    job.check()
    return unlike_places(classifier.lot.defects[position], classifier.encoder)


def shrinking(
    reader: PictureReader,
    wanted: Sequence[tuple[tuple[int, str], DefectPicture]],
    side: int,
    job: Job,
) -> dict[tuple[int, str], object]:
    """Make thumbnails: (position, view) to a grey picture, None where it is broken."""
    from napari_sesami.classify import thumbnail

    found: dict[tuple[int, str], object] = {}
    for key, picture in wanted:
        if job.cancelled:
            break
        found[key] = thumbnail(reader, picture, side)
    return found
