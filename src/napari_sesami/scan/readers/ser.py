"""TIA .ser and .emi (FEI Tecnai, Titan, Talos): own parser of the series layout.

ncempy.io.ser reads the same files, but takes every calibration for metres, stops at
series without position tags, and its import runs the whole of ncempy.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.lazy import plane_array
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.scan import Scan
from napari_sesami.scan.units import LENGTHS, clean_axes, parse_unit

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = b"II\x97\x01"
OLD, NEW = 0x0210, 0x0220
SPECTRA, IMAGES = 0x4120, 0x4122
DTYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8", "c8", "c16")
LAST_METRE = 1.0
"""No microscope has pixels of a metre; larger steps are 1/m, of a diffraction."""


@dataclass(frozen=True)
class _Element:
    """One image of a series: where its pixels lie and its calibration (y, x)."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    offset: int
    step: tuple[float, float]
    start: tuple[float, float]


@dataclass(frozen=True)
class _SerAxis:
    """How the elements of a series are laid out along one direction."""

    size: int
    step: float
    name: str
    unit: str


@dataclass(frozen=True)
class _SerSeries:
    """A .ser file. `axes` go as the file has them, the fastest first."""

    path: Path
    axes: tuple[_SerAxis, ...]
    elements: tuple[_Element, ...]

    @property
    def uniform(self) -> bool:
        """Whether the elements can be stacked."""
        return len({(e.shape, e.dtype) for e in self.elements}) == 1


def sniff(path: Path, head: bytes) -> bool:
    """Recognise the byte order and the series number of TIA."""
    return head[:4] == MAGIC


def list_images(path: Path) -> list[ImageInfo]:
    """List series; an .emi lists those of the .ser files that belong to it."""
    found = _found(path)
    single = len(found) == 1
    return [
        ImageInfo(key, path.stem if single else key, shape, _shown(dtype).name)
        for key, (_, shape, dtype) in found.items()
    ]


