"""HDF5 opened with care: nothing outside the file is read, and sizes are checked first.

A dataset may say that its pixels lie in any other file, a link may lead there, and a
damaged one may promise more than is stored; on the last the library itself crashes.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import numpy as np

from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.promise import check_promise
from napari_sesami.scan.readers.crash_trial import tried

DEEPEST = 32  # links that lead to links


def opened(path: Path) -> Any:
    """Open for reading, also on shares without locks and with any known filter."""
    import h5py

    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401  registers compressors that cameras use
    return h5py.File(path, "r", locking=False)


def opened_first(path: Path) -> Any:
    """Open a file for the first time: it is tried in a helper process before."""
    tried(path)
    return opened(path)


def child(group: Any, name: str, depth: int = 0) -> Any:
    """Return what a name in a group leads to inside the same file; None for nothing.

    Raises
    ------
    ScanError
        It leads to another file.
    """
    import h5py

    at = group.file if name.startswith("/") else group
    for step in filter(None, name.split("/")):
        if step == ".":
            continue
        link = at.get(step, getlink=True) if isinstance(at, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise _elsewhere(group.file.filename, f"{at.name}/{step}", link.filename)
        if isinstance(link, h5py.SoftLink):
            if depth >= DEEPEST:
                raise ScanError(f"{group.file.filename} has links that go in circles.")
            at = child(at, link.path, depth + 1)
        else:
            at = at[step]
        if at is None:
            return None
    return at


def links_out(file: Any) -> list[str]:
    """Names of other files that datasets of this one are said to lie in."""
    import h5py

    found: list[str] = []

    def visit(_name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.extend(_sources(item))
            return
        for key in item:
            link = item.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                found.append(link.filename)

    visit("/", file)
    file.visititems(visit)
    return found


def check_dataset(dataset: Any) -> Any:
    """Return a dataset whose pixels lie in its file, and all that it promises."""
    path = Path(dataset.file.filename)
    outside = _sources(dataset)
    if outside:
        raise _elsewhere(path, dataset.name, outside[0])
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = int(dataset.id.get_storage_size())
    plain = dataset.chunks is None and not dataset.is_virtual
    offset = dataset.id.get_offset() if plain else None
    end = (offset or 0) + size
    if plain and stored and (stored < size or end > path.stat().st_size):
        raise ScanError(
            f"{path} is cut short or damaged: {dataset.name} promises {size} bytes and "
            f"{min(stored, path.stat().st_size)} are stored; copy it again from the "
            "instrument."
        )
    if dataset.chunks is not None:
        check_filters(dataset)
        chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
        rows = dataset.shape[-2:]
        check_promise(path, max(chunk, math.prod(rows) * dataset.dtype.itemsize))
    return dataset


def check_filters(dataset: Any) -> None:
    """Say which compression is missing, before the library says something else."""
    import h5py

    plist = dataset.id.get_create_plist()
    for i in range(plist.get_nfilters()):
        code, _, _, name = plist.get_filter(i)
        if not h5py.h5z.filter_avail(code):
            called = name.decode("utf-8", "replace").split(";")[0] or f"number {code}"
            raise ScanError(
                f"{dataset.file.filename}: {dataset.name} is compressed by {called}, "
                "which HDF5 lacks here; it comes with: pip install hdf5plugin."
            )


def _sources(dataset: Any) -> list[str]:
    """Other files that a dataset's pixels are said to lie in."""
    outside = [str(name) for name, *_ in dataset.external or ()]
    if dataset.is_virtual:
        outside += [
            s.file_name for s in dataset.virtual_sources() if s.file_name != "."
        ]
    return outside


def _elsewhere(path: Any, name: str, where: str) -> ScanError:
    return ScanError(
        f"{path}: {name} says that its pixels lie in another file ({where[:120]}), "
        "which is not followed; open that file itself."
    )


def numbers(dataset: Any) -> np.ndarray[Any, Any]:
    """Read a short dataset, such as the places of an axis, as numbers."""
    if math.prod(dataset.shape) > 1 << 24:
        raise ScanError(
            f"{dataset.file.filename}: {dataset.name} is too long for axes."
        )
    return np.asarray(check_dataset(dataset)[()], dtype=np.float64).ravel()
