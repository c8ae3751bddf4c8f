"""Procedural scans with exact truth, seeded and in physical units.

Sample data, benchmarks and the training of the bundled model draw from here.
Noise comes from `napari_sesami.noise`; torch is loaded with the first scene.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.lab.scenes.cross_sections.section import TEM_KINDS, tem
    from napari_sesami.lab.scenes.defect_pairs.pair import DEFECTS, sem_pair
    from napari_sesami.lab.scenes.families import FAMILIES
    from napari_sesami.lab.scenes.samples import make_samples
    from napari_sesami.lab.scenes.types import (
        SemPair,
        SynthError,
        Synthetic,
        TruthValue,
    )
    from napari_sesami.lab.scenes.volumes.stack import hbm, hbm_slabs, hbm_slice
    from napari_sesami.lab.scenes.wire_bonds.scan import wire_bond

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "cross_sections.section": ["TEM_KINDS", "tem"],
        "defect_pairs.pair": ["DEFECTS", "sem_pair"],
        "families": ["FAMILIES"],
        "samples": ["make_samples"],
        "types": ["SemPair", "SynthError", "Synthetic", "TruthValue"],
        "volumes.stack": ["hbm", "hbm_slabs", "hbm_slice"],
        "wire_bonds.scan": ["wire_bond"],
    },
)
