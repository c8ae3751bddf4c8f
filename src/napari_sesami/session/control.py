"""What the queue saved against labels at random, judged on slices that never teach."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_sesami.common.cancel import not_cancelled
from napari_sesami.session.owners import stroke_owners
from napari_sesami.session.queries import core

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.session.document import Document
    from napari_sesami.session.queries import Answer
    from napari_sesami.session.retrieval import Retrieval
    from napari_sesami.suggest import Point

RUNS, LEVELS = 3, 5  # random orders; stretches of a curve
LEAST_CHOSEN, LEAST_CONTROL = 8, 5  # answers before anything can be said


class Stage(NamedTuple):
    """One point of a curve: the first `known` answers of an order."""

    chosen: bool
    run: int
    known: int


class QueueJudge:
    """Learns the answers again, as they came and at random, and judges each stage.

    Parameters
    ----------
    document, retrieval
        Scan, strokes and tokens.
    answers
        Of the queue, in the order in which they came.
    zoom
        Scale at which the scan is read.
    seed
        Of the random orders.
    """

    def __init__(
        self,
        document: Document,
        retrieval: Retrieval,
        answers: Iterable[Answer],
        zoom: float | None = None,
        seed: int = 0,
    ) -> None:
        self._document, self._retrieval, self.zoom = document, retrieval, zoom
        said = [a for a in answers if a.entry.query.kind != "slice"]
        self.control = [a for a in said if a.entry.control and a.class_id]
        self.chosen = [a for a in said if not a.entry.control and a.how != "skipped"]
        n = len(self.chosen)
        rng = np.random.default_rng([seed, n])
        self._orders = [np.arange(n), *(rng.permutation(n) for _ in range(RUNS))]
        self.points: list[Point] = []

    @property
    def missing(self) -> str:
        """What is still needed before anything can be said, or ""."""
        if self._document.scan.n_planes == 1:
            return "Clicks saved: can be told in a volume, whose spare slices judge."
        chosen = max(0, LEAST_CHOSEN - len(self.chosen))
        control = max(0, LEAST_CONTROL - len(self.control))
        needed = [
            f"{n} more {word}{'' if n == 1 else 's'}"
            for n, word in ((chosen, "answer"), (control, "control"))
            if n
        ]
        if needed:
            return f"Clicks saved: can be told after {' and '.join(needed)}."
        return ""

    @property
    def steps(self) -> list[Stage]:
        """What is to be learned again, in order."""
        if self.missing:
            return []
        n = len(self.chosen)
        counts = sorted({round(k) for k in np.linspace(1, n, LEVELS + 1)})
        return [Stage(run == 0, run, k) for run in range(RUNS + 1) for k in counts]

    def take(self, step: Stage, cancelled: IsCancelled = not_cancelled) -> None:
        """Learn one stage and judge it."""
        from napari_sesami.suggest import Point

        known = [self.chosen[i] for i in self._orders[step.run][: step.known]]
        accuracy = self._accuracy(known, cancelled)
        if accuracy is not None:
            clicks = float(sum(a.clicks for a in known))
            run = max(step.run - 1, 0)
            self.points.append(Point(clicks, accuracy, step.chosen, run))

    # --- inside

    def _accuracy(
        self, known: Sequence[Answer], cancelled: IsCancelled
    ) -> float | None:
        """Mean IoU on the control regions; None where nothing is learned yet."""
        from napari_sesami.retrieve import RetrieveError, Retriever

        whole = self._retrieval.learner.retriever(self.zoom, cancelled)
        learner = Retriever(whole.store, self._retrieval.learner.top_class)
        learner.temper = whole.temper
        for plane, strokes in self._strokes(known).items():
            self._retrieval.learner.read_tokens(whole.store, plane, cancelled)
            learner.set_strokes(plane, strokes, stroke_owners(strokes, plane))
        truth, said = [], []
        for plane in sorted({a.entry.query.plane for a in self.control}):
            self._retrieval.learner.read_tokens(whole.store, plane, cancelled)
            try:
                labels = learner.quick(plane)
            except RetrieveError:
                return None
            for answer in self.control:
                query = answer.entry.query
                if query.plane == plane:
                    y0, x0, y1, x1 = query.bbox
                    found = labels[y0:y1, x0:x1][core(query)]
                    said.append(found)
                    truth.append(np.full(found.shape, answer.class_id, np.uint8))
        return mean_iou(np.concatenate(truth), np.concatenate(said))

    def _strokes(self, known: Sequence[Answer]) -> dict[int, NDArray[np.uint8]]:
        """Strokes without those of answers that are not known yet."""
        shape = self._document.scan.plane_shape
        out = {p: s.dense(shape)[0] for p, s in self._retrieval.learner.painted()}
        names = {a.entry.id for a in known}
        for answer in self.chosen:
            query = answer.entry.query
            if answer.entry.id not in names and query.plane in out:
                y0, x0, y1, x1 = query.bbox
                out[query.plane][y0:y1, x0:x1][query.mask] = 0
        return out


def mean_iou(truth: NDArray[np.uint8], said: NDArray[np.uint8]) -> float:
    """Mean over the classes of the truth."""
    classes = np.unique(truth)
    both = [((truth == c) & (said == c)).sum() for c in classes]
    any_ = [((truth == c) | (said == c)).sum() for c in classes]
    return float(np.mean(np.array(both) / np.array(any_)))
