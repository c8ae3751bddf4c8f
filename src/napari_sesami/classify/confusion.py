"""The confusion matrix of held-out labels, with counts, shares and their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.classify.decide import share_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sesami.classify.head import Whole


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """What was said (columns) of defects that are known (rows).

    Attributes
    ----------
    names
        Of the classes; the last column is "unknown" where `has_unknown`.
    truth, said
        Class of each judged defect, and what was said of it (`len(names)`: unknown).
    ids
        Names of the defects.
    """

    names: tuple[str, ...]
    truth: Whole
    said: Whole
    ids: tuple[str, ...]

    @property
    def counts(self) -> Whole:
        """(classes, classes + 1): the last column counts the unknown."""
        n = len(self.names)
        table = np.zeros((n, n + 1), np.int64)
        np.add.at(table, (self.truth, self.said), 1)
        return table

    def cell(self, truth: int, said: int) -> list[str]:
        """Name the defects of one cell."""
        hit = (self.truth == truth) & (self.said == said)
        return [self.ids[k] for k in np.flatnonzero(hit)]

    @property
    def right(self) -> int:
        """How many were said right."""
        return int((self.truth == self.said).sum())

    @property
    def decided(self) -> int:
        """How many were not called unknown."""
        return int((self.said < len(self.names)).sum())

    def accuracy(self, k: int) -> tuple[int, int]:
        """Of the defects of a class: how many were called so, of how many."""
        row = self.counts[k]
        return int(row[k]), int(row.sum())

    def purity(self, k: int) -> tuple[int, int]:
        """Of those called so: how many are of the class, of how many."""
        column = self.counts[:, k]
        return int(column[k]), int(column.sum())

    @property
    def macro_f1(self) -> float:
        """Mean over classes of the harmonic mean of accuracy and purity."""
        found = []
        for k in range(len(self.names)):
            (hits, of), (_, called) = self.accuracy(k), self.purity(k)
            if of + called:
                found.append(2 * hits / (of + called))
        return float(np.mean(found)) if found else 0.0

    def lines(self) -> list[str]:
        """Give the matrix as text: per class accuracy and purity with intervals."""
        wide = max([len(n) for n in self.names] + [7])
        head = f"{'':{wide}}  " + " ".join(f"{n[:7]:>7}" for n in self.names)
        out = [head + "       ?   accuracy                 purity"]
        for k, name in enumerate(self.names):
            row = " ".join(f"{c:>7}" for c in self.counts[k])
            a, p = share_text(*self.accuracy(k)), share_text(*self.purity(k))
            out.append(f"{name:{wide}}  {row}   {a:24} {p}")
        out.append(
            f"right: {share_text(self.right, len(self.truth))}; of those decided: "
            f"{share_text(self.right, self.decided)}"
        )
        return out


def confusion_of(
    names: Sequence[str], truth: Whole, said: Whole, ids: Sequence[str]
) -> ConfusionMatrix:
    """Gather what is judged; a `said` of -1 is unknown."""
    said = np.where(said < 0, len(names), said)
    return ConfusionMatrix(tuple(names), np.asarray(truth), said, tuple(ids))
