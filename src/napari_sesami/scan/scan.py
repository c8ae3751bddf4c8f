"""Scan: lazy pixels with a pixel size and unit per axis, or an honest "unknown"."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import Cancelled
from napari_sesami.scan.check import check, fit_pixel_size, guess_axes, usable_array
from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.hash import content_hash
from napari_sesami.scan.normalise import luminance, normalisation_of, real
from napari_sesami.scan.units import LENGTHS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from napari_sesami.scan.normalise import Normalisation

__all__ = ["LENGTHS", "Scan"]


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
    modality
        "TEM", "STEM", "SEM", "XRM", "optical" or None.
    image_key
        Which image of a file with several this is.
    ignore
        Bool array (y, x), True where pixels are not specimen (a data bar), or None.
    levels
        Coarser versions of `data` for viewing, finest first, `data` not among them.
    metadata
        What else the file says. ``"notes"`` are sentences for the user, ``"images"``
        the other images of the file.
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

    def __post_init__(self) -> None:
        if not self.origin:
            object.__setattr__(self, "origin", (0.0,) * len(self.axes))
        check(self)

    @classmethod
    def from_array(
        cls,
        array: ArrayLike,
        *,
        axes: Sequence[str] | None = None,
        pixel_size: float | Sequence[float | None] | None = None,
        units: str | Sequence[str | None] | None = None,
        name: str = "array",
        modality: str | None = None,
    ) -> Scan:
        """Make a scan of pixels in memory, or of any lazy array.

        Parameters
        ----------
        array
            At least two axes, the last ones ``y, x`` or ``y, x, colour``.
        axes
            Their names; guessed from the shape if not given.
        pixel_size
            One number for y and x, or one (or None) per axis; None is unknown.
        units
            A length unit for all of them, or one per axis.
        name, modality
            For people.
        """
        data = usable_array(array, name)
        names = tuple(axes) if axes is not None else guess_axes(data.shape)
        if names[-1] == "c" and data.shape[-1] == 4:
            data = data[..., :3]  # the fourth channel is opacity
        sizes, names_of_units = fit_pixel_size(names, pixel_size, units)
        return cls(data, names, sizes, names_of_units, name=name, modality=modality)

    def with_pixel_size(
        self,
        size: float | Sequence[float | None],
        unit: str | Sequence[str | None] | None,
    ) -> Scan:
        """Give the pixel size by hand: one number for y and x, or one per axis."""
        sizes, units = fit_pixel_size(self.axes, size, unit)
        if not isinstance(size, (list, tuple, np.ndarray)):
            # a single number says nothing about z and time: what is known stays
            old = zip(self.axes, self.pixel_size, self.units, strict=True)
            kept = [(s, u) if a not in ("y", "x") else None for a, s, u in old]
            sizes = tuple(k[0] if k else s for k, s in zip(kept, sizes, strict=True))
            units = tuple(k[1] if k else u for k, u in zip(kept, units, strict=True))
        return self._same_pixels(pixel_size=sizes, units=units)

    def _same_pixels(self, **changes: Any) -> Scan:
        """Change what is known about the pixels, keep what was computed from them."""
        scan = replace(self, **changes)
        for name in ("content_hash", "normalisation"):
            if name in self.__dict__:
                scan.__dict__[name] = self.__dict__[name]
        return scan

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

    @cached_property
    def content_hash(self) -> str:
        """Name of the content; the same wherever the file lies and however chunked."""
        return content_hash(self)

    @cached_property
    def normalisation(self) -> Normalisation:
        """The grey values that become 0 and 1 for every model, computed once."""
        return normalisation_of(self)

    def plane(self, index: int = 0, *, step: int = 1) -> NDArray[Any]:
        """Read one plane: (y, x) or (y, x, 3), in the file's dtype.

        `step` > 1 reads every step-th row and column only.
        """
        return self._read(index, slice(None, None, step), slice(None, None, step))

    def window(self, index: int, box: tuple[int, int, int, int]) -> NDArray[Any]:
        """Read ``(y0, x0, y1, x1)`` of one plane, cut at its edges."""
        y0, x0, y1, x1 = box
        return self._read(index, slice(max(0, y0), y1), slice(max(0, x0), x1))

    def grey(
        self, index: int = 0, box: tuple[int, int, int, int] | None = None
    ) -> NDArray[np.float32]:
        """Read one plane as models see it: (y, x) in [0, 1], normalised, NaN as 0.

        `box` (y0, x0, y1, x1) reads a window of it only, cut at the edges.
        """
        pixels = self.plane(index) if box is None else self.window(index, box)
        grey = luminance(pixels) if self.is_rgb else real(pixels)
        return self.normalisation.apply(grey)

    def _read(self, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Pixels of one plane; a file that went away or broke is a `ScanError`."""
        if not 0 <= index < self.n_planes:
            raise ScanError(
                f"{self.name} has planes 0 to {self.n_planes - 1}; {index} was asked "
                f"for."
            )
        lead = np.unravel_index(index, self.leading_shape) if self.leading_shape else ()
        where = (*(int(i) for i in lead), rows, columns)
        try:
            return np.asarray(self.data[where])
        except (ScanError, Cancelled):
            raise
        except Exception as error:  # what codecs raise on bad bytes has no end
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise ScanError(
                f"Plane {index} of {self.path or self.name} cannot be read "
                f"({why}); the file may have been moved, changed or cut short."
            ) from error
