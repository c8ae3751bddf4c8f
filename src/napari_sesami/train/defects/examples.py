"""Pictures of a defect as training sees them: squares, turned and shifted together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from napari_sesami.classify import PictureReader

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sesami.classify import Lot

VIEWS = ("high", "low", "template")
MARGIN = 1.125
"""A square is kept so much larger than what is seen, for shifts."""
TONE = 0.3
"""Share by which brightness and contrast change at most."""


class DefectSquares:
    """The pictures of a lot as squares of one size, read once.

    Parameters
    ----------
    lot
        With readable pictures.
    side
        Of what the net sees, pixels.
    """

    def __init__(self, lot: Lot, side: int) -> None:
        self.side, self.large = side, round(side * MARGIN)
        reader = PictureReader()
        self._squares: list[dict[str, Tensor]] = []
        for defect in lot.defects:
            there = {v: p for v in VIEWS if (p := defect.picture(v)) is not None}
            self._squares.append(
                {v: self._square(reader.read(p)) for v, p in there.items()}
            )
        reader.close()

    def _square(self, grey: NDArray[np.float32]) -> Tensor:
        high, wide = grey.shape
        longer = max(high, wide)
        rows, columns = longer - high, longer - wide
        room = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
        view = torch.from_numpy(np.pad(grey, room, mode="edge"))[None, None]
        shape = (self.large, self.large)
        small = F.interpolate(view, shape, mode="bilinear", antialias=True)[0]
        return (small.clamp(0, 1) * 255 + 0.5).to(torch.uint8)

    def plain(self, position: int) -> dict[str, Tensor]:
        """Give the middle of each picture, as it is; zeros where there is none."""
        edge = (self.large - self.side) // 2
        return self._filled(position, (edge, edge), 0, False, {})

    def drawn(self, position: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw a shift, a turn and a tone; picture and template move together."""
        room = self.large - self.side + 1
        shift = (int(rng.integers(room)), int(rng.integers(room)))
        turn, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)
        tones = {v: rng.uniform(-TONE, TONE, 2) for v in VIEWS}
        return self._filled(position, shift, turn, mirrored, tones)

    def _filled(
        self,
        position: int,
        shift: tuple[int, int],
        turn: int,
        mirrored: bool,
        tones: dict[str, NDArray[np.float64]],
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        squares, side = self._squares[position], self.side
        y, x = shift
        for view in VIEWS:
            square = squares.get(view)
            if square is None:
                found[view] = torch.zeros(1, side, side)
                continue
            part = square[:, y : y + side, x : x + side].float() / 255
            part = torch.rot90(part, turn, (1, 2))
            part = part.flip(2) if mirrored else part
            if view in tones:
                contrast, brightness = map(float, tones[view])
                part = (part - 0.5) * (1 + contrast) + 0.5 + brightness / 2
            found[view] = part.clamp(0, 1).contiguous()
        found["has"] = torch.tensor([view in squares for view in VIEWS])
        return found
