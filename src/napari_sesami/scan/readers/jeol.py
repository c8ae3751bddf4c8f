"""JEOL SightX in TIFF: the size of a printed pixel, and XML with the magnification."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

from napari_sesami.scan.facts import Facts

MOST_XML = 64 * 2**20  # characters
PLANCK, MASS, LIGHT = 6.62607015e-34, 9.1093837139e-31, 299_792_458.0  # SI, CODATA
CHARGE = 1.602176634e-19
METRES = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}


def jeol(page: Any) -> Facts:
    """Read what a page says of the specimen's pixel.

    What an image of a TEM shows is the printed size over the magnification; of a
    diffraction pattern it is that over camera length and wavelength.
    """
    facts = Facts(modality="TEM", metadata={"vendor": "JEOL"})
    said = _said(str(page.tags.valueof(270) or ""))
    per = {2: 0.0254, 3: 0.01}.get(int(page.tags.valueof("ResolutionUnit") or 2))
    printed = {}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        count, over = page.tags.valueof(tag) or (0, 1)
        printed[axis] = per * over / count if per and count else 0.0
    value, mode = _positive(said.get("SelectorValue")), said.get("ModeString")
    if said.get("EosMode") != "eosTEM" or not value or not all(printed.values()):
        return facts
    if mode == "MAG":
        facts.set_xy(printed["x"] / value, printed["y"] / value, "m")
    length = METRES.get(said.get("SelectorUnitString", ""))
    volt = _positive(said.get("AccelerationVoltage"))
    if mode == "DIFF" and length and volt:
        reach = value * length * wavelength(volt) * 1e9
        facts.set_xy(printed["x"] / reach, printed["y"] / reach, "1/nm")
    return facts


def wavelength(volt: float) -> float:
    """Wavelength of an electron in metres, relativistic."""
    energy = volt * CHARGE
    momentum = 2 * MASS * energy * (1 + energy / (2 * MASS * LIGHT**2))
    return PLANCK / math.sqrt(momentum)


def _said(text: str) -> dict[str, str]:
    """Texts of the XML by the name of their element."""
    start, end = text.find("<"), text.rfind(">")
    if not 0 <= start < end or len(text) > MOST_XML:
        return {}
    clean = re.sub(r"[\x00-\x08\x0b-\x1f]", "", text[start : end + 1])
    try:
        root = ElementTree.fromstring(clean)
    except (ElementTree.ParseError, ValueError):
        return {}
    return {e.tag.rsplit("}", 1)[-1]: (e.text or "").strip() for e in root.iter()}


def _positive(text: str | None) -> float:
    """Read a number above zero; anything else is 0."""
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0
