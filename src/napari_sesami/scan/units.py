"""Units as instruments write them, brought to the few that a scan may carry."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LENGTHS = {"pm": 1e-12, "Å": 1e-10, "nm": 1e-9, "µm": 1e-6, "mm": 1e-3, "m": 1.0}
"""Length units a scan may carry, in metres."""

ZARR_UNITS = {
    "pm": "picometer",
    "Å": "angstrom",
    "nm": "nanometer",
    "µm": "micrometer",
    "mm": "millimeter",
    "m": "meter",
    "s": "second",
    "ms": "millisecond",
}
"""How OME-Zarr spells the units (OME-XML spells them as `LENGTHS` does)."""

# Lengths that scans do not carry: the unit they become, and the factor.
_CONVERTED = {
    "fm": ("pm", 1e-3),
    "cm": ("mm", 10.0),
    "inch": ("mm", 25.4),
    "km": ("m", 1e3),
}

_SPELLINGS = {
    "pm": "pm picometer picometre picometers picometres",
    "Å": "å a ang angstrom angstroms ångström ångstrom ångströms angström",
    "nm": "nm nanometer nanometre nanometers nanometres nanom",
    "µm": "µm um micron microns micrometer micrometre micrometers micrometres mum",
    "mm": "mm millimeter millimetre millimeters millimetres",
    "m": "m meter metre meters metres",
    "fm": "fm femtometer femtometre",
    "cm": "cm centimeter centimetre centimeters centimetres",
    "inch": "inch inches in",
    "km": "km kilometer kilometre",
    "s": "s sec secs second seconds",
    "ms": "ms msec millisecond milliseconds",
    "eV": "ev electronvolt",
    "keV": "kev",
    "rad": "rad radian radians",
    "mrad": "mrad milliradian milliradians",
    "°": "° deg degree degrees",
}
_BY_SPELLING = {
    word: unit for unit, words in _SPELLINGS.items() for word in words.split()
}
_NO_UNIT = {"", "pixel", "pixels", "px", "none", "null", "undefined", "unknown", "1"}


def parse_unit(text: Any) -> str | None:
    """Bring a unit string of any vendor to a key of `LENGTHS`, "s", "1/nm", … or None.

    Unknown words are kept as they are, so that they are shown but never taken for a
    length; no unit at all, "pixel" and the like give None.
    """
    if text is None:
        return None
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="replace")
    words = _plain(str(text))
    if words.lower() in _NO_UNIT:
        return None
    reciprocal = re.fullmatch(r"(?:1?/|rec\.?)(.+)|(.+?)\^?(?:-1|⁻¹)", words)
    if reciprocal:
        base = reciprocal[1] or reciprocal[2]
        return f"1/{_one(base)}"
    return _one(words)


def _plain(text: str) -> str:
    """Undo escapes, look-alike letters, brackets, blanks and underscores."""
    text = text.replace("\\u00B5", "µ").replace("\\u00b5", "µ").replace("\\u00C5", "Å")
    text = text.replace("\u03bc", "µ").replace("\u212b", "Å").replace("A\u030a", "Å")
    text = text.replace("\x00", "").strip().strip("[]\"'")
    return re.sub(r"[\s_*]", "", text).removeprefix("(").removesuffix(")")


def _one(word: str) -> str:
    """Canonical name of a unit that is not reciprocal."""
    if word in LENGTHS:
        return word
    return _BY_SPELLING.get(word.lower(), word)


def clean_size(value: Any, unit: Any) -> tuple[float | None, str | None]:
    """Make what a file says about a pixel's size honest: finite, > 0 and with a unit.

    Returns ``(None, None)`` for everything that is not. Reciprocal and time units
    stay what they are. Sizes in metres, centimetres or inches come back in a unit
    that people read, e.g. 3.4e-9 m as 3.4 nm.
    """
    name = parse_unit(unit)
    size = _number(value)
    if name is None or size is None or not math.isfinite(size) or size <= 0:
        return None, None
    if name in _CONVERTED:
        name, factor = _CONVERTED[name]
        size *= factor
    if name == "m":
        return readable(size)
    if name == "1/m":
        size, name = size * 1e-9, "1/nm"
    return size, name


def _number(value: Any) -> float | None:
    """Read a number from whatever a file holds: "3,5", b"2.0", an array of one."""
    if isinstance(value, bytes):
        value = value.decode("ascii", errors="replace")
    if isinstance(value, str):
        value = value.strip().replace(",", ".")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def readable(metres: float) -> tuple[float, str]:
    """Express a length in the unit that leaves one to three digits before the point."""
    for unit in ("pm", "nm", "µm", "mm"):
        size = metres / LENGTHS[unit]
        if size < 999.9995:
            return float(f"{size:.12g}"), unit
    return metres, "m"


def clean_axes(
    axes: Sequence[str], said: Iterable[tuple[Any, Any]]
) -> tuple[tuple[float | None, ...], tuple[str | None, ...], list[str]]:
    """Clean ``(value, unit)`` of every axis; notes name the values refused."""
    sizes: list[float | None] = []
    units: list[str | None] = []
    notes: list[str] = []
    for axis, (value, unit) in zip(axes, said, strict=True):
        size, name = clean_size(value, unit)
        sizes.append(size)
        units.append(name)
        if size is None and value is not None:
            notes.append(
                f"The file gives the pixel size {value} {unit or '(no unit)'} along "
                f"{axis}; that is no usable length, so it is taken as unknown."
            )
    return tuple(sizes), tuple(units), notes
