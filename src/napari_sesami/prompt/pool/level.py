"""WindowLevel: all candidates in one window, with their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.prompt.pool.candidates import PLAIN, Candidate, PromptScene, shrunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.view import View


@dataclass(eq=False)
class WindowLevel:
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

    scene: PromptScene
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
        return np.array([c.seam or self._runs_out(c.mask) for c in self.found], bool)

    def _runs_out(self, mask: NDArray[np.bool_]) -> bool:
        sides = (mask[0], mask[:, 0], mask[-1], mask[:, -1])
        return any(
            goes_on and bool(side.any())
            for goes_on, side in zip(self.inner, sides, strict=True)
        )

    def whole(self, number: int) -> Mask | None:
        """The mask of the plane behind a candidate, if there is one: the plain one."""
        plain = self.scene.plain
        return plain[0] if plain and self.found[number].source == PLAIN else None

    @property
    def is_plain(self) -> NDArray[np.bool_]:
        """Which candidate is the net's plain answer."""
        return np.array([c.source == PLAIN for c in self.found], bool)

    def in_window(self, mask: Mask) -> NDArray[np.bool_]:
        """A mask of the plane in the pixels of the window."""
        return shrunk(mask, self.view, self.scene.pictures.grey.shape)
