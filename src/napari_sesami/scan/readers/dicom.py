"""DICOM and DICONDE: single images, multi-frame files and folders of slices."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import BROKEN_FILE, ScanError
from napari_sesami.scan.lazy import plane_array, unique_names
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.readers.dicom_geometry import (
    even_step,
    frame_distance,
    rescale,
    row_column_spacing,
    slice_place,
)
from napari_sesami.scan.scan import Scan
from napari_sesami.scan.units import clean_axes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

EXTENSIONS = (".dcm", ".dicom", ".dic", ".ima")


@dataclass(frozen=True)
class _Frame:
    """Where a plane comes from and what its stored values mean."""

    path: Path
    index: int
    slope: float
    intercept: float


@dataclass(frozen=True)
class _Series:
    """Planes that belong together, in order; `said` goes z, y, x."""

    name: str
    frames: tuple[_Frame, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    lead: str
    said: tuple[tuple[Any, Any], ...]
    metadata: dict[str, Any]

    @property
    def info(self) -> ImageInfo:
        count = len(self.frames)
        shape = (count, *self.shape) if count > 1 else self.shape
        return ImageInfo(self.name, self.name, shape, self.dtype.name)


def sniff(path: Path, head: bytes) -> bool:
    """Recognise the four letters after the preamble."""
    return head[128:132] == b"DICM"


def is_dicom(path: Path) -> bool:
    """Look into a file of any name."""
    with path.open("rb") as file:
        return sniff(path, file.read(132))


def list_images(path: Path) -> list[ImageInfo]:
    """A file is one image or one stack of frames."""
    with _lenient():
        return [_one_file(path).info]


def read(path: Path, key: str) -> Scan:
    """Open a file; frames are decoded when they are asked for."""
    with _lenient():
        return _scan(path, _one_file(path), path.stem)


def list_folder(folder: Path, files: Sequence[Path]) -> list[ImageInfo]:
    """List the series of slices among the DICOM files of a folder."""
    with _lenient():
        return [series.info for series in _folder(folder, files)]


def read_folder(folder: Path, files: Sequence[Path], key: str) -> Scan:
    """Open one series of slices as a volume, ordered by their positions."""
    with _lenient():
        series = {s.name: s for s in _folder(folder, files)}
        return _scan(folder, series[key], folder.name)


@contextmanager
def _lenient() -> Iterator[None]:
    """Take values that bend the standard, as instruments write them, without noise."""
    from pydicom.errors import BytesLengthException

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except BytesLengthException as error:
            raise ValueError(str(error)) from error


def _scan(path: Path, series: _Series, name: str) -> Scan:
    """Make the scan of a series."""
    read_frame = partial(_pixels, series.frames, series.dtype)
    data = plane_array(read_frame, len(series.frames), series.shape, series.dtype)
    single = len(series.frames) == 1
    spatial = ("y", "x") if single else (series.lead, "y", "x")
    said = series.said[1:] if single else series.said
    sizes, units, notes = clean_axes(spatial, said)
    colour = (None,) if len(series.shape) == 3 else ()
    return Scan(
        data=data[0] if single else data,
        axes=(*spatial, "c") if colour else spatial,
        pixel_size=(*sizes, *colour),
        units=(*units, *colour),
        modality="XRM" if series.metadata.get("Modality") in ("CT", "DX") else None,
        name=name,
        path=path,
        image_key=series.name,
        metadata={**series.metadata, "notes": (*series.metadata["notes"], *notes)},
    )


def _pixels(
    frames: tuple[_Frame, ...], dtype: np.dtype[Any], index: int
) -> NDArray[Any]:
    """Decode a frame and turn stored values to what they mean."""
    frame = frames[index]
    stored = _decode(frame.path, frame.index)
    if (frame.slope, frame.intercept) == (1.0, 0.0):
        return stored.astype(dtype, copy=False)
    return (stored * frame.slope + frame.intercept).astype(dtype)


def _decode(path: Path, index: int) -> NDArray[Any]:
    from pydicom.pixels import pixel_array

    with _lenient():
        try:
            return np.asarray(pixel_array(path, index=index))
        except RuntimeError as error:  # pydicom has no decoder for the compression
            why = " ".join(str(error).split())[:120]
            raise ScanError(
                f"{path.name} is compressed in a way that cannot be decoded here "
                f"({why}); save it uncompressed or install pylibjpeg."
            ) from error


def _header(path: Path) -> Any:
    """Read everything but the pixels."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    with _lenient():
        try:
            header = dcmread(path, stop_before_pixels=True)
        except InvalidDicomError as error:
            raise ScanError(
                f"{path.name} is not a DICOM file, as its name says: the letters DICM "
                f"are not where they belong."
            ) from error
    if "EncryptedAttributesSequence" in header and "Rows" not in header:
        raise ScanError(f"{path.name} is encrypted; ask its owner for an open copy.")
    if "Rows" not in header or "Columns" not in header:
        kind = header.get("Modality") or "of another kind"
        raise ScanError(f"{path.name} is a DICOM file without pixels (it is {kind}).")
    return header


def _one_file(path: Path) -> _Series:
    """Describe a file of one or many frames."""
    header = _header(path)
    count = int(header.get("NumberOfFrames") or 1)
    _check_length(path, header, count)
    slope, intercept = rescale(header)
    frames = tuple(_Frame(path, i, slope, intercept) for i in range(count))
    first = _decode(path, 0)
    timed = bool(header.get("FrameTime"))
    z = (header.get("FrameTime"), "ms") if timed else frame_distance(header)
    return _Series(
        name=path.stem,
        frames=frames,
        shape=_shape(path, first),
        dtype=_dtype(header, first.dtype, slope, intercept),
        lead="t" if timed else "z",
        said=(z, *row_column_spacing(header)),
        metadata=_metadata(header),
    )


