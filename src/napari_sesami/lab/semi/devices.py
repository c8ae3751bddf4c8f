"""Two devices of copper interconnects: B differs in sizes, looks and noise from A."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_sesami.lab.scenes import tem
from napari_sesami.train import IGNORE, Picture

LEVELS = 65535
PIXEL_NM = 1.5
DEFECT = "void"
CLASSES = {1: "low-k", 2: "nitride", 3: "tantalum", 4: "copper", 5: "cobalt", 6: DEFECT}


@dataclass(frozen=True)
class Device:
    """What the pictures of a device have in common.

    Attributes
    ----------
    name
        For tables.
    sizes
        Lowest and highest of each dimension in nm.
    noise
        Strength: 1 is an ordinary picture, 2 a bad one.
    gamma, gain
        Of the detector's curve.
    first
        Seed of its first picture: devices and parts never share one.
    """

    name: str
    sizes: dict[str, tuple[float, float]]
    noise: float = 1.0
    gamma: float = 1.0
    gain: float = 1.0
    first: int = 0


_A = {
    "pitch": (46.0, 54.0), "line_width": (20.0, 24.0), "line_height": (48.0, 58.0),
    "growth": (1.0, 1.15), "taper": (0.12, 0.18), "via_chance": (0.2, 0.3),
    "void_chance": (0.3, 0.4),
}  # fmt: skip
_B = {
    "pitch": (66.0, 80.0), "line_width": (28.0, 38.0), "line_height": (62.0, 75.0),
    "growth": (1.35, 1.6), "taper": (0.24, 0.3), "via_chance": (0.35, 0.5),
    "void_chance": (0.3, 0.4),
}  # fmt: skip
A = Device("A", _A)
NOISY_A = Device("A noisy", _A, noise=2.2, first=1_000_000)
B = Device("B", _B, noise=1.6, gamma=0.8, gain=0.85, first=2_000_000)


def picture(device: Device, number: int, side: int = 192) -> Picture:
    """Draw one picture of a device, with its truth."""
    rng = np.random.default_rng([device.first, number, 19])
    sizes: dict[str, Any] = {k: float(rng.uniform(*v)) for k, v in device.sizes.items()}
    made = tem(
        "beol", device.first + number, (side, side), PIXEL_NM, device.noise,
        view="cut", contrast="haadf", **sizes,
    )  # fmt: skip
    grey = device.gain * (made.image / 255) ** device.gamma
    labels = made.labels.copy()
    if made.ignore is not None:
        labels[made.ignore] = IGNORE
    low, high = np.percentile(grey, (0.1, 99.9))  # as a scan is normalised
    grey = np.clip((grey - low) / max(high - low, 1e-6), 0, 1)
    return Picture(
        np.rint(grey * LEVELS).astype(np.uint16), labels, np.zeros(labels.shape, int),
        f"{device.name} {number}", 0, PIXEL_NM, "nm",
    )  # fmt: skip


def pictures(device: Device, first: int, count: int, side: int = 192) -> list[Picture]:
    """Draw some pictures of a device; `first` keeps parts apart."""
    return [picture(device, first + i, side) for i in range(count)]
