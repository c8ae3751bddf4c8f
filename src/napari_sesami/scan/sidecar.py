"""Text files that Hitachi and JEOL microscopes write beside their images."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

from napari_sesami.scan.facts import Facts

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 1_000_000  # a longer text is something else
_JEOL_LENGTH = re.compile(r"\s*([\d.,]+(?:[eE][+-]?\d+)?)\s*([a-zA-Zµμ]+)\s*$")


def read_sidecar(image: Path, shape: tuple[int, int]) -> Facts | None:
    """Read the .txt of the same name as an image, None if there is none to be used.

    Parameters
    ----------
    image
        Path of the image.
    shape
        Height and width of the image in the file, data bar included.
    """
    path = _beside(image)
    if path is None:
        return None
    text = _decode(path.read_bytes())
    if "$$SM_" in text or "$CM_" in text:
        return _jeol(text, shape)
    if "[semimagefile]" in text.lower() or "[temimagefile]" in text.lower():
        return _hitachi(text, shape)
    return None


def _beside(image: Path) -> Path | None:
    """Find the text file next to an image; the case of its extension varies."""
    for extension in (".txt", ".TXT", ".Txt"):
        path = image.with_suffix(extension)
        if path.is_file() and 0 < path.stat().st_size <= MOST_BYTES:
            return path
    return None


def _decode(raw: bytes) -> str:
    """Decode ASCII, UTF-8, UTF-16 with or without its mark, or Latin text."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    zeros = raw[:200].count(0)
    if zeros > 20:
        first_is_zero = raw[0] == 0
        order = "utf-16-be" if first_is_zero else "utf-16-le"
        return raw.decode(order, errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _hitachi(text: str, shape: tuple[int, int]) -> Facts:
    """Read Hitachi's INI file: PixelSize in nm, DataSize as 1280x960."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text[text.index("[") :])
    names = {name.lower(): name for name in parser.sections()}
    is_tem = "semimagefile" not in names
    section = parser[names["temimagefile" if is_tem else "semimagefile"]]
    facts = Facts(modality="TEM" if is_tem else "SEM")
    facts.metadata = {"vendor": "Hitachi", "hitachi": dict(section)}
    size = section.get("pixelsize", "")
    full = re.match(r"\s*(\d+)\s*[xX*,]\s*(\d+)", section.get("datasize", ""))
    scanned = (int(full[2]), int(full[1])) if full else None
    return _calibrate(facts, size, "nm", scanned, shape)


def _jeol(text: str, shape: tuple[int, int]) -> Facts:
    """Read JEOL's list: the micron bar is so many pixels and stands for so much."""
    pairs = (line.split(None, 1) for line in text.splitlines() if line.startswith("$"))
    said = {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
    facts = Facts(modality="SEM", metadata={"vendor": "JEOL", "jeol": said})
    length = _JEOL_LENGTH.match(said.get("$$SM_MICRON_MARKER", ""))
    try:
        pixels = float(said.get("$$SM_MICRON_BAR", "0").split()[0])
    except (ValueError, IndexError):
        pixels = 0.0
    full = said.get("$CM_FULL_SIZE", "").split()
    scanned = None
    if len(full) == 2 and all(number.isdigit() for number in full):
        scanned = (int(full[1]), int(full[0]))
    if not length or not pixels > 0:
        facts.notes.append("The JEOL text file beside the image gives no micron bar.")
        return facts
    size = float(length[1].replace(",", ".")) / pixels
    return _calibrate(facts, size, length[2], scanned, shape)


def _calibrate(
    facts: Facts,
    size: float | str,
    unit: str,
    scanned: tuple[int, int] | None,
    shape: tuple[int, int],
) -> Facts:
    """Use the size if the image still has the width that the microscope scanned."""
    if scanned is not None and scanned[1] != shape[1]:
        facts.notes.append(
            f"The text file beside the image speaks of {scanned[1]} pixels in a row, "
            f"the image has {shape[1]}; it was scaled, so its pixel size is unknown."
        )
        return facts
    if scanned is not None and scanned[0] < shape[0]:
        facts.bar_top = scanned[0]
    return facts.set_xy(size, size, unit)
