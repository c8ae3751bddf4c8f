"""The folder of tokens on disk: how large and how old it may grow, and emptying it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from napari_sesami.common.home import home

LIMIT = 8 << 30  # bytes
AGE = 60 * 86_400.0  # s since a file was last used
SUFFIX = ".npy"


def token_folder() -> Path:
    """Where the tokens of all scans of this user are kept."""
    return home() / "cache" / "tokens"


def used(path: Path) -> None:
    """Note that a file was read: what was used last is kept longest."""
    try:
        os.utime(path)
    except OSError:  # on a read-only disk files are as old as they are
        return


def trim(folder: Path, limit: float = LIMIT, age: float = AGE) -> int:
    """Delete token files that were used longest ago; gives how many bytes went.

    Parameters
    ----------
    folder
        Of tokens; nothing outside of it is touched, and links are not followed.
    limit
        Bytes that may stay.
    age
        Seconds since the last use after which a file goes in any case.
    """
    files = []
    for place, _, names in os.walk(folder, followlinks=False):
        for name in names:
            path = Path(place) / name
            if name.endswith(SUFFIX) and not path.is_symlink():
                try:
                    facts = path.stat()
                except OSError:  # another window took it away
                    continue
                files.append((facts.st_mtime, facts.st_size, path))
    files.sort(key=lambda file: (-file[0], str(file[2])))
    oldest, kept, gone = time.time() - age, 0, 0
    for when, size, path in files:
        if kept + size <= limit and when >= oldest:
            kept += size
            continue
        try:
            path.unlink()
        except OSError:
            continue
        gone += size
    for place, _, _ in sorted(os.walk(folder, followlinks=False), reverse=True):
        if Path(place) != folder and not os.listdir(place):
            try:
                os.rmdir(place)
            except OSError:
                continue
    return gone


def tokens_kept(folder: Path) -> int:
    """Count the bytes of all token files of a folder."""
    total = 0
    for place, _, names in os.walk(folder, followlinks=False):
        for name in names:
            if name.endswith(SUFFIX):
                try:
                    total += (Path(place) / name).stat().st_size
                except OSError:  # another window took it away
                    continue
    return total


def empty_tokens(folder: Path) -> int:
    """Delete all token files of a folder; gives how many bytes went.

    Tokens are computed again when they are asked for: nothing is lost but time.
    """
    return trim(folder, limit=-1)
