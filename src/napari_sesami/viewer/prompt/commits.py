"""Commits the object at work, in all its planes, as one step of the session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.session import SessionError
from napari_sesami.viewer.app.errors import ViewerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sesami.project import ClassEntry
    from napari_sesami.prompt import Mask
    from napari_sesami.session import Draft, Session
    from napari_sesami.viewer.prompt.options import PromptOptions


@dataclass(frozen=True)
class Committed:
    """The object's id, its pixels, and the planes in which others kept theirs."""

    id: int
    pixels: int
    refused: list[int]


def commit_draft(
    session: Session,
    draft: Draft,
    masks: Mapping[int, Mask],
    entry: ClassEntry,
    options: PromptOptions,
    key: int | None = None,
) -> Committed:
    """Commit the mask of each plane under one id; raises if no plane takes it.

    Commits of one `key` are one step of undo, unless something came between.
    """
    id_ = draft.object_id if draft.object_id in session.objects else None
    pixels, refused, trouble = 0, [], ViewerError("There is nothing to commit.")
    done = False
    with session.history.group(f"commit {entry.name}", key):
        for plane, mask in masks.items():
            try:
                id_ = session.commit(
                    mask,
                    entry.id,
                    plane,
                    overlap=options.overlap,
                    instance=options.instance,
                    object_id=id_,
                    prompts=draft.stored(plane, options.snap),
                ).id
            except SessionError as error:
                refused.append(plane)
                trouble = ViewerError(str(error))
                continue
            done = True
            pixels += int(np.count_nonzero(mask.mask))
    if not done or id_ is None:
        raise trouble
    return Committed(id_, pixels, refused)


def chosen_class(session: Session, options: PromptOptions) -> ClassEntry:
    """Give the class that masks go to: the chosen one, or the first."""
    classes = session.classes
    if not len(classes):
        raise ViewerError("Name a class first, in the panel Label (key N).")
    if options.class_id not in classes:
        options.class_id = next(iter(classes)).id
    return classes[options.class_id]
