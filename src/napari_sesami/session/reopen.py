"""A committed object becomes the object at work again, with what made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.session.draft import (
    Ask,
    Asked,
    Draft,
    Filled,
    chain_of,
    stored_mask,
)
from napari_sesami.session.proposal import recall

if TYPE_CHECKING:
    from napari_sesami.prompt import Mask
    from napari_sesami.session.objects import Part
    from napari_sesami.session.session import Session


def reopen(session: Session, object_id: int) -> Draft:
    """Begin a draft with a committed object; its prompts wait to be answered.

    A part that no prompts made begins with its pixels.
    """
    shape = session.scan.plane_shape
    heads: dict[int, Asked] = {}
    filled: dict[int, Filled] = {}
    for plane, part in session.objects[object_id].parts.items():
        box, crop = session.object_mask(object_id, plane)
        mask = stored_mask(box, crop, shape, plane, part.score or 0.0)
        if is_filled(part):
            filled[plane] = Filled(mask, part.score or 0.0, dict(part.prompts or {}))
        else:
            heads[plane] = asked_of(part, mask)
    draft = Draft(object_id)
    draft.take_up(heads, filled)
    return draft


def is_filled(part: Part) -> bool:
    """Whether a part was followed or interpolated, not prompted."""
    return bool({"followed", "between"} & set(part.prompts or ()))


def asked_of(part: Part, mask: Mask) -> Asked:
    """Read the prompts of a part, whether a dock or ``Session.prompt`` gave them."""
    stored = dict(part.prompts or {})
    node = chain_of(stored, mask.shape, mask.plane)
    if node is None and {"points", "box", "strokes", "lasso"} & set(stored):
        node = Asked(Ask("given", recall(stored)))
    if node is None:
        node = Asked(Ask("mask", mask))
        node.answer = mask
    return node
