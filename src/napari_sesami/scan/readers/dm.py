"""Gatan DM3 and DM4: images with the size and unit of every axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import BROKEN_FILE, ScanError
from napari_sesami.scan.lazy import name_axes, raw_array, unique_names
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.readers.dm_tags import read_tags
from napari_sesami.scan.scan import Scan
from napari_sesami.scan.units import clean_axes, parse_unit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DTYPES = {
    1: "i2",
    2: "f4",
    3: "c8",
    6: "u1",
    7: "i4",
    8: "u1",
    9: "i1",
    10: "u2",
    11: "u4",
    12: "f8",
    13: "c16",
    14: "u1",  # a mask: one byte per pixel, 0 or 1
    23: "u1",
    39: "i8",
    40: "u8",
}
"""Gatan's numbers for types of pixels."""

COLOUR = (8, 23)
"""Four bytes per pixel: blue, green, red, nothing."""


@dataclass(frozen=True)
class _DmImage:
    """One entry of the file's ImageList. `shape`, `said` and `origin` go z, y, x."""

    key: str
    data_type: int
    order: str
    shape: tuple[int, ...]
    said: tuple[tuple[Any, Any], ...]
    origin: tuple[float, ...]
    offset: int
    metadata: Mapping[str, Any]

    @property
    def axes(self) -> tuple[str, ...]:
        names = name_axes([parse_unit(unit) for _, unit in self.said])
        return (*names, "c") if self.colour else names

    @property
    def colour(self) -> bool:
        return self.data_type in COLOUR

    @property
    def trouble(self) -> str | None:
        """Why this entry is no image to segment, or None."""
        units = [parse_unit(unit) for _, unit in self.said]
        if len(self.shape) < 2 or "eV" in units[-2:] or "keV" in units[-2:]:
            return "is a spectrum, not an image"
        if self.data_type not in DTYPES:
            return f"has the Gatan data type {self.data_type}, which is not supported"
        return None


def sniff(path: Path, head: bytes) -> bool:
    """Recognise version 3 or 4 and a byte order of 0 or 1."""
    version = int.from_bytes(head[:4], "big")
    if len(head) < 16 or version not in (3, 4):
        return False
    order = head[8:12] if version == 3 else head[12:16]
    return int.from_bytes(order, "big") in (0, 1)


def list_images(path: Path) -> list[ImageInfo]:
    """List images; the thumbnail and spectra are left out."""
    return [_info(image) for image in _usable(path)]


def _info(image: _DmImage) -> ImageInfo:
    shape = (*image.shape, 3) if image.colour else image.shape
    dtype = np.dtype(DTYPES[image.data_type])
    name = "float" + str(dtype.itemsize * 4) if dtype.kind == "c" else dtype.name
    return ImageInfo(image.key, image.key, shape, name)


def read(path: Path, key: str) -> Scan:
    """Open one image; its pixels are read plane by plane when they are asked for."""
    images = {image.key: image for image in _usable(path)}
    image = images[key]
    sizes, units, notes = clean_axes(image.axes[: len(image.shape)], image.said)
    metadata = dict(image.metadata)
    data, note = _pixels(path, image)
    metadata["notes"] = (*notes, *note)
    # Gatan's origin is the pixel that lies at zero
    origin = tuple(
        0.0 - at * (size or 0.0) for at, size in zip(image.origin, sizes, strict=True)
    )
    extra = (None,) if image.colour else ()
    return Scan(
        data=data,
        axes=image.axes,
        pixel_size=(*sizes, *extra),
        units=(*units, *extra),
        origin=(*origin, 0.0) if image.colour else origin,
        modality="STEM" if "DigiScan" in metadata else "TEM",
        name=path.stem if len(images) == 1 else f"{path.stem} {key}",
        path=path,
        image_key=key,
        metadata=metadata,
    )


