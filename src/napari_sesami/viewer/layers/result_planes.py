"""Planes of a result that a layer reads, and what heat maps there are of strokes."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.recent import Recent
from napari_sesami.project import PlaneArray

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

KEPT_PLANES = 4  # in memory, of each layer


@dataclass(frozen=True)
class MapKind:
    """A heat map: how it is drawn, and what it means."""

    key: str
    title: str
    colormap: str
    limits: tuple[float, float]
    legend: str


MAPS = (
    MapKind(
        "vote",
        "Votes of a class",
        "viridis",
        (0.0, 1.0),
        "Votes: yellow = all labelled patches say this class, blue = none does.",
    ),
    MapKind(
        "margin",
        "Doubt",
        "magma",
        (0.0, 1.0),
        "Doubt: 1 − margin (best − second); bright = two are even, paint there.",
    ),
    MapKind(
        "novelty",
        "Never seen",
        "inferno",
        (0.0, 0.3),
        "Never seen: bright = nothing like it was painted (similarity below 0.7).",
    ),
)
"""Every map that can be shown."""


class Planes(PlaneArray):
    """Planes of a result: the last ones in memory, those of a whole scan on disk."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._own: Recent[int, NDArray[Any]] = Recent(KEPT_PLANES)
        self._nothing = np.zeros(shape[-2:], dtype)
        self._disk: Any = None
        self._folder: Path | None = None
        self._temporary = False
        self.written: set[int] = set()
        super().__init__(shape, dtype, self.plane)

    def plane(self, number: int) -> NDArray[Any]:
        """One plane (y, x) as it is known now; zeros where nothing is."""
        own = self._own.get(number)
        if own is not None:
            return own
        if number in self.written:
            return np.asarray(self._disk[number])
        return self._nothing

    @property
    def known(self) -> list[int]:
        """The planes that have a result."""
        return sorted(self.written | {n for n, own in self._own.items() if own.any()})

    def put(self, number: int, pixels: NDArray[Any]) -> bool:
        """Take over a plane; False if it was the same already."""
        old = self._own.get(number)
        if old is not None and np.array_equal(old, pixels):
            return False
        self._own[number] = pixels
        return True

    def clear(self) -> None:
        """Forget all that is in memory."""
        self._own.clear()

    def to_disk(self, folder: Path | None) -> Any:
        """Begin a zarr array for all planes: in `folder`, or in a temporary one."""
        import zarr

        self.drop_disk()
        self._temporary = folder is None
        self._folder = (
            Path(tempfile.mkdtemp(prefix="sesami-")) if folder is None else folder
        )
        self._disk = zarr.create_array(
            store=str(self._folder / "whole scan.zarr"),
            shape=(int(np.prod(self.shape[:-2])), *self.shape[-2:]),
            chunks=(1, *self.shape[-2:]),
            dtype=self.dtype,
            overwrite=True,
        )
        return self._disk

    def drop_disk(self) -> None:
        """Let go of the planes on disk; a temporary folder goes with them."""
        self.written.clear()
        self._disk = None
        if self._temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
