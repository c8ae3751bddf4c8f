"""The object at work: what was pointed at in each plane, undoable one by one.

No window is needed: a dock, a script and `sesami replay` all solve the same chain of
prompts, and the same chain gives the same mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.session.errors import SessionError
from napari_sesami.session.proposal import _plain, _revive, recall, remember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_sesami.prompt import Mask, Predictor
    from napari_sesami.scan import Scan

    Stop = Callable[[], bool]

KINDS = ("point", "box", "stroke", "lasso", "mask", "candidate", "given")


@dataclass(frozen=True, eq=False)
class Ask:
    """One thing that the user pointed at, in data pixels of a plane.

    Attributes
    ----------
    kind
        One of "point", "box", "stroke", "lasso", "mask", "candidate", "given".
    where
        (y, x); (y0, x0, y1, x1); (n, 2) along a line; a `Mask`; the number of the
        candidate taken; or all arguments of ``Session.prompt`` at once.
    label
        1 on the object, 0 off it.
    """

    kind: str
    where: Any
    label: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        if self.kind == "mask":
            where: Any = {
                "bbox": [int(v) for v in self.where.bbox],
                "mask": _plain(np.asarray(self.where.mask, np.uint8)),
            }
        elif self.kind == "candidate":
            where = int(self.where)
        elif self.kind == "given":
            where = remember(**self.where)
        else:
            where = np.asarray(self.where, float).tolist()
        return {"kind": self.kind, "where": where, "label": self.label}

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], shape: tuple[int, int], plane: int
    ) -> Ask:
        """Read what `to_dict` wrote."""
        kind, where = data["kind"], data["where"]
        if kind not in KINDS:
            raise SessionError(
                f"A prompt is one of {', '.join(KINDS)}; {kind!r} was stored. It comes "
                "from a newer version: update napari-sesami."
            )
        if kind == "mask":
            where = stored_mask(where["bbox"], _revive(where["mask"]), shape, plane)
        elif kind == "given":
            where = recall(where)
        return cls(kind, where, int(data["label"]))


class Asked:
    """A prompt after those before it, with the answer to all of them together."""

    def __init__(self, ask: Ask, before: Asked | None = None) -> None:
        self.ask, self.before = ask, before
        self.answer: Mask | None = None
        self._choices: tuple[Mask, ...] = ()

    @property
    def chain(self) -> list[Ask]:
        """All prompts up to this one, in order."""
        asks, node = [self.ask], self.before
        while node is not None:
            asks.append(node.ask)
            node = node.before
        return asks[::-1]

    def solve(
        self, predictor: Predictor, scan: Scan, plane: int, cancel: Stop | None = None
    ) -> Mask:
        """Answer what is not answered yet; answers of earlier prompts are kept."""
        from napari_sesami.common.cancel import Cancelled

        open_, node = [], self
        while node.answer is None:
            open_.append(node)
            if node.before is None:
                break
            node = node.before
        for node in reversed(open_):
            if cancel is not None and cancel():
                raise Cancelled
            node.answer = node._ask(predictor, scan, plane, cancel)
        assert self.answer is not None
        return self.answer

    def _ask(
        self, predictor: Predictor, scan: Scan, plane: int, cancel: Stop | None
    ) -> Mask:
        last = None if self.before is None else self.before.answer
        last = None if last is None or last.empty else last
        if self.ask.kind == "mask":
            return replace(self.ask.where, plane=plane)
        if self.ask.kind == "candidate":
            return self._candidate(predictor, scan, plane, cancel)
        if self.ask.kind == "lasso" and not self.ask.label:
            return _without(last, self.ask.where, scan.plane_shape)
        given = _given(self.chain)
        if self.ask.kind == "lasso":
            given["lasso"], last = self.ask.where, None
        elif self.ask.kind == "given":
            given["lasso"], last = (
                self.ask.where.get("lasso"),
                self.ask.where.get("mask"),
            )
        return predictor.predict(scan, plane, **given, mask=last, cancel=cancel)

    def _candidate(
        self, predictor: Predictor, scan: Scan, plane: int, cancel: Stop | None
    ) -> Mask:
        asked = self.before
        if asked is None or asked.answer is None:
            raise SessionError("Give a prompt first; then there are candidates.")
        if not asked._choices:
            earlier = None if asked.before is None else asked.before.answer
            if earlier is not None and earlier.empty:
                earlier = None
            given = _given(asked.chain)
            if asked.ask.kind == "lasso":
                given["lasso"], earlier = asked.ask.where, None
            elif asked.ask.kind in ("mask", "given"):
                earlier = asked.answer
            found = predictor.candidates(
                scan, plane, **given, mask=earlier, cancel=cancel
            )
            asked._choices = (asked.answer, *found[1:])
        return asked._choices[int(self.ask.where) % len(asked._choices)]


@dataclass(frozen=True, eq=False)
class Filled:
    """A plane that was not prompted: followed from the next one, or interpolated.

    `how` is {"followed": plane} or {"between": [first, last]}.
    """

    mask: Mask
    confidence: float
    how: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class _State:
    heads: Mapping[int, Asked] = field(default_factory=dict)
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
        self._state = self._taken_up = _State()
        self._done: list[_State] = []
        self._undone: list[_State] = []

    @property
    def heads(self) -> Mapping[int, Asked]:
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
            node: Asked | None = self.heads[plane]
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

    def add(self, plane: int, ask: Ask) -> Asked:
        """Put a prompt on top of those of its plane."""
        before = self.heads.get(plane)
        if before is None and plane in self.filled:
            before = Asked(Ask("mask", self.filled[plane].mask))
            before.answer = self.filled[plane].mask
        if ask.kind == "candidate" and before and before.ask.kind == "candidate":
            before = before.before
        node = Asked(ask, before)
        filled = {p: f for p, f in self.filled.items() if p != plane}
        self._step(_State({**self.heads, plane: node}, filled))
        return node

    def fill(self, filled: Mapping[int, Filled]) -> None:
        """Take over planes that were followed or interpolated, as one step."""
        new = {p: f for p, f in filled.items() if p not in self.heads}
        if new:
            self._step(_State(self.heads, {**self.filled, **new}))

    def take_up(self, heads: Mapping[int, Asked], filled: Mapping[int, Filled]) -> None:
        """Begin with what is committed."""
        self._state = self._taken_up = _State(dict(heads), dict(filled))

    def drop(self, node: Asked) -> None:
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
        steps = [ask.to_dict() for ask in self.heads[plane].chain]
        return {"steps": steps, **({"snap": snap} if snap else {})}

    def _step(self, state: _State) -> None:
        self._done.append(self._state)
        self._undone.clear()
        self._state = state


def chain_of(
    prompts: Mapping[str, Any], shape: tuple[int, int], plane: int
) -> Asked | None:
    """Read stored prompts of a plane; None if it was not made by prompts."""
    node: Asked | None = None
    for data in prompts.get("steps", ()):
        node = Asked(Ask.from_dict(data, shape, plane), node)
    return node


def stored_mask(
    bbox: Any, crop: Any, shape: tuple[int, int], plane: int, score: float = 1.0
) -> Mask:
    """Make a mask of a box and its pixels."""
    from napari_sesami.prompt import Mask

    y0, x0, y1, x1 = (int(v) for v in bbox)
    pixels = np.asarray(crop).astype(bool)
    return Mask((y0, x0, y1, x1), pixels, score, shape, plane)


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


def _given(asks: list[Ask]) -> dict[str, Any]:
    """Gather prompts as the arguments of ``Predictor.predict``."""
    from napari_sesami.prompt import Stroke

    points, strokes, box = [], [], None
    for ask in asks:
        if ask.kind == "point":
            points.append((*ask.where, ask.label))
        elif ask.kind == "stroke":
            strokes.append(Stroke(ask.where, ask.label))
        elif ask.kind == "box":
            box = ask.where
        elif ask.kind == "given":
            at = np.reshape(ask.where.get("points", ()), (-1, 2))
            signs = ask.where.get("labels", np.ones(len(at)))
            points += [(y, x, s) for (y, x), s in zip(at, np.ravel(signs), strict=True)]
            strokes += [Stroke(path) for path in ask.where.get("strokes", ())]
            box = ask.where.get("box", box)
    given: dict[str, Any] = {"box": box, "strokes": strokes or None}
    if points:
        table = np.array(points, float)
        given["points"], given["labels"] = table[:, :2], table[:, 2]
    return given


def _without(last: Mask | None, lasso: Any, shape: tuple[int, int]) -> Mask:
    """Cut a lasso out of a mask."""
    from napari_sesami.prompt import polygon_mask

    if last is None:
        raise SessionError(
            "There is no mask yet to cut from; point at the object first."
        )
    left = last.mask & ~polygon_mask(lasso, shape).window(last.bbox)
    return replace(last, mask=left, logits=None, view=None)
