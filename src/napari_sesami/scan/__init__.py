"""Scans: lazy pixels with pixel sizes and units, read from instrument files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sesami.scan._errors import ScanError
from napari_sesami.scan._normalise import Normalisation, luminance
from napari_sesami.scan._open import (
    ImageInfo,
    list_images,
    open_scan,
    readable_extensions,
)
from napari_sesami.scan._scan import Scan
from napari_sesami.scan._units import LENGTHS, parse_unit, readable

if TYPE_CHECKING:
    from napari_sesami.scan._coco import (
        CocoImage,
        CocoMask,
        load_classes,
        load_coco,
        save_classes,
        save_coco,
    )
    from napari_sesami.scan._databar import find_data_bar
    from napari_sesami.scan._samples import (
        ClassSpec,
        SampleData,
        list_samples,
        load_sample,
    )
    from napari_sesami.scan._write import save_channels, save_labels, save_map

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
    "CocoImage": "_coco",
    "CocoMask": "_coco",
    "find_data_bar": "_databar",
    "ClassSpec": "_samples",
    "SampleData": "_samples",
    "list_samples": "_samples",
    "load_sample": "_samples",
    "load_classes": "_coco",
    "load_coco": "_coco",
    "save_classes": "_coco",
    "save_coco": "_coco",
    "save_channels": "_write",
    "save_labels": "_write",
    "save_map": "_write",
}


def __getattr__(name: str) -> Any:
    """Load the writers on first use; their libraries are slow to import."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