def _shown(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What becomes of complex pixels: their modulus."""
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def read(path: Path, key: str) -> Scan:
    """Open a series of images as a stack, a single one as an image."""
    series, shape, _ = _found(path)[key]
    emi = _emi(path, series.path)
    axes, said, notes = _calibration(series, shape, emi.get("Mode", ""))
    sizes, units, refused = clean_axes(axes, said)
    data = _pixels(series, shape)
    if data.dtype.kind == "c":
        data = abs(data)
        notes.append("The image is complex; its modulus is shown.")
    return Scan(
        data=data,
        axes=axes,
        pixel_size=sizes,
        units=units,
        modality="STEM" if emi.get("Mode", "").startswith("STEM") else "TEM",
        name=path.stem if key == "0" else f"{path.stem} {key}",
        path=path,
        image_key=key,
        metadata={"emi": emi, "series": series.path.name, "notes": (*notes, *refused)},
    )


_Found = tuple[_SerSeries, tuple[int, ...], np.dtype[Any]]


def _found(path: Path) -> dict[str, _Found]:
    """Images by key: "0" for a plain .ser, the file's number for an .emi."""
    if path.suffix.lower() != ".emi":
        return _images(_series(path), "")
    siblings = _siblings(path)
    if not siblings:
        raise ScanError(
            f"{path.name} only describes its images; {path.stem}_1.ser with the pixels "
            f"is not beside it. Copy it there."
        )
    found: dict[str, _Found] = {}
    for sibling in siblings:
        number = sibling.stem.rpartition("_")[2]
        found |= _images(_series(sibling), number if len(siblings) > 1 else "")
    return found


def _images(series: _SerSeries, prefix: str) -> dict[str, _Found]:
    """A series of equal images is one stack; otherwise each image stands alone."""
    if series.uniform:
        first = series.elements[0]
        shape = (*_leading(series), *first.shape)
        return {prefix or "0": (series, shape, first.dtype)}
    return {
        f"{prefix}.{i}".lstrip("."): (
            _SerSeries(series.path, (), (element,)),
            element.shape,
            element.dtype,
        )
        for i, element in enumerate(series.elements)
    }


def _leading(series: _SerSeries) -> tuple[int, ...]:
    """Shape before y, x; a scan that was stopped early is a plain series."""
    sizes = tuple(axis.size for axis in reversed(series.axes))
    count = len(series.elements)
    if count == 1:
        return ()
    return sizes if int(np.prod(sizes)) == count else (count,)


def _siblings(path: Path) -> list[Path]:
    """Find the .ser files of an .emi: the same name and a number."""
    pattern = re.compile(re.escape(path.stem) + r"_(\d+)\.ser", re.IGNORECASE)
    here = [(pattern.fullmatch(p.name), p) for p in path.parent.iterdir()]
    return [p for _, p in sorted((int(m[1]), p) for m, p in here if m)]


def _calibration(
    series: _SerSeries, shape: tuple[int, ...], mode: str
) -> tuple[tuple[str, ...], list[tuple[Any, Any]], list[str]]:
    """Axes, what the file says of their pixels, and notes on what was made of it."""
    element, lead = series.elements[0], len(shape) - 2
    axes, said = _series_axes(series, lead)
    notes: list[str] = []
    unit = (
        "1/m"
        if _diffraction(mode) or max(map(abs, element.step)) >= LAST_METRE
        else "m"
    )
    if unit == "1/m":
        notes.append("This is a diffraction pattern: its pixels are reciprocal.")
    for name, step in zip(("y", "x"), element.step, strict=True):
        axes.append(name)
        if step == 1.0 and unit == "1/m" and not _diffraction(mode):
            said.append((None, None))  # TIA leaves 1 where nothing is calibrated
            continue
        if step < 0:
            notes.append(
                f"The file gives a negative pixel size along {name}; its amount is "
                f"used and the image is not flipped."
            )
        said.append((abs(step), unit))
    if said[-2:] == [(None, None)] * 2:
        notes.clear()
    return tuple(axes), said, notes


def _series_axes(
    series: _SerSeries, lead: int
) -> tuple[list[str], list[tuple[Any, Any]]]:
    """Name the axes before y, x: time, or the places where the beam stood."""
    if lead == 2:
        rows, columns = series.axes[1], series.axes[0]
        return ["scan_y", "scan_x"], [(abs(a.step), a.unit) for a in (rows, columns)]
    axis = series.axes[0] if series.axes else None
    if lead == 0 or axis is None:
        return [], []
    if axis.unit in ("s", "ms") or axis.name.lower() == "time":
        return ["t"], [(axis.step, axis.unit or "s")]
    # places along a line: the step from one image to the next
    along = parse_unit(axis.unit) in LENGTHS and axis.step != 0
    return ["t"], [(abs(axis.step), axis.unit) if along else (None, None)]


def _diffraction(mode: str) -> bool:
    """Whether a TEM was in diffraction; in STEM the projector always is."""
    return "diffraction" in mode.lower() and "stem" not in mode.lower()


def _pixels(series: _SerSeries, shape: tuple[int, ...]) -> Any:
    """Lazy pixels; TIA stores the bottom row first."""
    read = partial(_plane, series.path, series.elements)
    first = series.elements[0]
    stack = plane_array(read, len(series.elements), first.shape, first.dtype)
    if len(shape) < 4:
        return stack[0] if len(shape) == 2 else stack
    import dask.array as da

    # a plain reshape would merge the planes of a row into one chunk
    return da.stack([stack[r : r + shape[1]] for r in range(0, len(stack), shape[1])])


def _plane(path: Path, elements: tuple[_Element, ...], index: int) -> NDArray[Any]:
    element = elements[index]
    count = element.shape[0] * element.shape[1]
    with path.open("rb") as file:
        file.seek(element.offset)
        raw = file.read(count * element.dtype.itemsize)
    pixels = np.frombuffer(raw, element.dtype, count).reshape(element.shape)
    return np.array(pixels[::-1])


def _series(path: Path) -> _SerSeries:
    """Parse the header, the dimensions and each image's own header."""
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise ScanError(
                f"{path.name} is not a TIA series, as its name says; it does not start "
                f"as one."
            )
        return _parse(path, file)


def _parse(path: Path, file: Any) -> _SerSeries:
    (version,) = _unpack(file, "<H")
    if version not in (OLD, NEW):
        raise ScanError(
            f"{path.name} is a TIA series of version {version:#06x}; {OLD:#06x} and "
            f"{NEW:#06x} can be read. Save it again from TIA."
        )
    place = "i" if version == OLD else "q"
    kind, _tags, _planned, valid = _unpack(file, "<4i")
    (table,) = _unpack(file, f"<{place}")
    (n_dims,) = _unpack(file, "<i")
    if kind == SPECTRA:
        raise ScanError(
            f"{path.name} holds spectra (or a line profile), not images; open the "
            f"image that was saved with it."
        )
    if kind != IMAGES or valid < 1 or not 0 <= n_dims < 8:
        raise ScanError(f"{path.name} holds no image: the series was never recorded.")
    axes = tuple(_axis(file) for _ in range(n_dims))
    size = path.stat().st_size
    if valid * struct.calcsize(f"<{place}") > size or not 0 <= table <= size:
        raise ScanError(
            f"{path.name} is cut off: it promises {valid} images, more than a file of "
            f"{size} bytes can list; copy it again from the microscope."
        )
    file.seek(table)
    offsets = _unpack(file, f"<{valid}{place}")
    return _SerSeries(path, axes, tuple(_element(path, file, o, size) for o in offsets))


def _axis(file: Any) -> _SerAxis:
    size, _, step, _ = _unpack(file, "<i2di")
    name, unit = _text(file), _text(file)
    return _SerAxis(size, step, name, unit)


def _text(file: Any) -> str:
    (length,) = _unpack(file, "<i")
    return bytes(file.read(max(length, 0))).decode("latin-1").strip("\0 ")


def _element(path: Path, file: Any, offset: int, size: int) -> _Element:
    """Parse the header in front of an image's pixels."""
    file.seek(offset)
    x0, dx, _, y0, dy, _, number, nx, ny = _unpack(file, "<2di2dih2i")
    if not 1 <= number <= len(DTYPES):
        raise ScanError(f"{path.name} holds pixels of the unknown TIA type {number}.")
    dtype = np.dtype(DTYPES[number - 1])
    start = offset + struct.calcsize("<2di2dih2i")
    if nx < 1 or ny < 1 or start + nx * ny * dtype.itemsize > size:
        raise ScanError(
            f"{path.name} is cut off: an image of {ny} × {nx} pixels should follow at "
            f"byte {start} of {size}; copy it again from the microscope."
        )
    return _Element((ny, nx), dtype, start, (dy, dx), (y0, x0))


def _unpack(file: Any, layout: str) -> tuple[Any, ...]:
    size = struct.calcsize(layout)
    raw = file.read(size)
    if len(raw) < size:
        raise ScanError(f"{file.name} is cut off in the middle of its header.")
    return struct.unpack(layout, raw)


def _emi(path: Path, series: Path) -> dict[str, str]:
    """Read the instrument's settings from the XML inside the .emi beside the series."""
    here = series.with_name(series.stem.rpartition("_")[0] + ".emi")
    emi = path if path.suffix.lower() == ".emi" else here
    if not emi.is_file():
        return {}
    raw = emi.read_bytes()
    start, end = raw.find(b"<ObjectInfo>"), raw.find(b"</ObjectInfo>")
    text = raw[start:end].decode("utf-8", errors="replace") if 0 <= start < end else ""
    entry = r"<Label>([^<]*)</Label><Value>([^<]*)</Value><Unit>([^<]*)</Unit>"
    return {
        label.strip(): f"{value.strip()} {unit.strip()}".strip()
        for label, value, unit in re.findall(entry, text)
        if label.strip() != "User"
    }


READER = Reader(
    name="TIA SER/EMI",
    extensions=(".ser", ".emi"),
    sniff=sniff,
    list_images=list_images,
    read=read,
)