def _pixels(path: Path, image: _DmImage) -> tuple[Any, list[str]]:
    """Lazy pixels, colour in the order red, green, blue, complex ones as modulus."""
    shape = (*image.shape, 4) if image.colour else image.shape
    dtype = image.order + DTYPES[image.data_type]
    data = raw_array(path, dtype, shape, image.offset)
    if image.colour:
        return data[..., 2::-1], []
    if data.dtype.kind == "c":
        return abs(data), ["The image is complex; its modulus is shown."]
    return data, []


def _usable(path: Path) -> list[_DmImage]:
    """Entries that are images, or a sentence why there is none."""
    found = _images(path)
    usable = [image for image in found if not image.trouble]
    if usable:
        return usable
    if not found:
        raise ScanError(f"{path.name} is a Gatan file without any image in it.")
    raise ScanError(
        f"{path.name} holds no image that can be opened: its entry "
        f"{found[0].key!r} {found[0].trouble}. Export an image from DigitalMicrograph."
    )


def _images(path: Path) -> list[_DmImage]:
    """Parse the tags; the thumbnail comes first in the list and is dropped."""
    tags, order = _tags(path)
    listed = [k.split(".")[1] for k in tags if k.startswith("ImageList.")]
    numbers = sorted({int(n) for n in listed if n.isdigit()})
    entries = [
        {k.removeprefix(f"ImageList.{n}."): v for k, v in tags.items() if _of(k, n)}
        for n in numbers
    ]
    entries = [entry for entry in entries if "ImageData.Data.offset" in entry]
    if len(entries) > 1 and int(entries[0].get("ImageData.DataType", 0)) == 23:
        entries = entries[1:]
    names = unique_names([str(e.get("Name", "")) or "image" for e in entries])
    return [_image(n, entry, order) for n, entry in zip(names, entries, strict=True)]


def _of(tag: str, number: int) -> bool:
    return tag.startswith(f"ImageList.{number}.")


def _image(key: str, tags: Mapping[str, Any], order: str) -> _DmImage:
    dims = _numbered(tags, "ImageData.Dimensions.")
    steps = range(len(dims), 0, -1)  # Gatan counts x first
    cal = "ImageData.Calibrations.Dimension"
    return _DmImage(
        key=key,
        data_type=int(tags["ImageData.DataType"]),
        order=order,
        shape=tuple(int(tags[d]) for d in reversed(dims)),
        said=tuple(_said(tags, f"{cal}.{i}") for i in steps),
        origin=tuple(float(tags.get(f"{cal}.{i}.Origin", 0.0)) for i in steps),
        offset=int(tags["ImageData.Data.offset"]),
        metadata=_metadata(tags),
    )


def _said(tags: Mapping[str, Any], where: str) -> tuple[Any, Any]:
    """Scale and unit of an axis; DigitalMicrograph writes 1 and "" if uncalibrated."""
    unit = tags.get(f"{where}.Units") or None
    scale = tags.get(f"{where}.Scale")
    return (None, None) if scale is None or unit is None else (float(scale), unit)


def _numbered(tags: Mapping[str, Any], prefix: str) -> list[str]:
    return [f"{prefix}{i}" for i in range(1, 9) if f"{prefix}{i}" in tags]


def _metadata(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what a person may ask for: the microscope and how the image was taken."""
    kept: dict[str, Any] = {}
    for key, value in tags.items():
        group, _, name = key.removeprefix("ImageTags.").partition(".")
        if group in ("Microscope Info", "DigiScan", "Acquisition") and "." not in name:
            kept.setdefault(group, {})[name] = value
    return kept


def _tags(path: Path) -> tuple[dict[str, Any], str]:
    """Read all tags, or say what is wrong with them."""
    with path.open("rb") as file:
        if not sniff(path, file.read(16)):
            raise ScanError(
                f"{path.name} is not a Gatan file of version 3 or 4, as its name says."
            )
    try:
        return read_tags(path)
    except BROKEN_FILE as error:
        raise ScanError(
            f"{path.name} starts as a Gatan file but its tags cannot be read "
            f"({error}); it is cut off or damaged, copy it again."
        ) from error


READER = Reader(
    name="Gatan DM3/DM4",
    extensions=(".dm3", ".dm4"),
    sniff=sniff,
    list_images=list_images,
    read=read,
)
