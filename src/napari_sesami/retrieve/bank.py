"""Bank: the labelled tokens. One row is one patch touched by one stroke."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.errors import SesamiError
from napari_sesami.retrieve.exact import on_grid
from napari_sesami.retrieve.painted import PaintedPixels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

UNLABELLED = 255
MAX_CLASSES = 255


class RetrieveError(SesamiError):
    """One plain sentence: what was given, what is needed, what to do."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a bank, aligned arrays.

    Attributes
    ----------
    tokens
        (M, D) float32, length one; rounded to multiples of 2⁻¹¹ here.
    patches
        (M, p, p) uint8: the class of each labelled pixel, `UNLABELLED` elsewhere.
    where
        (M, 3) int32: plane, patch row, patch column.
    stroke
        (M,) int64: the stroke that painted the pixels.
    """

    tokens: NDArray[np.float32]
    patches: NDArray[np.uint8]
    where: NDArray[np.int32]
    stroke: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", on_grid(self.tokens))

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, index: Any) -> Rows:
        """Return the rows at an index array, bool mask or slice."""
        return Rows(
            self.tokens[index],
            self.patches[index],
            self.where[index],
            self.stroke[index],
        )

    def counts(self, n_classes: int) -> NDArray[np.float64]:
        """Labelled pixels per class, (M, n_classes); column k is class k + 1."""
        flat = self.patches.reshape(len(self), -1)
        classes = np.arange(1, n_classes + 1, dtype=np.uint8)
        return (flat[:, :, None] == classes).sum(1).astype(np.float64)

    def thinned(self, most: int, n_classes: int) -> Rows:
        """At most so many rows, of all classes and strokes alike, always the same."""
        if len(self) <= most:
            return self
        main = self.counts(n_classes).argmax(1)
        kept = []
        for c, quota in even_quotas(np.bincount(main, minlength=n_classes), most):
            own = np.flatnonzero(main == c)
            kept.append(own[np.linspace(0, len(own) - 1, quota).round().astype(int)])
        return self.take(np.sort(np.concatenate(kept)))

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share of each patch that is labelled, in (0, 1]."""
        return (self.patches != UNLABELLED).reshape(len(self), -1).mean(1)

    @staticmethod
    def join(parts: Sequence[Rows]) -> Rows:
        """Concatenate."""
        return Rows(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("tokens", "patches", "where", "stroke")
            )
        )

    @staticmethod
    def empty(dim: int, patch: int) -> Rows:
        """No rows."""
        return Rows(
            np.zeros((0, dim), np.float32),
            np.zeros((0, patch, patch), np.uint8),
            np.zeros((0, 3), np.int32),
            np.zeros(0, np.int64),
        )


def even_quotas(sizes: NDArray[np.int64], cap: int) -> list[tuple[int, int]]:
    """Share a cap out evenly; what small classes leave over goes to the larger ones."""
    quotas: list[tuple[int, int]] = []
    left = cap
    order = [int(c) for c in np.argsort(sizes, kind="stable") if sizes[c] > 0]
    for i, c in enumerate(order):
        quota = min(int(sizes[c]), left // (len(order) - i))
        quotas.append((c, quota))
        left -= quota
    return quotas


def touched_rows(
    strokes: NDArray[Any], tokens: NDArray[np.float32], plane: int, stroke: int
) -> Rows:
    """Rows for every patch that holds a labelled pixel, be it one pixel only.

    Parameters
    ----------
    strokes
        (H, W) integers: 0 nothing, k class k.
    tokens
        (h, w, D) of the same plane, length one; the patch size is ⌈H / h⌉.
    plane, stroke
        Stored with the rows.
    """
    painted = PaintedPixels.of(strokes, np.full(strokes.shape, stroke, np.int64))
    shape = (strokes.shape[0], strokes.shape[1])
    found = rows_by_stroke(painted, shape, tokens, plane)
    patch = -(-strokes.shape[0] // len(tokens))
    return found.get(stroke, Rows.empty(tokens.shape[2], patch))


def rows_by_stroke(
    painted: PaintedPixels,
    shape: tuple[int, int],
    tokens: NDArray[np.floating[Any]],
    plane: int,
) -> dict[int, Rows]:
    """Rows of every stroke of a plane (H, W), in one pass over the painted pixels."""
    strokes = painted.classes
    if strokes.size and int(strokes.max()) >= MAX_CLASSES:
        raise RetrieveError(
            f"Retrieval knows classes 1 to {MAX_CLASSES - 1}; class "
            f"{int(strokes.max())}"
            " was painted. Use a smaller class id."
        )
    h, w = tokens.shape[:2]
    p = -(-shape[0] // h)
    ys, xs = np.divmod(painted.pixels, shape[1])
    if len(ys) == 0:
        return {}
    names, who = np.unique(painted.owners, return_inverse=True)
    cells = who.astype(np.int64) * (h * w) + (ys // p) * w + xs // p
    cells, inverse = np.unique(cells, return_inverse=True)
    patches = np.full((len(cells), p, p), UNLABELLED, np.uint8)
    patches[inverse, ys % p, xs % p] = strokes
    who, place = np.divmod(cells, h * w)
    rows, columns = np.divmod(place, w)
    where = np.stack([np.full_like(rows, plane), rows, columns], 1).astype(np.int32)
    own = tokens[rows, columns].astype(np.float32, copy=False)
    every = Rows(own, patches, where, names[who])
    edges = np.searchsorted(who, np.arange(len(names) + 1))
    return {
        int(name): every.take(slice(edges[i], edges[i + 1]))
        for i, name in enumerate(names)
    }


def fitted(patches: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale labelled patches (M, p, p) to another side; no row loses all its labels."""
    old = patches.shape[1]
    if old == side:
        return patches
    at = ((np.arange(side) + 0.5) * old / side).astype(int)
    out = patches[:, at][:, :, at]
    for i in np.flatnonzero((out == UNLABELLED).all((1, 2))):
        labelled = patches[i][patches[i] != UNLABELLED]
        out[i, side // 2, side // 2] = np.bincount(labelled).argmax()
    return out


def same(a: Rows, b: Rows) -> bool:
    """Whether two sets of rows say the same of the same patches."""
    return (
        len(a) == len(b)
        and np.array_equal(a.where, b.where)
        and np.array_equal(a.patches, b.patches)
    )


@dataclass
class Bank:
    """All rows, grouped by stroke; strokes can be switched off without being lost."""

    dim: int
    patch: int
    strokes: dict[int, Rows] = field(default_factory=dict)
    off: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.strokes.values())

    def __iter__(self) -> Iterator[tuple[int, Rows]]:
        return iter(sorted(self.strokes.items()))

    def put(self, stroke: int, rows: Rows) -> Rows | None:
        """Set a stroke's rows (none removes it); return what they were before."""
        if len(rows) and rows.tokens.shape[1] != self.dim:
            raise RetrieveError(
                f"This bank holds tokens of {self.dim} numbers, these have "
                f"{rows.tokens.shape[1]}: they come from another encoder."
            )
        before = self.strokes.pop(stroke, None)
        if len(rows):
            self.strokes[stroke] = rows
        return before

    def rows(self, *, without: int | None = None) -> Rows:
        """All rows that are switched on, in the order of their strokes."""
        parts = [rows for key, rows in self if key not in self.off and key != without]
        return Rows.join(parts) if parts else Rows.empty(self.dim, self.patch)

    @property
    def n_classes(self) -> int:
        """The highest class id that has a labelled pixel."""
        tops = [
            int(rows.patches[rows.patches != UNLABELLED].max())
            for rows in self.strokes.values()
        ]
        return max(tops, default=0)
