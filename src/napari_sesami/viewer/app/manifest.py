"""What the manifest offers to napari: readers, writers and sample data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.layers.session_layers import colormap_of, image_options
from napari_sesami.viewer.layers.spatial import (
    KEPT_CLASSES,
    SPATIAL,
    scan_kwargs,
    scan_of_layer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sesami.scan import SampleData, Scan

    LayerTuple = tuple[Any, dict[str, Any], str]


def napari_get_reader(
    path: str | Sequence[str],
) -> Callable[[str | Sequence[str]], list[LayerTuple]] | None:
    """Say whether we read a path; several paths at once are left to others."""
    if not isinstance(path, str | Path):
        return None
    return read


def read(path: str | Sequence[str]) -> list[LayerTuple]:
    """Open a scan for napari, with its scale; a `ScanError` is one plain sentence."""
    from napari_sesami.scan import open_scan

    paths = [path] if isinstance(path, str | Path) else list(path)
    layers = []
    for each in paths:
        scan = open_scan(each)
        layers.append(image_tuple(scan))
        _mention_other_images(scan)
    return layers


def image_tuple(scan: Scan, **metadata: Any) -> LayerTuple:
    """Give a scan as layer data."""
    data, options = image_options(scan, **metadata)
    return data, options, "image"


def _mention_other_images(scan: Scan) -> None:
    images = scan.metadata.get("images", ())
    if len(images) > 1:
        from napari.utils.notifications import show_info

        show_info(
            f"{scan.path.name if scan.path else scan.name} holds {len(images)} images; "
            "this is the first. The Sesami panel lets you choose another one."
        )


def sample_tem() -> list[LayerTuple]:
    """TEM cross-section of transistors, with its truth hidden under it."""
    return sample("tem")


def sample_sem() -> list[LayerTuple]:
    """SEM defect at two magnifications."""
    return sample("sem_pair")


def sample_xrm() -> list[LayerTuple]:
    """XRM volume of stacked memory."""
    return sample("xrm")


def sample_aoi() -> list[LayerTuple]:
    """Colour image of wire bonds."""
    return sample("aoi")


def sample(key: str) -> list[LayerTuple]:
    """Load a sample as an image layer and a hidden layer with the exact labels.

    Companions, such as the same place at high magnification, come hidden, too.
    """
    from napari_sesami.scan import load_sample

    given = load_sample(key)
    layers = _with_truth(given)
    for companion in given.companions:
        image, truth = _with_truth(companion)
        image[1]["visible"] = False
        layers += [image, truth]
    return layers


def _with_truth(given: SampleData) -> list[LayerTuple]:
    classes = {KEPT_CLASSES: tuple(given.classes)}
    options = {
        "name": f"{given.scan.name} truth",
        "visible": False,
        "metadata": classes,
        "colormap": colormap_of({c.id: c.color for c in given.classes}),
        **scan_kwargs(given.scan),
    }
    return [image_tuple(given.scan, **classes), (given.labels, options, "labels")]


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write labels as OME-TIFF or OME-Zarr, with scale, units and classes."""
    from napari_sesami.scan import save_labels

    save_labels(data, path, like=_grid_of(data, meta), classes=_classes_of(meta))
    return [path]


def write_map(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a grey image or map as OME-TIFF or OME-Zarr, with scale and units."""
    from napari_sesami.scan import save_map

    scan = _grid_of(data, meta)
    if scan.is_rgb:
        raise ViewerError(
            f"{scan.name} is a colour image; maps have one number per pixel. Save it "
            "with napari's own TIFF or PNG writer."
        )
    save_map(scan.data, path, like=scan)
    return [path]


def write_coco(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write labels as COCO JSON, one mask per class and plane."""
    from napari_sesami.scan import save_coco

    save_coco(np.asarray(data), path, _classes_of(meta))
    return [path]


def _grid_of(data: Any, meta: dict[str, Any]) -> Scan:
    """Read where the pixels of a layer lie from what napari says about it."""
    from napari.layers import Image

    known = {name: meta[name] for name in (*SPATIAL, "name", "rgb") if name in meta}
    return scan_of_layer(Image(data, metadata={}, **known))


def _classes_of(meta: dict[str, Any]) -> Sequence[Any]:
    return tuple(meta.get("metadata", {}).get(KEPT_CLASSES, ()))
