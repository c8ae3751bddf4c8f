"""Draw what each preset of the recipe semi says of device B, for its page of docs.

``python scripts/draw_semi.py FOLDER docs/images/semi-b.png``, where FOLDER is the --out
of ``sesami evaluate semi``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import imageio.v3 as iio
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from napari_sesami.train import PRESETS

GAP = 4


def main() -> None:
    """Put the picture, its truth and the answers side by side."""
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("folder", type=Path)
    ap.add_argument("out", type=Path)
    given = ap.parse_args()
    found = {}
    for preset in PRESETS:
        path = given.folder / f"B-{preset.replace('+', '-')}.png"
        if path.is_file():
            found[preset] = iio.imread(path)
    if not found:
        raise SystemExit(f"{given.folder} has no pictures of sesami evaluate semi.")
    first = next(iter(found.values()))
    side = (first.shape[1] - 2 * GAP) // 3

    def part(image, number):
        start = number * (side + GAP)
        return image[:, start : start + side]

    panels = {"device B, never labelled": part(first, 0), "truth": part(first, 1)}
    panels |= {preset: part(image, 2) for preset, image in found.items()}
    columns = 4
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(9, 2.5 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, image) in zip(axes.flat, panels.items(), strict=False):
        axis.imshow(image)
        axis.set_title(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(given.out, dpi=110)


if __name__ == "__main__":
    main()
