"""EMD, both kinds: Thermo Velox and the Berkeley/py4DSTEM one. Lazy through HDF5."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import BROKEN_FILE, ScanError
from napari_sesami.scan.lazy import name_axes, unique_names
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.readers.h5_safe import (
    check_dataset,
    child,
    numbers,
    opened,
    opened_first,
)
from napari_sesami.scan.scan import Scan
from napari_sesami.scan.units import clean_axes, parse_unit

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BLOCK = 256 * 2**20


@dataclass(frozen=True)
class _Image:
    """One dataset of the file. Axes and what is said of them go as the scan's do."""

    name: str
    dataset: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    frame_last: bool
    axes: tuple[str, ...]
    said: tuple[tuple[Any, Any], ...]
    origin: tuple[float, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)


def sniff(path: Path, head: bytes) -> bool:
    """Recognise HDF5 by its first bytes and EMD by its ending."""
    return head[:8] == b"\x89HDF\r\n\x1a\n" and path.suffix.lower() == ".emd"


def list_images(path: Path) -> list[ImageInfo]:
    """List images in the order in which Velox shows them."""
    return [
        ImageInfo(key, image.name, image.shape, _plain(image.dtype).name)
        for key, image in _usable(path).items()
    ]


def read(path: Path, key: str) -> Scan:
    """Open one image; a frame is read when it is asked for."""
    image = _usable(path)[key]
    data, notes = _pixels(path, image)
    sizes, units, refused = clean_axes(image.axes, image.said)
    return Scan(
        data=data,
        axes=image.axes,
        pixel_size=sizes,
        units=units,
        origin=image.origin,
        modality=image.metadata.get("modality", "TEM"),
        name=f"{path.stem} {image.name}",
        path=path,
        image_key=key,
        metadata={**image.metadata, "notes": (*refused, *notes)},
    )


def _usable(path: Path) -> dict[str, _Image]:
    """Images by key, or a sentence why there is none."""
    import h5py

    with opened_first(path) as file:
        data = child(file, "Data")
        velox = isinstance(data, h5py.Group)
        images = _velox(file) if velox else _berkeley(file)
        groups = ", ".join(data if velox else file) or "nothing"
        prismatic = "4DSTEM_simulation" in file
    if not images and prismatic:
        raise ScanError(
            f"{path.name} is a simulation written by Prismatic; its images lie in an "
            "old layout that is not read: export them from Prismatic as MRC or TIFF."
        )
    if not images:
        kind = "Velox" if velox else "EMD"
        raise ScanError(
            f"{path.name} is a {kind} file without images; it holds {groups}. Spectra "
            f"cannot be segmented: export an image or an elemental map from it."
        )
    keys = unique_names([image.name for image in images])
    return dict(zip(keys, images, strict=True))


def _velox(file: Any) -> list[_Image]:
    """Images of ``Data/Image``, those that are on display first."""
    import h5py

    group = child(file, "Data/Image") or {}
    labels = _labels(file)
    order = [uuid for uuid in labels if uuid in group]
    order += [uuid for uuid in group if uuid not in labels]
    found = [(child(group, uuid), labels.get(uuid)) for uuid in order]
    return [
        _velox_image(image, label)
        for image, label in found
        if isinstance(child(image, "Data"), h5py.Dataset)
    ]


def _velox_image(group: Any, label: str | None) -> _Image:
    """Read one image's JSON; Velox keeps frames on the last axis."""
    data = check_dataset(child(group, "Data"))
    told = child(group, "Metadata")
    meta = {} if told is None else _json(check_dataset(told)[:, 0].tobytes())
    result, scan = meta.get("BinaryResult", {}), meta.get("Scan", {})
    size = result.get("PixelSize", {})
    y = (size.get("height"), result.get("PixelUnitY"))
    x = (size.get("width"), result.get("PixelUnitX"))
    time = scan.get("FrameTime") or _exposure(meta)
    frame = (time, "s") if time else (None, None)
    ny, nx, frames = data.shape
    several = frames > 1
    stem = bool(scan.get("DwellTime"))
    return _Image(
        name=label or str(result.get("Detector") or "image"),
        dataset=data.name,
        shape=(frames, ny, nx) if several else (ny, nx),
        dtype=data.dtype,
        frame_last=True,
        axes=("t", "y", "x") if several else ("y", "x"),
        said=(frame, y, x) if several else (y, x),
        metadata={**_facts(meta), "modality": "STEM" if stem else "TEM"},
    )


def _exposure(meta: dict[str, Any]) -> str | None:
    """Exposure of the camera that took the frames."""
    index = meta.get("BinaryResult", {}).get("DetectorIndex")
    detectors = meta.get("Detectors", {})
    named = detectors.get(f"Detector-{index}", {}).get("ExposureTime")
    return named or detectors.get("Detector-0", {}).get("ExposureTime")


def _facts(meta: dict[str, Any]) -> dict[str, Any]:
    """Keep instrument, optics and the like; detectors' tables are left out."""
    kept = ("Instrument", "Acquisition", "Optics", "Stage", "Scan", "BinaryResult")
    return {name: meta[name] for name in kept if meta.get(name)}


