"""Scan: lazy pixels with a pixel size and unit per axis, or an honest "unknown"."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan._errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from napari_sesami.scan._normalise import Normalisation

LENGTHS = {"pm": 1e-12, "Å": 1e-10, "nm": 1e-9, "µm": 1e-6, "mm": 1e-3, "m": 1.0}
"""Length units a scan may carry, in metres."""


@dataclass(frozen=True, eq=False)
class Scan:
    """An image or volume with physical axes. Immutable; changes give a new Scan.

    Attributes
    ----------
    data
        Array-like, lazy (dask) wherever the format allows. The last axes are
        ``y, x`` or, for colour, ``y, x, c`` with three channels.
    axes
        One name per axis, e.g. ``("z", "y", "x")``; ``"c"`` only as the last.
    pixel_size, units
        A tuple over the axes. Size is finite and > 0 or None; the unit is a key of
        `LENGTHS`, another unit such as ``"s"`` or ``"1/nm"``, or None.
    origin
        Position of the first pixel, in the unit of its axis (0 if unknown).
    ignore
        Bool array (y, x), True where pixels are not specimen (a data bar), or None.
    levels
        Coarser versions of `data` for viewing, finest first, `data` not among them.
    """

    data: Any
    axes: tuple[str, ...]
    pixel_size: tuple[float | None, ...]
    units: tuple[str | None, ...]
    origin: tuple[float, ...] = ()
    modality: str | None = None
    name: str = "scan"
    path: Path | None = None
    image_key: str | None = None
    ignore: NDArray[np.bool_] | None = None
    levels: tuple[Any, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of `data`."""
        return tuple(int(n) for n in self.data.shape)

    @property
    def is_rgb(self) -> bool:
        """Whether the last axis is colour."""
        return self.axes[-1] == "c"

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width of a plane."""
        y, x = self.shape[-3:-1] if self.is_rgb else self.shape[-2:]
        return y, x

    @property
    def leading_shape(self) -> tuple[int, ...]:
        """Shape of the axes before ``y, x``; empty for a single image."""
        return self.shape[: -3 if self.is_rgb else -2]

    @property
    def n_planes(self) -> int:
        """How many (y, x) planes the scan has; leading axes are flattened."""
        return math.prod(self.leading_shape)

    def plane(self, index: int = 0) -> NDArray[Any]:
        """Read one plane: (y, x) or (y, x, 3), in the file's dtype."""
        if not 0 <= index < self.n_planes:
            raise ScanError(
                f"{self.name} has planes 0 to {self.n_planes - 1}; {index} was asked for."
            )
        where = np.unravel_index(index, self.leading_shape) if self.leading_shape else ()
        return np.asarray(self.data[tuple(int(i) for i in where)])
