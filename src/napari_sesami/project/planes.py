"""Label planes that come into being when they are touched."""

from __future__ import annotations

import itertools
import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

SMALL = 1 << 26
"""Up to this many pixels a layer is shown as a plain array, beyond it lazily."""
CACHE_BYTES = 1 << 30
"""Planes that are safely on disk are forgotten beyond this, the oldest first."""


class PlaneStore:
    """The planes of one layer: in memory when touched, on disk before, or all zero.

    Parameters
    ----------
    leading_shape, plane_shape, dtype
        As the scan's; planes are numbered along the flattened leading axes.
    load
        Gives a plane from disk, None where there is none.
    stored
        The planes that `load` has.
    """

    def __init__(
        self,
        leading_shape: tuple[int, ...],
        plane_shape: tuple[int, int],
        dtype: DTypeLike,
        load: Callable[[int], NDArray[Any] | None] | None = None,
        stored: frozenset[int] = frozenset(),
    ) -> None:
        self.leading_shape, self.plane_shape = leading_shape, plane_shape
        self.dtype = np.dtype(dtype)
        self.dirty: set[int] = set()
        self._load, self._stored = load, set(stored)
        self._planes: dict[int, NDArray[Any]] = {}
        self._frozen: set[int] = set()
        self._zeros = np.broadcast_to(self.dtype.type(0), plane_shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The scan's shape without colour."""
        return (*self.leading_shape, *self.plane_shape)

    @property
    def planes(self) -> list[int]:
        """The planes that may hold anything but zeros."""
        return sorted(self._planes.keys() | self._stored)

    @property
    def array(self) -> Any:
        """All planes: a read-only copy if the scan is small, else a `PlaneArray`."""
        if math.prod(self.shape) > SMALL:
            return PlaneArray(self.shape, self.dtype, self.read)
        whole = np.zeros(self.shape, self.dtype)
        flat = whole.reshape(-1, *self.plane_shape)
        for plane in self.planes:
            flat[plane] = self.read(plane)
        whole.flags.writeable = False
        return whole

    def read(self, plane: int) -> NDArray[Any]:
        """Look at a plane (y, x); the view is read-only and follows later edits."""
        found = self._fetch(plane)
        if found is None:
            return self._zeros
        view = found.view()
        view.flags.writeable = False
        return view

    def writable(self, plane: int) -> NDArray[Any]:
        """Get a plane to write into; it counts as changed from now on."""
        found = self._fetch(plane)
        if found is None:
            found = self._planes[plane] = np.zeros(self.plane_shape, self.dtype)
        elif plane in self._frozen:  # a save is reading the old pixels
            found = self._planes[plane] = found.copy()
        self._frozen.discard(plane)
        self.dirty.add(plane)
        return found

    def freeze(self) -> dict[int, NDArray[Any]]:
        """Hand the changed planes to a save; later edits do not reach them."""
        taken = {plane: self._planes[plane] for plane in sorted(self.dirty)}
        self._frozen |= taken.keys()
        self.dirty.clear()
        return taken

    def thaw(self, saved: set[int], failed: set[int]) -> None:
        """Hear how the save went: `failed` planes are as unsaved as before."""
        self._frozen.clear()
        self.dirty |= failed
        self._stored |= saved
        self._trim()

    def attach(self, load: Callable[[int], NDArray[Any] | None]) -> None:
        """Live in another folder, which holds what was saved so far."""
        self._load = load

    def _fetch(self, plane: int) -> NDArray[Any] | None:
        if plane not in self._planes and plane in self._stored and self._load:
            pixels = self._load(plane)
            if pixels is not None:
                self._planes[plane] = pixels
        return self._planes.get(plane)

    def _trim(self) -> None:
        """Forget planes that lie on disk, if there are many."""
        if self._load is None:
            return
        size = math.prod(self.plane_shape) * self.dtype.itemsize
        clean = [
            p for p in list(self._planes) if p not in self.dirty and p in self._stored
        ]
        excess = len(self._planes) - CACHE_BYTES // max(size, 1)
        for plane in clean[: max(excess, 0)]:
            del self._planes[plane]


class PlaneArray:
    """Array-like over planes that are made or read when they are looked at.

    Takes integers, slices and ``...``; integer arrays over all axes (as napari's
    painting uses them) pick single pixels. With `writer` it can be written to.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        reader: Callable[[int], NDArray[Any]],
        writer: Callable[[int], NDArray[Any]] | None = None,
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._reader, self._writer = reader, writer

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes it would take as one array."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        return np.array(self[...], dtype=dtype, copy=copy)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = self._full(key)
        if self._pointwise(keys):
            return self._points(keys, None)
        lead, rest = keys[:-2], keys[-2:]
        axes = [_chosen(k, n) for k, n in zip(lead, self.shape, strict=False)]
        # np.array copies also a view, so that what is given out stays as it is
        pieces = [
            np.array(self._reader(self._number(index))[rest])
            for index in itertools.product(*axes)
        ]
        pairs = zip(axes, lead, strict=True)
        kept = [len(axis) for axis, k in pairs if isinstance(k, slice)]
        none = np.broadcast_to(self.dtype.type(0), self.shape[-2:])
        inner = (pieces[0] if pieces else none[rest]).shape
        return np.array(pieces, self.dtype).reshape((*kept, *inner))[()]

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._writer is None:
            raise TypeError("This view of the labels is read-only; edit the session.")
        keys = self._full(key)
        if self._pointwise(keys):
            self._points(keys, value)
            return
        lead, rest = keys[:-2], keys[-2:]
        axes = [_chosen(k, n) for k, n in zip(lead, self.shape, strict=False)]
        kept = [isinstance(k, slice) for k in lead]
        values = np.broadcast_to(value, self[key].shape)
        places = (range(len(axis)) for axis in axes)
        for index, place in zip(
            itertools.product(*axes), itertools.product(*places), strict=True
        ):
            where = tuple(i for i, keep in zip(place, kept, strict=True) if keep)
            self._writer(self._number(index))[rest] = values[where]

    def dask(self) -> Any:
        """Give the same as a dask array, one chunk per plane."""
        import dask.array as da

        chunks = (1,) * (self.ndim - 2) + self.shape[-2:]
        return da.from_array(self, chunks=chunks, asarray=False, fancy=False)

    def _full(self, key: Any) -> tuple[Any, ...]:
        """Write a key out over all axes."""
        keys = key if isinstance(key, tuple) else (key,)
        dots = [i for i, k in enumerate(keys) if k is Ellipsis]
        at = dots[0] if dots else len(keys)
        before, after = keys[:at], keys[at + 1 :]
        missing = self.ndim - len(before) - len(after)
        if missing < 0 or len(dots) > 1:
            raise IndexError(f"{self.ndim} axes cannot be indexed by {len(keys)} keys.")
        return tuple(
            k if isinstance(k, slice | np.ndarray | list) else operator.index(k)
            for k in (*before, *[slice(None)] * missing, *after)
        )

    def _pointwise(self, keys: tuple[Any, ...]) -> bool:
        """Whether arrays pick the planes; only then all axes must be picked so."""
        if not any(isinstance(k, np.ndarray | list) for k in keys[:-2]):
            return False
        if any(isinstance(k, slice) for k in keys):
            raise IndexError("Arrays of indices cannot be mixed with slices here.")
        return True

    def _points(self, keys: tuple[Any, ...], value: Any) -> NDArray[Any]:
        """Read, or with a value write, single pixels plane by plane."""
        *lead, y, x = np.broadcast_arrays(*keys)
        numbers = np.ravel_multi_index(
            tuple(np.mod(k, n) for k, n in zip(lead, self.shape, strict=False)),
            self.shape[:-2],
        )
        result = np.zeros(y.shape, self.dtype)
        if value is not None:
            result[...] = value
        for number in np.unique(numbers):
            at = numbers == number
            if value is None:
                result[at] = self._reader(int(number))[y[at], x[at]]
            elif self._writer is not None:
                self._writer(int(number))[y[at], x[at]] = result[at]
        return result

    def _number(self, index: tuple[int, ...]) -> int:
        """Flat number of the plane at a leading index."""
        return int(np.ravel_multi_index(index, self.shape[:-2])) if index else 0


def _chosen(key: Any, length: int) -> list[int]:
    """Positions that an integer or a slice picks along an axis."""
    if isinstance(key, slice):
        return list(range(length))[key]
    if not -length <= key < length:
        raise IndexError(f"Index {key} lies outside an axis of {length}.")
    return [key % length]
