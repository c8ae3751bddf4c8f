"""Where DICOM keeps spacing, positions and rescaling: in three places, by its age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def _functional(header: Any, name: str, frame: int | None = None) -> Any:
    """Look into the groups of enhanced multi-frame files; {} if there are none."""
    key = "SharedFunctionalGroupsSequence"
    if frame is not None:
        key = "PerFrameFunctionalGroupsSequence"
    groups = header.get(key) or []
    index = frame or 0
    inner = groups[index].get(name) if index < len(groups) else None
    return inner[0] if inner else {}


def _measures(header: Any) -> list[Any]:
    """Where a pixel's size may stand, the most telling place first."""
    name = "PixelMeasuresSequence"
    return [header, _functional(header, name), _functional(header, name, 0)]


def row_column_spacing(header: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Distance of rows (y) and of columns (x), in this order in the file."""
    for place in _measures(header):
        spacing = place.get("PixelSpacing")
        if spacing is not None and len(spacing) == 2:
            return (float(spacing[0]), "mm"), (float(spacing[1]), "mm")
    # ImagerPixelSpacing is measured on the detector, not in the specimen
    return (None, None), (None, None)


def frame_distance(header: Any) -> tuple[Any, Any]:
    """Distance of the frames of a volume: from positions, or as the file says."""
    step = even_step(
        [
            slice_place(_functional(header, "PlanePositionSequence", i), header)
            for i in (0, 1)
        ]
    )
    if step:
        return step, "mm"
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        for place in _measures(header):
            if place.get(name):
                return abs(float(place.get(name))), "mm"
    return None, None


def slice_place(position: Any, header: Any) -> float | None:
    """Where a slice lies along the direction in which slices follow each other."""
    at = position.get("ImagePositionPatient")
    plane = _functional(header, "PlaneOrientationSequence")
    turned = header.get("ImageOrientationPatient") or plane.get(
        "ImageOrientationPatient"
    )
    if at is None or len(at) != 3:
        return None
    if turned is None or len(turned) != 6:
        return float(at[2])
    rows, columns = np.asarray(turned, dtype=float).reshape(2, 3)
    return float(np.dot(np.cross(rows, columns), np.asarray(at, dtype=float)))


def even_step(places: Sequence[float | None]) -> float | None:
    """Even distance of slices, or None."""
    known = [p for p in places if p is not None]
    if len(known) < 2 or len(known) < len(places):
        return None
    steps = np.abs(np.diff(known))
    even = bool(np.allclose(steps, steps[0], rtol=1e-2)) and steps[0] > 0
    return float(np.mean(steps)) if even else None


def rescale(header: Any) -> tuple[float, float]:
    """Slope and intercept that turn stored values to what was measured."""
    shared = _functional(header, "PixelValueTransformationSequence")
    for place in (header, shared):
        if place.get("RescaleSlope") is not None:
            slope = float(place.get("RescaleSlope") or 1.0)
            return slope, float(place.get("RescaleIntercept") or 0.0)
    return 1.0, 0.0
