"""Active cycles: start set, learn, score, let an oracle label, repeat."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.lab.active.study import Study
from napari_sesami.session import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.lab.active.learners import LearnerName
    from napari_sesami.suggest import Candidates, Kind, PlaneMaps, Strategy


__all__ = ["Cycle", "Plan", "Study", "judge_fully", "run_active"]

SUPERPIXEL = 24  # pixels


@dataclass(frozen=True)
class Cycle:
    """How good the learner was at one budget.

    Attributes
    ----------
    cycle
        From 0, the start set.
    share
        Labelled pixels, as a share of the pool.
    regions, clicks, seconds
        What the oracle was asked, and what it would have cost a person.
    iou
        Per class id that occurs in the test planes.
    miou
        Their mean.
    labelled
        Labelled pixels per class id.
    """

    cycle: int
    share: float
    regions: int
    clicks: float
    seconds: float
    iou: dict[int, float]
    miou: float
    labelled: dict[int, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """How the cycles run.

    Attributes
    ----------
    strategy
        Name in `suggest.STRATEGIES`.
    budgets
        Labelled shares of the pool after the start set and after every cycle.
    kind, size
        Regions that are asked, and their side in pixels; a strategy that was made for
        another kind asks for that (superpixels of 24 pixels).
    learner, restart
        "head" or "retrieve"; whether a cycle starts from the pretrained encoder.
    seed
        Of the start set and of every choice. Strategies share the start set.
    apart
        Planes within which the same place counts as asked.
    """

    strategy: str = "rare"
    budgets: tuple[float, ...] = (0.01, 0.02, 0.04, 0.06, 0.08, 0.1)
    kind: Kind = "patch"
    size: int = 128
    learner: LearnerName = "head"
    restart: bool = True
    seed: int = 0
    apart: int = 0


def run_active(
    study: Study,
    plan: Plan,
    *,
    first: Cycle | None = None,
    progress: Progress | None = None,
    cancelled: IsCancelled | None = None,
) -> list[Cycle]:
    """Run all cycles; the truth answers what is asked.

    Parameters
    ----------
    study, plan
        What is learned from, and how.
    first
        How the start set was judged, if another strategy of this seed told already;
        saves judging it again.
    progress, cancelled
        `progress(done, all)` counts cycles; a cancelled call raises.
    """
    run = _StudyRun(study, plan)
    found = []
    for i in range(len(plan.budgets)):
        if cancelled is not None and cancelled():
            from napari_sesami.common.cancel import Cancelled

            raise Cancelled("The cycles were stopped.")
        found.append(run.cycle(i, first if i == 0 else None))
        if progress is not None:
            progress(i + 1, len(plan.budgets))
    return found


def judge_fully(study: Study, learner: LearnerName = "head", seed: int = 0) -> Cycle:
    """What the learner reaches when the whole pool is labelled."""
    labels = {plane: study.truth_cells(plane) for plane in study.pool}
    model = study.learner(learner)
    model.fit(labels, seed)
    iou, miou = study.judge(model)
    return Cycle(0, 1.0, 0, 0.0, 0.0, iou, miou)


class _StudyRun:
    def __init__(self, study: Study, plan: Plan) -> None:
        from napari_sesami.suggest import STRATEGIES

        if plan.strategy not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise SessionError(
                f"There is no strategy {plan.strategy!r}; there are {known}."
            )
        if not plan.budgets or not all(0 < b <= 1 for b in plan.budgets):
            raise SessionError(
                "Budgets are shares of the pool above 0 and up to 1, not "
                f"{plan.budgets}."
            )
        self.study, self.plan = study, plan
        self.strategy: Strategy = STRATEGIES[plan.strategy]
        self.kind: Kind = self.strategy.kind or plan.kind
        self.size = plan.size if self.kind == plan.kind else SUPERPIXEL
        self.learner = study.learner(plan.learner, plan.restart)
        self.labels: dict[int, NDArray[np.uint8]] = {}
        self.taken: list[tuple[int, tuple[int, int, int, int]]] = []
        self.tokens = np.zeros((0, 0), np.float32)
        self.asked, self.clicks, self.seconds = 0, 0.0, 0.0

    def cycle(self, number: int, known: Cycle | None = None) -> Cycle:
        """Ask until the budget is spent, learn, judge."""
        want = self.plan.budgets[number] * self.study.pool_cells
        if number == 0:
            self._start(want)
        else:
            self._ask(number, want)
        self.learner.fit(self.labels, 1000 * self.plan.seed + number)
        if known is not None:
            return known
        iou, miou = self.study.judge(self.learner)
        counts = self._counts()
        return Cycle(
            number,
            float(sum(counts.values()) / self.study.pool_cells),
            self.asked,
            self.clicks,
            self.seconds,
            iou,
            miou,
            counts,
        )

    def _start(self, want: float) -> None:
        """Patches drawn at random, the same for every strategy of this seed."""
        from napari_sesami import suggest as room

        kind, size = self.plan.kind, self.plan.size
        planes = (
            room.PlaneMaps(
                p,
                self.study.regions(p, kind, size),
                tokens=self.study.features.tokens(p),
            )
            for p in self.study.start
        )
        pool = room.gather(planes, kind, step=1)
        rng = np.random.default_rng([self.plan.seed, 3])
        n = max(1, round(want / float(pool.size.mean())))
        chosen = room.STRATEGIES["random"].choose(pool, n, None, rng)
        self._answer(pool, chosen.rows, kind, size, want=np.inf)

    def _ask(self, number: int, want: float) -> None:
        from napari_sesami import suggest as room

        pool = room.gather(self._planes(), self.kind, step=1, seed=self.plan.seed)
        if len(pool) == 0:
            return  # all is labelled
        left = want - self._labelled()
        n = max(1, round(left / float(pool.size.mean())))
        counts = np.array(list(self._counts().values()), np.float64)
        state = room.State(
            counts,
            self.tokens,
            self.taken,
            number - 1,
            len(self.plan.budgets) - 1,
            self.plan.apart,
        )
        rng = np.random.default_rng([self.plan.seed, number, 5])
        chosen = self.strategy.choose(pool, n, state, rng)
        if len(chosen.rows) < n:  # nothing is left that lies apart: then close by
            state = room.State(counts, self.tokens, (), number - 1, state.rounds)
            chosen = self.strategy.choose(pool, n, state, rng)
        self._answer(pool, chosen.rows, self.kind, self.size, want)

    def _planes(self) -> Iterator[PlaneMaps]:
        from napari_sesami import suggest as room

        bald = self.plan.strategy == "bald"
        for plane in self.study.pool:
            p, novelty = self.learner.maps(plane, self.plan.strategy == "rare")
            known = self.labels.get(plane)
            yield room.PlaneMaps(
                plane,
                self.study.regions(plane, self.kind, self.size),
                p,
                novelty,
                self.study.features.tokens(plane),
                None if known is None else known > 0,
                self.learner.disagreement(plane) if bald else None,
            )

    def _answer(
        self,
        pool: Candidates,
        rows: NDArray[np.int64],
        kind: Kind,
        size: int,
        want: float,
    ) -> None:
        """Let the truth label regions; a superpixel gets the class of most pixels."""
        from scipy import ndimage

        from napari_sesami.suggest import cost

        done = []
        for row in rows:
            if self._labelled() >= want:
                break
            plane = int(pool.plane[row])
            y0, x0, y1, x1 = (int(k) for k in pool.bbox[row])
            box = np.s_[y0:y1, x0:x1]
            inside = self.study.regions(plane, kind, size)[box] == pool.number[row]
            true = np.where(inside, self.study.truth_cells(plane)[box], 0)
            parts = sum(ndimage.label(true == c)[1] for c in np.unique(true[true > 0]))
            if kind in ("superpixel", "mask") and true.any():
                true = np.where(inside, np.bincount(true[true > 0]).argmax(), 0)
            known = self.labels.setdefault(
                plane, np.zeros(self.study.truth_cells(plane).shape, np.uint8)
            )
            known[box] = np.where(inside, true, known[box])
            price = cost(kind, int(parts))
            self.clicks += price.clicks
            self.seconds += price.seconds
            self.taken.append((plane, (y0, x0, y1, x1)))
            done.append(row)
        self.asked += len(done)
        new = pool.tokens[np.array(done, int)]
        self.tokens = (
            new if not len(self.tokens) else np.concatenate([self.tokens, new])
        )

    def _labelled(self) -> int:
        return sum(int((known > 0).sum()) for known in self.labels.values())

    def _counts(self) -> dict[int, int]:
        total = np.zeros(self.study.n_classes + 1, np.int64)
        for known in self.labels.values():
            total += np.bincount(known.ravel(), minlength=len(total))
        return {c: int(total[c]) for c in range(1, len(total))}
