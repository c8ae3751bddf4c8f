"""What a user is told when prompts make no sense."""

from __future__ import annotations

from napari_sesami.common.errors import SesamiError


class PromptError(SesamiError):
    """One plain sentence: what was given, what is needed, what to do."""
