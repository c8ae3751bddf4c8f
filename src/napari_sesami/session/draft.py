"""The object at work: what was pointed at in each plane, undoable one by one.

A dock, a script and `sesami replay` all solve the same chain of prompts, and the same
chain gives the same mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import Cancelled
from napari_sesami.common.packing import pack, unpack
from napari_sesami.prompt import Mask, Prompt, Stroke, polygon_mask
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.prompt import Predictor
    from napari_sesami.scan import Scan

KINDS = ("point", "box", "stroke", "lasso", "mask", "refine", "candidate")
OLD = frozenset(("points", "box", "strokes", "lasso"))
"""By these names the prompts of one question were stored before there were steps."""


@dataclass(frozen=True, eq=False)
class PromptStep:
    """One thing that the user pointed at, in data pixels of a plane.

    Attributes
    ----------
    kind
        One of "point", "box", "stroke", "lasso", "mask", "candidate", or "refine",
        which asks for a better mask than the one that is given.
    where
        (y, x); (y0, x0, y1, x1); (n, 2) along a line; a `Mask`; or the number of the
        candidate taken.
    label
        1 on the object, 0 off it.
    joins
        Whether it is asked together with the step before, as one question.
    """

    kind: str
    where: Any = None
    label: int = 1
    joins: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        if self.kind == "mask":
            where: Any = {
                "bbox": [int(v) for v in self.where.bbox],
                "mask": pack(np.asarray(self.where.mask, np.uint8)),
            }
            if "steps" in self.where.prompts:  # asked again when it is read
                where["steps"] = self.where.prompts["steps"]
        elif self.kind == "candidate":
            where = int(self.where)
        elif self.kind == "refine":
            where = None
        else:
            where = np.asarray(self.where, float).tolist()
        told = {"kind": self.kind, "where": where, "label": self.label}
        return {**told, "joins": True} if self.joins else told

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], shape: tuple[int, int], plane: int
    ) -> PromptStep:
        """Read what `to_dict` wrote."""
        kind, where = data["kind"], data["where"]
        if kind not in KINDS:
            raise SessionError(
                f"A prompt is one of {', '.join(KINDS)}; {kind!r} was stored. It comes "
                "from a newer version: update napari-sesami."
            )
        if kind == "mask":
            y0, x0, y1, x1 = (int(v) for v in where["bbox"])
            pixels = np.asarray(unpack(where["mask"])).astype(bool)
            known = {"steps": where["steps"]} if "steps" in where else {}
            where = Mask((y0, x0, y1, x1), pixels, 1.0, shape, plane, prompts=known)
        return cls(kind, where, int(data["label"]), bool(data.get("joins", False)))


def steps_of(
    shape: tuple[int, int],
    plane: int,
    *,
    points: Any = None,
    labels: Any = None,
    box: Any = None,
    strokes: Any = None,
    mask: Any = None,
    lasso: Any = None,
) -> list[PromptStep]:
    """Bring prompts that are one question into steps; the arguments of `Predictor`.

    Raises
    ------
    PromptError
        What is given is no prompt, or lies outside the plane.
    """
    parsed = Prompt.parse(shape, points, labels, box, strokes, mask, lasso)
    steps: list[tuple[str, Any, int]] = []
    if mask is not None and lasso is None:
        prior = mask if isinstance(mask, Mask) else Mask.from_array(mask, plane=plane)
        steps.append(("mask", prior, 1))
    if parsed.box is not None:
        steps.append(("box", parsed.box, 1))
    steps += [("stroke", s.path, s.label) for s in parsed.strokes]
    pairs = zip(parsed.points, parsed.labels, strict=True)
    steps += [("point", at, int(label)) for at, label in pairs]
    if lasso is not None:
        steps.append(("lasso", np.asarray(lasso, float), 1))
    if len(steps) == 1 and steps[0][0] == "mask":
        steps.append(("refine", None, 1))
    return [PromptStep(*step, joins=i > 0) for i, step in enumerate(steps)]


class PromptChain:
    """A prompt after those before it, with the answer to all of them together."""

    def __init__(self, step: PromptStep, before: PromptChain | None = None) -> None:
        self.step, self.before = step, before
        self.answer: Mask | None = None
        self._choices: tuple[Mask, ...] = ()

    @property
    def steps(self) -> list[PromptStep]:
        """All prompts up to this one, in order."""
        steps, node = [self.step], self.before
        while node is not None:
            steps.append(node.step)
            node = node.before
        return steps[::-1]

    @property
    def earlier(self) -> PromptChain | None:
        """What was asked before this question."""
        return self._question()[1]

    @property
    def depth(self) -> int:
        """How many questions were asked, this one included."""
        count, node = 1, self.earlier
        while node is not None:
            count, node = count + 1, node.earlier
        return count

    def solve(
        self,
        predictor: Predictor,
        scan: Scan,
        plane: int,
        cancel: IsCancelled | None = None,
    ) -> Mask:
        """Answer what is not answered yet; answers of earlier prompts are kept."""
        open_: list[PromptChain] = []
        node: PromptChain | None = self
        while node is not None and node.answer is None:
            open_.append(node)
            node = node.earlier
        for node in reversed(open_):
            if cancel is not None and cancel():
                raise Cancelled
            node.answer = node._ask(predictor, scan, plane, cancel)
        assert self.answer is not None
        return self.answer

    def stored(self) -> dict[str, Any]:
        """Give all prompts as JSON values, to be read by `chain_of`."""
        return {"steps": [step.to_dict() for step in self.steps]}

    def _question(self) -> tuple[list[PromptStep], PromptChain | None]:
        """Give the steps that are asked together with this one, and what was before."""
        steps, node = [self.step], self
        while node.step.joins and node.before is not None:
            node = node.before
            steps.insert(0, node.step)
        return steps, node.before

    def _ask(
        self,
        predictor: Predictor,
        scan: Scan,
        plane: int,
        cancel: IsCancelled | None,
    ) -> Mask:
        question, earlier = self._question()
        first = question[0]
        if len(question) == 1 and first.kind == "mask":
            return replace(first.where, plane=plane)
        if first.kind == "candidate":
            return self._candidate(predictor, scan, plane, cancel)
        last = None if earlier is None else earlier.answer
        last = None if last is None or last.empty else last
        if len(question) == 1 and first.kind == "lasso" and not first.label:
            return _without(last, first.where, scan.plane_shape)
        given = _given(self.steps)
        if first.kind == "mask":
            last = first.where
            if last.logits is None and "steps" in last.prompts:
                made = chain_of(last.prompts, last.shape, plane)
                assert made is not None
                last = made.solve(predictor, scan, plane, cancel)
        lasso = [s.where for s in question if s.kind == "lasso"]
        if lasso:
            given["lasso"], last = lasso[-1], None
        return predictor.predict(scan, plane, **given, mask=last, cancel=cancel)

    def _candidate(
        self,
        predictor: Predictor,
        scan: Scan,
        plane: int,
        cancel: IsCancelled | None,
    ) -> Mask:
        asked = self.before
        if asked is None or asked.answer is None:
            raise SessionError("Give a prompt first; then there are candidates.")
        if not asked._choices:
            question, before = asked._question()
            earlier = None if before is None else before.answer
            if earlier is not None and earlier.empty:
                earlier = None
            given = _given(asked.steps)
            lasso = [s.where for s in question if s.kind == "lasso"]
            if lasso:
                given["lasso"], earlier = lasso[-1], None
            elif question[0].kind == "mask":
                earlier = asked.answer
            found = predictor.candidates(
                scan, plane, **given, mask=earlier, cancel=cancel
            )
            asked._choices = (asked.answer, *found[1:])
        return asked._choices[int(self.step.where) % len(asked._choices)]


@dataclass(frozen=True, eq=False)
class Filled:
    """A plane that was not prompted: followed from the next one, or interpolated.

    `how` is {"followed": plane} or {"between": [first, last]}.
    """

    mask: Mask
    confidence: float
    how: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class _DraftState:
    heads: Mapping[int, PromptChain] = field(default_factory=dict)
    filled: Mapping[int, Filled] = field(default_factory=dict)


class Draft:
    """One object before it is committed, over one plane or several.

    Attributes
    ----------
    object_id
        The committed object that is being corrected, or None for a new one.
    """

    def __init__(self, object_id: int | None = None) -> None:
        self.object_id = object_id
        self._state = self._taken_up = _DraftState()
        self._done: list[_DraftState] = []
        self._undone: list[_DraftState] = []

    @property
    def heads(self) -> Mapping[int, PromptChain]:
        """The last prompt of each prompted plane."""
        return self._state.heads

    @property
    def filled(self) -> Mapping[int, Filled]:
        """Planes that were followed or interpolated."""
        return self._state.filled

    @property
    def planes(self) -> list[int]:
        """Planes in which there is something."""
        return sorted({*self.heads, *self.filled})

    @property
    def changed_planes(self) -> list[int]:
        """Planes that differ from what is committed already."""
        old, new = self._taken_up, self._state
        return [
            p
            for p in self.planes
            if new.heads.get(p) is not old.heads.get(p)
            or new.filled.get(p) is not old.filled.get(p)
        ]

    @property
    def can_undo(self) -> bool:
        """Whether a prompt can be taken back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether a prompt can be given again."""
        return bool(self._undone)

    def mask(self, plane: int) -> Mask | None:
        """The mask of a plane, if there is one yet."""
        if plane in self.heads:
            node: PromptChain | None = self.heads[plane]
            while node is not None and node.answer is None:
                node = node.before  # the last answer stays until there is a new one
            return None if node is None else node.answer
        return self.filled[plane].mask if plane in self.filled else None

    def confidence(self, plane: int) -> float:
        """How sure a plane is, 0 to 1."""
        if plane in self.filled:
            return self.filled[plane].confidence
        mask = self.mask(plane)
        return 0.0 if mask is None else float(mask.score)

    def add(self, plane: int, step: PromptStep) -> PromptChain:
        """Put a prompt on top of those of its plane."""
        before = self.heads.get(plane)
        if before is None and plane in self.filled:
            before = PromptChain(PromptStep("mask", self.filled[plane].mask))
            before.answer = self.filled[plane].mask
        if step.kind == "candidate" and before and before.step.kind == "candidate":
            before = before.before
        node = PromptChain(step, before)
        filled = {p: f for p, f in self.filled.items() if p != plane}
        self._step(_DraftState({**self.heads, plane: node}, filled))
        return node

    def fill(self, filled: Mapping[int, Filled]) -> None:
        """Take over planes that were followed or interpolated, as one step."""
        new = {p: f for p, f in filled.items() if p not in self.heads}
        if new:
            self._step(_DraftState(self.heads, {**self.filled, **new}))

    def take_up(
        self, heads: Mapping[int, PromptChain], filled: Mapping[int, Filled]
    ) -> None:
        """Begin with what is committed."""
        self._state = self._taken_up = _DraftState(dict(heads), dict(filled))

    def drop(self, node: PromptChain) -> None:
        """Forget a prompt that could not be answered; redo does not bring it back."""
        if self._done and node in self.heads.values():
            self._state = self._done.pop()

    def undo(self) -> bool:
        """Take the last prompt back."""
        if not self._done:
            return False
        self._undone.append(self._state)
        self._state = self._done.pop()
        return True

    def redo(self) -> bool:
        """Give the prompt taken back last again."""
        if not self._undone:
            return False
        self._done.append(self._state)
        self._state = self._undone.pop()
        return True

    def stored(self, plane: int, snap: int = 0) -> dict[str, Any]:
        """What a plane was made from, as JSON values for ``Session.commit``."""
        if plane in self.filled:
            return dict(self.filled[plane].how)
        stored = self.heads[plane].stored()
        return {**stored, "snap": snap} if snap else stored

    def _step(self, state: _DraftState) -> None:
        self._done.append(self._state)
        self._undone.clear()
        self._state = state


def chain_of(
    prompts: Mapping[str, Any], shape: tuple[int, int], plane: int
) -> PromptChain | None:
    """Read stored prompts of a plane; None if it was not made by prompts."""
    node: PromptChain | None = None
    if OLD & set(prompts):  # one question, as scripts stored it once
        prompts = {"steps": [{"kind": "given", "where": prompts}]}
    for data in prompts.get("steps", ()):
        if data["kind"] == "given":
            given = {name: unpack(value) for name, value in data["where"].items()}
            steps = steps_of(shape, plane, **given)
        else:
            steps = [PromptStep.from_dict(data, shape, plane)]
        for step in steps:
            node = PromptChain(step, node)
    return node


def snapped(mask: Mask, scan: Scan, reach: int) -> Mask:
    """Move a mask's border to the steepest grey step within `reach` pixels."""
    if reach < 1 or mask.empty:
        return mask
    from napari_sesami.prompt import snap_to_edges

    margin = 2 * reach + 4
    height, width = mask.shape
    y0, x0, y1, x1 = mask.bbox
    box = (
        max(0, y0 - margin),
        max(0, x0 - margin),
        min(height, y1 + margin),
        min(width, x1 + margin),
    )
    moved = snap_to_edges(mask.window(box), scan.grey(mask.plane, box), reach)
    return replace(mask, bbox=box, mask=moved)


def _given(steps: list[PromptStep]) -> dict[str, Any]:
    """Gather prompts as the arguments of ``Predictor.predict``."""
    points, strokes, box = [], [], None
    for step in steps:
        if step.kind == "point":
            points.append((*step.where, step.label))
        elif step.kind == "stroke":
            strokes.append(Stroke(step.where, step.label))
        elif step.kind == "box":
            box = step.where
    given: dict[str, Any] = {"box": box, "strokes": strokes or None}
    if points:
        table = np.array(points, float)
        given["points"], given["labels"] = table[:, :2], table[:, 2]
    return given


def _without(last: Mask | None, lasso: Any, shape: tuple[int, int]) -> Mask:
    """Cut a lasso out of a mask."""
    if last is None:
        raise SessionError(
            "There is no mask yet to cut from; point at the object first."
        )
    left = last.mask & ~polygon_mask(lasso, shape).window(last.bbox)
    return replace(last, mask=left, logits=None, view=None)
