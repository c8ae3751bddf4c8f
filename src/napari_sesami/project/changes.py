"""Edits as data: small, exact, reversible, and the same in undo and on disk."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_sesami.common.box import BBox, box_of
from napari_sesami.common.checked import inflated
from napari_sesami.project.classes import ClassChange, ClassEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

"""(y0, x0, y1, x1), the ends excluded."""

LAYERS: dict[str, np.dtype[Any]] = {
    "labels": np.dtype("<u1"),
    "strokes": np.dtype("<u1"),
    "below": np.dtype("<u1"),
    "objects": np.dtype("<u4"),
}
"""Labels and strokes hold class ids, "below" those that strokes were painted over
where classes may overlap; objects hold the ids of committed objects."""


@dataclass(frozen=True)
class PixelChange:
    """Changed pixels of one plane: before XOR after inside a box, compressed.

    XOR is its own inverse, so that one block serves undo and redo, and it is zero
    wherever nothing changed, so that it packs well.
    """

    layer: str
    plane: int
    bbox: BBox
    packed: bytes

    @classmethod
    def between(
        cls,
        layer: str,
        plane: int,
        corner: tuple[int, int],
        before: NDArray[Any],
        after: NDArray[Any],
    ) -> PixelChange | None:
        """Compare two crops whose upper left pixel is `corner`; None if equal."""
        diff = np.bitwise_xor(before, after, dtype=LAYERS[layer])
        box = box_of(diff)
        if box is None:
            return None
        y0, x0, y1, x1 = box
        packed = zlib.compress(diff[y0:y1, x0:x1].tobytes(), 1)
        dy, dx = corner
        return cls(layer, plane, (y0 + dy, x0 + dx, y1 + dy, x1 + dx), packed)

    def inverse(self) -> PixelChange:
        """Give the edit that takes this one back: itself."""
        return self

    @property
    def whole(self) -> bool:
        """Whether the pixels of a change from a file are all there, and no more."""
        try:
            self._difference()
        except ValueError:
            return False
        return True

    def apply(self, target: NDArray[Any]) -> None:
        """Carry the edit out on the whole plane (y, x)."""
        y0, x0, y1, x1 = self.bbox
        target[y0:y1, x0:x1] ^= self._difference()

    def _difference(self) -> NDArray[Any]:
        y0, x0, y1, x1 = self.bbox
        dtype = LAYERS[self.layer]
        size = (y1 - y0) * (x1 - x0) * dtype.itemsize
        flat = np.frombuffer(inflated(self.packed, size), dtype)
        return flat.reshape(y1 - y0, x1 - x0)


@dataclass(frozen=True)
class ObjectChange:
    """A committed object appeared, changed or went; the states are JSON objects."""

    id: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    def inverse(self) -> ObjectChange:
        """Give the edit that takes this one back."""
        return ObjectChange(self.id, self.after, self.before)


@dataclass(frozen=True)
class AnswerChange:
    """A query was answered, or its answer went; the states are JSON objects."""

    id: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    def inverse(self) -> AnswerChange:
        """Give the edit that takes this one back."""
        return AnswerChange(self.id, self.after, self.before)


@dataclass(frozen=True)
class SizeChange:
    """The user gave the scan another pixel size: (sizes, units) over the axes."""

    before: tuple[tuple[float | None, ...], tuple[str | None, ...]]
    after: tuple[tuple[float | None, ...], tuple[str | None, ...]]

    def inverse(self) -> SizeChange:
        """Give the edit that takes this one back."""
        return SizeChange(self.after, self.before)


@dataclass(frozen=True)
class RecipeChange:
    """What is measured on the scan changed: TOML of a recipe before and after."""

    before: str
    after: str

    def inverse(self) -> RecipeChange:
        """Give the edit that takes this one back."""
        return RecipeChange(self.after, self.before)


Change: TypeAlias = (
    PixelChange | ObjectChange | ClassChange | SizeChange | AnswerChange | RecipeChange
)


@dataclass(frozen=True)
class Step:
    """One entry of the history: what to call it and what it changed, in order."""

    name: str
    changes: tuple[Change, ...]

    def inverse(self) -> tuple[Change, ...]:
        """Give the edits that take this step back, last one first."""
        return tuple(change.inverse() for change in reversed(self.changes))


def pack(changes: tuple[Change, ...]) -> tuple[list[dict[str, Any]], bytes]:
    """Turn edits into JSON values and the bytes that follow them."""
    head: list[dict[str, Any]] = []
    body: list[bytes] = []
    for change in changes:
        match change:
            case PixelChange(layer, plane, bbox, packed):
                item = {"layer": layer, "plane": plane, "bbox": bbox}
                head.append({"kind": "pixels", **item, "bytes": len(packed)})
                body.append(packed)
            case ClassChange(id_, before, after):
                states = [e.to_dict() if e else None for e in (before, after)]
                head.append({"kind": "class", "id": id_, "states": states})
            case ObjectChange(id_, old, new):
                head.append({"kind": "object", "id": id_, "states": [old, new]})
            case AnswerChange(id_, asked, answered):
                head.append({"kind": "answer", "id": id_, "states": [asked, answered]})
            case SizeChange():
                states_ = [change.before, change.after]
                head.append({"kind": "size", "states": states_})
            case RecipeChange(was, now):
                head.append({"kind": "recipe", "states": [was, now]})
    return head, b"".join(body)


def unpack(head: list[dict[str, Any]], body: bytes) -> tuple[Change, ...]:
    """Read what `pack` gave."""
    changes: list[Change] = []
    at = 0
    for item in head:
        if item["kind"] == "pixels":
            end = at + int(item["bytes"])
            y0, x0, y1, x1 = (int(v) for v in item["bbox"])
            changes.append(
                PixelChange(
                    item["layer"], int(item["plane"]), (y0, x0, y1, x1), body[at:end]
                )
            )
            at = end
            continue
        before, after = item["states"]
        if item["kind"] == "class":
            entries = [ClassEntry.from_dict(s) if s else None for s in (before, after)]
            changes.append(ClassChange(int(item["id"]), *entries))
        elif item["kind"] == "object":
            changes.append(ObjectChange(int(item["id"]), before, after))
        elif item["kind"] == "answer":
            changes.append(AnswerChange(int(item["id"]), before, after))
        elif item["kind"] == "recipe":
            changes.append(RecipeChange(before, after))
        else:
            sizes = [(tuple(s[0]), tuple(s[1])) for s in (before, after)]
            changes.append(SizeChange(*sizes))
    return tuple(changes)
