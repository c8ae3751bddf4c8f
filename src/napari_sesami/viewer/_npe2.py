"""What the manifest offers to napari: readers, writers and sample data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.viewer._layers import colormap_of, image_options
from napari_sesami.viewer._spatial import KEPT_CLASSES, scan_kwargs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sesami.scan import Scan

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
    """Load a sample as an image layer and a hidden layer with the exact labels."""
    from napari_sesami.synth import load_sample

    given = load_sample(key)
    classes = [(spec.name, spec.color) for spec in given.classes]
    image = image_tuple(given.scan, **{KEPT_CLASSES: classes})
    truth = {
        "name": f"{given.scan.name} truth",
        "visible": False,
        "colormap": colormap_of({c.id: c.color for c in given.classes}),
        **scan_kwargs(given.scan),
    }
    return [image, (given.labels, truth, "labels")]

