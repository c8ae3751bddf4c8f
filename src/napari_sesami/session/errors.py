"""What a user is told when a session cannot do what was asked."""

from __future__ import annotations

from napari_sesami.common.errors import SesamiError


class SessionError(SesamiError):
    """One plain sentence: what was given, what is needed, what to do."""
