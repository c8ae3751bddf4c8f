"""Which rows of a bank vote: all that are switched on, or a selection of a large one.

The bank itself keeps every row, so that undoing and saving stay exact.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.retrieve.bank import Rows
from napari_sesami.retrieve.condense import CAP, Condensed, condense
from napari_sesami.retrieve.upsample import nothing
from napari_sesami.retrieve.voting import VoteTemperature, shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.retrieve.bank import Bank
    from napari_sesami.retrieve.upsample import Check

KEPT = 8_000  # of more than CAP rows: new strokes then fit without condensing anew


class VotingRows:
    """Follows a bank.

    Attributes
    ----------
    condensed
        What was left out and what it costs; None while every row votes.
    """

    def __init__(self, bank: Bank, cap: int = CAP, kept: int = KEPT) -> None:
        self._bank, self._cap, self._kept = bank, cap, kept
        self._chosen: dict[int, Rows] = {}
        self._rows: Rows | None = None
        self._mass: tuple[int, VoteTemperature, NDArray[np.float64]] | None = None
        self._looked_at = -1
        self._changes = 0
        self.condensed: Condensed | None = None

    @property
    def version(self) -> int:
        """Grows with every change: what was computed of the rows is kept by it."""
        return self._changes

    def of(self, stroke: int, rows: Rows) -> Rows:
        """The rows of a stroke that vote."""
        return self._chosen.get(stroke, rows)

    def changed(self, stroke: int) -> None:
        """Hear that the bank has other rows of a stroke: all of them vote at first."""
        self._chosen.pop(stroke, None)
        self.switched()

    def switched(self) -> None:
        """Hear that a stroke was switched on or off."""
        self._rows = self._mass = None
        self._changes += 1

    def rows(self) -> Rows:
        """All rows that vote, in the order of their strokes."""
        if self._rows is None:
            bank = self._bank
            parts = [self.of(s, rows) for s, rows in bank if s not in bank.off]
            empty = Rows.empty(bank.dim, bank.patch)
            self._rows = Rows.join(parts) if parts else empty
        return self._rows

    def mass(self, n_classes: int, temper: VoteTemperature) -> NDArray[np.float64]:
        """What all of them together say of each class, (n_classes,)."""
        known = self._mass
        if known is None or known[:2] != (n_classes, temper):
            said = shares(self.rows(), n_classes, temper).sum(0)
            known = self._mass = (n_classes, temper, said)
        return known[2]

    def condense(
        self, n_classes: int, temper: VoteTemperature, check: Check = nothing
    ) -> bool:
        """Choose who votes if there are too many; True if the choice is another one.

        A choice stands while the strokes after it fit beside it: choosing takes
        seconds. `check` is called now and then; what it raises ends the work.
        """
        if self._looked_at == self._changes:
            return False
        full = self._bank.rows()
        if self._chosen and len(full) > self._cap >= len(self.rows()):
            return False
        told = None
        if len(full) > self._cap:
            told = condense(full, n_classes, temper, self._kept, check=check)
        before, self._chosen, self.condensed = self._chosen, {}, told
        if told is not None:
            small = told.rows
            edges = np.flatnonzero(np.diff(small.stroke)) + 1
            ends = [0, *edges.tolist(), len(small)]
            self._chosen = {s: full.take(slice(0, 0)) for s in self._bank.strokes}
            for a, b in pairwise(ends):
                self._chosen[int(small.stroke[a])] = small.take(slice(a, b))
        if before or self._chosen:
            self._rows = self._mass = None
            self._changes += 1
        self._looked_at = self._changes
        return bool(before or self._chosen)
