"""Where a layer lies: the seven attributes that every derived layer must share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan import LENGTHS, Scan
from napari_sesami.viewer.app.errors import ViewerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer

KEPT_SCAN = "sesami_scan"
"""Under this key of a layer's metadata our readers leave the Scan itself."""
KEPT_CLASSES = "sesami_classes"
"""Under this key layers carry their classes: things with id, name and color."""

SPATIAL = (
    "scale",
    "translate",
    "rotate",
    "shear",
    "affine",
    "units",
    "axis_labels",
)
"""Copying less than all seven makes layers drift apart or lose the scale bar's unit."""


def spatial_kwargs(layer: Layer) -> dict[str, Any]:
    """Everything a derived layer must copy so that it lies on its source.

    napari keeps no channel axis in these attributes, so a colour image gives what
    its label layers need.
    """
    return {name: getattr(layer, name) for name in SPATIAL}


def label_shape(scan: Scan) -> tuple[int, ...]:
    """Shape of a layer of labels on a scan: no channel axis."""
    return scan.shape[:-1] if scan.is_rgb else scan.shape


def plane_index(leading: Sequence[int], plane: int) -> tuple[int, ...]:
    """Index of a plane along the axes before y and x; () if there are none."""
    found = np.unravel_index(plane, tuple(leading)) if len(leading) else ()
    return tuple(int(i) for i in found)


def copy_spatial(source: Layer, target: Layer) -> None:
    """Move an existing layer onto another one."""
    for name, value in spatial_kwargs(source).items():
        setattr(target, name, value)


def scan_kwargs(scan: Scan) -> dict[str, Any]:
    """Where a scan lies, as keyword arguments of ``viewer.add_image``.

    All lengths come in the unit of x, so that a volume is drawn in proportion. An
    unknown size shows as one pixel per pixel; the Scan keeps it unknown.
    """
    count = len(scan.axes) - scan.is_rgb
    places = [_place(scan, axis, scan.units[count - 1]) for axis in range(count)]
    scale, translate, units = zip(*places, strict=True)
    return {
        "scale": scale,
        "translate": translate,
        "units": units,
        "axis_labels": scan.axes[:count],
    }


def share_unit(layers: Sequence[Layer]) -> None:
    """Write the lengths of all layers in the unit of the first one that has any.

    They stay where they are. napari 0.9 shows layers of several units in the smallest
    of them, but a place under the cursor is then wrong in the others.
    """
    common = None
    for layer in layers:
        lengths = [u.is_compatible_with("meter") for u in layer.units]
        if not any(lengths):
            continue
        common = common or layer.units[lengths.index(True)]
        factors = np.array(
            [
                float((1 * unit).to(common).magnitude) if length else 1.0
                for unit, length in zip(layer.units, lengths, strict=True)
            ]
        )
        if all(u == common for u, ok in zip(layer.units, lengths, strict=True) if ok):
            continue
        turned = layer.affine.affine_matrix.copy()
        turned[:-1, :-1] *= factors[:, None] / factors[None]
        turned[:-1, -1] *= factors
        # in one step: sliders would follow what the layer is between two of these
        with layer.events.blocker_all():
            scale, translate = np.asarray(layer.scale), np.asarray(layer.translate)
            layer.units = [
                common if length else unit
                for unit, length in zip(layer.units, lengths, strict=True)
            ]
            layer.scale = scale * factors
            layer.translate = translate * factors
            layer.affine = turned
        layer.events.units()
        layer.events.scale()


def _place(scan: Scan, axis: int, common: str | None) -> tuple[float, float, str]:
    """Scale, position of the first pixel, and unit of one axis, for napari."""
    size, unit = scan.pixel_size[axis], scan.units[axis]
    if size is None or unit is None or not _known_to_napari(unit):
        return 1.0, 0.0, "pixel"
    origin = scan.origin[axis] if scan.origin else 0.0
    if unit in LENGTHS and common in LENGTHS:
        factor = 1.0 if unit == common else LENGTHS[unit] / LENGTHS[common]
        return size * factor, origin * factor, common
    return size, origin, unit


def _known_to_napari(unit: str) -> bool:
    """Whether napari can show the unit; vendors invent some that nobody knows."""
    from tokenize import TokenError

    from pint import Unit
    from pint.errors import PintError

    try:
        Unit(unit)
    except (ValueError, TypeError, AttributeError, PintError, TokenError):
        return False
    return True


def scan_of_layer(layer: Image) -> Scan:
    """Take an image that is already in the viewer as a Scan.

    The layer's scale counts only where its unit is a real one: napari says "pixel"
    where nobody gave a size, and so the size stays unknown.
    """
    kept = layer.metadata.get(KEPT_SCAN)
    if isinstance(kept, Scan):
        return kept
    levels = list(layer.data) if layer.multiscale else [layer.data]
    if levels[0].ndim < 2:
        raise ViewerError(f"{layer.name} has one axis; a scan needs two or more.")
    known = [str(unit) != "pixel" for unit in layer.units]
    colour = (None,) if layer.rgb else ()
    sizes = [float(s) if ok else None for s, ok in zip(layer.scale, known, strict=True)]
    units = [f"{u:~}" if ok else None for u, ok in zip(layer.units, known, strict=True)]
    data = levels[0][..., :3] if layer.rgb else levels[0]
    origin = [
        float(t) if ok else 0.0 for t, ok in zip(layer.translate, known, strict=True)
    ]
    scan = Scan.from_array(
        data,
        axes=_axes(layer),
        pixel_size=(*sizes, *colour),
        units=(*units, *colour),
        name=layer.name,
    )
    return replace(scan, origin=(*origin, *((0.0,) if layer.rgb else ())))


def _axes(layer: Image) -> tuple[str, ...]:
    """Name the axes z, y, x as far as the layer has no better names before them."""
    names = ["t", "z", "y", "x"][-layer.ndim :]
    extra = [f"a{i}" for i in range(layer.ndim - len(names))]
    given = [str(label) for label in layer.axis_labels[:-2]]
    usable = all(g.isidentifier() and g not in "yxc" for g in given)
    leading = (
        given if usable and len(set(given)) == len(given) else (extra + names)[:-2]
    )
    return (*leading, "y", "x", *(("c",) if layer.rgb else ()))