def _shape(path: Path, first: NDArray[Any]) -> tuple[int, ...]:
    """Height, width and, for colour, three channels."""
    if first.ndim == 2 or (first.ndim == 3 and first.shape[2] == 3):
        return tuple(first.shape)
    raise ScanError(
        f"{path.name} has frames of the shape {first.shape}; only grey and RGB ones "
        f"can be read."
    )


def _check_length(path: Path, header: Any, count: int) -> None:
    """Notice a truncated file now and not when someone scrolls."""
    meta = getattr(header, "file_meta", {})
    syntax = meta.get("TransferSyntaxUID")
    if syntax is None or syntax.is_compressed or syntax.is_deflated:
        return
    bits = int(header.Rows) * int(header.Columns) * int(header.get("BitsAllocated", 8))
    need = bits * count * int(header.get("SamplesPerPixel", 1)) // 8
    if "422" in str(header.get("PhotometricInterpretation", "")):
        need = need * 2 // 3
    if path.stat().st_size < need:
        raise ScanError(
            f"{path.name} is cut off: its pixels need {need} bytes and the file has "
            f"{path.stat().st_size}; copy it again."
        )


def _dtype(
    header: Any, stored: np.dtype[Any], slope: float, intercept: float
) -> np.dtype[Any]:
    """Find the smallest type that holds the rescaled values."""
    if (slope, intercept) == (1.0, 0.0) or stored.kind == "f":
        return stored.newbyteorder("=")
    if not (slope.is_integer() and intercept.is_integer()):
        return np.dtype(np.float32)
    bits = int(header.get("BitsStored") or stored.itemsize * 8)
    signed = stored.kind == "i"
    low = -(2 ** (bits - 1)) if signed else 0
    high = 2 ** (bits - 1 if signed else bits) - 1
    ends = [int(value * slope + intercept) for value in (low, high)]
    types = [np.min_scalar_type(end) for end in (min(ends), max(ends))]
    return np.promote_types(*types)


def _metadata(header: Any) -> dict[str, Any]:
    """Keep what describes the scan and nothing about persons."""
    names = ("Modality", "Manufacturer", "ManufacturerModelName", "KVP", "ComponentID")
    kept: dict[str, Any] = {n: str(header.get(n)) for n in names if header.get(n)}
    notes = []
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        notes.append("In this image high values are meant to be shown dark.")
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        notes.append("The image is coloured by a palette; the indices are shown.")
    if row_column_spacing(header)[0][0] is None and header.get("ImagerPixelSpacing"):
        notes.append(
            "The file gives the pixel size on the detector only; the magnification is "
            "not known, so the size in the specimen is unknown."
        )
    return {**kept, "notes": notes}


def _folder(folder: Path, files: Sequence[Path]) -> list[_Series]:
    """Group slices to series; each needs slices of one shape."""
    groups: dict[tuple[Any, ...], list[tuple[Path, Any]]] = {}
    for path in sorted(files):
        header = _header(path)
        key = (str(header.get("SeriesInstanceUID")), header.Rows, header.Columns)
        groups.setdefault(key, []).append((path, header))
    if not groups:
        raise ScanError(f"{folder.name} holds no DICOM slices.")
    ordered = sorted(groups.values(), key=len, reverse=True)
    said = [str(g[0][1].get("SeriesDescription") or folder.name) for g in ordered]
    names = unique_names(said)
    return [_stacked(n, g) for n, g in zip(names, ordered, strict=True)]


def _count(header: Any) -> int:
    """Number of a slice; 0 if it has none, or one that is no number."""
    text = str(header["InstanceNumber"].value if "InstanceNumber" in header else 0)
    return int(text) if text.lstrip("-").isdigit() else 0


def _stacked(name: str, slices: list[tuple[Path, Any]]) -> _Series:
    """Order slices by where they lie, else by their number."""
    if len(slices) == 1:
        path, _ = slices[0]
        single = _one_file(path)
        return replace(single, name=name)
    placed = [(slice_place(h, h), _count(h), p, h) for p, h in slices]
    by_place = all(p[0] is not None for p in placed)
    placed.sort(key=lambda p: (p[0] if by_place else p[1], p[1], p[2].name))
    step = even_step([p[0] for p in placed]) if by_place else None
    path, header = placed[0][2:]
    z = (step, "mm") if step else frame_distance(header)
    frames = tuple(_Frame(p, 0, *rescale(h)) for *_, p, h in placed)
    first = _decode(path, 0)
    types = [_dtype(h, first.dtype, *rescale(h)) for *_, h in placed]
    metadata = _metadata(header)
    if by_place and step is None:
        metadata["notes"].append("The slices lie at uneven distances.")
    return _Series(
        name=name,
        frames=frames,
        shape=_shape(path, first),
        dtype=np.result_type(*types),
        lead="z",
        said=(
            (None, None) if by_place and step is None else z,
            *row_column_spacing(header),
        ),
        metadata=metadata,
    )


READER = Reader(
    name="DICOM",
    extensions=EXTENSIONS,
    sniff=sniff,
    list_images=list_images,
    read=read,
    failures=(*BROKEN_FILE, RuntimeError),
)
