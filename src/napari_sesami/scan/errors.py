"""What a user is told when a file or an array cannot be used."""

from __future__ import annotations

from napari_sesami.common.errors import SesamiError


class ScanError(SesamiError):
    """One plain sentence: what was given, what is needed, what to do."""
