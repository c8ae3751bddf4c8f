"""Which files of a folder are scans, and how people count them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def scans_in(folder: Path) -> list[Path]:
    """Files, and folders that are one scan, that have a reader."""
    from napari_sesami.scan import readable_extensions

    known = tuple(readable_extensions())
    return [
        p
        for p in folder.iterdir()
        if not p.name.startswith(".")
        and p.name.lower().endswith(known)
        and (p.is_file() or p.suffix.lower() == ".zarr")
    ]


def counted(name: str) -> list[Any]:
    """Sort as people count."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts if p]
