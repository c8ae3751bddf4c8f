"""What microscopes, sample preparation and programs do to an image, in physical units.

Every effect is a frozen dataclass; calling it with a batch of images and a
`torch.Generator` gives a `Noised`: the image, how far pixels moved, what to ignore,
and the numbers used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.noise.base import (
        Chain,
        Effect,
        Group,
        Noised,
        NoiseError,
        displace_labels,
        warp,
    )
    from napari_sesami.noise.detector import (
        CompoundPoisson,
        DarkCurrent,
        Gain,
        HotPixels,
        ReadOut,
        Scintillator,
        ShotNoise,
    )
    from napari_sesami.noise.optics import (
        Background,
        Blur,
        Charging,
        Drift,
        EdgeBloom,
        LineBanding,
        ScanJitter,
    )
    from napari_sesami.noise.post import (
        Compression,
        Contrast,
        DataBar,
        Gamma,
        Quantise,
        ScaleBar,
        Sharpen,
    )
    from napari_sesami.noise.recipes import (
        GROUPS,
        random_chain,
    )
    from napari_sesami.noise.sample import (
        Contamination,
        Curtaining,
        Deformation,
        ThicknessWedge,
    )
    from napari_sesami.noise.tomograph import (
        Tomograph,
    )
    from napari_sesami.noise.xrm import (
        BeamHardening,
        CountingNoise,
        Rings,
        SourceDrift,
    )

__all__ = [
    "GROUPS",
    "Background",
    "BeamHardening",
    "Blur",
    "Chain",
    "Charging",
    "CompoundPoisson",
    "Compression",
    "Contamination",
    "Contrast",
    "CountingNoise",
    "Curtaining",
    "DarkCurrent",
    "DataBar",
    "Deformation",
    "Drift",
    "EdgeBloom",
    "Effect",
    "Gain",
    "Gamma",
    "Group",
    "HotPixels",
    "LineBanding",
    "NoiseError",
    "Noised",
    "Quantise",
    "ReadOut",
    "Rings",
    "ScaleBar",
    "ScanJitter",
    "Scintillator",
    "Sharpen",
    "ShotNoise",
    "SourceDrift",
    "ThicknessWedge",
    "Tomograph",
    "displace_labels",
    "random_chain",
    "warp",
]

_HOMES = {
    "base": "Chain Effect Group Noised NoiseError displace_labels warp",
    "detector": "CompoundPoisson DarkCurrent Gain HotPixels ReadOut Scintillator "
    "ShotNoise",
    "optics": "Background Blur Charging Drift EdgeBloom LineBanding ScanJitter",
    "post": "Compression Contrast DataBar Gamma Quantise ScaleBar Sharpen",
    "recipes": "GROUPS random_chain",
    "sample": "Contamination Curtaining Deformation ThicknessWedge",
    "tomograph": "Tomograph",
    "xrm": "BeamHardening CountingNoise Rings SourceDrift",
}
_WHERE = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the effects need torch, the room does not."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
