"""The small scans with truth that come with the package."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.open import open_scan

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from numpy.typing import NDArray

    from napari_sesami.scan.scan import Scan

LISTING = "samples.json"


@dataclass(frozen=True)
class ClassSpec:
    """A class of the truth: id from 1 on (0 is nothing), a name, a colour "#rrggbb"."""

    id: int
    name: str
    color: str


@dataclass(frozen=True, eq=False)
class SampleData:
    """A sample scan with its exact truth.

    Attributes
    ----------
    scan
        The picture or volume, with pixel size and units.
    labels
        Class ids on the same grid, without the colour axis; 0 is nothing.
    classes
        The classes of the labels.
    companions
        Other scans of the same place, e.g. at high magnification; their `origin`
        places them on this one.
    title
        A few words for menus.
    """

    scan: Scan
    labels: NDArray[np.uint8]
    classes: tuple[ClassSpec, ...]
    companions: tuple[SampleData, ...] = ()
    title: str = ""


def list_samples() -> tuple[str, ...]:
    """List the keys of the samples in the package."""
    return tuple(entry["key"] for entry in _listing()["samples"])


def load_sample(key: str) -> SampleData:
    """Load a sample from the package; needs no network.

    Parameters
    ----------
    key
        One of `list_samples`.
    """
    entries = {entry["key"]: entry for entry in _listing()["samples"]}
    if key not in entries:
        raise ScanError(f'There is no sample "{key}"; there are {", ".join(entries)}.')
    entry = entries[key]
    first, *others = (_load(scene, entry) for scene in entry["scenes"])
    return replace(first, companions=tuple(others))


def _home() -> Traversable:
    return resources.files("napari_sesami").joinpath("sample_data")


def _listing() -> dict[str, Any]:
    listing: dict[str, Any] = json.loads(
        _home().joinpath(LISTING).read_text(encoding="utf-8")
    )
    return listing


def _load(scene: dict[str, Any], entry: dict[str, Any]) -> SampleData:
    scan = _read(scene["image"])
    labels = _read(scene["truth"]).data
    scan = replace(
        scan,
        name=scene["name"],
        modality=scene["modality"],
        origin=tuple(scene["origin"]) + (0.0,) * scan.is_rgb,
    )
    classes = tuple(ClassSpec(**given) for given in scene["classes"])
    return SampleData(scan, np.asarray(labels, np.uint8), classes, title=entry["title"])


def _read(name: str) -> Scan:
    """Open a file of the package; from a zip it is read before the copy vanishes."""
    file = _home().joinpath(name)
    if isinstance(file, Path):
        return open_scan(file)
    with resources.as_file(file) as path:
        scan = open_scan(path)
        return replace(scan, data=np.asarray(scan.data), path=None, levels=())
