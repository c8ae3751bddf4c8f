"""The one base of all errors that are written for the user."""

from __future__ import annotations


class SesamiError(ValueError):
    """One plain sentence: what was given, what is needed, what to do.

    Panels and the command line show these (and `OSError`) as advice; anything else is
    a bug, logged with its traceback.
    """
