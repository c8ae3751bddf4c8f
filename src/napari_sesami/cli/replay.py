"""`sesami replay`: repeat the prompts and commits of a project, with no window.

With the same model the labels come out the same (on another kind of processor but for
single pixels of outlines, which are counted); with another model they show what it
would have made of the same clicks.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.cli.checks import check_writable
from napari_sesami.common.inside import inside

if TYPE_CHECKING:
    import argparse

    from napari_sesami.prompt import Mask
    from napari_sesami.session import CommittedObject, PromptChain, Session


@dataclass(frozen=True)
class Replayed:
    """The labels that came out, and how many differ from those in the project."""

    name: str
    session: Session
    differing: int
    objects: int


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    replay = commands.add_parser(
        "replay", help="repeat a project's prompts and write the labels, headless"
    )
    replay.add_argument("project", type=Path, help="folder *.sesami")
    replay.add_argument("--model", help="name in the catalog, or a file of weights")
    replay.add_argument(
        "-o", "--out", type=Path, help="folder for the labels (default: beside it)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Replay every scan of a project and write its labels."""
    from napari_sesami.project import Project
    from napari_sesami.scan import save_labels
    from napari_sesami.session import Session

    out = Path(arguments.out or arguments.project.with_suffix(".replay"))
    if arguments.project.is_dir():
        check_writable(out, make=arguments.out is not None)
    with Project.open(arguments.project, read_only=True) as project:
        for entry in project.scans:
            done = replay(Session.open(project, entry.key), arguments.model)
            out.mkdir(parents=True, exist_ok=True)
            path = inside(out, f"{done.name.replace('/', '-')}.ome.tif")
            session = done.session
            save_labels(session.labels, path, session.scan, list(session.classes))
            same = f"{done.differing} pixels differ" if done.differing else "the same"
            print(f"{path}: {done.objects} objects, {same}")
    return 0


def replay(old: Session, model: str | Path | Any = None) -> Replayed:
    """Repeat what was committed in a session, in the same order, in a new one.

    Strokes are painted again. What was painted into the labels by hand has no prompts;
    it is taken over.
    """
    from napari_sesami.session import Session

    wish = model if model is not None else old.prompts.model
    new = Session(old.scan, model=wish)
    for entry in old.classes:
        _same_class(new, entry)
    _take_strokes(old, new)
    _take_hand_work(old, new)
    for target in sorted(old.objects.values(), key=lambda o: o.order):
        _repeat(old, new, target)
    _take_hand_work(old, new)
    differing = sum(
        int(
            np.count_nonzero(
                old.document.labels.plane(p) != new.document.labels.plane(p)
            )
        )
        for p in {*old.document.labels.planes, *new.document.labels.planes}
    )
    return Replayed(old.scan.name, new, differing, len(old.objects))


def _same_class(new: Session, entry: Any) -> None:
    """Give the new session the class under the same id; ids may have gaps."""
    while True:
        added = new.classes.add(f"gap before {entry.name}", entry.color)
        if added.id == entry.id:
            new.classes.rename(added.id, entry.name)
            return
        new.classes.remove(added.id)


def _take_strokes(old: Session, new: Session) -> None:
    """Paint the strokes again, those first that others were painted over."""
    below = old.document.work.layers["below"]
    new.strokes.overlap = old.strokes.overlap
    for plane in old.strokes.planes:
        for strokes in (below.read(plane), old.strokes.plane(plane)):
            if strokes.any():
                new.strokes.paint(strokes, plane)


def _take_hand_work(old: Session, new: Session) -> None:
    """Copy labels that belong to no object."""
    for plane in old.document.labels.planes:
        labels = old.document.labels.plane(plane)
        hand = (labels > 0) & (old.objects.plane(plane) == 0)
        if hand.any():
            merged = np.where(hand, labels, new.document.labels.plane(plane))
            new.document.labels.write(merged, plane)


def _repeat(old: Session, new: Session, target: CommittedObject) -> None:
    """Commit an object again: prompted planes first, then those that follow them."""
    again = _ObjectReplay(old, new, target)
    id_: int | None = None
    for plane in sorted(target.parts, key=lambda p: _rank(target, p)):
        part = target.parts[plane]
        mask = again.make(plane)
        if mask is None or mask.empty:
            print(
                f"sesami: object {target.id} is not found in plane {plane} any more.",
                file=sys.stderr,
            )
            continue
        id_ = new.commit(
            mask,
            target.class_id,
            plane,
            overlap=part.overlap,
            instance=target.instance,
            object_id=id_,
            prompts=dict(part.prompts or {}),
        ).id


def _rank(target: CommittedObject, plane: int) -> tuple[int, int]:
    """Prompted planes, then followed ones from near to far, then those between."""
    part = target.parts[plane]
    if not part.filled:
        return 0, plane
    if "between" in (part.prompts or {}):
        return 2, plane
    steps, at = 0, plane
    while at in target.parts and "followed" in (target.parts[at].prompts or {}):
        at, steps = int((target.parts[at].prompts or {})["followed"]), steps + 1
    return 1, steps


class _ObjectReplay:
    """Makes the masks of one object again, plane by plane."""

    def __init__(self, old: Session, new: Session, target: CommittedObject) -> None:
        self.old, self.new, self.target = old, new, target
        self.masks: dict[int, Mask] = {}
        self.heads: dict[int, PromptChain] = {}

    def make(self, plane: int) -> Mask | None:
        """Make the mask of a plane; None if the object is not found there."""
        mask = self._make(plane)
        if mask is not None:
            self.masks[plane] = mask
        return mask

    def _make(self, plane: int) -> Mask | None:
        part = self.target.parts[plane]
        how = dict(part.prompts or {})
        if "followed" in how:
            last = self._as_it_was(int(how["followed"]), int(how.get("prompts", -1)))
            return self._follow(last, plane)
        if "between" in how:
            made = how.get("prompts", (-1, -1))
            ends = zip(how["between"], made, strict=True)
            first, last = (self._as_it_was(int(p), int(n)) for p, n in ends)
            if first is None or last is None:
                return None
            masks = self.new.prompts.between(first, last)
            return masks[plane - first.plane - 1]
        head = self.heads[plane] = self.old.objects.chain(self.target.id, plane)
        if head.answer is not None:  # no model made it
            return self.old.objects.mask(self.target.id, plane)
        snap = int(how.get("snap", 0))
        return self.new.prompts.solve(head, plane, snap=snap).shown

    def _as_it_was(self, plane: int, prompts: int) -> Mask | None:
        """Give the mask of a plane when it had so many prompts; -1 is the last."""
        from napari_sesami.session import snapped

        head, final = self.heads.get(plane), self.masks.get(plane)
        count = 0 if head is None else head.depth
        if head is None or prompts in (-1, count):
            return final
        if prompts == 0:
            first = head.steps[0]
            return first.where if first.kind == "mask" else final
        for _ in range(count - prompts):
            assert head.earlier is not None
            head = head.earlier
        snap = int((self.target.parts[plane].prompts or {}).get("snap", 0))
        return (
            final if head.answer is None else snapped(head.answer, self.new.scan, snap)
        )

    def _follow(self, last: Mask | None, plane: int) -> Mask | None:
        """Take the one step from the neighbouring plane that was taken then."""
        if last is None or last.empty:
            return None
        step = next(self.new.prompts.follow(last, plane))
        return None if step.ended else step.mask
