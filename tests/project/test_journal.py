from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sesami.project import PixelChange, Record
from napari_sesami.project import journal as journal_module
from napari_sesami.project.journal import Journal, read

if TYPE_CHECKING:
    from pathlib import Path


def record(n: int) -> Record:
    after = np.zeros((8, 8), np.uint8)
    after.flat[n : n + 3] = n + 1
    change = PixelChange.between("labels", n, (0, 0), np.zeros((8, 8), np.uint8), after)
    assert change is not None
    return Record("do", f"paint {n}", (change,), None)


def written(path: Path) -> list[Record]:
    return [Record.decode(*block) for block in list(read(path))[1:]]


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal-000001.log", (4, 2))
    for n in range(5):
        journal.append(record(n).encode())
    journal.sync()
    journal.close()
    head, _ = next(read(journal.path))
    assert head == {"kind": "start", "follows": [4, 2]}
    assert written(journal.path) == [record(n) for n in range(5)]


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 1500), flip=st.booleans())
def test_a_torn_or_damaged_end_is_left_out(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: bool
) -> None:
    path = tmp_path_factory.mktemp("torn") / "journal-000001.log"
    journal = Journal(path)
    ends = [journal.size]
    for n in range(6):
        journal.append(record(n).encode())
        ends.append(journal.size)
    journal.close()
    data = bytearray(path.read_bytes())
    cut = min(cut, len(data) - 1)
    if flip:
        data[cut] ^= 0xFF
    else:
        data = data[:cut]
    path.write_bytes(data)
    whole = sum(end <= cut for end in ends)
    found = [Record.decode(*block) for block in list(read(path))[1:]] if whole else []
    assert found == [record(n) for n in range(whole - 1)]


def test_a_full_disk_tears_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal-000001.log")
    journal.append(record(0).encode())

    def half_then_full(fd: int, data: bytes) -> None:
        os.write(fd, bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "write_all", half_then_full)
        with pytest.raises(OSError, match="No space"):
            journal.append(record(1).encode())
    assert written(journal.path) == [record(0)]
    journal.append(record(2).encode())
    journal.close()
    assert written(journal.path) == [record(0), record(2)]
