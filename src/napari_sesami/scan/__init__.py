"""Scans: lazy pixels with pixel sizes and units, read from instrument files."""

from napari_sesami.scan._errors import ScanError
from napari_sesami.scan._scan import Scan

__all__ = ["Scan", "ScanError"]
