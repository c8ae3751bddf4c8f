"""Choose the constants of fitting noise, on drawn noise and procedural scenes alone.

    python scripts/choose_noise.py            # about three minutes

Prints what calm blocks of white noise show (AT_LOW, AT_MEAN, AT_ALL, WHITE), for each
CUT how many fits find dose and read-out noise (SURE, ROUGH), and how far the
correlation of white noise lies from that of blurred and sharpened noise (SMOOTHED,
SHARPENED).
"""

from __future__ import annotations

import numpy as np
import torch

from napari_sesami import noise
from napari_sesami.lab.tables.noise import DOSES, SCENES, grey_of
from napari_sesami.noise import blocks, fitting  # the constants live there
from napari_sesami.scan import Scan

SEEDS = range(10, 12)  # others than those of the table in docs/noise.md


def white() -> blocks.Blocks:
    """Give blocks of nothing but white noise of variance 1."""
    picture = np.random.default_rng(0).standard_normal((2048, 2048))
    none = np.zeros(picture.shape, bool)
    return blocks.blocks_of(picture, ~none, none)


def scans(*after: noise.Effect) -> list[tuple[float, float, Scan]]:
    """Draw known noise onto every scene: electrons, read-out, scan."""
    out = []
    for name in SCENES:
        for seed in SEEDS:
            clean = torch.from_numpy(grey_of(SCENES[name](seed)))[None, None]
            for dose, read in DOSES:
                chain = noise.Chain(
                    (noise.ShotNoise(dose), noise.ReadOut(read, dose), *after)
                )
                chance = torch.Generator().manual_seed(int(2000 + 7 * seed + dose))
                grey = chain(clean, chance).image[0, 0].numpy()
                scan = Scan.from_array((grey * 255).round().astype(np.uint8))
                out.append((dose, read, scan))
    return out


def correlation(scan: Scan) -> float:
    """Give the correlation of neighbours in second differences, in calm blocks."""
    raw = scan.plane().astype(float)
    grey = scan.normalisation.lo, scan.normalisation.hi
    picture = (raw - grey[0]) / (grey[1] - grey[0])
    whole = np.ones(raw.shape, bool)
    ends = (raw <= raw.min()) | (raw >= raw.max())
    found = blocks.blocks_of(picture, whole, ends)
    _, kept = blocks.calm(found)
    both = found.along[kept].mean() + found.across[kept].mean()
    return float(both / 2 / found.fine[kept].mean())


def main() -> None:
    """Print the choices."""
    plain, many = white(), scans()
    print(f"AT_LOW {np.quantile(plain.fine, blocks.LOW):.3f}")
    for cut in (1.5, 2.0, 2.5, 3.0):
        kept = plain.fine <= cut
        blocks.CUT = cut
        blocks.AT_MEAN = fitting.AT_MEAN = float(plain.fine[kept].mean())
        blocks.AT_ALL = fitting.AT_ALL = float(plain.rest[kept].mean())
        both = (plain.along[kept].mean() + plain.across[kept].mean()) / 2
        level = float(both / plain.fine[kept].mean())
        fitting.SMOOTHED, fitting.SHARPENED = level + 0.019, level - 0.0035
        print(
            f"CUT {cut}: AT_MEAN {blocks.AT_MEAN:.3f}, AT_ALL {blocks.AT_ALL:.3f}, "
            f"WHITE {level:.4f}"
        )
        for fitting.SURE in (0.15, 0.25):
            for fitting.ROUGH in (0.0, 0.03, 0.1):
                print(f"  SURE {fitting.SURE} ROUGH {fitting.ROUGH}: {hits(many)}")
    blocks.CUT = 2.5
    changed = {
        "white": (),
        "blur 0.4": (noise.Scintillator(0.4),),
        "blur 0.45": (noise.Scintillator(0.45),),
        "sharpened 0.7": (noise.Sharpen(1.0, 0.7),),
    }
    for name, after in changed.items():
        seen = [correlation(scan) for _, _, scan in (scans(*after) if after else many)]
        low, middle, high = np.nanquantile(seen, [0.02, 0.5, 0.98])
        print(f"correlation, {name}: {low:.4f} {middle:.4f} {high:.4f}")


def hits(many: list[tuple[float, float, Scan]]) -> str:
    """Count fits within 20 % of the dose and 30 % of the read-out noise."""
    dose, read = [], []
    for electrons, noise_of_it, scan in many:
        try:
            found = noise.fit(scan)
        except noise.NoiseError:
            continue
        true = electrons * scan.normalisation.hi / 255
        if found.electrons is not None:
            dose.append(abs(found.electrons.value / true - 1) < 0.2)
        if found.read_out is not None:
            read.append(abs(found.read_out.value / noise_of_it - 1) < 0.3)
    return f"dose {sum(dose)} of {len(dose)}, read-out {sum(read)} of {len(read)}"


if __name__ == "__main__":
    main()
