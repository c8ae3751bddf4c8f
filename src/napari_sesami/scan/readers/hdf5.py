"""HDF5 and NeXus: NXdata says what its axes are, plain HDF5 says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.check import guess_axes
from napari_sesami.scan.chunks import merged_chunks
from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.facts import Facts, build_scan
from napari_sesami.scan.lazy import plane_chunks
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.readers.h5_dialects import said_by_group
from napari_sesami.scan.readers.h5_safe import (
    DEEPEST,
    check_dataset,
    child,
    links_out,
    numbers,
    opened,
    opened_first,
)

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
    with opened_first(path) as file:
        signals = [name for group in _nxdata(file) for name in _signal(group)]
        others = [name for name in _datasets(file) if name not in signals]
        others.sort(key=lambda name: -file[name].size)
        found = [
            ImageInfo(name, name.lstrip("/"), file[name].shape, str(file[name].dtype))
            for name in dict.fromkeys([*signals, *others])
        ]
        outside = [] if found else links_out(file)
    if outside:
        raise ScanError(
            f"{path} only points to other files ({outside[0][:120]}), which are not "
            "followed; open the file that holds the pixels itself."
        )
    return found


def read(path: Path, key: str) -> Scan:
    """Open a dataset lazily, with the axes of its NXdata group if it has one."""
    with opened(path) as file:
        dataset = child(file, key)
        if dataset is None:
            raise ScanError(f"{path} has no dataset {key}.")
        check_dataset(dataset)
        shape, dtype = dataset.shape, dataset.dtype
        stored = dataset.chunks
        axes = _axes(dataset)
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
        with opened(self.path) as file:
            dataset = child(file, self.key)
            if dataset is None or dataset.shape != self.shape:
                raise ScanError(f"{self.path} has changed; open it again.")
            return np.asarray(check_dataset(dataset)[where])


def _dask(pixels: H5Pixels, chunks: tuple[int, ...]) -> Any:
    import dask.array as da

    meta = np.empty((0,) * pixels.ndim, pixels.dtype)  # else dask would read a bit
    return da.from_array(pixels, chunks=chunks, name=False, asarray=True, meta=meta)


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
    for _ in range(DEEPEST):
        name = _text(default.attrs.get("default"))
        found = child(default, name) if name else None
        if not isinstance(found, h5py.Group):
            break
        default = found
    return sorted(groups, key=lambda group: group.name != default.name)


def _signal(group: Any) -> list[str]:
    """Name of the dataset that an NXdata group is about."""
    name = _text(group.attrs.get("signal"))
    if name is None:
        marked = [k for k in group if "signal" in _attrs(group, k)]
        name = marked[0] if marked else "data"
    try:
        found = child(group, name)
    except ScanError:
        return []
    if found is None or not hasattr(found, "dtype") or not _is_image(found):
        return []
    return [found.name if found.name.startswith(group.name) else f"{group.name}/{name}"]


def _attrs(group: Any, name: str) -> Any:
    """Attributes of a member that lies in the file itself; none of others."""
    try:
        return getattr(child(group, name), "attrs", {})
    except ScanError:
        return {}


def _axes(dataset: Any) -> tuple[str, ...]:
    """Name the axes; a short last one is colour unless its group says otherwise."""
    axes = guess_axes(dataset.shape)
    if axes[-1] == "c" and said_by_group(dataset) is not None:
        return guess_axes((*dataset.shape[:-1], 99))
    return axes


def _facts(dataset: Any, axes: tuple[str, ...]) -> Facts:
    """Pixel sizes from what describes the axes, or from the one habit of plain HDF5."""
    group = dataset.parent
    if _text(group.attrs.get("NX_class")) == "NXdata":
        return _nexus_facts(group, dataset, axes)
    said_ = said_by_group(dataset)
    if said_ is not None and len(said_.sizes) == len(axes):
        facts = Facts(metadata={"vendor": said_.vendor})
        pairs = zip(axes, said_.sizes, strict=True)
        facts.sizes = {axis: size for axis, size in pairs if size is not None}
        return facts
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
        scale = child(group, name) if name not in (None, ".", "") else None
        if scale is None or not hasattr(scale, "shape"):
            continue
        step, start = _even_step(numbers(scale))
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
