"""Threads: one for each piece of work, so that none waits for another.

A product of small tensors that is shared by two threads costs more waiting than work
where other programs are busy. So small pieces are computed in one thread each, several
pieces at a time, and their results come in order.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Future

P = TypeVar("P")
R = TypeVar("R")

AHEAD = 4  # pieces for each thread that may wait for whoever takes them


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute many small products in this thread alone.

    Starting and awaiting threads for each costs more than it saves, and ten times
    more when other programs are busy.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def workers(pieces: int) -> int:
    """Threads for so many pieces of work: one for few, else what torch may use."""
    import torch

    return max(1, min(torch.get_num_threads(), pieces // 2))


def in_order(work: Callable[[P], R], pieces: Sequence[P]) -> Generator[R]:
    """Give ``work(piece)`` of each piece, in their order, computed by several threads.

    Each thread lets torch compute in it alone. Close the generator to end the work
    before its end: pieces that were begun are finished, no other is.
    """
    import torch

    threads = workers(len(pieces))
    if threads == 1:
        for piece in pieces:
            yield work(piece)
        return
    before = torch.get_num_threads()
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for piece in pieces:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # threads that begin later take this number
