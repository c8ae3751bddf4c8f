"""Pixel sizes in the HDF5 of makers and programs that state them beside the pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from napari_sesami.scan.readers.h5_safe import child
from napari_sesami.scan.units import parse_unit

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class SaidSizes:
    """Who wrote a dataset, and (value, unit) of each of its axes, None if unknown."""

    vendor: str
    sizes: tuple[tuple[Any, Any] | None, ...]


def said_by_group(dataset: Any) -> SaidSizes | None:
    """Read what the group of a dataset says of its axes; None if it is none of these.

    Delmic (and SVI's layout, which it follows): ``DimensionScaleX`` … in metres beside
    ``ImageData/Image``. HyperSpy and what is saved as it does: a group ``axis-0`` … for
    each axis. TopSpin: XML with the calibration of each image, by its name.
    """
    for dialect in (_delmic, _hyperspy, _topspin):
        found = dialect(dataset)
        if found is not None:
            return found
    return None


def _delmic(dataset: Any) -> SaidSizes | None:
    group = dataset.parent
    if group.name.rpartition("/")[2] != "ImageData" or "DimensionScaleX" not in group:
        return None
    names = "CTZYX"[-dataset.ndim :]
    sizes = [_delmic_size(group, name) for name in names]
    return SaidSizes("Delmic", tuple(sizes))


def _delmic_size(group: Any, name: str) -> tuple[Any, Any] | None:
    scale = child(group, f"DimensionScale{name}")
    value = None if scale is None or scale.size != 1 else _number(scale[()])
    if value is None or name == "C":
        return None
    said = parse_unit(_text(scale.attrs.get("UNIT", scale.attrs.get("units"))))
    # the layout states seconds and metres where no unit is written
    return value, said or ("s" if name == "T" else "m")


def _hyperspy(dataset: Any) -> SaidSizes | None:
    group = dataset.parent
    axes = [child(group, f"axis-{i}") for i in range(dataset.ndim)]
    if any(axis is None or "scale" not in axis.attrs for axis in axes):
        return None
    sizes = []
    for axis in axes:
        value, unit = _number(axis.attrs["scale"]), _text(axis.attrs.get("units"))
        known = value is not None and parse_unit(unit) is not None
        sizes.append((abs(value or 0.0), unit) if known else None)
    return SaidSizes("HyperSpy", tuple(sizes))


def _topspin(dataset: Any) -> SaidSizes | None:
    if dataset.ndim != 2 or not _GUID.fullmatch(dataset.name.rpartition("/")[2]):
        return None
    told = child(dataset.parent, "Metadata")
    if told is None or told.shape != () or told.dtype.kind not in "OS":
        return None
    try:
        root = ElementTree.fromstring(_text(told[()]) or "")
    except (ElementTree.ParseError, ValueError):
        return None
    for value in root.iter("Value"):
        named = {(e.text or "").strip() for e in list(value)[:1]}
        calibration = value.find("Calibration")
        if dataset.name.rpartition("/")[2] in named and calibration is not None:
            sizes = tuple(_calibrated(calibration.find(axis)) for axis in "YX")
            return SaidSizes("TopSpin", sizes)
    return None


def _calibrated(axis: Any) -> tuple[Any, Any] | None:
    """Read the scale of an axis, if a unit is written anywhere beside it."""
    if axis is None:
        return None
    value = _number(axis.findtext("Scale"))
    unit = axis.find("Unit")
    words = [] if unit is None else [(e.text or "").strip() for e in unit.iter()]
    known = next((word for word in words if parse_unit(word) is not None), None)
    return None if value is None or known is None else (abs(value), known)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number > 0 or number < 0 else None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return None if re.fullmatch(r"\s*|<undefined>|None", text) else text
