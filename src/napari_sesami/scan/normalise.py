"""One grey scale per scan: computed once, stored, and applied the same everywhere."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from napari_sesami.scan.planes import HasPlanes

LOW, HIGH = 0.5, 99.5  # percentiles: rarer values are hot and dead pixels
MAX_PLANES = 12
PIXELS_PER_PLANE = 250_000
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # ITU-R BT.709


@dataclass(frozen=True)
class Normalisation:
    """The grey values that become 0 and 1. Never per tile: one per scan.

    Models, banks, runs and adapters keep it, so that the same pixels always look the
    same to them.
    """

    lo: float
    hi: float

    def __post_init__(self) -> None:
        if not (
            math.isfinite(self.lo) and math.isfinite(self.hi) and self.lo < self.hi
        ):
            raise ScanError(
                f"A normalisation needs two finite grey values, the first below the "
                f"second; it was given {self.lo} and {self.hi}."
            )

    def apply(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """Bring grey values to [0, 1] as float32; NaN becomes 0."""
        values = real(array)
        # float32 cannot hold small differences of large 32- and 64-bit numbers
        exact = np.dtype("f4" if values.dtype.itemsize <= 2 else "f8")
        out: NDArray[Any] = values.astype(exact)
        out -= self.lo
        out *= 1 / (self.hi - self.lo)
        np.clip(out, 0, 1, out=out)
        return np.nan_to_num(out, nan=0.0, copy=False).astype(np.float32, copy=False)

    @property
    def key(self) -> str:
        """Short text that changes whenever the result of `apply` does."""
        return blake2b(struct.pack("<dd", self.lo, self.hi), digest_size=6).hexdigest()

    def to_dict(self) -> dict[str, float]:
        """For JSON and TOML; `from_dict` takes it back."""
        return {"lo": self.lo, "hi": self.hi}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Normalisation:
        """Take back what `to_dict` gave."""
        return cls(float(stored["lo"]), float(stored["hi"]))


def real(array: NDArray[Any]) -> NDArray[Any]:
    """Magnitude of complex pixels (Fourier transforms); other pixels as they are."""
    return np.abs(array) if np.iscomplexobj(array) else np.asarray(array)


def luminance(plane: NDArray[Any]) -> NDArray[np.float32]:
    """Colour (…, 3) to one grey value per pixel, in the same range of values."""
    return plane.astype(np.float32) @ _LUMINANCE


def normalisation_of(scan: HasPlanes) -> Normalisation:
    """Find robust black and white levels of a scan from a sample of its planes."""
    parts = list(_samples(scan))
    values = np.concatenate(parts) if parts else np.zeros(0)
    if not values.size:
        return Normalisation(0.0, 1.0)
    lo, hi = (float(v) for v in np.percentile(values, [LOW, HIGH]))
    if not lo < hi:  # nearly constant: the rare rest is all there is to see
        lo, hi = float(values.min()), float(values.max())
    if not lo < hi:
        hi = lo + max(1.0, abs(lo) * 1e-6)
    return Normalisation(lo, hi)


def sample_planes(n_planes: int, most: int = MAX_PLANES) -> list[int]:
    """Indices of planes spread evenly over a scan, first and last among them."""
    count = min(n_planes, most)
    return sorted({round(i) for i in np.linspace(0, n_planes - 1, count)})


def _samples(scan: HasPlanes) -> Iterable[NDArray[np.float64]]:
    """Finite specimen pixels of some planes, thinned out evenly."""
    height, width = scan.plane_shape
    step = max(1, math.isqrt(height * width // PIXELS_PER_PLANE))
    keep = None if scan.ignore is None else ~scan.ignore[::step, ::step]
    for index in sample_planes(scan.n_planes):
        pixels = scan.plane(index, step=step)
        grey = luminance(pixels) if scan.is_rgb else real(pixels)
        values = (grey if keep is None else grey[keep]).astype(np.float64).ravel()
        yield values[np.isfinite(values)]
