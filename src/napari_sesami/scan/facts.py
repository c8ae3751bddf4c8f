"""From what a file says to a Scan: the steps that all image formats share."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.databar import find_data_bar
from napari_sesami.scan.normalise import sample_planes
from napari_sesami.scan.scan import Scan
from napari_sesami.scan.units import clean_axes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

WHOLE = 16_000_000  # pixels; smaller planes are compared whole, not by a sample
SIDE = 512  # of a window of a larger one


@dataclass
class Facts:
    """What a file or its sidecar says besides the pixels, not yet checked.

    `sizes` maps an axis to (value, unit); `bar_top` is the first row of the data bar,
    the image's height if the file says that there is none, None if it says nothing.
    """

    sizes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    origin: dict[str, float] = field(default_factory=dict)
    modality: str | None = None
    bar_top: int | None = None
    notes: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)

    def set_xy(self, x: Any, y: Any, unit: Any) -> Facts:
        """Note the size of a pixel along x and y."""
        self.sizes |= {"x": (x, unit), "y": (y, unit)}
        return self

    def or_else(self, other: Facts | None) -> Facts:
        """Fill what this says nothing about from another source."""
        if other is None:
            return self
        return Facts(
            other.sizes | self.sizes,
            other.origin | self.origin,
            self.modality or other.modality,
            other.bar_top if self.bar_top is None else self.bar_top,
            [*other.notes, *self.notes],
            other.metadata | self.metadata,
        )


def build_scan(
    data: Any,
    axes: tuple[str, ...],
    facts: Facts,
    *,
    path: Path,
    key: str,
    name: str = "",
    levels: tuple[Any, ...] = (),
    look_for_bar: bool = True,
) -> Scan:
    """Make a scan: clean the sizes, make grey what is grey, mask the data bar out."""
    sizes, units, notes = clean_axes(
        axes, [facts.sizes.get(a, (None, None)) for a in axes]
    )
    known = zip(axes, sizes, strict=True)
    origin = tuple(facts.origin.get(a, 0.0) if s else 0.0 for a, s in known)
    scan = Scan(
        data,
        axes,
        sizes,
        units,
        origin=origin,
        modality=facts.modality,
        name=name or path.stem,
        path=path,
        image_key=key,
        levels=levels,
        metadata={**facts.metadata, "notes": (*facts.notes, *notes)},
    )
    return _mask_bar(_as_grey(scan), facts.bar_top, look_for_bar)


def _as_grey(scan: Scan) -> Scan:
    """Drop two of three equal colours; big planes are compared by a sample."""
    if not scan.is_rgb:
        return scan
    for pixels in _some_pixels(scan):
        equal = np.array_equal(pixels[..., 0], pixels[..., 1])
        if not (equal and np.array_equal(pixels[..., 0], pixels[..., 2])):
            return replace(scan, modality=scan.modality or "optical")
    note = "Red, green and blue are equal in this file; it was opened as grey."
    return replace(
        scan,
        data=scan.data[..., 0],
        axes=scan.axes[:-1],
        pixel_size=scan.pixel_size[:-1],
        units=scan.units[:-1],
        origin=scan.origin[:-1],
        levels=tuple(level[..., 0] for level in scan.levels),
        metadata={**scan.metadata, "notes": (*scan.metadata["notes"], note)},
    )


def _some_pixels(scan: Scan) -> Iterator[NDArray[Any]]:
    """Give whole planes, or of big ones windows that are spread over them."""
    height, width = scan.plane_shape
    for index in sample_planes(scan.n_planes, 4):
        if height * width <= WHOLE:
            yield scan.plane(index)
            continue
        for fy, fx in itertools.product(np.linspace(0, 1, 5), repeat=2):
            y, x = round(fy * max(0, height - SIDE)), round(fx * max(0, width - SIDE))
            yield scan.window(index, (y, x, y + SIDE, x + SIDE))


def _mask_bar(scan: Scan, top: int | None, look: bool) -> Scan:
    """Mask the data bar: where the file says, or where the image shows one."""
    height, width = scan.plane_shape
    if top is None and look and not scan.is_rgb:
        top = find_data_bar(scan.plane(0)) if scan.n_planes else None
        if top is not None and scan.n_planes > 1:
            top = top if find_data_bar(scan.plane(scan.n_planes - 1)) == top else None
    if top is None or not 0 < top < height:
        return scan
    ignore = np.zeros((height, width), dtype=bool)
    ignore[top:] = True
    note = (
        f"Rows {top} to {height - 1} are a data bar; they are left out of statistics."
    )
    notes = (*scan.metadata["notes"], note)
    return replace(scan, ignore=ignore, metadata={**scan.metadata, "notes": notes})
