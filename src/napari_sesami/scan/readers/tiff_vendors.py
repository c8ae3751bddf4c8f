"""Pixel sizes in TIFF files: every vendor hides them elsewhere.

XResolution is for printers. Only ImageJ, with a unit of its own, means it.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_sesami.scan.facts import Facts
from napari_sesami.scan.readers.jeol import jeol
from napari_sesami.scan.units import parse_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FEI_TAGS = (34680, 34682, 34683)  # SFEG, Helios, Titan
MONITOR = 1024  # pixels in a row that Zeiss' "Pixel Size" is meant for


def facts_of_tiff(tif: Any, series: Any, number: int) -> Facts:
    """Collect what a TIFF file says about one of its series.

    Parameters
    ----------
    tif, series
        Of tifffile.
    number
        Position of the series in the file.
    """
    page = series.keyframe
    width = int(page.imagewidth)
    if tif.is_ome:
        return ome(tif.ome_metadata, number)
    if tif.is_imagej:
        return imagej(tif.imagej_metadata or {}, page)
    if any(code in page.tags for code in FEI_TAGS):
        facts = fei(_raw_tags(tif, page), width, int(page.imagelength))
        facts.modality = facts.modality or ("TEM" if 34683 in page.tags else "SEM")
        return facts
    if 34118 in page.tags:
        return zeiss(page.tags.valueof(34118) or {}, width)
    if tif.is_tvips:
        return tvips(tif.tvips_metadata or {})
    if 65003 in page.tags or 65009 in page.tags:
        return gatan({code: page.tags.valueof(code) for code in range(65003, 65013)})
    if 33560 in page.tags:
        return sis(page.tags.valueof(33560))
    if str(page.tags.valueof(271) or "").startswith("JEOL"):
        return jeol(page)
    return Facts()


def ome(xml: str, number: int) -> Facts:
    """OME-XML: PhysicalSize and unit per axis (µm if the unit is left out)."""
    root = parsed_xml(xml or "")
    if root is None:
        note = "The OME-XML of this file is damaged; what it says of sizes is unknown."
        return Facts(metadata={"vendor": "OME"}, notes=[note])
    images = _elements(root, "Image")
    image = images[min(number, len(images) - 1)] if images else None
    pixels = _elements(image, "Pixels") if image is not None else []
    if image is None or not pixels:
        return Facts()
    facts = Facts(metadata={"vendor": "OME", "image_name": image.get("Name", "")})
    said = pixels[0].attrib
    for axis in "XYZ":
        if f"PhysicalSize{axis}" in said:
            unit = said.get(f"PhysicalSize{axis}Unit", "µm")
            facts.sizes[axis.lower()] = (said[f"PhysicalSize{axis}"], unit)
    if "TimeIncrement" in said:
        unit = said.get("TimeIncrementUnit", "s")
        facts.sizes["t"] = (said["TimeIncrement"], unit)
    return facts


def imagej(said: Mapping[str, Any], page: Any) -> Facts:
    """ImageJ: pixels per unit in XResolution, the unit in the description."""
    facts = Facts(metadata={"vendor": "ImageJ"})
    unit = parse_unit(said.get("unit"))
    if unit is None or unit == "inch":  # inches come from a printer's resolution
        return facts
    for axis, name in (("x", "XResolution"), ("y", "YResolution")):
        count, per = page.tags.valueof(name) or (0, 1)
        other = said.get(f"{axis}unit", unit)
        if count:
            facts.sizes[axis] = (per / count, other)
    if "spacing" in said:
        facts.sizes["z"] = (said["spacing"], said.get("zunit", unit))
    if "finterval" in said:
        facts.sizes["t"] = (said["finterval"], said.get("tunit", "s"))
    return facts


def fei(texts: list[str], width: int, height: int) -> Facts:
    """FEI and Thermo Fisher: an INI text, in newer files XML, sometimes both."""
    facts = Facts(metadata={"vendor": "FEI"})
    for text in texts:
        start = text.find("<?xml")
        start = text.find("<") if start < 0 and text.lstrip()[:1] == "<" else start
        if start >= 0:
            facts = facts.or_else(_fei_xml(text[start:]))
        if "[" in text[: start if start >= 0 else None]:
            facts = facts.or_else(_fei_ini(_ini(text), width, height))
    return facts


def _fei_ini(said: dict[str, dict[str, str]], width: int, height: int) -> Facts:
    """Scan's pixel size in metres, else the beam's field of view over the width."""
    facts = Facts(metadata={"fei": said})
    scan = said.get("Scan", {})
    beam = said.get(said.get("Beam", {}).get("Beam", "EBeam"), {})
    if said.get("Detectors", {}).get("Name", "").lower().startswith("nav"):
        facts.modality = "optical"  # the navigation camera; its field is not scanned
        beam = {}
    if "PixelWidth" in scan:
        x = scan["PixelWidth"]
        facts.set_xy(x, scan.get("PixelHeight", x), "m")
    elif _number(beam.get("HFW")) > 0:
        size = _number(beam["HFW"]) / width
        facts.set_xy(size, size, "m")
    rows = _number(said.get("Image", {}).get("ResolutionY"))
    bar = _number(said.get("PrivateFei", {}).get("DatabarHeight"))
    if 0 < rows <= height:
        facts.bar_top = int(rows)
    elif 0 < bar < height:
        facts.bar_top = height - int(bar)
    return facts


def _fei_xml(text: str) -> Facts:
    """PixelSize with X and Y, as elements or as a "memento" of keys and values."""
    root = parsed_xml(text[: text.rindex(">") + 1])
    facts = Facts(metadata={"fei_xml": True})
    if root is None:
        return facts
    for element in root.iter():
        if _local(element) in ("PixelSize", "PixelsSize"):
            x, y = (_child(element, axis) for axis in "XY")
            if x is not None and x.text:
                return facts.set_xy(
                    x.text, y.text if y is not None else x.text, x.get("unit", "m")
                )
        name = _child(element, "Name")
        if name is not None and name.text == "PixelSize":
            said = dict(_memento(element))
            if "Width" in said:
                size = said["Width"]
                return facts.set_xy(size, said.get("Height", size), "m")
    return facts


def _memento(section: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """Names and values in a section of Thermo's XML of keys and values."""
    for element in section.iter():
        name, value = _child(element, "Name"), _child(element, "anyType")
        if name is not None and value is not None and name.text and value.text:
            yield name.text, value.text.strip()


