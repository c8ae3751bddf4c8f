"""Procedural scans with exact truth, seeded and in physical units.

Sample data, benchmarks and the training of the bundled model draw from here.
Noise comes from `napari_sesami.noise`; torch is loaded with the first scene.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sesami.lab.scenes.types import SemPair, SynthError, Synthetic

if TYPE_CHECKING:
    from napari_sesami.lab.scenes.cross_sections.section import TEM_KINDS, tem
    from napari_sesami.lab.scenes.defect_pairs.pair import DEFECTS, sem_pair
    from napari_sesami.lab.scenes.families import FAMILIES
    from napari_sesami.lab.scenes.samples import make_samples
    from napari_sesami.lab.scenes.volumes.stack import hbm, hbm_slabs, hbm_slice
    from napari_sesami.lab.scenes.wire_bonds.scan import wire_bond

__all__ = [
    "DEFECTS",
    "FAMILIES",
    "TEM_KINDS",
    "SemPair",
    "SynthError",
    "Synthetic",
    "hbm",
    "hbm_slabs",
    "hbm_slice",
    "make_samples",
    "sem_pair",
    "tem",
    "wire_bond",
]

_HOMES = {
    "DEFECTS": "defect_pairs.pair",
    "FAMILIES": "families",
    "TEM_KINDS": "cross_sections.section",
    "hbm": "volumes.stack",
    "hbm_slabs": "volumes.stack",
    "hbm_slice": "volumes.stack",
    "make_samples": "samples",
    "sem_pair": "defect_pairs.pair",
    "tem": "cross_sections.section",
    "wire_bond": "wire_bonds.scan",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the room itself loads at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
