"""Columns of a volume, such as bumps and vias, found with one slice in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sesami.measure.errors import MeasureError
from napari_sesami.measure.slabs import slabs_of
from napari_sesami.scan import LENGTHS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from napari_sesami.scan import Scan


@dataclass(eq=False)
class VoxelColumn:
    """What hangs together over the slices of a volume.

    Attributes
    ----------
    slices
        Slice → (y0, x0, y1, x1, pixels, row, column): box, size and middle there.
    """

    slices: dict[int, tuple[int, int, int, int, int, float, float]] = field(
        default_factory=dict
    )

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Its box (z, y, x)."""
        parts = np.array([s[:4] for s in self.slices.values()])
        return (
            slice(min(self.slices), max(self.slices) + 1),
            slice(int(parts[:, 0].min()), int(parts[:, 2].max())),
            slice(int(parts[:, 1].min()), int(parts[:, 3].max())),
        )

    @property
    def voxels(self) -> int:
        """How many it has."""
        return sum(s[4] for s in self.slices.values())

    @property
    def middle(self) -> tuple[float, float, float]:
        """Its middle (z, y, x)."""
        sizes = np.array([s[4] for s in self.slices.values()], float)
        places = np.array([[z, *s[5:]] for z, s in self.slices.items()])
        z, y, x = sizes @ places / sizes.sum()
        return float(z), float(y), float(x)

    def cut_by(self, shape: tuple[int, ...], *, ends: bool = False) -> bool:
        """Whether it touches the sides of a volume, or with `ends` any border."""
        z, y, x = self.box
        sides = y.start == 0 or x.start == 0 or y.stop == shape[1] or x.stop == shape[2]
        return sides or (ends and (z.start == 0 or z.stop == shape[0]))


def check_volume(scan: Scan, name: str) -> None:
    """Refuse what is no volume."""
    if len(scan.leading_shape) != 1 or scan.is_rgb:
        raise MeasureError(
            f"{name} is measured in a volume (z, y, x); {scan.name} has the axes "
            f"{', '.join(scan.axes)}."
        )


def voxel_of(scan: Scan) -> tuple[str, tuple[float, float, float]]:
    """Unit and sides (z, y, x) of a voxel; "px" and ones if any is unknown."""
    sizes, units = scan.pixel_size[:3], scan.units[:3]
    if any(s is None for s in sizes) or any(u not in LENGTHS for u in units):
        return "px", (1.0, 1.0, 1.0)
    unit = str(units[2])
    sides = [
        float(s or 1) * LENGTHS[str(u)] / LENGTHS[unit]
        for s, u in zip(sizes, units, strict=True)
    ]
    return unit, (sides[0], sides[1], sides[2])


def _label(chosen: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number what hangs together in a slice; only where there is anything."""
    rows = np.flatnonzero(chosen.any(1))
    parts = np.zeros(chosen.shape, np.int32)
    if not rows.size:
        return parts, 0
    part = np.s_[int(rows[0]) : int(rows[-1]) + 1]
    count = ndimage.label(chosen[part], output=parts[part])
    return parts, int(count)


def _planes(labels: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    for first, slab in slabs_of(labels):
        for k, plane in enumerate(slab):
            yield first + k, plane


def find_columns(
    labels: Any, ids: Collection[int], least: int = 8
) -> list[VoxelColumn]:
    """Find what hangs together of some classes, reading one slice at a time.

    They are numbered by layers, rows and columns, half a column being no difference.
    """
    wanted = np.zeros(256, bool)
    wanted[list(ids)] = True
    owner: list[int] = []  # of every piece of a slice; joined where columns meet
    pieces: list[tuple[int, tuple[int, int, int, int, int, float, float]]] = []

    def root(k: int) -> int:
        while owner[k] != k:
            owner[k] = owner[owner[k]]
            k = owner[k]
        return k

    before: NDArray[Any] | None = None
    first_before = 0
    for z, plane in _planes(labels):
        parts, count = _label(wanted[plane])
        first = len(owner)
        owner.extend(range(first, first + count))
        for k, place in enumerate(ndimage.find_objects(parts) if count else []):
            y, x = place
            own = np.nonzero(parts[place] == k + 1)
            pieces.append((z, (
                y.start, x.start, y.stop, x.stop, own[0].size,
                y.start + float(own[0].mean()), x.start + float(own[1].mean()),
            )))  # fmt: skip
        if before is not None and count:
            both = (before > 0) & (parts > 0)
            for a, b in np.unique(
                np.stack([before[both], parts[both]]), axis=1
            ).T.tolist():
                owner[root(first + b - 1)] = root(first_before + a - 1)
        before, first_before = parts, first
    columns: dict[int, VoxelColumn] = {}
    for k, (z, piece) in enumerate(pieces):
        column = columns.setdefault(root(k), VoxelColumn())
        known = column.slices.get(z)
        if known is None:
            column.slices[z] = piece
        else:  # two pieces of one slice
            n = known[4] + piece[4]
            y, x = ((known[i] * known[4] + piece[i] * piece[4]) / n for i in (5, 6))
            column.slices[z] = (
                min(known[0], piece[0]), min(known[1], piece[1]),
                max(known[2], piece[2]), max(known[3], piece[3]), n, y, x,
            )  # fmt: skip
    found = [c for c in columns.values() if c.voxels >= least]
    if not found:
        return []
    at = np.array([c.middle for c in found])
    size = np.median([[s.stop - s.start for s in c.box] for c in found], axis=0)
    cell = np.floor(at[:, :2] / size[:2] + 0.25)
    return [found[int(k)] for k in np.lexsort((at[:, 2], cell[:, 1], cell[:, 0]))]
