"""How masks are committed and shown: what the SeSAMI panel sets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class PromptOptions:
    """How masks are committed and shown.

    Attributes
    ----------
    class_id
        Where they go; 0 is the first class.
    overlap, instance
        As in ``Session.commit``.
    snap
        Pixels by which the border may move to the steepest grey step; 0 is off.
    next_at_once
        Begin the next object after a commit, or keep the committed one current.
    negative
        Prompts mean what is off the object.
    hover
        Preview the mask under the cursor.
    """

    class_id: int = 0
    overlap: str = "overwrite"
    instance: bool = True
    snap: int = 0
    next_at_once: bool = True
    negative: bool = False
    hover: bool = True
