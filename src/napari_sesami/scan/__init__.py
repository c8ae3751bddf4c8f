"""Scans: lazy pixels with pixel sizes and units, read from instrument files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.scan.databar import find_data_bar
    from napari_sesami.scan.errors import ScanError
    from napari_sesami.scan.normalise import Normalisation, luminance
    from napari_sesami.scan.open import (
        ImageInfo,
        list_images,
        open_scan,
        readable_extensions,
    )
    from napari_sesami.scan.samples import (
        LISTING,
        ClassSpec,
        SampleData,
        list_samples,
        load_sample,
    )
    from napari_sesami.scan.scan import Scan
    from napari_sesami.scan.tiles import TilePlan
    from napari_sesami.scan.units import LENGTHS, parse_unit, readable
    from napari_sesami.scan.writers.coco import (
        CocoImage,
        CocoMask,
        load_classes,
        load_coco,
        save_classes,
        save_coco,
    )
    from napari_sesami.scan.writers.labels import save_channels, save_labels, save_map

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "databar": ["find_data_bar"],
        "errors": ["ScanError"],
        "normalise": ["Normalisation", "luminance"],
        "open": ["ImageInfo", "list_images", "open_scan", "readable_extensions"],
        "samples": [
            "LISTING",
            "ClassSpec",
            "SampleData",
            "list_samples",
            "load_sample",
        ],
        "scan": ["Scan"],
        "tiles": ["TilePlan"],
        "units": ["LENGTHS", "parse_unit", "readable"],
        "writers.coco": [
            "CocoImage",
            "CocoMask",
            "load_classes",
            "load_coco",
            "save_classes",
            "save_coco",
        ],
        "writers.labels": ["save_channels", "save_labels", "save_map"],
    },
)
