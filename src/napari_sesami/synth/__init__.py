"""Procedural scans with exact truth, seeded and in physical units.

Sample data, benchmarks and the training of the bundled model draw from here.
Noise comes from `napari_sesami.noise`; torch is loaded with the first scene.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sesami.synth._types import SemPair, SynthError, Synthetic

if TYPE_CHECKING:
    from napari_sesami.synth._aoi import wire_bond
    from napari_sesami.synth._families import FAMILIES
    from napari_sesami.synth._samples import make_samples
    from napari_sesami.synth._sem import DEFECTS, sem_pair
    from napari_sesami.synth._tem import TEM_KINDS, tem
    from napari_sesami.synth._xrm import hbm, hbm_slabs, hbm_slice

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
    "DEFECTS": "_sem",
    "FAMILIES": "_families",
    "TEM_KINDS": "_tem",
    "hbm": "_xrm",
    "hbm_slabs": "_xrm",
    "hbm_slice": "_xrm",
    "make_samples": "_samples",
    "sem_pair": "_sem",
    "tem": "_tem",
    "wire_bond": "_aoi",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the room itself loads at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
