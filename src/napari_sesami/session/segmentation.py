"""What segmenting by retrieval gives, and how it is saved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from napari_sesami.project import ClassTable
    from napari_sesami.retrieve import Method, Overlapping
    from napari_sesami.scan import Scan


@dataclass(frozen=True)
class Segmentation:
    """Labels of the planes asked for.

    Attributes
    ----------
    planes
        Their numbers, in the order of the arrays.
    labels
        (n, y, x) uint8 class ids; 0 where the scan is masked, as on data bars.
    votes
        (n, y, x, C) float32 probabilities; channel k is class k + 1.
    novelty
        (n, y, x) float32; high where nothing like it was painted.
    multi
        (n, y, x, C) bool if classes may overlap: each class by itself.
    thresholds
        (C,) of the votes for each class, chosen by leaving out strokes, if so.
    method
        How the strokes were used.
    """

    planes: tuple[int, ...]
    labels: NDArray[np.uint8]
    votes: NDArray[np.float32]
    novelty: NDArray[np.float32]
    multi: NDArray[np.bool_] | None = None
    thresholds: NDArray[np.float64] | None = None
    method: Method = "ours"


def with_masks(found: Segmentation, masks: list[Overlapping]) -> Segmentation:
    """Let the likeliest of the overlapping classes be the label."""
    votes = np.stack([m.votes for m in masks])
    labels = (votes.argmax(-1) + 1).astype(np.uint8)
    return replace(
        found,
        labels=np.where(found.labels > 0, labels, 0).astype(np.uint8),
        votes=votes,
        multi=np.stack([m.masks for m in masks]),
        thresholds=masks[0].thresholds,
    )


def save_overlapping(
    found: Segmentation,
    scan: Scan,
    table: ClassTable,
    path: str | os.PathLike[str],
) -> Path:
    """Save classes that overlap: COCO (.json), or a channel per class (.zarr).

    A Zarr file takes all planes of the scan, or the only plane of the segmentation.
    """
    from napari_sesami.scan import CocoImage, CocoMask, save_channels, save_coco

    if found.multi is None:
        raise SessionError(
            "These classes do not overlap: segment with multi=True, or save the labels."
        )
    classes = list(table)
    if Path(path).suffix.lower() != ".json":
        shape = (*scan.leading_shape, *scan.plane_shape)
        masks = found.multi
        whole = len(masks) == scan.n_planes
        masks = masks.reshape(*shape, -1) if whole else masks[0]
        if not whole and len(found.planes) > 1:
            raise SessionError(
                f"{len(found.planes)} of {scan.n_planes} planes do not fill a "
                "Zarr file: segment all of them or one, or save as .json."
            )
        channels = np.moveaxis(masks, -1, 0)
        save_channels(channels, path, like=scan, classes=classes)
        return Path(path)
    height, width = scan.plane_shape
    images = [CocoImage(f"{scan.name} plane {p}", height, width) for p in found.planes]
    objects = [
        CocoMask(masks[..., entry.id - 1], entry.id, i)
        for i, masks in enumerate(found.multi)
        for entry in classes
        if entry.id <= masks.shape[-1] and masks[..., entry.id - 1].any()
    ]
    save_coco(objects, path, classes, images)
    return Path(path)
