"""What was used last stays; the rest goes."""

from __future__ import annotations

from threading import Thread

import pytest

from napari_sesami.common.recent import Recent


def test_the_entry_used_longest_ago_goes() -> None:
    kept: Recent[str, int] = Recent(2)
    kept["a"], kept["b"] = 1, 2
    assert kept["a"] == 1  # used: b is the oldest now
    kept["c"] = 3
    assert list(kept) == ["a", "c"]
    assert "a" in kept  # asking is not using
    kept["d"] = 4
    assert list(kept) == ["c", "d"]
    assert kept.get("a") is None


def test_sizes_add_up_and_the_newest_stays() -> None:
    kept: Recent[str, bytes] = Recent(10, len)
    kept["a"], kept["b"] = b"1234", b"12345"
    assert kept.total == 9
    kept["a"] = b"12"  # put in anew: b is the oldest
    assert kept.total == 7
    kept["huge"] = b"1" * 99
    assert list(kept) == ["huge"]
    assert kept.total == 99
    kept.clear()
    assert (len(kept), kept.total) == (0, 0)
    with pytest.raises(KeyError):
        del kept["a"]


def test_threads_may_share_it() -> None:
    kept: Recent[int, int] = Recent(5)

    def use() -> None:
        for n in range(3000):
            kept[n % 11] = n
            kept.get((n * 7) % 11)
            list(kept)

    threads = [Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == kept.total == 5
