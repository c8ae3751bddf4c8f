"""Painted pixels of a plane: only what is painted is kept, not the whole plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PaintedPixels:
    """What is painted on one plane, aligned arrays.

    Attributes
    ----------
    pixels
        (n,) flat places in the plane, ascending.
    classes
        (n,) class ids.
    owners
        (n,) the stroke that painted each pixel.
    """

    pixels: NDArray[np.int64]
    classes: NDArray[Any]
    owners: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pixels)

    @staticmethod
    def of(strokes: NDArray[Any], owners: NDArray[np.int64]) -> PaintedPixels:
        """Gather them from arrays (H, W) of class ids and of strokes."""
        pixels = np.flatnonzero(strokes)
        return PaintedPixels(pixels, strokes.ravel()[pixels], owners.ravel()[pixels])

    @staticmethod
    def none() -> PaintedPixels:
        """Nothing painted."""
        nothing = np.zeros(0, np.int64)
        return PaintedPixels(nothing, np.zeros(0, np.uint8), nothing)

    @property
    def names(self) -> NDArray[np.int64]:
        """The strokes, ascending."""
        return np.unique(self.owners)

    def take(self, which: NDArray[Any]) -> PaintedPixels:
        """Some of them."""
        return PaintedPixels(
            self.pixels[which], self.classes[which], self.owners[which]
        )

    def dense(self, shape: tuple[int, int]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Give arrays (H, W) of class ids and of strokes."""
        strokes = np.zeros(shape, self.classes.dtype)
        owners = np.zeros(shape, np.int64)
        strokes.ravel()[self.pixels] = self.classes
        owners.ravel()[self.pixels] = self.owners
        return strokes, owners


def differing(before: PaintedPixels, now: PaintedPixels) -> NDArray[np.int64]:
    """Names of the strokes that differ in any pixel."""
    stays = np.isin(before.pixels, now.pixels, assume_unique=True)
    was = np.isin(now.pixels, before.pixels, assume_unique=True)
    old, new = before.take(stays), now.take(was)
    other = (old.classes != new.classes) | (old.owners != new.owners)
    parts = [before.owners[~stays], now.owners[~was]]
    found = np.unique(np.concatenate([*parts, old.owners[other], new.owners[other]]))
    return found[found != 0]
