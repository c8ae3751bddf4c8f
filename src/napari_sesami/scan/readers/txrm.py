"""Zeiss (Xradia) X-ray microscope: .txrm projections, .txm reconstructions, .xrm.

The files are compound documents with one stream per image. Where each stream lies is
worked out once, so that a slice is read without parsing the document again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import BROKEN_FILE, ScanError
from napari_sesami.scan.lazy import plane_array
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.scan import Scan
from napari_sesami.scan.units import clean_axes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
DTYPES = {3: "<u1", 5: "<u2", 10: "<f4"}
PER_STORAGE = 100
"""ImageData1 holds Image1 … Image100, ImageData2 Image101 … Image200, and so on."""


@dataclass(frozen=True)
class _Stack:
    """What the document says about its images. `runs`: (offset, bytes) per image."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    runs: tuple[tuple[tuple[int, int], ...], ...]
    pixel_size: float | None
    angles: tuple[float, ...]
    metadata: dict[str, Any]


def sniff(path: Path, head: bytes) -> bool:
    """Recognise a compound document by its first bytes and XRM by its ending."""
    return head[:8] == MAGIC and path.suffix.lower() in READER.extensions


def list_images(path: Path) -> list[ImageInfo]:
    """A file holds one stack, or one image."""
    stack = _stack(path)
    count = len(stack.runs)
    shape = (count, *stack.shape) if count > 1 else stack.shape
    return [ImageInfo("0", path.stem, shape, stack.dtype.name)]


def read(path: Path, key: str) -> Scan:
    """Open the stack in the order and orientation in which the file stores it."""
    stack = _stack(path)
    count = len(stack.runs)
    volume = path.suffix.lower() == ".txm"
    said = (stack.pixel_size, "µm") if stack.pixel_size else (None, None)
    read_plane = partial(_plane, path, stack.runs, stack.shape, stack.dtype)
    data = plane_array(read_plane, count, stack.shape, stack.dtype)
    lead = () if count == 1 else ("z",) if volume else ("angle",)
    first = () if count == 1 else (said if volume else (None, None),)
    axes = (*lead, "y", "x")
    sizes, units, notes = clean_axes(axes, (*first, said, said))
    return Scan(
        data=data if count > 1 else data[0],
        axes=axes,
        pixel_size=sizes,
        units=units,
        modality="XRM",
        name=path.stem,
        path=path,
        image_key=key,
        metadata={**stack.metadata, "angles": stack.angles, "notes": tuple(notes)},
    )


def _plane(
    path: Path,
    runs: tuple[tuple[tuple[int, int], ...], ...],
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    index: int,
) -> NDArray[Any]:
    with path.open("rb") as file:
        parts = []
        for offset, length in runs[index]:
            file.seek(offset)
            parts.append(file.read(length))
    return np.frombuffer(b"".join(parts), dtype).reshape(shape).copy()


def _stack(path: Path) -> _Stack:
    """Read the small streams and locate the large ones."""
    import olefile

    if not olefile.isOleFile(str(path)):
        raise ScanError(
            f"{path.name} is not a Zeiss X-ray microscope file, as its name says: it "
            f"is no compound document."
        )
    with olefile.OleFileIO(str(path)) as ole:
        if ole.exists("EncryptedPackage"):
            raise ScanError(
                f"{path.name} is protected with a password; save it without one."
            )
        return _parse(path, ole)


def _parse(path: Path, ole: Any) -> _Stack:
    width = _number(ole, "ImageInfo/ImageWidth", "<i4")
    height = _number(ole, "ImageInfo/ImageHeight", "<i4")
    if not width or not height or width < 0 or height < 0:
        raise ScanError(
            f"{path.name} does not say how large its images are "
            f"(ImageInfo/ImageWidth); it is damaged or no X-ray microscope file."
        )
    number = _number(ole, "ImageInfo/DataType", "<i4")
    if number not in DTYPES:
        raise ScanError(
            f"{path.name} holds pixels of the Zeiss type {number}; 8-bit, 16-bit and "
            f"float ones can be read. Export it as one of these."
        )
    dtype = np.dtype(DTYPES[int(number)])
    size = _number(ole, "ImageInfo/PixelSize", "<f4")
    need = int(width) * int(height) * dtype.itemsize
    return _Stack(
        shape=(int(height), int(width)),
        dtype=dtype,
        runs=_all_runs(path, ole, need),
        pixel_size=float(size) if size else None,
        angles=tuple(float(a) for a in _numbers(ole, "ImageInfo/Angles", "<f4")),
        metadata=_metadata(ole),
    )


