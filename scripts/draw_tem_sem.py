"""Draw the TEM, SEM and noise pictures of synth.md: python scripts/draw_tem_sem.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from napari_sesami import noise
from napari_sesami.lab.scenes import DEFECTS, TEM_KINDS, Synthetic, sem_pair, tem

HERE = Path(__file__).parents[1] / "docs" / "images"
SIDE = 232


def colours(scene: Synthetic) -> np.ndarray:
    """Show labels in their classes' colours."""
    table = np.zeros((256, 3), np.uint8)
    for spec in scene.classes:
        table[spec.id] = [int(spec.color[i : i + 2], 16) for i in (1, 3, 5)]
    return table[scene.labels]


def tile(image: np.ndarray, caption: str = "") -> Image.Image:
    """Shrink a picture and write on it."""
    picture = Image.fromarray(image).convert("RGB").resize((SIDE, SIDE), Image.BOX)
    if caption:
        pen = ImageDraw.Draw(picture)
        pen.rectangle((0, 0, 7 * len(caption) + 5, 14), fill="black")
        pen.text((3, 1), caption, fill="white")
    return picture


def save(tiles: list[Image.Image], columns: int, name: str) -> None:
    """Lay tiles out in rows."""
    rows = -(-len(tiles) // columns)
    step = SIDE + 4
    page = Image.new("RGB", (columns * step, rows * step), "white")
    for number, picture in enumerate(tiles):
        page.paste(picture, (number % columns * step, number // columns * step))
    page.quantize(200).save(HERE / name, optimize=True)


def draw_tem() -> None:
    """Draw every view: clean, truth, and two kinds of noise."""
    tiles = []
    for kind, views in TEM_KINDS.items():
        for view in views:
            clean = tem(kind, 3, view=view, noise=False, contrast="haadf")
            tiles.append(tile(clean.image, f"{kind} {view}"))
            tiles.append(tile(colours(clean)))
            for contrast in ("haadf", "bf"):
                noisy = tem(kind, 3, view=view, contrast=contrast)
                tiles.append(tile(noisy.image, contrast.upper() + ", noise"))
    save(tiles, 8, "synth_tem.png")


def draw_sem() -> None:
    """Draw every defect: low, high, truth of the high."""
    tiles = []
    for defect in DEFECTS:
        pair = sem_pair(defect, 3)
        tiles.append(tile(pair.low.image, f"{defect}, low"))
        tiles.append(tile(pair.high.image, "high"))
        tiles.append(tile(colours(pair.high)))
    save(tiles, 9, "synth_sem.png")


def draw_noise() -> None:
    """Draw the effects on one picture, stronger than usual."""
    clean = tem("finfet", 3, (232, 232), 0.7, False, view="across", contrast="haadf")
    image = torch.from_numpy(clean.image)[None, None].float() / 255
    effects = [
        noise.ShotNoise(60), noise.CompoundPoisson(40, 0.5), noise.Scintillator(1.2),
        noise.DarkCurrent(20, 150), noise.ReadOut(10, 150), noise.Gain(0.06, 0.04),
        noise.HotPixels(2e-3, 1e-3), noise.Blur(1.8, 2.5, 30), noise.ScanJitter(1.0),
        noise.Drift(14), noise.LineBanding(0.1), noise.Background(0.15),
        noise.Charging(0.2, 0.6, 40, 0.5), noise.EdgeBloom(0.35, 3),
        noise.Curtaining(0.2), noise.Curtaining(0.2, angle_deg=9),
        noise.ThicknessWedge(0.6, 0), noise.Contamination(0.05, 0.2, 20),
        noise.Deformation(5), noise.Gamma(0.6), noise.Contrast(1.6),
        noise.Sharpen(2), noise.Compression(12),
        noise.ScaleBar(0.7, corner="lower left"),
    ]  # fmt: skip
    tiles = []
    for effect in effects:
        out = effect(image, torch.Generator().manual_seed(1)).image[0, 0]
        tiles.append(tile((out.numpy() * 255).astype(np.uint8), type(effect).__name__))
    save(tiles, 8, "synth_noise.png")


if __name__ == "__main__":
    draw_tem()
    draw_sem()
    draw_noise()
