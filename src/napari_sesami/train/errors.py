"""Mistakes around runs that a person can put right."""

from __future__ import annotations

from napari_sesami.common.errors import SesamiError


class TrainError(SesamiError):
    """One sentence: what was given, what is needed, what to do."""