def _labels(file: Any) -> dict[str, str]:
    """Names of the images as Velox shows them, in the order a, b, c."""
    displays = child(file, "Presentation/Displays/ImageDisplay") or {}
    shown = [_json(check_dataset(child(displays, name))[0]) for name in displays]
    shown.sort(key=lambda d: str(d.get("display", {}).get("id", "")))
    return {
        str(d.get("dataPath", "")).rpartition("/")[2]: d["display"]["label"]
        for d in shown
        if d.get("display", {}).get("label")
    }


def _json(raw: Any) -> dict[str, Any]:
    """Read JSON that is padded with zeros; a damaged one tells nothing."""
    text = raw if isinstance(raw, bytes) else str(raw).encode()
    try:
        found = json.loads(text.split(b"\0")[0].decode("utf-8", errors="replace"))
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _berkeley(file: Any) -> list[_Image]:
    """Groups marked with `emd_group_type`, which hold ``data`` and ``dim1`` …."""
    import h5py

    images: list[_Image] = []

    def visit(name: str, item: Any) -> None:
        kind = item.attrs.get("emd_group_type")
        data = child(item, "data") if isinstance(item, h5py.Group) else None
        if kind is None or not isinstance(data, h5py.Dataset):
            return
        if data.ndim >= 2 and data.dtype.kind in "buifcV":
            images.append(_berkeley_image(name, item, data))

    file.visititems(visit)
    return images


def _berkeley_image(name: str, group: Any, data: Any) -> _Image:
    check_dataset(data)
    first = 0 if "dim0" in group else 1  # py4DSTEM counts from 0
    dims = [_dim(child(group, f"dim{first + i}"), n) for i, n in enumerate(data.shape)]
    return _Image(
        name=name.rpartition("/")[2].strip("_") or "image",
        dataset=data.name,
        shape=tuple(int(n) for n in data.shape),
        dtype=data.dtype,
        frame_last=False,
        axes=name_axes([unit for _, unit, _ in dims]),
        said=tuple((step, unit) for step, unit, _ in dims),
        origin=_origin(dims),
        metadata={"group": name},
    )


def _origin(dims: list[tuple[Any, Any, float]]) -> tuple[float, ...]:
    """Position of the first pixel where the unit stays as the file has it."""
    kept = (start if parse_unit(unit) == unit else 0.0 for _, unit, start in dims)
    return tuple(float(start) for start in kept)


def _dim(dim: Any, length: int) -> tuple[float | None, str | None, float]:
    """Step, unit and start of an axis; an uneven axis has no pixel size."""
    if dim is None or getattr(dim, "ndim", 0) != 1 or dim.shape[0] < 2:
        return None, None, 0.0
    unit = parse_unit(dim.attrs.get("units"))
    places = numbers(dim)
    steps = np.diff(places)
    even = np.allclose(steps, steps[0], rtol=1e-3, atol=0.0)
    if unit is None or not even or len(places) not in (2, length):
        return None, None, 0.0
    return abs(float(np.mean(steps))), unit, float(places[0])


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What the pixels become: the modulus where they are complex or vectors."""
    return np.dtype(np.float32) if dtype.kind in "cV" else dtype.newbyteorder("=")


def _pixels(path: Path, image: _Image) -> tuple[Any, list[str]]:
    """Lazy pixels; blocks follow the file's chunks: no frame is decoded twice."""
    import dask.array as da

    with opened(path) as file:
        chunks = child(file, image.dataset).chunks
    if image.frame_last:
        stored = image.shape if len(image.shape) == 3 else (1, *image.shape)
        frames = _frames(chunks[2] if chunks else 1, stored, image.dtype)
        blocks: Any = (frames, *stored[1:])
    else:
        stored = image.shape
        blocks = (*(1,) * (len(stored) - 2), *stored[-2:])
    source = _Dataset(path, image.dataset, stored, image.dtype, image.frame_last)
    data = da.from_array(source, chunks=blocks, name=False, meta=source.meta)
    notes = []
    if image.dtype.kind in "cV":
        notes = ["The image is complex or a vector field; its modulus is shown."]
    return (data[0] if len(stored) > len(image.shape) else data), notes


def _frames(chunk: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """How many frames to read at once: those of a chunk, if they fit."""
    frame = shape[1] * shape[2] * dtype.itemsize
    return max(1, min(chunk, shape[0], MAX_BLOCK // max(frame, 1)))


@dataclass(frozen=True)
class _Dataset:
    """A dataset that is opened for each read; picklable."""

    path: Path
    name: str
    shape: tuple[int, ...]
    stored: np.dtype[Any]
    frame_last: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        return _plain(self.stored)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def meta(self) -> NDArray[Any]:
        return np.empty((0,) * self.ndim, self.dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        with opened(self.path) as file:
            data = check_dataset(child(file, self.name))
            if self.frame_last:
                part = data[(*key[1:], key[0])]
                if isinstance(key[0], slice):  # dask also asks for single frames
                    part = np.moveaxis(part, -1, 0)
            else:
                part = data[key]
        return np.ascontiguousarray(_modulus(part), dtype=self.dtype)


def _modulus(part: NDArray[Any]) -> NDArray[Any]:
    if part.dtype.names:
        squares = [part[name].astype(np.float32) ** 2 for name in part.dtype.names]
        return np.sqrt(np.sum(squares, axis=0))
    return np.abs(part) if part.dtype.kind == "c" else part


READER = Reader(
    name="EMD (Velox, Berkeley)",
    extensions=(".emd",),
    sniff=sniff,
    list_images=list_images,
    read=read,
    failures=(*BROKEN_FILE, RuntimeError),
)
