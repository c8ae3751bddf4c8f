"""Stop long work soon after the user asks, and tell how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

IsCancelled: TypeAlias = Callable[[], bool]
"""Asked now and then by long work: True ends it."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


class Cancelled(Exception):
    """The user asked to stop, and it has been done."""


_stop: ContextVar[IsCancelled | None] = ContextVar("stop", default=None)


def not_cancelled() -> bool:
    """Return False: the default of work that nobody can cancel."""
    return False


@contextmanager
def cancellable(stop: IsCancelled | None) -> Iterator[None]:
    """Within it, long computations of this thread end soon after `stop()` is true."""
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def check_cancelled() -> None:
    """Raise `Cancelled` if the surrounding `cancellable` says so."""
    stop = _stop.get()
    if stop is not None and stop():
        raise Cancelled("Stopped as asked.")
