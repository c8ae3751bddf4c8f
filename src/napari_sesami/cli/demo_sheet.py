"""The sheet of `sesami demo --headless`: four pictures of one scan, to show around."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.scan import Scan

    Tile = tuple[Image.Image, str]

SIDE, GAP, HEAD, FOOT = 620, 18, 54, 34  # px of a picture, between them, of words
PAPER, INK, SOFT = "#ffffff", "#1c2128", "#5b6470"
HEAT = ("#000004", "#3b0f70", "#8c2981", "#de4968", "#fe9f6d", "#fcfdbf")
"""From certain to even: six colours of the colour map magma."""


def grey_of(scan: Scan, plane: int) -> NDArray[np.uint8]:
    """Give a plane as (y, x, 3) to draw on."""
    if scan.is_rgb:
        return np.asarray(scan.plane(plane)).astype(np.uint8)
    grey = (scan.grey(plane).clip(0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1)


def coloured(
    rgb: NDArray[np.uint8], ids: NDArray[Any], colors: NDArray[np.float32], share: float
) -> NDArray[np.uint8]:
    """Lay colours (n, 3) by number over a picture, and a line where two meet."""
    over = np.where(
        ids[..., None] > 0, (1 - share) * rgb + share * 255 * colors[ids], rgb
    )
    edge = np.zeros(ids.shape, bool)
    edge[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    edge[1:] |= ids[1:] != ids[:-1]
    edge |= np.roll(edge, -1, 0) | np.roll(edge, -1, 1)
    over[edge & (ids > 0)] = 255 * colors[ids[edge & (ids > 0)]]
    return np.asarray(over.astype(np.uint8))


def heated(grey: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay a heat map, 0 to 1, over a picture."""
    stops = np.array([_rgb(code) for code in HEAT])
    at = np.linspace(0, 1, len(stops))
    warm = np.stack([np.interp(heat, at, stops[:, c]) for c in range(3)], -1)
    return np.asarray((0.35 * grey + 0.65 * 255 * warm).astype(np.uint8))


def tile(
    rgb: NDArray[np.uint8], words: str, clicks: Sequence[tuple[int, int]] = ()
) -> Tile:
    """Fit a picture into its place; clicks (y, x) are drawn as dots."""
    height, width = rgb.shape[:2]
    zoom = SIDE / max(height, width)
    size = round(width * zoom), round(height * zoom)
    made = Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(made)
    for y, x in clicks:
        at = ((x + 0.5) * zoom, (y + 0.5) * zoom)
        pen.ellipse([at[0] - 5, at[1] - 5, at[0] + 5, at[1] + 5], "#26ff4e", "#000000")
    return made, words


def draw_sheet(
    path: Path,
    title: str,
    tiles: Sequence[Tile],
    legend: Sequence[tuple[str, str]],
    pixel: tuple[float, str] | None,
) -> None:
    """Write four pictures with their words, a scale bar and the colours of classes.

    Parameters
    ----------
    path
        A PNG file.
    title
        Above all.
    tiles
        Pictures and words, two in a row.
    legend
        (colour, name) of classes.
    pixel
        Width of a pixel of the sheet's pictures and its unit, if it is known.
    """
    rows = [tiles[i : i + 2] for i in range(0, len(tiles), 2)]
    highest = [max(made.height for made, _ in row) for row in rows]
    width = 2 * SIDE + 3 * GAP
    height = HEAD + sum(highest) + len(rows) * (FOOT + GAP) + FOOT
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, 14), title, INK, ImageFont.load_default(24))
    font, top = ImageFont.load_default(17), HEAD
    for row, tall in zip(rows, highest, strict=True):
        for n, (made, words) in enumerate(row):
            left = GAP + n * (SIDE + GAP)
            sheet.paste(made, (left, top))
            pen.text((left, top + made.height + 7), words, SOFT, font)
        top += tall + FOOT + GAP
    if pixel is not None:
        _scale_bar(pen, (GAP, HEAD), tiles[0][0].size, *pixel)
    left = GAP
    for color, name in legend:
        pen.rectangle([left, top + 2, left + 16, top + 18], color, SOFT)
        pen.text((left + 23, top), name, INK, font)
        left += 23 + round(pen.textlength(name, font)) + 26
    sheet.save(path)


def _scale_bar(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    size: tuple[int, int],
    pixel: float,
    unit: str,
) -> None:
    """Draw a length of one, two or five times a power of ten, on the first picture."""
    most = 0.3 * size[0] * pixel
    power = 10.0 ** math.floor(math.log10(most))
    length = max(n * power for n in (1, 2, 5) if n * power <= most)
    right, low = corner[0] + size[0] - 14, corner[1] + size[1] - 16
    left = right - round(length / pixel)
    pen.rectangle([left, low - 5, right, low], "#ffffff", "#000000")
    words, font = f"{length:g} {unit}", ImageFont.load_default(18)
    middle = (left + right) / 2
    pen.text(
        (middle, low - 9), words, "#ffffff", font, "ms", stroke_width=2,
        stroke_fill="#000000",
    )  # fmt: skip


def _rgb(code: str) -> list[float]:
    return [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def palette(colors: Sequence[str]) -> NDArray[np.float32]:
    """Colours "#rrggbb" as (n + 1, 3); 0 is nothing."""
    return np.array([[0, 0, 0], *(_rgb(code) for code in colors)], np.float32)
