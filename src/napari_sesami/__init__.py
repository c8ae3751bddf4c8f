"""Clicks and strokes on semiconductor scans become masks and measurements.

The script in the README is the whole interface: :func:`open` a scan, drive a
:class:`Session`, optionally attach it to napari with
:func:`napari_sesami.viewer.attach`. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sesami.classify import open_lot
    from napari_sesami.scan import Scan, ScanError
    from napari_sesami.scan import open_scan as open
    from napari_sesami.session import Session

# Threads of OpenMP that spin while they wait for each other take many times the
# processor where other programs are busy. It is read when torch is loaded, and passed
# on to the processes of ours.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
__all__ = ["Scan", "ScanError", "Session", "__version__", "open", "open_lot"]

_HOMES = {
    "Scan": ("napari_sesami.scan", "Scan"),
    "ScanError": ("napari_sesami.scan", "ScanError"),
    "open": ("napari_sesami.scan", "open_scan"),
    "open_lot": ("napari_sesami.classify", "open_lot"),
    "Session": ("napari_sesami.session", "Session"),
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the package itself loads at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
