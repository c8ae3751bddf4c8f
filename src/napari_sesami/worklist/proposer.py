"""Proposer: makes proposals for a scan from the accepted scans of a work list."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.session import SessionError
from napari_sesami.worklist.review import Source
from napari_sesami.worklist.teacher import LabelledScan, Teacher, labelled_scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.project import Project
    from napari_sesami.prompt import Mask
    from napari_sesami.session import Session
    from napari_sesami.worklist.worklist import WorkItem, WorkList

    Progress = Callable[[float, str], None]

SOURCES = 12  # scans that teach: those accepted last


class Proposer:
    """Reads what was accepted, and proposes; changes nothing, so a thread may call it.

    Attributes
    ----------
    teacher
        Remembers what the accepted scans teach.
    """

    def __init__(self, project: Project, worklist: WorkList) -> None:
        self.project, self.worklist = project, worklist
        self.teacher = Teacher()
        self._tried: dict[tuple[Any, ...], frozenset[int]] = {}

    def sources(self, but: str | None = None) -> list[LabelledScan]:
        """The accepted scans of the list, read as they were saved last."""
        done = [
            i
            for i in self.worklist
            if i.state == "accepted" and i.usable and i.key and i.name != but
        ]
        done = sorted(done, key=lambda i: i.finished or 0.0)[-SOURCES:]
        return [source for item in done if (source := self._source(item)) is not None]

    def compute(
        self,
        session: Session,
        plane: int | None = None,
        *,
        sharpen: bool | None = None,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> tuple[list[Mask], Source]:
        """Make proposals and change nothing; for a work thread."""
        from napari_sesami.worklist.proposals import propose_masks

        begun = time.perf_counter()
        number = session.document.plane_number(plane)
        if session.segmenters.active is not None:
            return self._by_segmenter(session, number, progress, cancelled)
        sources = self.sources(but=self.worklist.current)
        if not sources:
            raise SessionError(
                "No scan is accepted yet: label the first one by hand and press Done, "
                "then the model can propose for the next."
            )
        told = progress or _quiet
        top = max(session.classes.ids, default=0)
        retriever = self.teacher.retriever(
            session.scan,
            session.retrieval.encoder,
            sources,
            top,
            store=session.retrieval.learner.token_store(1.0),
            progress=lambda f, text: told(0.4 * f, text),
            cancelled=cancelled,
        )
        told(0.4, "Reading this scan")
        if not session.retrieval.learner.tokens(number, 1.0, cancelled=cancelled):
            from napari_sesami.common.cancel import Cancelled

            raise Cancelled("Proposing was stopped.")
        votes = retriever.segment(number)
        predictor = session.prompts.predictor
        only: frozenset[int] | None = None
        if sharpen is None:
            only = self._sharpened(session, sources, top, cancelled)
            sharpen = bool(only)
        told(0.6, "Outlining objects")
        proposed = propose_masks(
            predictor if sharpen else None,
            session.scan,
            number,
            votes,
            top,
            only=only,
            taken=np.asarray(session.document.labels.plane(number)) > 0,
            progress=lambda done, of: told(0.6 + 0.4 * done / of, "Outlining objects"),
            cancelled=cancelled,
        )
        seconds = time.perf_counter() - begun
        model = predictor.model
        source = Source(
            str(model.key), str(model.name), len(sources), seconds, bool(sharpen)
        )
        return proposed, source

    def _by_segmenter(
        self,
        session: Session,
        number: int,
        progress: Progress | None,
        cancelled: IsCancelled | None,
    ) -> tuple[list[Mask], Source]:
        """Propose what the adopted segmenter labels; it needs no accepted scan."""
        from napari_sesami.common.cancel import cancellable, not_cancelled
        from napari_sesami.retrieve import Labelled
        from napari_sesami.worklist.proposals import propose_masks

        begun = time.perf_counter()
        told = progress or _quiet
        told(0.0, "Labelling with the segmenter")
        model = session.segmenters.model()
        with cancellable(cancelled or not_cancelled):
            found = session.segmenters.plane(number)
        votes = Labelled(found.labels, found.votes, found.novelty)
        told(0.8, "Outlining objects")
        proposed = propose_masks(
            None,
            session.scan,
            number,
            votes,
            found.votes.shape[-1],
            taken=np.asarray(session.document.labels.plane(number)) > 0,
            cancelled=cancelled,
        )
        seconds = time.perf_counter() - begun
        return proposed, Source(model.key, model.name, 0, seconds, False)

    def _sharpened(
        self,
        session: Session,
        sources: list[LabelledScan],
        top: int,
        cancelled: IsCancelled | None,
    ) -> frozenset[int]:
        """Try both ways on the scan accepted last, as if it were not labelled yet."""
        from napari_sesami.worklist.proposals import classes_to_sharpen

        last, others = sources[-1], sources[:-1] or sources
        predictor, encoder = session.prompts.predictor, session.retrieval.encoder
        at = (last.key, len(others), predictor.model.key, encoder.key)
        if at not in self._tried:
            plane, truth = next(iter(last.planes.items()))
            teacher = Teacher(_known=self.teacher._known)
            try:
                retriever = teacher.retriever(
                    last.scan, encoder, others, top, cancelled=cancelled
                )
            except SessionError:  # the others cannot be compared with it
                return frozenset()
            self._tried[at] = classes_to_sharpen(
                predictor,
                last.scan,
                plane,
                retriever.segment(plane),
                truth,
                cancelled=cancelled,
            )
        return self._tried[at]

    def _source(self, item: WorkItem) -> LabelledScan | None:
        return labelled_scan(self.project, str(item.key))


def _quiet(fraction: float, text: str) -> None:
    """Report nothing."""
