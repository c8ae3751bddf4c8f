"""What can be wrong with a measurement before it begins."""

from __future__ import annotations

from napari_sesami.common.errors import SesamiError


class MeasureError(SesamiError):
    """A recipe, labels or a folder of results cannot be used as given."""
