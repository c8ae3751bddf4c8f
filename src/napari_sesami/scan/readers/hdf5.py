"""HDF5 and NeXus: NXdata says what its axes are, plain HDF5 says nothing."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.check import guess_axes
from napari_sesami.scan.chunks import merged_chunks
from napari_sesami.scan.facts import Facts, build_scan
from napari_sesami.scan.lazy import plane_chunks
from napari_sesami.scan.readers.base import ImageInfo, Reader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.scan.scan import Scan

EVEN = 0.01  # how much the steps of an axis may differ to be one pixel size


def sniff(path: Path, head: bytes) -> bool:
    """Tell by signature; Velox and other EMD files are asked first."""
    return head[:8] == b"\x89HDF\r\n\x1a\n"


def list_images(path: Path) -> list[ImageInfo]:
    """List signals of NXdata first, then every other dataset that could be an image."""
    with _opened(path) as file:
        signals = [name for group in _nxdata(file) for name in _signal(group)]
        others = [name for name in _datasets(file) if name not in signals]
        others.sort(key=lambda name: -file[name].size)
        return [
            ImageInfo(name, name.lstrip("/"), file[name].shape, str(file[name].dtype))
            for name in dict.fromkeys([*signals, *others])
        ]


def read(path: Path, key: str) -> Scan:
    """Open a dataset lazily, with the axes of its NXdata group if it has one."""
    with _opened(path) as file:
        dataset = file[key]
        shape, dtype = dataset.shape, dataset.dtype
        stored = dataset.chunks
        axes = guess_axes(shape)
        facts = _facts(dataset, axes)
    pixels = H5Pixels(path, key, shape, dtype)
    y, x = axes.index("y"), axes.index("x")
    whole = plane_chunks(shape, dtype) if axes[-1] == "x" else shape
    chunks = merged_chunks(stored, shape, y, x, dtype.itemsize) if stored else whole
    data = _dask(pixels, chunks)
    if axes[-1] == "c":
        data = data[..., :3]
    name = f"{path.stem} {key.strip('/')}"
    return build_scan(
        data, axes, facts, path=path, key=key, name=name, look_for_bar=len(shape) == 2
    )


@dataclass(frozen=True)
class H5Pixels:
    """Pixels of a dataset; its file is open only while they are read."""

    path: Path
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, where: Any) -> NDArray[Any]:
        """Read a part of the pixels."""
        with _opened(self.path) as file:
            return np.asarray(file[self.key][where])


def _dask(pixels: H5Pixels, chunks: tuple[int, ...]) -> Any:
    import dask.array as da

    meta = np.empty((0,) * pixels.ndim, pixels.dtype)  # else dask would read a bit
    return da.from_array(pixels, chunks=chunks, name=False, asarray=True, meta=meta)


def _opened(path: Path) -> Any:
    """Open for reading, also on shares without locks and with any known filter."""
    import h5py

    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401  registers compressors that cameras use
    return h5py.File(path, "r", locking=False)


def _datasets(file: Any) -> list[str]:
    """Names of all datasets with two axes of numbers or more."""
    import h5py

    names: list[str] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and _is_image(item):
            names.append("/" + name)

    file.visititems(visit)
    return names


def _is_image(dataset: Any) -> bool:
    """Whether the last two axes can be a plane."""
    return (
        dataset.ndim >= 2
        and dataset.dtype.kind in "buifc"
        and 0 not in dataset.shape
        and min(dataset.shape[-2:]) > 1
    )


def _nxdata(file: Any) -> list[Any]:
    """Groups of the class NXdata, the file's own default first."""
    import h5py

    groups: list[Any] = []

    def visit(_name: str, item: Any) -> None:
        if (
            isinstance(item, h5py.Group)
            and _text(item.attrs.get("NX_class")) == "NXdata"
        ):
            groups.append(item)

    file.visititems(visit)
    default: Any = file
    while (name := _text(default.attrs.get("default"))) and name in default:
        default = default[name]
    return sorted(groups, key=lambda group: group.name != default.name)


def _signal(group: Any) -> list[str]:
    """Name of the dataset that an NXdata group is about."""
    name = _text(group.attrs.get("signal"))
    if name is None:
        marked = [k for k in group if "signal" in getattr(group.get(k), "attrs", {})]
        name = marked[0] if marked else "data"
    found = group.get(name)
    if found is None or not hasattr(found, "dtype") or not _is_image(found):
        return []
    return [found.name if found.name.startswith(group.name) else f"{group.name}/{name}"]


def _facts(dataset: Any, axes: tuple[str, ...]) -> Facts:
    """Pixel sizes from NXdata's axes, or from the one convention of plain HDF5."""
    group = dataset.parent
    if _text(group.attrs.get("NX_class")) == "NXdata":
        return _nexus_facts(group, dataset, axes)
    sizes = np.atleast_1d(dataset.attrs.get("element_size_um", ()))  # Fiji, ilastik
    facts = Facts(metadata={"vendor": "HDF5"})
    if len(sizes) == 3 and axes[-1] == "x":
        said = zip(axes[::-1], sizes[::-1], strict=False)
        facts.sizes = {axis: (float(size), "µm") for axis, size in said}
    return facts


def _nexus_facts(group: Any, dataset: Any, axes: tuple[str, ...]) -> Facts:
    """Even steps of the axes of an NXdata group are pixel sizes."""
    facts = Facts(metadata={"vendor": "NeXus"})
    said = group.attrs.get("axes", dataset.attrs.get("axes", ()))
    if isinstance(said, (str, bytes)):
        said = (_text(said) or "").replace(",", ":").strip("[]").split(":")
    names = [_text(name) for name in np.atleast_1d(said)]
    for axis, name in zip(axes, names, strict=False):
        if name in (None, ".", "") or name not in group:
            continue
        scale = group[name]
        step, start = _even_step(np.asarray(scale[()], dtype=np.float64).ravel())
        unit = _text(scale.attrs.get("units"))
        if step is None:
            facts.notes.append(
                f"The axis {name} has no even steps; its size is unknown."
            )
        elif step != 0:
            facts.sizes[axis] = (abs(step), unit)
            facts.origin[axis] = start if step > 0 else 0.0
    return facts


def _even_step(values: NDArray[np.float64]) -> tuple[float | None, float]:
    """Step and start of evenly spaced values; the step is None if they are not so."""
    if values.size < 2 or not np.isfinite(values).all():
        return None, 0.0
    steps = np.diff(values)
    mean = float(steps.mean())
    if np.abs(steps - mean).max() > EVEN * abs(mean):
        return None, 0.0
    return mean, float(values[0])


def _text(value: Any) -> str | None:
    """Decode an attribute: str, bytes, or an array of one."""
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        value = value.flat[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


READER = Reader(
    name="HDF5",
    extensions=(".h5", ".hdf5", ".hdf", ".nxs", ".nx", ".nexus"),
    sniff=sniff,
    list_images=list_images,
    read=read,
)
