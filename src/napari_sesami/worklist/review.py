"""Review: proposals that are accepted, corrected or rejected one by one.

What became of a proposal is read from the session's objects, so that undo and redo are
followed without any bookkeeping of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from psygnal import Signal

from napari_sesami.common.checked import read_checked
from napari_sesami.common.packing import pack, unpack
from napari_sesami.prompt import Mask
from napari_sesami.session import SessionError
from napari_sesami.worklist.proposals import as_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_sesami.session import CommittedObject, Session

WAITING, ACCEPTED, CORRECTED, REJECTED = "waiting", "accepted", "corrected", "rejected"
SAME = 0.98  # overlap from which an object counts as left as it was proposed


@dataclass(frozen=True)
class Source:
    """Where proposals come from.

    Attributes
    ----------
    model
        Key of the prompt model, its adapter included.
    name
        Its name, for people.
    taught_by
        How many labelled scans gave the classes.
    seconds
        How long proposing took.
    sharpened
        Whether the prompt model gave the masks, and not the votes alone.
    """

    model: str = ""
    name: str = ""
    taught_by: int = 0
    seconds: float = 0.0
    sharpened: bool = False


@dataclass(eq=False)
class Review:
    """The proposals for one scan, and what somebody makes of them.

    Attributes
    ----------
    proposed
        The proposals, the surest first.
    source
        What made them.
    """

    changed = Signal()
    """what became of a proposal"""

    session: Session
    proposed: Sequence[Mask]
    source: Source = field(default_factory=Source)
    _objects: dict[int, int] = field(default_factory=dict)
    _rejected: set[int] = field(default_factory=set)

    _overlaps: dict[tuple[int, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.session.document.events.objects.connect(self._on_objects)

    def __len__(self) -> int:
        return len(self.proposed)

    # --- looking

    def status(self, index: int) -> str:
        """What became of a proposal: waiting, accepted, corrected or rejected."""
        object_id = self._objects.get(index)
        if object_id is not None and object_id in self.session.objects:
            return ACCEPTED if self._unchanged(index, object_id) else CORRECTED
        return REJECTED if index in self._rejected else WAITING

    def statuses(self) -> list[str]:
        """What became of each."""
        return [self.status(i) for i in range(len(self))]

    @property
    def waiting(self) -> list[int]:
        """Proposals that nobody has judged yet, the surest first."""
        return [i for i in range(len(self)) if self.status(i) == WAITING]

    def object_of(self, index: int) -> int | None:
        """The committed object that a proposal became, if there is one."""
        found = self._objects.get(index)
        return found if found in self.session.objects else None

    def at(self, y: float, x: float, plane: int = 0) -> int | None:
        """The proposal under a point in data pixels."""
        row, column = round(float(y)), round(float(x))
        for i, p in enumerate(self.proposed):
            y0, x0, y1, x1 = p.bbox
            inside = p.plane == plane and y0 <= row < y1 and x0 <= column < x1
            if inside and p.mask[row - y0, column - x0]:
                return i
        return None

    # --- judging

    def accept(
        self, index: int, class_: str | SupportsIndex | None = None
    ) -> CommittedObject:
        """Make a proposal an object, of its own class or of another one; undoable."""
        p = self._one(index)
        target = self._commit(index, p, p.class_id if class_ is None else class_)
        self.changed.emit()
        return target

    def correct(
        self, index: int, mask: Any, class_: str | SupportsIndex | None = None
    ) -> CommittedObject:
        """Make a proposal an object with a better mask (as for `Session.commit`)."""
        p = self._one(index)
        target = self._commit(index, mask, p.class_id if class_ is None else class_)
        self.changed.emit()
        return target

    def reject(self, index: int) -> None:
        """Say that a proposal is wrong; an object that it became goes, undoably."""
        self._one(index)
        self._rejected.add(index)
        object_id = self.object_of(index)
        if object_id is not None:
            self.session.objects.remove(object_id)
        self.changed.emit()

    def accept_rest(self, least: float = 0.0) -> int:
        """Accept all that wait and are at least so certain, as one step; how many."""
        done = 0
        with self.session.history.group("accept the rest"):
            for i in self.waiting:
                if self.proposed[i].certainty < least:
                    continue
                p = self.proposed[i]
                try:
                    self._commit(i, p, p.class_id)
                except SessionError:
                    self._rejected.add(i)  # others have all of its pixels
                    continue
                done += 1
        self.changed.emit()
        return done

    # --- measuring

    def record(self) -> dict[str, Any]:
        """What the proposals were worth: counts and overlaps.

        ``iou`` is their mean overlap with the objects made of them; ``agreement`` is
        the share of labelled pixels whose proposed class is the one they have now, so
        that rejected and missing objects count too.
        """
        found = self.statuses()
        counts = {
            name: found.count(name) for name in (ACCEPTED, CORRECTED, REJECTED, WAITING)
        }
        overlaps = [
            self._overlap(i, object_id)
            for i in range(len(self))
            if (object_id := self.object_of(i)) is not None
        ]
        planes = {p.plane for p in self.proposed}
        own = {self.object_of(i) for i in range(len(self))}
        added = [
            o.id
            for o in self.session.objects.values()
            if o.id not in own and planes & o.parts.keys()
        ]
        return {
            "proposals": len(self),
            **counts,
            "added": len(added),
            "iou": round(float(np.mean(overlaps)), 4) if overlaps else None,
            "agreement": self._agreement(planes),
            "model": self.source.model,
            "model_name": self.source.name,
            "taught_by": self.source.taught_by,
            "sharpened": self.source.sharpened,
            "propose_seconds": round(self.source.seconds, 2),
        }

    # --- on disk

    def write(self, path: Path, *, all_: bool = True) -> None:
        """Write judgements beside the proposals, which with `all_` are written, too."""
        from napari_sesami.common.disk import write_atomic
        from napari_sesami.project import saying

        judged = {
            "objects": {str(i): o for i, o in self._objects.items()},
            "rejected": sorted(self._rejected),
        }
        with saying(path):
            if all_:
                found = [_to_dict(p) for p in self.proposed]
                text = {"version": 1, "source": vars(self.source), "proposed": found}
                write_atomic(path, json.dumps(text).encode())
            write_atomic(_judged(path), json.dumps(judged).encode())

    @classmethod
    def read(cls, session: Session, path: Path) -> Review:
        """Go on with proposals where somebody stopped."""
        try:
            data = read_checked(path, dict[str, Any])
            proposed = [_from_dict(p) for p in data["proposed"]]
            source = Source(**data["source"])
            beside = _judged(path)
            judged = read_checked(beside, dict[str, Any]) if beside.exists() else {}
            objects = {int(i): int(o) for i, o in judged.get("objects", {}).items()}
            rejected = {int(i) for i in judged.get("rejected", ())}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise SessionError(
                f"The proposals in {path} cannot be read ({error}); propose again."
            ) from error
        if any(p.shape != session.scan.plane_shape for p in proposed):
            raise SessionError(
                f"The proposals in {path} were made for another scan; propose again."
            )
        return cls(session, proposed, source, objects, rejected)

    # --- inside

    def _one(self, index: int) -> Mask:
        if not 0 <= index < len(self):
            raise SessionError(
                f"There is no proposal {index}; there are {len(self)}, from 0 on."
            )
        return self.proposed[index]

    def _commit(
        self, index: int, mask: Any, class_: str | SupportsIndex
    ) -> CommittedObject:
        p = self.proposed[index]
        target = self.session.objects.commit(
            mask,
            class_,
            p.plane,
            overlap="keep",
            object_id=self.object_of(index),
            prompts={"proposed": [round(p.certainty, 4), p.class_id]},
        )
        self._objects[index] = target.id
        self._rejected.discard(index)
        return target

    def _unchanged(self, index: int, object_id: int) -> bool:
        target = self.session.objects[object_id]
        if target.class_id != self.proposed[index].class_id:
            return False
        return self._overlap(index, object_id) >= SAME

    def _on_objects(self, ids: tuple[int, ...]) -> None:
        """Forget what was measured on objects that are others now."""
        for at in [at for at in self._overlaps if at[1] in ids]:
            del self._overlaps[at]

    def _overlap(self, index: int, object_id: int) -> float:
        at = (index, object_id)
        if at not in self._overlaps:
            self._overlaps[at] = self._measured(index, object_id)
        return self._overlaps[at]

    def _measured(self, index: int, object_id: int) -> float:
        p = self.proposed[index]
        if p.plane not in self.session.objects[object_id].parts:
            return 0.0
        return p.iou(self.session.objects.mask(object_id, p.plane))

    def _agreement(self, planes: set[int]) -> float | None:
        """Share of the pixels labelled on either side that have the same class."""
        same = either = 0
        for plane in planes:
            here = [p for p in self.proposed if p.plane == plane]
            said = as_labels(here, self.session.scan.plane_shape)
            final = self.session.document.labels.plane(plane)
            labelled = (said > 0) | (final > 0)
            either += int(np.count_nonzero(labelled))
            same += int(np.count_nonzero(labelled & (said == final)))
        return round(same / either, 4) if either else None


def _judged(path: Path) -> Path:
    return path.with_name(f"judged-{path.name}")


def _to_dict(p: Mask) -> dict[str, Any]:
    return {
        "bbox": list(p.bbox),
        "mask": pack(np.asarray(p.mask, np.uint8)),
        "shape": list(p.shape),
        "plane": p.plane,
        "class": p.class_id,
        "certainty": p.certainty,
        "score": p.score,
    }


def _from_dict(data: Mapping[str, Any]) -> Mask:
    y0, x0, y1, x1 = (int(v) for v in data["bbox"])
    pixels = np.asarray(unpack(data["mask"])).astype(bool)
    mask = pixels.reshape(y1 - y0, x1 - x0)
    shape = (int(data["shape"][0]), int(data["shape"][1]))
    score = 1.0 if data["score"] is None else float(data["score"])
    return Mask(
        (y0, x0, y1, x1),
        mask,
        score,
        shape,
        int(data["plane"]),
        class_id=int(data["class"]),
        certainty=float(data["certainty"]),
    )
