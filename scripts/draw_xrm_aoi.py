"""Draw the XRM and AOI pictures of synth.md: python scripts/draw_xrm_aoi.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from imageio.v3 import imwrite

from napari_sesami.lab.scenes import hbm, hbm_slice, wire_bond
from napari_sesami.noise import (
    BeamHardening,
    CountingNoise,
    Rings,
    SourceDrift,
    Tomograph,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.lab.scenes import Synthetic

HERE = Path(__file__).parents[1] / "docs" / "images"
GAP = 4


def grey(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Show the lower 90 % of the 16-bit range as RGB."""
    shown = np.clip(image.astype(np.float32) / 54000, 0, 1) * 255
    return np.repeat(shown.astype(np.uint8)[..., None], 3, axis=2)


def coloured(labels: NDArray[Any], scene: Synthetic) -> NDArray[np.uint8]:
    """Show labels in their classes' colours."""
    table = np.zeros((256, 3), np.uint8)
    for spec in scene.classes:
        table[spec.id] = [int(spec.color[i : i + 2], 16) for i in (1, 3, 5)]
    return table[labels]


def row(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put pictures of one height side by side."""
    wall = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, wall)]
    return np.concatenate(parts[:-1], axis=1)


def column(rows: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put rows of one width below each other."""
    wall = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    parts = [part for line in rows for part in (line, wall)]
    return np.concatenate(parts[:-1], axis=0)


def volumes() -> NDArray[np.uint8]:
    """Two plan views with truth and two side views with truth of each domain."""
    rows = []
    for domain, plane, y, x in (
        ("logic", 16, 128, 60),
        ("memory", 17, 81, 85),
        ("stack", 51, 96, 60),
    ):
        scene = hbm(1, domain=domain)  # type: ignore[arg-type]
        side = slice(None, None, -1)
        rows.append(
            row(
                [
                    grey(scene.image[plane]),
                    coloured(scene.labels[plane], scene),
                    grey(scene.image[plane + 9]),
                    coloured(scene.labels[plane + 9], scene),
                ]
            )
        )
        rows.append(
            row(
                [
                    grey(scene.image[side, y]),
                    coloured(scene.labels[side, y], scene),
                    grey(scene.image[side, :, x]),
                    coloured(scene.labels[side, :, x], scene),
                ]
            )
        )
    return column(rows)


def slices() -> NDArray[np.uint8]:
    """Twelve slices of the family used for training."""
    pictures = [grey(hbm_slice(seed).image) for seed in range(12)]
    return column([row(pictures[i : i + 4]) for i in (0, 4, 8)])


def effects() -> NDArray[np.uint8]:
    """One clean slice, and what each effect does to it, stronger than usual."""
    plain = hbm(1, (24, 256, 256), "memory", noise=False, voxel_um=1.2).image[16]
    image = torch.from_numpy(plain.astype(np.float32) / 60000)[None, None]
    shown = [plain]
    for effect in (
        Rings(0.012, 0.12, 0.04),
        Rings(0.012, 0.08, 0.04, axis="y", offset=9),
        BeamHardening(0.15, 0.13),
        CountingNoise(3000),
        SourceDrift(tilt=0.15),
        Tomograph(3e4, 240, 5.0, hardening=0.9, rings=0.004),
        Tomograph(1e5, 36, hardening=0.2),
    ):
        noised = effect(image, torch.Generator().manual_seed(5)).image[0, 0]
        shown.append((noised.numpy() * 60000).astype(np.uint16))
    pictures = [grey(picture) for picture in shown]
    return column([row(pictures[:4]), row(pictures[4:])])


def bonds() -> NDArray[np.uint8]:
    """Eight wire-bond pictures, the last two as truth of the two before."""
    seeds = (8, 12, 6, 7, 9, 10)
    scenes = [wire_bond(seed, (384, 384), 3.2) for seed in seeds]
    truth = [coloured(scene.labels, scene) for scene in scenes[4:]]
    pictures = [scene.image for scene in scenes] + truth
    return column([row(pictures[:4]), row(pictures[4:])])


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for name, draw in (
        ("synth_xrm", volumes),
        ("synth_xrm_slices", slices),
        ("synth_xrm_noise", effects),
        ("synth_aoi", bonds),
    ):
        imwrite(HERE / f"{name}.png", draw())
