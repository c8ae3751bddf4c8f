"""What is checked of a command before its work begins."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from napari_sesami.common.disk import FORBIDDEN, FULL
from napari_sesami.common.errors import SesamiError


def a_path(text: str) -> Path:
    """Take a path that was given; an empty one would be the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name was given; name a file")
    return Path(text)


def at_least(least: int) -> type[int]:
    """Give a type for numbers of at least so much, for argparse."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} was given; {least} is the least")
        return value

    return number  # type: ignore[return-value]


def check_folder(path: Path | None, what: str) -> None:
    """Refuse a folder that is not there."""
    if path is not None and not path.is_dir():
        raise SesamiError(f"There is no folder {path}; {what} needs one.")


def check_writable(folder: Path, *, make: bool = True) -> None:
    """Refuse an output folder that cannot be written, before any work is done.

    With `make` it is made; else only the nearest folder that exists is tried.
    """
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        near = folder
        while not near.exists():
            near = near.parent
        probe = near / f".sesami-{os.getpid()}.tmp"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SesamiError(not_written(error, folder)) from error


def not_written(error: OSError, path: object = None) -> str:
    """Say in a sentence what the system says about a file."""
    where = path or error.filename or "A file"
    if error.errno in FULL:
        return f"The disk with {where} is full; free some space and try again."
    if error.errno in FORBIDDEN:
        return f"{where} may not be used by you; choose another place, or ask for it."
    reason = (error.strerror or str(error)).rstrip(".")
    return f"{where} cannot be used ({reason}); check the name and the disk."
