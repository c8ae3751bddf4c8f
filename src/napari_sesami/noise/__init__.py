"""What microscopes, sample preparation and programs do to an image, in physical units.

Every effect is a frozen dataclass; calling it with a batch of images and a
`torch.Generator` gives a `Noised`: the image, how far pixels moved, what to ignore,
and the numbers used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

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
    from napari_sesami.noise.dice import Dice
    from napari_sesami.noise.fitting import fit
    from napari_sesami.noise.instruments import (
        INSTRUMENTS,
        StrongSets,
        instrument_of,
        strong_sets,
    )
    from napari_sesami.noise.noise_fit import FittedNoise, NoiseFit, Spread
    from napari_sesami.noise.noise_set import Augmented, NoiseSet, SetPart
    from napari_sesami.noise.optical import ColourCast, Glare, Shadow
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
    from napari_sesami.noise.recipes import GROUPS, random_chain
    from napari_sesami.noise.sample import (
        Contamination,
        Curtaining,
        Deformation,
        ThicknessWedge,
    )
    from napari_sesami.noise.specks import Specks
    from napari_sesami.noise.streaks import Streaks
    from napari_sesami.noise.tomograph import Tomograph
    from napari_sesami.noise.xrm import (
        BeamHardening,
        CountingNoise,
        Rings,
        SourceDrift,
        blur_gain,
    )

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "base": [
            "Chain",
            "Effect",
            "Group",
            "NoiseError",
            "Noised",
            "displace_labels",
            "warp",
        ],
        "detector": [
            "CompoundPoisson",
            "DarkCurrent",
            "Gain",
            "HotPixels",
            "ReadOut",
            "Scintillator",
            "ShotNoise",
        ],
        "dice": ["Dice"],
        "fitting": ["fit"],
        "noise_fit": ["FittedNoise", "NoiseFit", "Spread"],
        "noise_set": ["Augmented", "NoiseSet", "SetPart"],
        "optical": ["ColourCast", "Glare", "Shadow"],
        "optics": [
            "Background",
            "Blur",
            "Charging",
            "Drift",
            "EdgeBloom",
            "LineBanding",
            "ScanJitter",
        ],
        "post": [
            "Compression",
            "Contrast",
            "DataBar",
            "Gamma",
            "Quantise",
            "ScaleBar",
            "Sharpen",
        ],
        "recipes": ["GROUPS", "random_chain"],
        "sample": ["Contamination", "Curtaining", "Deformation", "ThicknessWedge"],
        "specks": ["Specks"],
        "streaks": ["Streaks"],
        "instruments": [
            "INSTRUMENTS",
            "StrongSets",
            "instrument_of",
            "strong_sets",
        ],
        "tomograph": ["Tomograph"],
        "xrm": ["BeamHardening", "CountingNoise", "Rings", "SourceDrift", "blur_gain"],
    },
)
