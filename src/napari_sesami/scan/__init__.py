"""Scans: lazy pixels with pixel sizes and units, read from instrument files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.normalise import Normalisation, luminance
from napari_sesami.scan.open import (
    ImageInfo,
    list_images,
    open_scan,
    readable_extensions,
)
from napari_sesami.scan.scan import Scan
from napari_sesami.scan.units import LENGTHS, parse_unit, readable

if TYPE_CHECKING:
    from napari_sesami.scan.databar import find_data_bar
    from napari_sesami.scan.samples import (
        ClassSpec,
        SampleData,
        list_samples,
        load_sample,
    )
    from napari_sesami.scan.writers.coco import (
        CocoImage,
        CocoMask,
        load_classes,
        load_coco,
        save_classes,
        save_coco,
    )
    from napari_sesami.scan.writers.labels import save_channels, save_labels, save_map

__all__ = [
    "LENGTHS",
    "ClassSpec",
    "CocoImage",
    "CocoMask",
    "ImageInfo",
    "Normalisation",
    "SampleData",
    "Scan",
    "ScanError",
    "find_data_bar",
    "list_images",
    "list_samples",
    "load_classes",
    "load_coco",
    "load_sample",
    "luminance",
    "open_scan",
    "parse_unit",
    "readable",
    "readable_extensions",
    "save_channels",
    "save_classes",
    "save_coco",
    "save_labels",
    "save_map",
]

_LATER = {
    "CocoImage": "writers.coco",
    "CocoMask": "writers.coco",
    "find_data_bar": "databar",
    "ClassSpec": "samples",
    "SampleData": "samples",
    "list_samples": "samples",
    "load_sample": "samples",
    "load_classes": "writers.coco",
    "load_coco": "writers.coco",
    "save_classes": "writers.coco",
    "save_coco": "writers.coco",
    "save_channels": "writers.labels",
    "save_labels": "writers.labels",
    "save_map": "writers.labels",
}


def __getattr__(name: str) -> Any:
    """Load the writers on first use; their libraries are slow to import."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
