"""The object at work through the slices of a volume: follow, fill in, jump."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sesami.session import Filled
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.layers.camera import show_plane
from napari_sesami.viewer.prompt.commits import commit_draft

if TYPE_CHECKING:
    from napari_sesami.session import Draft, Session
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.prompt.at_work import ObjectAtWork

FOLLOW, BETWEEN = "follow", "between"
_ENDS = {
    "empty": "nothing is left of it",
    "unsure": "the model is not sure any more",
    "moved": "it does not overlap with the slice before",
    "area": "its area jumps",
    "looks": "it looks like its surroundings",
}


class SliceFollower:
    """Follows the object at work, and fills in between corrected slices.

    What was done before a cancel stays. The object may be committed meanwhile: what is
    there is committed at once, and the rest joins it as part of the same step.

    Parameters
    ----------
    controller
        Whose object it is.
    """

    changed = Signal()
    """slices were added, or others are on screen"""

    def __init__(self, controller: ObjectAtWork) -> None:
        self._controller = controller
        self._found: dict[int, Filled] = {}
        self._draft: Draft | None = None
        self._ends: list[str] = []
        self._job: Job | None = None
        self._given: set[int] = set()  # slices that were committed already
        self._joins: tuple[Session, int] | None = None  # where, and key of the step
        controller.workspace.jobs.progressed.connect(self._on_progress)

    @property
    def bars(self) -> list[tuple[int, float, bool]]:
        """(slice, confidence, prompted) of the object at work, in order."""
        draft = self._controller.draft
        running = self._found if self._draft is draft else {}
        rows = {p: (p, f.confidence, False) for p, f in running.items()}
        rows |= {p: (p, draft.confidence(p), p in draft.heads) for p in draft.planes}
        return [rows[p] for p in sorted(rows)]

    def follow(self, directions: tuple[int, ...] = (1, -1)) -> None:
        """Follow the object forward and backward until it ends."""
        controller = self._controller
        mask, plane = controller.mask, controller.plane
        if mask is None or mask.empty or controller.busy:
            raise ViewerError(
                "Point at the object in this slice first, then follow it."
            )
        first, last = self._stack()
        if first == last:
            raise ViewerError("This scan has one slice; there is nothing to follow.")
        goals = [self._goal(plane, d, first, last) for d in directions]
        goals = [goal for goal in goals if goal != plane]
        session, found, ends = controller.binding.session, self._begin(), self._ends
        total = sum(abs(goal - plane) for goal in goals)
        head = controller.draft.heads.get(plane)
        count = 0 if head is None else head.depth

        def task(job: Job) -> None:
            for goal in goals:
                for step in session.prompts.follow(mask, goal, lambda: job.cancelled):
                    if step.ended:
                        ends.append(step.ended)
                        break
                    last = step.plane + (1 if goal < plane else -1)
                    made = count if last == plane else 0
                    how = {"followed": last, "prompts": made}
                    found[step.plane] = Filled(step.mask, step.confidence, how)
                    job.report(len(found) / max(total, 1), f"Slice {step.plane}")

        controller.workspace.say("Following the object …")
        self._job = controller.engine.run(
            FOLLOW, session, task, self._on_done, self._on_failed, self._on_cancelled
        )

    def between(self) -> None:
        """Interpolate between neighbouring slices that were prompted."""
        controller = self._controller
        draft = controller.draft
        masks = {p: controller.final(p) for p in sorted(draft.heads)}
        known = [p for p, m in masks.items() if m is not None]
        gaps = [(a, b) for a, b in itertools.pairwise(known) if b - a > 1]
        if not gaps:
            raise ViewerError(
                "Prompt the object in two slices that are not neighbours; then what "
                "lies between is filled in."
            )
        found, session = self._begin(), controller.binding.session

        def task(job: Job) -> None:
            for n, (a, b) in enumerate(gaps):
                first, last = masks[a], masks[b]
                assert first is not None
                assert last is not None
                made = [draft.heads[p].depth for p in (a, b)]
                how = {"between": [a, b], "prompts": made}
                for mask in session.prompts.between(first, last):
                    found[mask.plane] = Filled(mask, mask.score, how)
                job.report((n + 1) / len(gaps), "Filling in …")

        self._job = controller.engine.run(
            BETWEEN, session, task, self._on_done, self._on_failed, self._on_cancelled
        )

    def hand_over(self, session: Session, draft: Draft, key: int) -> bool:
        """Give an object that is committed now what was found so far.

        Returns whether more is to come: it will be committed under the id that the
        draft then has, in the step of that key.
        """
        if self._draft is not draft:
            return False
        found = dict(self._found)
        draft.fill(found)
        self._given, self._joins = set(found), (session, key)
        return True

    def leave(self) -> None:
        """Stop, and say so: the object at work was given up."""
        if self._draft is None or self._joins is not None:
            return
        self._draft = None
        self._controller.workspace.jobs.cancel(FOLLOW)
        self._controller.workspace.jobs.cancel(BETWEEN)
        self._controller.workspace.say(
            f"Following was stopped with its object; {len(self._found)} slices are "
            "not kept."
        )

    def jump(self, plane: int) -> None:
        """Show a slice."""
        controller = self._controller
        show_plane(controller.workspace.viewer, controller.binding.strokes, plane)

    def jump_to_worst(self) -> None:
        """Show the slice that is least sure."""
        bars = [bar for bar in self.bars if not bar[2]] or self.bars
        if not bars:
            raise ViewerError("There are no slices yet: follow the object first.")
        self.jump(min(bars, key=lambda bar: bar[1])[0])

    def _stack(self) -> tuple[int, int]:
        """First and last plane of the stack that the plane on screen belongs to."""
        leading = self._controller.binding.session.scan.leading_shape
        if not leading:
            return 0, 0
        first = self._controller.plane // leading[-1] * leading[-1]
        return first, first + leading[-1] - 1

    def _goal(self, plane: int, direction: int, first: int, last: int) -> int:
        """How far to go: to the end, or up to the next slice that was prompted."""
        heads = self._controller.draft.heads
        if direction > 0:
            return min([p - 1 for p in heads if p > plane], default=last)
        return max([p + 1 for p in heads if p < plane], default=first)

    def _begin(self) -> dict[int, Filled]:
        self._found, self._ends = {}, []
        self._given, self._joins = set(), None
        self._draft = self._controller.draft
        return self._found

    def _on_progress(self, topic: str, fraction: float, text: str) -> None:
        if topic in (FOLLOW, BETWEEN):
            self.changed.emit()

    def _on_done(self, _: object) -> None:
        self._take()

    def _on_failed(self, text: str) -> None:
        self._take()

    def _on_cancelled(self) -> None:
        """Take what was found before the cancel; a newer request may have begun."""
        if self._job is not None and self._job.dropped:
            self._take()

    def _take(self) -> None:
        """Take over what was found, whether it came to its end or was cancelled."""
        if self._draft is None:
            return
        draft, found = self._draft, dict(self._found)
        self._draft = None
        if self._joins is not None:
            session, key = self._joins
            self._join(session, key, draft, found)
            return
        if draft is not self._controller.draft or not found:
            if not found and self._ends:
                self._say(0)
            return
        draft.fill(found)
        self._say(len(found))
        self._controller.refresh()
        self.changed.emit()

    def _join(
        self, session: Session, key: int, draft: Draft, found: dict[int, Filled]
    ) -> None:
        """Commit what was found after the object was committed."""
        controller = self._controller
        rest = {p: f for p, f in found.items() if p not in self._given}
        if not rest:
            return
        target = session.objects.get(draft.object_id or 0)
        if target is None:
            controller.workspace.say(
                f"The object was taken back; {len(rest)} more slices are not kept."
            )
            return
        draft.fill(rest)
        masks = {p: m for p in rest if (m := draft.mask(p)) and not m.empty}
        entry = session.classes[target.class_id]
        commit_draft(session, draft, masks, entry, controller.options, key)
        controller.workspace.say(f"{len(masks)} more slices joined object {target.id}.")

    def _say(self, count: int) -> None:
        why = "; ".join(dict.fromkeys(_ENDS[end] for end in self._ends if end))
        ended = f" It stopped where {why}." if why else ""
        self._controller.workspace.say(f"{count} slices added.{ended}")
