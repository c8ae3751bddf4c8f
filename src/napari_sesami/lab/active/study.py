"""Study: a scan with truth, cut into planes to learn from and planes that judge."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.recent import Recent
from napari_sesami.lab.active.learners import Features, HeadLearner, VoteLearner
from napari_sesami.session import SessionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.lab.active.learners import Learner, LearnerName
    from napari_sesami.models import TokenEncoder
    from napari_sesami.scan import Scan
    from napari_sesami.suggest import Kind

TOP = 64  # class ids in a truth
KEPT = 128  # planes whose superpixels are kept


class Study:
    """A scan with truth, cut into planes to learn from and planes that judge.

    Parameters
    ----------
    scan, truth
        `truth` has the scan's planes, (n, y, x) or (y, x): 0 unknown, k class k.
    test
        Planes that judge and are never labelled.
    pool
        Planes that may be labelled; by default all others.
    start
        Planes from which the start set is drawn; by default the pool.
    step
        Every so many pixels are read, learned and judged.
    encoder, zoom, folder
        Of the tokens, and where they are kept.
    n_classes
        By default the highest id in the truth.
    """

    def __init__(
        self,
        scan: Scan,
        truth: Any,
        *,
        test: Sequence[int],
        pool: Sequence[int] | None = None,
        start: Sequence[int] | None = None,
        step: int = 2,
        encoder: TokenEncoder | None = None,
        zoom: float = 1.0,
        folder: Path | None = None,
        n_classes: int | None = None,
    ) -> None:
        from napari_sesami.models import load_token_encoder
        from napari_sesami.retrieve import TokenStore

        self.scan, self.step = scan, step
        self.truth = _checked_truth(scan, truth)
        self.test = _planes(test, scan.n_planes, "test")
        every = range(scan.n_planes) if pool is None else pool
        kept = set(self.test)
        self.pool = [p for p in _planes(every, scan.n_planes, "pool") if p not in kept]
        if not self.pool or not self.test:
            raise SessionError(
                f"{scan.name} has {scan.n_planes} planes: at least one to learn from "
                "and one to judge are needed."
            )
        first = self.pool if start is None else _planes(start, scan.n_planes, "start")
        self.start = [p for p in first if p in set(self.pool)]
        self.n_classes = self._top_class() if n_classes is None else n_classes
        if self.n_classes < 1:
            raise SessionError("The truth holds no class: it is 0 everywhere.")
        store = TokenStore(
            scan, encoder or load_token_encoder(), zoom=zoom, folder=folder
        )
        self.features = Features(store, step)
        self._regions: Recent[tuple[Kind, int, int], NDArray[np.int32]] = Recent(KEPT)

    def truth_cells(self, plane: int) -> NDArray[np.uint8]:
        """Truth of a plane's grid."""
        s = self.step
        plane_truth = np.asarray(self.truth[plane])
        return plane_truth[s // 2 :: s, s // 2 :: s].astype(np.uint8)

    def _top_class(self) -> int:
        tops = [int(np.max(self.truth[p])) for p in (*self.pool, *self.test)]
        if max(tops) >= TOP:
            raise SessionError(
                f"The truth holds class {max(tops)}; ids up to {TOP - 1} are read. Is "
                "it a picture of labels rather than their ids?"
            )
        return max(tops)

    @property
    def pool_cells(self) -> int:
        """Cells of the pool."""
        return len(self.pool) * self.truth_cells(self.pool[0]).size

    def regions(self, plane: int, kind: Kind, size: int) -> NDArray[np.int32]:
        """Regions of a plane's grid; `size` in pixels of the scan."""
        from napari_sesami import suggest as room

        key = (kind, size, plane if kind == "superpixel" else -1)
        if key not in self._regions:
            s = self.step
            shape = self.truth_cells(plane).shape
            if kind == "slice":
                made = room.slices(shape)
            elif kind == "patch":
                made = room.patches(shape, max(1, size // s))
            else:
                grey = self.scan.grey(plane)[s // 2 :: s, s // 2 :: s]
                made = room.superpixels(grey, max(2, size // s), step=1)
            self._regions[key] = made.astype(np.int32)
        return self._regions[key]

    def learner(self, name: LearnerName, restart: bool = True) -> Learner:
        """Make a learner that knows nothing yet."""
        if name == "head":
            return HeadLearner(self.features, self.n_classes, restart)
        if name == "retrieve":
            return VoteLearner(self.features, self.n_classes)
        raise SessionError(f'A learner is "head" or "retrieve"; {name!r} was given.')

    @cached_property
    def rarest(self) -> int:
        """Class of the fewest pixels in the test planes, of those that occur."""
        total = np.zeros(self.n_classes + 1, np.int64)
        for plane in self.test:
            cells = self.truth_cells(plane)
            total += np.bincount(cells.ravel(), minlength=len(total))[: len(total)]
        total[0] = 0
        return int(np.where(total > 0, total, total.max() + 1).argmin())

    def judge(self, learner: Learner) -> tuple[dict[int, float], float]:
        """IoU of every class on the test planes, and their mean."""
        n = self.n_classes + 1
        table = np.zeros((n, n), np.int64)
        for plane in self.test:
            said = learner.maps(plane, False)[0].argmax(-1) + 1
            true = self.truth_cells(plane)
            known = true > 0
            pairs = true[known].astype(np.int64) * n + said[known]
            table += np.bincount(pairs, minlength=n * n).reshape(n, n)
        hit = np.diag(table)
        union = table.sum(0) + table.sum(1) - hit
        iou = {c: float(hit[c] / union[c]) for c in range(1, n) if table[c].sum() > 0}
        return iou, float(np.mean(list(iou.values())))


def _checked_truth(scan: Scan, truth: Any) -> Any:
    """Truth as (n, y, x), read plane by plane if it is lazy."""
    n, shape = scan.n_planes, scan.plane_shape
    size = int(np.prod(truth.shape))
    if size != n * int(np.prod(shape)) or tuple(truth.shape[-2:]) != tuple(shape):
        raise SessionError(
            f"The truth has shape {tuple(truth.shape)}, the scan has {n} planes of "
            f"{tuple(shape)}: both must show the same pixels."
        )
    if not np.issubdtype(truth.dtype, np.integer):
        raise SessionError(
            f"The truth must hold class ids, whole numbers, not {truth.dtype}."
        )
    if truth.ndim == 3:
        return truth
    return np.asarray(truth).reshape(n, *shape)


def _planes(planes: Sequence[int] | range, n: int, what: str) -> list[int]:
    found = sorted({int(p) for p in planes})
    if found and not 0 <= found[0] <= found[-1] < n:
        raise SessionError(
            f"The {what} planes {found[0]} to {found[-1]} do not lie in 0 to {n - 1}."
        )
    return found
