"""A 5 × 7 pixel font for burnt-in labels."""

from __future__ import annotations

import torch
from torch import Tensor

# seven rows per character, five bits each, the highest bit on the left
_GLYPHS = {
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (14, 17, 1, 6, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    ".": (0, 0, 0, 0, 0, 12, 12),
    "-": (0, 0, 0, 14, 0, 0, 0),
    "=": (0, 0, 31, 0, 31, 0, 0),
    "n": (0, 0, 22, 25, 17, 17, 17),
    "m": (0, 0, 26, 21, 21, 21, 21),
    "µ": (0, 0, 17, 17, 19, 29, 16),
    "k": (16, 16, 18, 20, 24, 20, 18),
    "x": (0, 0, 17, 10, 4, 10, 17),
    "V": (17, 17, 17, 17, 17, 10, 4),
    "W": (17, 17, 17, 21, 21, 27, 17),
    "D": (30, 17, 17, 17, 17, 17, 30),
    "S": (15, 16, 16, 14, 1, 1, 30),
    "E": (31, 16, 16, 30, 16, 16, 31),
    "H": (17, 17, 17, 31, 17, 17, 17),
    "T": (31, 4, 4, 4, 4, 4, 4),
}
_BLANK = (0,) * 7


def text_mask(text: str, size: int = 1) -> Tensor:
    """Draw a line of text as a bool mask of 7 × 6 `size` pixels per character.

    Characters the font lacks are left blank.
    """
    rows = [[_GLYPHS.get(char, _BLANK)[row] for char in text] for row in range(7)]
    bits = [
        [bool(glyph * 2 >> (5 - column) & 1) for glyph in row for column in range(6)]
        if row
        else [False]
        for row in rows
    ]
    mask = torch.tensor(bits, dtype=torch.bool)
    return mask.repeat_interleave(size, 0).repeat_interleave(size, 1)
