"""A dictionary that keeps what was used last, up to a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, MutableMapping
from threading import RLock
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(MutableMapping[K, V]):
    """Entries used longest ago go when all together are over the limit.

    The newest entry always stays, however large it is. Reading an entry counts as
    using it; asking whether it is there does not. Threads may share it.

    Parameters
    ----------
    limit
        Number of entries, or what their sizes may add up to.
    size
        Size of an entry, asked once, when it is put in; each counts 1 by default.
    """

    def __init__(
        self, limit: float, size: Callable[[V], float] = lambda entry: 1
    ) -> None:
        self.limit, self._size = limit, size
        self._kept: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._total = 0.0
        self._lock = RLock()

    @property
    def total(self) -> float:
        """Sizes of all entries together."""
        return self._total

    def __getitem__(self, key: K) -> V:
        """Read an entry; it is the newest now."""
        with self._lock:
            entry = self._kept[key][0]
            self._kept.move_to_end(key)
            return entry

    def __setitem__(self, key: K, entry: V) -> None:
        """Put an entry in; the oldest ones may go."""
        size = self._size(entry)
        with self._lock:
            self._forget(key)
            self._kept[key] = entry, size
            self._total += size
            while self._total > self.limit and len(self._kept) > 1:
                self._forget(next(iter(self._kept)))

    def __delitem__(self, key: K) -> None:
        """Forget an entry."""
        with self._lock:
            if key not in self._kept:
                raise KeyError(key)
            self._forget(key)

    def __contains__(self, key: object) -> bool:
        """Whether an entry is there; it is not used by that."""
        return key in self._kept

    def __iter__(self) -> Iterator[K]:
        """Walk over the keys as they are now, the oldest first."""
        with self._lock:
            return iter(list(self._kept))

    def __len__(self) -> int:
        """How many entries are there."""
        return len(self._kept)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()
            self._total = 0.0

    def _forget(self, key: K) -> None:
        _, size = self._kept.pop(key, (None, 0.0))
        self._total -= size
