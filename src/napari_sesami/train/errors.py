"""Mistakes around runs that a person can put right."""

from __future__ import annotations


class TrainError(ValueError):
    """One sentence: what was given, what is needed, what to do."""
