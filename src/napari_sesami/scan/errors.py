"""What a user is told when a file or an array cannot be used."""

from __future__ import annotations


class ScanError(ValueError):
    """One plain sentence: what was given, what is needed, what to do."""
