"""What a user is told when prompts make no sense."""

from __future__ import annotations


class PromptError(ValueError):
    """One plain sentence: what was given, what is needed, what to do."""
