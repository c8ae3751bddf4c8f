"""Truth of volumes and bond pictures, number by number, and values beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.lab.scenes import SynthError

if TYPE_CHECKING:
    from napari_sesami.lab.scenes import Synthetic, TruthValue


def measure_truth(scene: Synthetic, kind: str, zone: str = "") -> list[TruthValue]:
    """Give what a scene was drawn with of one quantity."""
    found = [t for t in scene.truth if (t.kind, t.zone) == (kind, zone)]
    if not found:
        raise SynthError(f"{scene.name} does not tell its {kind} {zone}".rstrip() + ".")
    return found


def nearest_truth(
    truth: list[TruthValue], place: tuple[float, ...], reach: float
) -> TruthValue | None:
    """Give the one drawn nearest to a place in pixels, None beyond `reach`."""
    away = [float(np.hypot.reduce(np.subtract(t.place, place))) for t in truth]
    best = int(np.argmin(away))
    return truth[best] if away[best] <= reach else None