def _all_runs(
    path: Path, ole: Any, need: int
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Locate every image; those promised and missing are named."""
    promised = _number(ole, "ImageInfo/NoOfImages", "<i4") or 0
    taken = _number(ole, "ImageInfo/ImagesTaken", "<i4") or promised
    count = int(min(promised, taken) or promised)
    fat = np.asarray(ole.fat, dtype=np.int64)
    breaks = np.flatnonzero(fat != np.arange(1, len(fat) + 1))
    length = path.stat().st_size
    found = []
    for n in range(1, count + 1):
        name = f"ImageData{(n - 1) // PER_STORAGE + 1}/Image{n}"
        if not ole.exists(name) or ole.get_size(name) < need:
            break
        runs = _runs(ole, fat, breaks, name, need)
        if any(offset + size > length for offset, size in runs):
            break
        found.append(runs)
    if not found or len(found) < count:
        raise ScanError(
            f"{path.name} promises {count} images and {len(found)} are whole; the scan "
            f"was stopped or the file is cut off. Copy it again or export the images."
        )
    return tuple(found)


def _runs(
    ole: Any, fat: NDArray[Any], breaks: NDArray[Any], name: str, need: int
) -> tuple[tuple[int, int], ...]:
    """Follow a stream's chain of sectors in jumps over neighbouring ones."""
    entry = ole.direntries[ole._find(name)]
    if entry.size < ole.minisectorcutoff:
        return _mini_runs(ole, fat, entry.isectStart, need)
    sector, left, runs = entry.isectStart, need, []
    while left > 0:
        end = int(breaks[np.searchsorted(breaks, sector)])
        size = min(left, (end - sector + 1) * ole.sectorsize)
        runs.append(((sector + 1) * ole.sectorsize, int(size)))
        left -= size
        sector = int(fat[end])
        if left > 0 and not 0 <= sector < len(fat):
            raise EOFError(f"the stream {name} breaks off")
    return tuple(runs)


def _mini_runs(
    ole: Any, fat: NDArray[Any], sector: int, need: int
) -> tuple[tuple[int, int], ...]:
    """Tiny images lie in small sectors inside the root's stream."""
    ole.loadminifat()
    small, big = ole.minisectorsize, ole.sectorsize
    root = [ole.root.isectStart]
    while 0 <= fat[root[-1]] < len(fat):
        root.append(int(fat[root[-1]]))
    runs = []
    while need > 0:
        place = sector * small
        offset = (root[place // big] + 1) * big + place % big
        runs.append((offset, min(small, need)))
        need -= small
        sector = int(ole.minifat[sector])
    return tuple(runs)


def _number(ole: Any, name: str, dtype: str) -> float | None:
    values = _numbers(ole, name, dtype)
    return values[0].item() if len(values) else None


def _numbers(ole: Any, name: str, dtype: str) -> NDArray[Any]:
    if not ole.exists(name):
        return np.empty(0, dtype)
    raw = ole.openstream(name).read()
    return np.frombuffer(raw[: len(raw) // 4 * 4], dtype)


def _metadata(ole: Any) -> dict[str, Any]:
    """Keep the few settings that people ask for."""
    names = {
        "Energy": "<f4",
        "Voltage": "<f4",
        "Current": "<f4",
        "OpticalMagnification": "<f4",
        "ExpTimes": "<f4",
    }
    found = {name: _number(ole, f"ImageInfo/{name}", d) for name, d in names.items()}
    kept: dict[str, Any] = {name: v for name, v in found.items() if v}
    for name in ("ObjectiveName", "Date"):
        if ole.exists(f"ImageInfo/{name}"):
            raw = ole.openstream(f"ImageInfo/{name}").read()
            kept[name] = raw.split(b"\0")[0].decode("latin-1")
    return kept


READER = Reader(
    name="Zeiss XRM (txrm, txm, xrm)",
    extensions=(".txrm", ".txm", ".xrm"),
    sniff=sniff,
    list_images=list_images,
    read=read,
    failures=(*BROKEN_FILE, RuntimeError),
)
