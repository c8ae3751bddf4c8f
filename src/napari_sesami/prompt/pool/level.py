"""Level: all candidates in one window, with their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.prompt.pool.candidates import Candidate, Scene, shrunk
from napari_sesami.prompt.pool.features import NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.view import View


SEAM = 0.1  # share of the border that may lie by chance where a view ends


def has_seam(numbers: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell from their numbers which candidates end where a view of the net ends."""
    return np.asarray(numbers[:, NAMES.index("on view")] > SEAM)


@dataclass(eq=False)
class Level:
    """All candidates in one window, with their numbers.

    Attributes
    ----------
    scene
        The window and what is known of it.
    found
        The candidates.
    numbers
        (candidates, `NAMES`), what the judge reads.
    inner
        Top, left, bottom, right: whether the plane goes on beyond the window.
    """

    scene: Scene
    found: list[Candidate]
    numbers: NDArray[np.float32]
    inner: tuple[bool, bool, bool, bool]

    @property
    def view(self) -> View:
        """The window."""
        return self.scene.pictures.view

    @property
    def cut(self) -> NDArray[np.bool_]:
        """Which candidates end where a window or a view of the net ends."""
        out = np.array([self._runs_out(c.mask) for c in self.found], bool)
        return out | has_seam(self.numbers)

    def _runs_out(self, mask: NDArray[np.bool_]) -> bool:
        sides = (mask[0], mask[:, 0], mask[-1], mask[:, -1])
        return any(
            goes_on and bool(side.any())
            for goes_on, side in zip(self.inner, sides, strict=True)
        )

    def in_window(self, mask: Mask) -> NDArray[np.bool_]:
        """A mask of the plane in the pixels of the window."""
        return shrunk(mask, self.view, self.scene.pictures.grey.shape)
