"""VGStudio and Nikon volumes: an INI text (.vgi) beside raw pixels (.vol)."""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import BROKEN_FILE, ScanError
from napari_sesami.scan.lazy import raw_array
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.scan import Scan
from napari_sesami.scan.units import clean_axes

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {"unsigned": "u", "signed": "i", "float": "f", "integer": "i", "char": "i"}


@dataclass(frozen=True)
class _Volume:
    """What the text says of one volume; shape and sizes go z, y, x."""

    file: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    said: tuple[tuple[Any, Any], ...]


def sniff(path: Path, head: bytes) -> bool:
    """Recognise the section that names the file of pixels."""
    return path.suffix.lower() == ".vgi" and b"[file1]" in head.lower()


def list_images(path: Path) -> list[ImageInfo]:
    """A .vgi describes one volume."""
    volume = _volume(path)
    return [ImageInfo("0", path.stem, volume.shape, volume.dtype.name)]


def read(path: Path, key: str) -> Scan:
    """Open the volume; a slice is read when it is asked for."""
    volume = _volume(path)
    axes = ("z", "y", "x")
    sizes, units, notes = clean_axes(axes, volume.said)
    return Scan(
        data=raw_array(volume.file, volume.dtype, volume.shape, volume.offset),
        axes=axes,
        pixel_size=sizes,
        units=units,
        modality="XRM",
        name=path.stem,
        path=path,
        image_key=key,
        metadata={"pixels": volume.file.name, "notes": tuple(notes)},
    )


def _volume(path: Path) -> _Volume:
    """Parse the text; of several volumes in a scene the first counts."""
    text = _text(path)
    file = text["file1"]
    whole = text.get("representation", "size", fallback="")
    size = (file.get("Size", whole) or whole).split()
    if len(size) != 3 or min(int(n) for n in size) < 1:
        raise ScanError(
            f"{path.name} gives the size {' '.join(size) or 'nothing'}; three numbers "
            f"above 0 (x y z) are needed."
        )
    bits = int(file.get("BitsPerElement", "0"))
    return _Volume(
        file=_pixels(path, file.get("Name", "")),
        shape=tuple(int(n) for n in reversed(size)),
        dtype=_dtype(path, file.get("Datatype", ""), bits),
        offset=int(file.get("SkipHeader", "0")),
        said=_said(text),
    )


def _said(text: configparser.ConfigParser) -> tuple[tuple[Any, Any], ...]:
    """Voxel sizes with their unit, turned from x y z to z y x."""
    resolution = text.get("geometry", "resolution", fallback="").split()
    unit = text.get("geometry", "unit", fallback=None)
    if len(resolution) != 3 or not unit:
        return ((None, None),) * 3
    return tuple((float(size), unit.strip()) for size in reversed(resolution))


def _text(path: Path) -> configparser.ConfigParser:
    """Read the INI text of a .vgi, or of the one beside a .vol."""
    vgi = path if path.suffix.lower() == ".vgi" else _beside(path, ".vgi")
    if vgi is None:
        raise ScanError(
            f"{path.name} holds bare numbers; {path.stem}.vgi, which says how to read "
            f"them, is not beside it. Copy it there."
        )
    raw = vgi.read_bytes()
    lines = raw.decode("utf-8", errors="replace").lstrip("\ufeff").splitlines()
    # lines such as {volume1} are VGStudio's own grouping, unknown to INI
    plain = "\n".join(x.strip() for x in lines if not x.strip().startswith("{"))
    text = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=("=",)
    )
    try:
        text.read_string(plain)
    except configparser.Error:
        text.clear()
    if not text.has_section("file1"):
        raise ScanError(
            f"{vgi.name} is no VGStudio description: it has no section [file1] that "
            f"names a file of voxels."
        )
    return text


def _pixels(path: Path, name: str) -> Path:
    """Find the raw file: as named, or with the same stem; paths of old disks differ."""
    bare = name.strip().strip('"').replace("\\", "/").rpartition("/")[2]
    named = path.with_name(bare) if bare else path
    if named.is_file() and named.suffix.lower() != ".vgi":
        return named
    other = _beside(path, ".vol") or _beside(path, ".raw")
    if other is None:
        raise ScanError(
            f"{path.name} describes voxels in {bare or path.stem + '.vol'}, which is "
            f"not beside it. Copy it there."
        )
    return other


def _beside(path: Path, suffix: str) -> Path | None:
    """Find the file of the same name and another ending, whatever its case."""
    for other in (path.with_suffix(suffix), path.with_suffix(suffix.upper())):
        if other.is_file():
            return other
    return None


def _dtype(path: Path, words: str, bits: int) -> np.dtype[Any]:
    """Turn "unsigned integer", 16 to a dtype."""
    kinds = [KINDS[word] for word in words.lower().split() if word in KINDS]
    wide = (8, 16, 32, 64) if kinds and kinds[0] != "f" else (32, 64)
    if not kinds or bits not in wide:
        raise ScanError(
            f"{path.name} says that its voxels are {words or 'of no type'} of {bits} "
            f"bits; integers of 8 to 64 bits and floats of 32 or 64 can be read."
        )
    return np.dtype(f"<{kinds[0]}{bits // 8}")


READER = Reader(
    name="VGStudio vgi/vol",
    extensions=(".vgi", ".vol"),
    sniff=sniff,
    list_images=list_images,
    read=read,
    failures=(*BROKEN_FILE, configparser.Error),
)
