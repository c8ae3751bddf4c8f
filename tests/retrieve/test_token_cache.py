"""Tokens on disk: a limit, an age, and a call that empties the folder."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from napari_sesami.retrieve import TokenStore, empty_tokens
from napari_sesami.retrieve.token_cache import trim
from napari_sesami.scan import Scan
from tests.fakes.texture import Texture, stripes


@pytest.fixture
def folder(tmp_path):
    """Three files of 100 bytes, last used three, two and no days ago."""
    for days in (3, 2, 0):
        path = tmp_path / "tokens" / "key" / f"{days}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(100))
        when = time.time() - 86_400 * days
        os.utime(path, (when, when))
    return tmp_path / "tokens"


def left(folder) -> list[str]:
    return sorted(path.stem for path in folder.rglob("*.npy"))


def test_what_was_used_longest_ago_goes_first(folder):
    assert trim(folder, limit=200) == 100
    assert left(folder) == ["0", "2"]


def test_what_is_too_old_goes_though_there_is_room(folder):
    assert trim(folder, age=2.5 * 86_400) == 100
    assert left(folder) == ["0", "2"]


def test_emptying_takes_tokens_only_and_nothing_outside(folder):
    other = folder / "key" / "notes.txt"
    other.write_text("mine")
    outside = folder.parent / "outside.npy"
    outside.write_bytes(bytes(9))
    link = folder / "link.npy"
    try:
        link.symlink_to(outside)
    except OSError:
        pytest.skip("links need a right that this account lacks")
    assert empty_tokens(folder) == 300
    assert other.read_text() == "mine"
    assert outside.is_file()
    assert empty_tokens(folder.parent / "nothing here") == 0


def test_an_emptied_store_computes_again(tmp_path):
    scan = Scan.from_array(stripes()[0])
    tokens = TokenStore(scan, Texture(), folder=tmp_path).plane(0)
    assert empty_tokens(tmp_path) > 0
    again = TokenStore(scan, Texture(), folder=tmp_path)
    assert not again.ready(0)
    np.testing.assert_array_equal(again.plane(0), tokens)


def test_a_file_that_is_read_is_young_again(tmp_path):
    scan = Scan.from_array(stripes()[0])
    TokenStore(scan, Texture(), folder=tmp_path).plane(0)
    file = next(tmp_path.rglob("*.npy"))
    os.utime(file, (1e9, 1e9))
    TokenStore(scan, Texture(), folder=tmp_path).plane(0)
    assert file.stat().st_mtime > time.time() - 3600
