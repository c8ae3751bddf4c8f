"""What is known of a committed object, and of its part in each plane."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sesami.common.box import BBox


@dataclass(frozen=True)
class Part:
    """What an object is in one plane, and how it came about.

    Attributes
    ----------
    bbox
        (y0, x0, y1, x1) of its pixels, the ends excluded.
    score
        The model's own guess of its quality, if a model made it.
    overlap
        The policy it was committed with.
    prompts
        The clicks, boxes and strokes that made it, as JSON values.
    """

    bbox: BBox
    score: float | None = None
    overlap: str = "overwrite"
    prompts: Mapping[str, Any] | None = None

    @property
    def filled(self) -> bool:
        """Whether it was followed or interpolated from other planes, not prompted."""
        return bool({"followed", "between"} & set(self.prompts or ()))

    def to_dict(self) -> dict[str, Any]:
        """Give the part as plain JSON values."""
        values = {"bbox": list(self.bbox), "score": self.score}
        return {**values, "overlap": self.overlap, "prompts": self.prompts}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Part:
        """Read what `to_dict` wrote."""
        y0, x0, y1, x1 = (int(v) for v in data["bbox"])
        return cls((y0, x0, y1, x1), data["score"], data["overlap"], data["prompts"])


@dataclass(frozen=True)
class CommittedObject:
    """One committed object; in a volume it may span several planes.

    Attributes
    ----------
    id
        Its value in the session's ``object_ids``.
    class_id
        Its class.
    instance
        Whether it counts as one thing ("a void"), not just as some of a material.
    order
        Grows with every commit, so that they can be repeated in the same order.
    parts
        What it is in each plane.
    """

    id: int
    class_id: int
    instance: bool = True
    order: int = 0
    parts: Mapping[int, Part] = field(default_factory=dict)

    @property
    def plane(self) -> int:
        """The first plane it appears in."""
        return min(self.parts)

    @property
    def bbox(self) -> BBox:
        """Its box in that plane."""
        return self.parts[self.plane].bbox

    def with_part(self, plane: int, part: Part | None) -> CommittedObject:
        """Give it another part in a plane, or none there."""
        parts = {p: old for p, old in self.parts.items() if p != plane}
        if part is not None:
            parts[plane] = part
        return replace(self, parts=dict(sorted(parts.items())))

    def to_dict(self) -> dict[str, Any]:
        """Give the object as plain JSON values."""
        return {
            "class": self.class_id,
            "instance": self.instance,
            "order": self.order,
            "parts": {str(p): part.to_dict() for p, part in self.parts.items()},
        }

    @classmethod
    def from_dict(cls, id_: int, data: Mapping[str, Any]) -> CommittedObject:
        """Read what `to_dict` wrote."""
        parts = {int(p): Part.from_dict(part) for p, part in data["parts"].items()}
        return cls(id_, int(data["class"]), data["instance"], data["order"], parts)
