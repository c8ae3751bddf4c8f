"""Draw the pictures of docs/noise.md.

    python scripts/draw_noise.py docs/images

``noise_sets.jpg``: the three sets of every instrument on a scene of its own.
``noise_fit.jpg``: a scan, its scene, and fitted noise drawn on that scene.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from napari_sesami import noise
from napari_sesami.lab.tables.noise import SCENES, grey_of

SIDE, GAP, TALL = 192, 4, 18
SCENE_OF = {
    "haadf": "TEM finfet", "bf": "TEM gaa", "sem": "SEM", "xrm": "XRM", "aoi": "AOI",
}  # fmt: skip


def clean(name: str, seed: int = 3) -> torch.Tensor:
    """Give a part of a scene without noise, (1, 1, SIDE, SIDE)."""
    grey = grey_of(SCENES[name](seed))
    y, x = (max(0, (n - SIDE) // 2) for n in grey.shape)
    return torch.from_numpy(grey[y : y + SIDE, x : x + SIDE].copy())[None, None]


def sheet(rows: list[tuple[str, list[torch.Tensor]]], heads: list[str]) -> Image.Image:
    """Lay pictures out in rows, each with its name, below heads of columns."""
    wide = len(heads) * (SIDE + GAP)
    made = Image.new("L", (wide, len(rows) * (SIDE + GAP + TALL) + TALL), 255)
    pen, font = ImageDraw.Draw(made), ImageFont.load_default(13)
    for column, head in enumerate(heads):
        pen.text((column * (SIDE + GAP) + 2, 1), head, 0, font)
    for number, (name, pictures) in enumerate(rows):
        top = TALL + number * (SIDE + GAP + TALL)
        pen.text((2, top + 1), name, 0, font)
        for column, picture in enumerate(pictures):
            byte = (picture[0, 0].clamp(0, 1).numpy() * 255).astype(np.uint8)
            made.paste(Image.fromarray(byte), (column * (SIDE + GAP), top + TALL))
    return made


def main(folder: Path) -> None:
    """Draw both."""
    rows = []
    for instrument in noise.INSTRUMENTS:
        scene = clean(SCENE_OF[instrument])
        drawn = [scene]
        for some in noise.strong_sets(instrument, 1.3):
            for seed in (1, 2):
                chance = torch.Generator().manual_seed(seed)
                drawn.append(some(scene, None, None, chance).images)
        rows.append((instrument.upper(), drawn))
    heads = ["scene", "sample", "sample", "machine", "machine", "post", "post"]
    sheet(rows, heads).save(folder / "noise_sets.jpg", quality=82)

    rows = []
    chains = {
        "TEM finfet": (noise.ShotNoise(200.0), noise.ReadOut(5.0, 200.0)),
        "SEM": (
            noise.CompoundPoisson(200.0, 1.0),
            noise.LineBanding(0.03, 40.0, 1.0),
        ),
        "TEM beol": (noise.ShotNoise(80.0), noise.Scintillator(0.8)),
    }
    for name, effects in chains.items():
        grey = torch.from_numpy(grey_of(SCENES[name](3)))[None, None]
        scan = noise.Chain(effects)(grey, torch.Generator().manual_seed(0)).image
        found = noise.fit((scan[0, 0].numpy() * 255).round().astype(np.uint8))
        again = found.draw(grey, torch.Generator().manual_seed(1))
        y, x = (max(0, (n - SIDE) // 2) for n in grey.shape[-2:])
        cut = np.s_[:, :, y : y + SIDE, x : x + SIDE]
        told = "dose refused" if found.electrons is None else (
            f"{found.electrons.value:.0f} electrons"
        )  # fmt: skip
        lines = f", lines {100 * found.lines.value:.1f} %" if found.lines.value else ""
        rows.append((f"{name}: {told}{lines}", [scan[cut], grey[cut], again[cut]]))
    heads = ["scan", "its scene", "fitted noise on the scene"]
    sheet(rows, heads).save(folder / "noise_fit.jpg", quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
