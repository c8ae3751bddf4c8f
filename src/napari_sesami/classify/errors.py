"""What can be wrong with a lot, its pictures, its labels or a model of its defects."""

from __future__ import annotations

from napari_sesami.common.errors import SesamiError


class ClassifyError(SesamiError):
    """Defects cannot be read, told apart or written as asked."""
