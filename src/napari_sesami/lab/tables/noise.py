"""How well fitted noise is what was drawn: `sesami evaluate noise`."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from napari_sesami import noise
from napari_sesami.lab.scenes import hbm_slice, sem_pair, tem, wire_bond
from napari_sesami.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_sesami.lab.scenes import Synthetic
    from napari_sesami.noise import NoiseFit

SCENES: dict[str, Callable[[int], Synthetic]] = {
    **{
        f"TEM {kind}": partial(tem, kind, noise=False, contrast="haadf")
        for kind in ("beol", "finfet", "gaa", "dram", "nand")
    },
    "SEM": lambda seed: sem_pair(seed=seed, noise=False).high,
    "XRM": partial(hbm_slice, shape=(512, 512), noise=False),
    "AOI": partial(wire_bond, noise=False),
}
"""Modality and family → a scene without noise."""
DOSES = ((150.0, 2.0), (600.0, 4.0), (1500.0, 6.0))
"""Electrons of a white pixel, and of the read-out noise."""


class FitRow(NamedTuple):
    """What was drawn on one scene, and what was found."""

    scene: str
    seed: int
    electrons: float
    read_out: float
    after: str
    fit: NoiseFit | None
    refusal: str

    @property
    def dose_error(self) -> float:
        """Relative error of the electrons; NaN where they were refused."""
        found = None if self.fit is None else self.fit.electrons
        return math.nan if found is None else found.value / self.electrons - 1

    @property
    def read_error(self) -> float:
        """Relative error of the read-out noise; NaN where it was refused."""
        found = None if self.fit is None else self.fit.read_out
        return math.nan if found is None else found.value / self.read_out - 1


AFTER: dict[str, tuple[noise.Effect, ...]] = {
    "": (),
    "blur 0.5 px": (noise.Scintillator(0.5),),
    "blur 0.7 px": (noise.Scintillator(0.7),),
    "JPEG 60": (noise.Compression(60),),
    "sharpened, 0.7 px": (noise.Sharpen(1.0, 0.7),),
    "sharpened, 1.5 px": (noise.Sharpen(1.0, 1.5),),
}
"""What was done after counting; dose is to be refused but for the first."""


def fit_rows(
    seeds: Iterable[int] = range(3),
    scenes: Iterable[str] = tuple(SCENES),
    after: Iterable[str] = tuple(AFTER),
) -> Iterator[FitRow]:
    """Draw known noise onto scenes, as 8-bit scans, and fit it."""
    after = tuple(after)
    for name in scenes:
        for seed in seeds:
            clean = grey_of(SCENES[name](seed))
            for electrons, read_out in DOSES:
                for what in after:
                    yield _row(name, seed, clean, electrons, read_out, what)


def grey_of(scene: Synthetic) -> np.ndarray[Any, Any]:
    """Grey values of a scene in [0, 1]."""
    image = np.asarray(scene.image, np.float32)
    image = image.mean(-1) if image.ndim == 3 else image
    return image / np.float32(255 if scene.image.dtype == np.uint8 else 65535)


def _row(
    name: str,
    seed: int,
    clean: np.ndarray[Any, Any],
    electrons: float,
    read_out: float,
    after: str,
) -> FitRow:
    chain = noise.Chain(
        (
            noise.ShotNoise(electrons),
            noise.ReadOut(read_out, electrons),
            *AFTER[after],
        )
    )
    generator = torch.Generator().manual_seed(1000 + seed)
    noisy = chain(torch.from_numpy(clean)[None, None], generator).image[0, 0].numpy()
    scan = Scan.from_array((noisy * 255).round().astype(np.uint8))
    white = scan.normalisation.hi / 255  # brightness 1 of the scan
    try:
        found, refusal = noise.fit(scan), ""
    except noise.NoiseError as error:
        found, refusal = None, str(error)
    return FitRow(name, seed, electrons * white, read_out, after, found, refusal)


def noise_report(seeds: Iterable[int] = range(3)) -> str:
    """Print the table of docs/noise.md: errors of the fit, and what was refused."""
    rows = list(fit_rows(seeds))
    lines = [
        "| scenes | scans | dose told | within 20 % | median error | read-out told "
        "| within 30 % | median error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    white = [row for row in rows if not row.after]
    for name in (*SCENES, "all"):
        own = [row for row in white if name in (row.scene, "all")]
        dose = np.array([row.dose_error for row in own])
        read = np.array([row.read_error for row in own])
        lines.append(
            f"| {name} | {len(own)} | {_told(dose, 0.2)} | {_told(read, 0.3)} |"
        )
    lines += ["", "| after counting | scans | dose refused |", "|---|---|---|"]
    for what in AFTER:
        own = [row for row in rows if row.after == what]
        refused = sum(math.isnan(row.dose_error) for row in own)
        lines.append(f"| {what or 'nothing'} | {len(own)} | {refused} |")
    return "\n".join(lines)


def _told(errors: np.ndarray[Any, Any], within: float) -> str:
    told = errors[np.isfinite(errors)]
    if not len(told):
        return "0 | – | –"
    good = int((np.abs(told) <= within).sum())
    return f"{len(told)} | {good} of {len(told)} | {100 * np.median(told):+.0f} %"
