"""Any sequence of steps gives what a plain list of pictures says it must give."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from napari_sesami.session import Session, SessionError
from napari_sesami.session.edits import LEAST_LEFT

SHAPE = (2, 8, 9)
SCAN = np.arange(144, dtype=np.uint8).reshape(SHAPE)
planes = st.integers(0, 1)
class_ids = st.integers(1, 2)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[slice, slice]:
    y0, x0 = draw(st.integers(0, 7)), draw(st.integers(0, 8))
    return (
        slice(y0, draw(st.integers(y0 + 1, 8))),
        slice(x0, draw(st.integers(x0 + 1, 9))),
    )


class Picture:
    """What a session should hold: full arrays, copied at every step."""

    def __init__(self) -> None:
        self.labels = np.zeros(SHAPE, int)
        self.strokes = np.zeros(SHAPE, int)
        self.ids = np.zeros(SHAPE, int)
        self.classes: dict[int, str] = {1: "oxide", 2: "void"}
        self.of_object: dict[int, int] = {}

    def copy(self) -> Picture:
        new = Picture()
        for name in ("labels", "strokes", "ids"):
            setattr(new, name, getattr(self, name).copy())
        new.classes, new.of_object = dict(self.classes), dict(self.of_object)
        return new

    def tidy(self) -> Picture:
        """Objects without pixels are none."""
        there = {int(i) for i in np.unique(self.ids)}
        self.of_object = {k: c for k, c in self.of_object.items() if k in there}
        return self

    def same(self, other: Picture) -> bool:
        return (
            all(
                np.array_equal(getattr(self, n), getattr(other, n))
                for n in ("labels", "strokes", "ids")
            )
            and self.classes == other.classes
            and self.of_object == other.of_object
        )


class SessionMachine(RuleBasedStateMachine):
    """Drives a session and the plain model side by side."""

    @initialize(on_disk=st.booleans())
    def begin(self, on_disk: bool) -> None:
        self.home = Path(tempfile.mkdtemp(dir=_memory()))
        self.folder = self.home / "m.sesami" if on_disk else None
        self.session = Session(SCAN, self.folder)
        self.session.classes.add("oxide")
        self.session.classes.add("void")
        self.now = Picture()
        self.last_object = 0
        self.past: list[Picture] = []
        self.future: list[Picture] = []
        self.session.history.clear()
        self.save()

    def teardown(self) -> None:
        if hasattr(self, "home"):
            self.session.close()
            shutil.rmtree(self.home)

    def step(self, new: Picture) -> None:
        if not new.tidy().same(self.now):
            self.do(new)

    def do(self, new: Picture) -> None:
        self.past.append(self.now)
        self.future.clear()
        self.now = new
        self.journaled = (self.journaled[0] + 1, 0)

    @rule(plane=planes, box=boxes(), class_=st.integers(0, 2))
    def paint(self, plane: int, box: tuple[slice, slice], class_: int) -> None:
        if class_ and class_ not in self.now.classes:
            return
        strokes = np.zeros(SHAPE[1:], int)
        strokes[box] = class_
        self.session.paint(strokes, plane)
        new = self.now.copy()
        if class_:
            new.strokes[plane][box] = class_
        self.step(new)

    @rule(plane=planes, box=boxes())
    def erase(self, plane: int, box: tuple[slice, slice]) -> None:
        where = np.zeros(SHAPE[1:], bool)
        where[box] = True
        self.session.strokes.erase(where, plane)
        new = self.now.copy()
        new.strokes[plane][box] = 0
        self.step(new)

    @rule(plane=planes, box=boxes(), class_=st.integers(0, 2))
    def write(self, plane: int, box: tuple[slice, slice], class_: int) -> None:
        if class_ and class_ not in self.now.classes:
            return
        new = self.now.copy()
        labels, ids = new.labels[plane][box], new.ids[plane][box]
        ids[labels != class_] = 0
        labels[:] = class_
        corner = (box[0].start, box[1].start)
        self.session.document.labels.write(
            np.full(labels.shape, class_), plane, at=corner
        )
        self.step(new)

    @rule(
        plane=planes,
        box=boxes(),
        class_=class_ids,
        overlap=st.sampled_from(["overwrite", "keep", "free"]),
        again=st.integers(0, 3),
    )
    def commit(
        self, plane: int, box: Any, class_: int, overlap: str, again: int
    ) -> None:
        if class_ not in self.now.classes:
            return
        mask = np.zeros(SHAPE[1:], bool)
        mask[box] = True
        existing = sorted(self.now.of_object)
        id_ = existing[again] if again < len(existing) else None
        target = id_ or self.last_object + 1
        new = self.now.copy()
        labels, ids = new.labels[plane], new.ids[plane]
        own = ids == target
        allowed = mask.copy()
        if overlap == "keep":
            allowed &= (ids == 0) | own
        if overlap == "free":
            allowed &= (labels == 0) | own
        options = {"overlap": overlap, "object_id": id_}
        try:
            found = self.session.commit(mask, class_, plane, **options)
        except SessionError:
            assert not allowed.any()
            return
        assert allowed.any()
        assert found.id == target
        self.last_object = max(self.last_object, target)
        before = ids.copy()
        labels[own] = ids[own] = 0
        new.labels[new.ids == target] = class_
        labels[allowed], ids[allowed] = class_, target
        for other in set(np.unique(before[before != ids]).tolist()) - {0, target}:
            left = ids == other  # a rim goes, too
            if left.sum() < LEAST_LEFT * (before == other).sum():
                labels[left] = ids[left] = 0
        new.of_object[target] = class_
        new.tidy()
        # a commit is a step even if no pixel changes: its order and prompts do
        self.do(new)

    @rule(which=st.integers(0, 3))
    def remove_object(self, which: int) -> None:
        existing = sorted(self.now.of_object)
        if which >= len(existing):
            return
        self.session.objects.remove(existing[which])
        new = self.now.copy()
        gone = new.ids == existing[which]
        new.labels[gone] = new.ids[gone] = 0
        self.step(new)

    @rule(class_=class_ids)
    def remove_class(self, class_: int) -> None:
        if class_ not in self.now.classes:
            return
        self.session.classes.remove(class_)
        new = self.now.copy()
        del new.classes[class_]
        for layer in (new.labels, new.strokes):
            layer[layer == class_] = 0
        lost = [k for k, c in new.of_object.items() if c == class_]
        new.ids[np.isin(new.ids, lost)] = 0
        self.step(new)

    @rule(class_=class_ids, name=st.sampled_from(["pore", "liner", "Cu"]))
    def rename_class(self, class_: int, name: str) -> None:
        if class_ not in self.now.classes or name in self.now.classes.values():
            return
        self.session.classes.rename(class_, name)
        new = self.now.copy()
        new.classes[class_] = name
        self.step(new)

    @rule()
    def undo(self) -> None:
        assert (self.session.undo() is not None) == bool(self.past)
        if self.past:
            self.future.append(self.now)
            self.now = self.past.pop()
            done, undone = self.journaled
            self.journaled = (max(done - 1, 0), undone + 1)

    @rule()
    def redo(self) -> None:
        assert (self.session.history.redo() is not None) == bool(self.future)
        if self.future:
            self.past.append(self.now)
            self.now = self.future.pop()
            done, undone = self.journaled
            self.journaled = (done + 1, max(undone - 1, 0))

    @rule()
    def undo_then_redo(self) -> None:
        self.undo()
        self.agree()
        if self.future:
            self.redo()

    @rule()
    def save(self) -> None:
        if self.folder is not None:
            self.session.save()
        self.journaled = (0, 0)

    @precondition(lambda self: self.folder is not None)
    @rule(clean=st.booleans())
    def reopen(self, clean: bool) -> None:
        if clean:
            self.session.close()
        self.session = Session(SCAN, self.folder)
        # steps since the last save come back; those before it are done for good
        done, undone = self.journaled
        assert len(self.session.history.done) == done
        assert len(self.session.history.undone) == undone
        self.past = self.past[len(self.past) - done :]
        self.future = self.future[len(self.future) - undone :]

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "session"):
            return
        s, now = self.session, self.now
        np.testing.assert_array_equal(s.labels, now.labels)
        np.testing.assert_array_equal(s.strokes, now.strokes)
        np.testing.assert_array_equal(s.objects.ids, now.ids)
        assert {e.id: e.name for e in s.classes} == now.classes
        assert {k: o.class_id for k, o in s.objects.items()} == now.of_object
        for id_, object_ in s.objects.items():
            for plane, part in object_.parts.items():
                there = np.argwhere(now.ids[plane] == id_)
                y0, x0 = there.min(0)
                y1, x1 = there.max(0) + 1
                assert part.bbox == (y0, x0, y1, x1)
            assert set(object_.parts) == set(np.argwhere(now.ids == id_)[:, 0].tolist())


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


TestSession = SessionMachine.TestCase
TestSession.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
