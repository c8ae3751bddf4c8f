"""Objects: committed masks, found again by a click, with what made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from napari_sesami.common.packing import pack
from napari_sesami.prompt import Mask
from napari_sesami.session import checks, edits
from napari_sesami.session.committed import CommittedObject, Part
from napari_sesami.session.draft import Draft, Filled, PromptChain, PromptStep, chain_of
from napari_sesami.session.drawn_layer import DrawnLayer
from napari_sesami.session.errors import SessionError
from napari_sesami.session.object_table import ObjectRow, object_rows, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_sesami.project import ClassEntry
    from napari_sesami.session.checks import Plane


class Objects(DrawnLayer, Mapping[int, CommittedObject]):
    """The committed objects of a scan by id, and what can be done with them."""

    _layer = "objects"

    def __getitem__(self, key: int) -> CommittedObject:
        return CommittedObject.from_dict(key, self._document.work.objects[key])

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._document.work.objects))

    def __len__(self) -> int:
        return len(self._document.work.objects)

    # --- looking

    @property
    def ids(self) -> Any:
        """Ids of objects per pixel; the same as `array`."""
        return self.array

    def at(self, y: float, x: float, plane: Plane = None) -> CommittedObject | None:
        """Give the object under a point in data pixels, or None."""
        ids = self.plane(plane)
        row, column = round(float(y)), round(float(x))
        if not (0 <= row < ids.shape[0] and 0 <= column < ids.shape[1]):
            return None
        return self.get(int(ids[row, column]))

    def mask(self, object_id: int, plane: Plane = None) -> Mask:
        """Give an object's mask in a plane; by default its first."""
        target = self._known(object_id)
        number = target.plane if plane is None else self._document.plane_number(plane)
        if number not in target.parts:
            raise SessionError(f"Object {object_id} has no part in plane {number}.")
        part = target.parts[number]
        y0, x0, y1, x1 = part.bbox
        return Mask(
            part.bbox,
            self.plane(number)[y0:y1, x0:x1] == target.id,
            part.score or 0.0,
            self._document.scan.plane_shape,
            number,
            class_id=target.class_id,
            prompts=part.prompts or {},
        )

    def reopen(self, object_id: int) -> Draft:
        """Begin a draft with a committed object; its prompts wait to be answered.

        A part that no prompts made begins with its pixels.
        """
        heads: dict[int, PromptChain] = {}
        filled: dict[int, Filled] = {}
        for plane, part in self._known(object_id).parts.items():
            mask = self.mask(object_id, plane)
            if part.filled:
                how = dict(part.prompts or {})
                filled[plane] = Filled(mask, part.score or 0.0, how)
            else:
                heads[plane] = self.chain(object_id, plane)
        draft = Draft(object_id)
        draft.take_up(heads, filled)
        return draft

    def chain(self, object_id: int, plane: int) -> PromptChain:
        """Read the prompts that made a part; its pixels where none did."""
        mask = self.mask(object_id, plane)
        node = chain_of(mask.prompts, mask.shape, plane)
        if node is None:
            node = PromptChain(PromptStep("mask", mask))
            node.answer = mask
        return node

    def holds(self, mask: Mask) -> bool:
        """Whether a mask means a thing that is committed already.

        That is, most of it lies in one thing that is not much larger.
        """
        y0, x0, y1, x1 = mask.bbox
        under = self.plane(mask.plane)[y0:y1, x0:x1][mask.mask]
        ids, counts = np.unique(under, return_counts=True)
        for id_, count in zip(ids.tolist(), counts.tolist(), strict=True):
            if id_ and self[id_].instance and 2 * count > under.size:
                area = np.count_nonzero(self.mask(id_, mask.plane).mask)
                if 4 * count > area:
                    return True
        return False

    # --- editing

    def commit(
        self,
        mask: Any,
        class_: str | SupportsIndex,
        plane: Plane = None,
        *,
        overlap: str = "overwrite",
        instance: bool = True,
        object_id: int | None = None,
        prompts: Mapping[str, Any] | None = None,
    ) -> CommittedObject:
        """Make a mask an object of a class.

        Parameters
        ----------
        mask
            What `prompts.ask` returned, or a bool array (y, x) of the plane.
        class_
            Id, name or entry.
        plane
            Number of the plane; a `Mask` knows its own.
        overlap
            "overwrite" takes every pixel; "keep" leaves other objects theirs; "free"
            takes only pixels without any label.
        instance
            False for a material, of which there is just some.
        object_id
            Commit under the id of an object that exists: its part in this plane is
            replaced, or begun.
        prompts
            What the mask was made from, as JSON values or arrays; a `Mask` knows its
            own.
        """
        document = self._document
        entry = document.classes[class_]
        if overlap not in edits.OVERLAPS:
            raise SessionError(
                f"overlap is one of {', '.join(edits.OVERLAPS)}; {overlap!r} was given."
            )
        number = document.plane_number(
            getattr(mask, "plane", None) if plane is None else plane
        )
        box, crop = checks.mask_crop(mask, document.scan)
        target = self._target(object_id, entry, instance)
        known = getattr(mask, "prompts", None) if prompts is None else prompts
        score = checks.finite(getattr(mask, "score", None))
        part = Part(box, score, overlap, pack(dict(known)) if known else None)
        changes = edits.commit(document.work, number, box, crop, target, part)
        document.do(f"commit {entry.name}", changes)
        return self[target.id]

    def remove(self, object_id: int) -> None:
        """Take a committed object and its pixels away."""
        target = self._known(object_id)
        document = self._document
        document.do("remove object", edits.remove_object(document.work, target))

    def set_class(self, ids: Iterable[int], class_: str | SupportsIndex) -> None:
        """Give objects another class, with all their pixels, as one step."""
        document = self._document
        entry = document.classes[class_]
        targets = [self._known(int(id_)) for id_ in ids]
        targets = [target for target in targets if target.class_id != entry.id]
        changes = edits.give_class(document.work, targets, entry.id)
        document.do(f"make {len(targets)} {entry.name}", changes)

    def merge(self, ids: Iterable[int]) -> CommittedObject:
        """Make several objects one; the first gives id and class."""
        targets = [self._known(int(id_)) for id_ in dict.fromkeys(ids)]
        if len(targets) < 2:
            raise SessionError("Choose two or more objects to merge.")
        changes = edits.merge(self._document.work, targets)
        self._document.do(f"merge {len(targets)} objects", changes)
        return self[targets[0].id]

    def split(self, object_id: int, plane: Plane = None) -> list[int]:
        """Make the pieces of an object that do not touch objects of their own.

        Returns
        -------
        list
            Their ids, the largest first, which keeps the old one.
        """
        target = self._known(object_id)
        number = target.plane if plane is None else self._document.plane_number(plane)
        if number not in target.parts:
            raise SessionError(f"Object {object_id} has no part in plane {number}.")
        work = self._document.work
        order = 1 + max(o.order for o in self.values())
        first = work.last_object + 1
        changes = edits.split(work, target, number, first, order)
        if not changes:
            raise SessionError(
                f"Object {object_id} is in one piece; erase what joins its parts first."
            )
        self._document.do(f"split object {object_id}", changes)
        return [object_id, *range(first, first + len(changes) - 2)]

    def table(self) -> list[ObjectRow]:
        """List all objects with their size, place and score."""
        return object_rows(self._document, self.values())

    def save_csv(self, path: str | Path) -> Path:
        """Write `table` as a CSV file, with units in its header."""
        return write_rows(self.table(), Path(path))

    # --- inside

    def _known(self, object_id: int) -> CommittedObject:
        if object_id not in self:
            raise SessionError(
                f"There is no object {object_id}; there are {len(self)}, see "
                "session.objects."
            )
        return self[object_id]

    def _target(
        self, object_id: int | None, entry: ClassEntry, instance: bool
    ) -> CommittedObject:
        """Give the object to commit to: a new one, or one that exists."""
        order = 1 + self._document.work.last_order
        if object_id is None:
            id_ = self._document.work.last_object + 1
            return CommittedObject(id_, entry.id, instance, order)
        old = self._known(object_id)
        return replace(old, class_id=entry.id, instance=instance, order=order)
