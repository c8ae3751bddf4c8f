"""TIFF in all its dialects: plain, BigTIFF, ImageJ, OME, and those of microscopes."""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING, Any

from napari_sesami.common.inside import OutsideError, plain_name
from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.facts import build_scan
from napari_sesami.scan.promise import check_promise
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.readers.tiff_pixels import lazy_series
from napari_sesami.scan.readers.tiff_vendors import facts_of_tiff
from napari_sesami.scan.sidecar import read_sidecar

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.scan.scan import Scan

_NAMES = {"Z": "z", "T": "t", "C": "channel", "Y": "y", "X": "x"}


def sniff(path: Path, head: bytes) -> bool:
    """Tell by byte order and version: classic or BigTIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def list_images(path: Path) -> list[ImageInfo]:
    """Name the series of pages of equal shape."""
    import tifffile

    with tifffile.TiffFile(path) as tif:
        _check_chain(path, tif)
        _check_companions(path, tif)
        return [
            ImageInfo(str(i), _name(path, tif, i), _named(s)[1], str(s.dtype))
            for i, s in enumerate(tif.series)
            if s.dtype is not None and 0 not in s.shape
        ]


def read(path: Path, key: str) -> Scan:
    """Open one series with the calibration that its vendor hid in the file."""
    import tifffile

    with tifffile.TiffFile(path) as tif:
        number = int(key)
        series = tif.series[number]
        facts = facts_of_tiff(tif, series, number)
        page = series.keyframe
        shape = (int(page.imagelength), int(page.imagewidth))
        squeeze, levels = _squeeze(series), len(series.levels)
        data = [lazy_series(tif, path, number, k, squeeze) for k in range(levels)]
        axes = series.get_axes(squeeze)
        name = _name(path, tif, number)
        check_promise(path, math.prod(series.shape) * series.dtype.itemsize)
    facts = facts.or_else(read_sidecar(path, shape))
    arranged = [_arrange(pixels, axes) for pixels in data]
    (finest, names), coarser = arranged[0], tuple(pixels for pixels, _ in arranged[1:])
    # reading a plane of a volume to look for a bar costs more than it is worth
    small = finest.ndim == 2 or facts.modality == "SEM"
    if facts.metadata.get("vendor") in ("OME", "ImageJ"):
        small = finest.ndim == 2
    return build_scan(
        finest,
        names,
        facts,
        path=path,
        key=key,
        name=name,
        levels=coarser,
        look_for_bar=small,
    )


def _squeeze(series: Any) -> bool:
    """Whether axes of length 1 may go; not so y and x of very thin images."""
    return "Y" in series.get_axes(True) and "X" in series.get_axes(True)


def _named(series: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and lengths of the axes as `read` will arrange them."""
    import numpy as np

    squeeze = _squeeze(series)
    like = np.broadcast_to(np.zeros((), series.dtype), series.get_shape(squeeze))
    pixels, names = _arrange(like, series.get_axes(squeeze))
    return names, pixels.shape


def _arrange(pixels: Any, letters: str) -> tuple[Any, tuple[str, ...]]:
    """Bring y, x and colour to the end and give the axes our names."""
    if "Y" not in letters or "X" not in letters:
        raise ScanError(f"The TIFF holds no image plane: its axes are {letters}.")
    order = [i for i, a in enumerate(letters) if a not in "YXS"]
    order += [letters.index("Y"), letters.index("X")]
    order += [i for i, a in enumerate(letters) if a == "S"]
    if order != list(range(len(letters))):
        pixels = pixels.transpose(order)
    names = _unique([letters[i] for i in order if letters[i] != "S"])
    if "S" not in letters:
        return pixels, names
    samples = pixels.shape[-1]
    if samples < 3:  # grey, perhaps with opacity
        return pixels[..., 0], names
    return pixels[..., :3], (*names, "c")


def _unique(letters: list[str]) -> tuple[str, ...]:
    """Names for tifffile's letters; the first axis it cannot name is taken as z."""
    names: list[str] = []
    for letter in letters:
        name = _NAMES.get(letter, "z")
        if name in names or (letter not in _NAMES and "Z" in letters):
            name = letter.lower()
        while name in names or name == "c":
            name += "_"
        names.append(name)
    return tuple(names)


def _name(path: Path, tif: Any, number: int) -> str:
    """Name a series: the file's name, with the series' own if there are several."""
    stem = path.stem.removesuffix(".ome")
    if len(tif.series) == 1:
        return stem
    own = tif.series[number].name
    return f"{stem} {own or number}"


def _check_companions(path: Path, tif: Any) -> None:
    """Refuse an OME-TIFF that says that its pixels lie outside of its folder."""
    if not tif.is_ome:
        return
    for name in re.findall(r'FileName="([^"]*)"', tif.ome_metadata or "")[:10_000]:
        try:
            plain_name(name)
        except OutsideError as error:
            raise ScanError(
                f"{path} says that some of its pixels lie in {name[:120]!r}, outside "
                "of its own folder, which is not followed; put the files together."
            ) from error


def _check_chain(path: Path, tif: Any) -> None:
    """Refuse a file that is cut off between its pages; it would open as a shorter one.

    The last page must say that no other follows.
    """
    if tif.is_ome or tif.is_ndpi:
        return
    place, form = tif.pages.next_page_offset, tif.tiff.offsetformat
    if place is None:
        return
    tif.filehandle.seek(place)
    raw = tif.filehandle.read(struct.calcsize(form))
    following = struct.unpack(form, raw)[0]
    if following >= tif.filehandle.size:
        raise ScanError(
            f"{path} is cut short after {len(tif.pages)} pages, though another "
            f"follows; copy it again from the instrument."
        )


READER = Reader(
    name="TIFF",
    extensions=(".tif", ".tiff", ".btf", ".tf8", ".tf2"),
    sniff=sniff,
    list_images=list_images,
    read=read,
)