def zeiss(said: Mapping[str, Any], width: int) -> Facts:
    """Zeiss: the image's pixel, else the monitor's brought to the image's width."""
    facts = Facts(modality="SEM", metadata={"vendor": "Zeiss"})
    facts.metadata["zeiss"] = {k: v for k, v in said.items() if k}
    image, monitor = said.get("ap_image_pixel_size"), said.get("ap_pixel_size")
    if image is not None and len(image) >= 3:
        return facts.set_xy(image[1], image[1], image[2])
    if monitor is not None and len(monitor) >= 3:
        size = float(monitor[1]) * MONITOR / width
        return facts.set_xy(size, size, monitor[2])
    return facts


def tvips(said: Mapping[str, Any]) -> Facts:
    """TVIPS: nanometres."""
    facts = Facts(modality="TEM", metadata={"vendor": "TVIPS"})
    return facts.set_xy(said.get("PixelSizeX"), said.get("PixelSizeY"), "nm")


def gatan(said: Mapping[int, Any]) -> Facts:
    """TIFF saved by DigitalMicrograph: private tags for unit and size."""
    facts = Facts(modality="TEM", metadata={"vendor": "Gatan"})
    for step, axis in enumerate("xyz"):
        size, unit = said.get(65009 + step), said.get(65003 + step)
        if size is None or unit is None:
            continue
        facts.sizes[axis] = (size, unit)
    return facts


def sis(said: Any) -> Facts:
    """Read the tag of Olympus Soft Imaging: metres, on the pages that carry it."""
    facts = Facts(metadata={"vendor": "Olympus SIS"})
    if not isinstance(said, dict) or "pixelsizex" not in said:
        return facts
    x = said["pixelsizex"]
    return facts.set_xy(x, said.get("pixelsizey", x), "m")


def _raw_tags(tif: Any, page: Any) -> list[str]:
    """Texts of the FEI tags; tifffile's own parser knows the INI kind alone."""
    texts = []
    for code in FEI_TAGS:
        tag = page.tags.get(code)
        if tag is not None:
            tif.filehandle.seek(tag.valueoffset)
            raw = tif.filehandle.read(tag.valuebytecount)
            wide = raw[:200].count(0) > 20
            encoding = "utf-16-le" if wide else "utf-8"
            texts.append(raw.decode(encoding, errors="replace").strip("\0\ufeff \r\n"))
    return texts


def _ini(text: str) -> dict[str, dict[str, str]]:
    """Read sections of key=value lines, forgiving what configparser would not."""
    said: dict[str, dict[str, str]] = {}
    section = said.setdefault("", {})
    for line in text.splitlines():
        line = line.strip()
        if re.fullmatch(r"\[[^\]]+\]", line):
            section = said.setdefault(line[1:-1], {})
        elif "=" in line:
            key, value = line.split("=", 1)
            section[key.strip()] = value.strip()
    return said


def _number(text: Any) -> float:
    """Read a number; "notafloat" and nothing are 0."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return 0.0
    return value if math.isfinite(value) else 0.0


def parsed_xml(text: str) -> ElementTree.Element | None:
    """Parse XML; what is damaged, or a bomb that expat stops, says nothing."""
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return None


def _local(element: ElementTree.Element) -> str:
    """Name of an element without its namespace."""
    return element.tag.rsplit("}", 1)[-1]


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    """First child of this name in any namespace."""
    return next((child for child in element if _local(child) == name), None)


def _elements(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """All elements of this name in any namespace."""
    return [element for element in root.iter() if _local(element) == name]
