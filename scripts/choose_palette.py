"""Choose the colours of new classes: far apart, and bright enough for dark scans.

    python scripts/choose_palette.py

Begins with six colours of Okabe and Ito and adds one after the other the one that lies
farthest from all before it, in CIELAB and as the worst of normal sight, deuteranopia
and protanopia, among those with a lightness of 52 or more: at the 40 % at which labels
lie over a scan they are seen on black. Prints them.
"""

from __future__ import annotations

import itertools

import numpy as np
from skimage.color import rgb2lab

FIRST = "#E69F00 #56B4E9 #009E73 #F0E442 #D55E00 #CC79A7".split()
COUNT, LIGHT = 16, (52.0, 94.0)
# Machado, Oliveira and Fernandes 2009, on linear RGB, full severity
SIGHTS = (
    np.eye(3),
    np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
)


def seen(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of colours (n, 3) for each kind of sight, (3, n, 3)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    out = []
    for sight in SIGHTS:
        mixed = np.clip(linear @ sight.T, 0, 1)
        low = mixed <= 0.0031308
        coded = np.where(low, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
        out.append(rgb2lab(coded))
    return np.array(out)


def main() -> None:
    """Print the palette."""
    levels = np.arange(0, 256, 17) / 255
    every = np.array(list(itertools.product(levels, repeat=3)))
    light = seen(every)[0]
    chroma = np.hypot(light[:, 1], light[:, 2])
    fits = (light[:, 0] >= LIGHT[0]) & (light[:, 0] <= LIGHT[1]) & (chroma >= 30)
    every = every[fits]
    chosen = [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in FIRST]
    looks = seen(every)
    while len(chosen) < COUNT:
        known = seen(np.array(chosen))
        far = np.linalg.norm(looks[:, :, None] - known[:, None], axis=-1)
        nearest = far.min(2).min(0)
        chosen.append(every[int(nearest.argmax())].tolist())
        print(f"{nearest.max():.0f}", end=" ")
    print()
    codes = ["#" + "".join(f"{round(255 * v):02X}" for v in c) for c in chosen]
    print(" ".join(codes))


if __name__ == "__main__":
    main()
