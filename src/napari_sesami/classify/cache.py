"""Features that were computed before, by content: one file for all lots."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.common.home import home

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

MOST_BYTES = 4 * 2**30
"""When the file has grown to this, it is begun anew."""
AT_ONCE = 500  # keys in one question


class FeatureCache:
    """Vectors under keys that name pixels, model and method.

    A cache that is damaged, locked for long or not writable only costs time: what it
    does not give is computed again.

    Parameters
    ----------
    path
        The file; None takes the one in the user's folder.
    """

    _base: sqlite3.Connection | None = None

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "defects" / "features.sqlite"
        self._base = None
        try:
            self._base = self._opened()
        except sqlite3.DatabaseError:  # damaged, or something else of that name
            with suppress(OSError):
                self.path.unlink()
            with suppress(sqlite3.Error, OSError):
                self._base = self._opened()
        except OSError:
            pass

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_symlink():
            raise OSError(f"{self.path} is a link")
        if self.path.exists() and self.path.stat().st_size > MOST_BYTES:
            self.path.unlink()
        base = sqlite3.connect(self.path, timeout=5, check_same_thread=False)
        base.execute("pragma synchronous = off")
        base.execute(
            "create table if not exists features (key blob primary key, value blob)"
            " without rowid"
        )
        return base

    def get(self, keys: Iterable[bytes], length: int) -> dict[bytes, NDArray]:
        """Give the vectors that are there and have that length."""
        found: dict[bytes, NDArray] = {}
        wanted = list(keys)
        if self._base is None:
            return found
        try:
            for start in range(0, len(wanted), AT_ONCE):
                some = wanted[start : start + AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = self._base.execute(
                    f"select key, value from features where key in ({marks})", some
                )
                for key, value in rows:
                    if isinstance(value, bytes) and len(value) == 2 * length:
                        vector = np.frombuffer(value, np.float16)
                        if np.isfinite(vector).all():
                            found[key] = vector.astype(np.float32)
        except sqlite3.Error:
            return found
        return found

    def put(self, vectors: dict[bytes, NDArray]) -> None:
        """Keep vectors, in half precision."""
        if self._base is None or not vectors:
            return
        rows = [(k, v.astype(np.float16).tobytes()) for k, v in vectors.items()]
        with suppress(sqlite3.Error), self._base:
            self._base.executemany(
                "insert or replace into features values (?, ?)", rows
            )

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._base is not None:
            with suppress(sqlite3.Error):
                self._base.close()
            self._base = None
