"""Many objects at once: everything, or all that look like one; reviewed, then taken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.session import Draft, PromptStep, SessionError
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.layers.overlay import FOUND, MASK, of_mask

if TYPE_CHECKING:
    from napari_sesami.prompt import Filters, Mask
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.prompt.at_work import ObjectAtWork

EVERYTHING, ALIKE = "everything", "find all like this"
SEARCH = "search"  # topic of the work
LIKENESS = 0.55  # to begin with; chosen by scripts/choose_alike.py
LEAST = 0.3  # matches below are never kept; the slider chooses above


class Search:
    """Masks that a search found, filtered again without asking again.

    Attributes
    ----------
    found
        The masks that pass the filters, best first.
    index
        Which of them is under review.
    spacing
        Pixels between the clicks of "everything".
    filters
        Of "everything": least score, steadiness, areas, overlap.
    likeness
        Of "find all like this": how alike a match must be, 0 to 1.
    """

    changed = Signal()
    taken = Signal(int)
    """all that was found was committed: how many"""

    def __init__(self, controller: ObjectAtWork) -> None:
        from napari_sesami.prompt import Filters

        self._controller = controller
        self.kind = ""
        self.plane = 0
        self.spacing = 24
        self.filters: Filters = Filters()
        self.likeness = LIKENESS
        self.found: list[Mask] = []
        self.index = 0
        self._all: list[Mask] = []
        self._alike: dict[int, float] = {}  # of the masks of `_all`, by id
        self._open = False
        self._job: Job | None = None

    @property
    def busy(self) -> bool:
        """Whether something is still looked for."""
        return self._open

    def everything(self) -> None:
        """Click on every place of a grid over the plane on screen."""
        controller = self._controller
        binding, spacing, plane = controller.binding, self.spacing, controller.plane
        prompts, masks = binding.session.prompts, self._begin(EVERYTHING, plane)

        def task(job: Job) -> None:
            masks.extend(
                prompts.everything(
                    plane,
                    spacing=spacing,
                    progress=lambda done, of: job.report(done / of, "Everything"),
                    cancelled=lambda: job.cancelled,
                )
            )

        controller.workspace.say("Looking for everything …")
        self._job = controller.engine.run(
            SEARCH,
            binding.session,
            task,
            self._on_done,
            self._on_failed,
            self._on_cancelled,
        )

    def alike(self) -> None:
        """Look for all objects like the one at work, or like the last committed."""
        controller = self._controller
        binding, plane, like = controller.binding, controller.plane, self._like()
        prompts, masks = binding.session.prompts, self._begin(ALIKE, plane)
        alike = self._alike

        def task(job: Job) -> None:
            for match in prompts.alike(
                like,
                plane,
                least=LEAST,
                progress=lambda done, of: job.report(done / of, "Comparing"),
                cancelled=lambda: job.cancelled,
            ):
                alike[id(match.mask)] = match.likeness
                masks.append(match.mask)

        controller.workspace.say("Looking for all like this one …")
        self._job = controller.engine.run(
            SEARCH,
            binding.session,
            task,
            self._on_done,
            self._on_failed,
            self._on_cancelled,
        )

    def tune(self, **changes: Any) -> None:
        """Change filters (`score`, `stability`, `smallest`, `likeness` …)."""
        if "likeness" in changes:
            self.likeness = changes.pop("likeness")
        self.filters = replace(self.filters, **changes)
        if self.kind:
            self._select()

    def accept_all(self) -> None:
        """Commit every mask that passes the filters, as one step."""
        if not self.found:
            raise ViewerError("Nothing was found to take; search first.")
        session = self._controller.binding.session
        entry, count = self._controller.chosen_class(), 0
        with session.history.group(f"commit {len(self.found)} {entry.name}"):
            for mask in self.found:
                count += self._commit(mask, entry.id)
        self._controller.workspace.say(
            f"Committed {count} objects to {entry.name}."
            + (
                f" {len(self.found) - count} were taken already."
                * (count < len(self.found))
            )
        )
        self.clear()
        self.taken.emit(count)

    def accept(self) -> None:
        """Commit the mask under review, and show the next."""
        if not self.found:
            raise ViewerError("Nothing was found to take; search first.")
        self._commit(self.found[self.index], self._controller.chosen_class().id)
        self.skip()

    def skip(self) -> None:
        """Put the mask under review aside, and show the next."""
        if self.found:
            gone = self.found.pop(self.index)
            self._all = [mask for mask in self._all if mask is not gone]
            self._show()
        if not self.found:
            self.clear()

    def step(self, by: int) -> None:
        """Review another mask."""
        if self.found:
            self.index = (self.index + by) % len(self.found)
            self._show()

    def stop(self) -> None:
        """Forget what was found, and what is still looked for."""
        self.clear()
        self._controller.workspace.jobs.cancel(SEARCH)

    def clear(self) -> None:
        """Forget what was found."""
        self.kind, self.found, self._all, self._alike = "", [], [], {}
        self.index, self._open = 0, False
        self._controller.extra = []
        self._controller.refresh()
        self.changed.emit()

    def _like(self) -> Mask:
        controller = self._controller
        mask = controller.mask
        if mask is not None and not mask.empty:
            return mask
        session, last = controller.binding.session, controller.last_object
        if last is None or last not in session.objects:
            raise ViewerError("Click the object that the others should look like.")
        return session.objects.mask(last)

    def _begin(self, kind: str, plane: int) -> list[Mask]:
        self.clear()
        self.kind, self.plane, self._open = kind, plane, True
        return self._all

    def _on_done(self, _: object) -> None:
        self._take()

    def _on_failed(self, text: str) -> None:
        self._take()

    def _on_cancelled(self) -> None:
        """Take what was found before the cancel; a newer request may have begun."""
        if self._job is not None and self._job.dropped:
            self._take()

    def _take(self) -> None:
        """Take over what was found, whatever ended the search."""
        from napari_sesami.prompt import tally

        if not self._open:
            return
        self._open = False
        objects = self._controller.binding.session.objects
        new = [mask for mask in self._all if not objects.holds(mask)]
        known, self._all = len(self._all) - len(new), new
        self._select()
        many = len(self.found)
        left_out = f" {known} that are committed already are left out." * (known > 0)
        self._controller.workspace.say(
            (
                f"{many} found ({tally(m.score for m in self.found)}): take all, or "
                "one by one; the filters work at once."
                if many
                else "Nothing new was found; lower the filters, or choose a finer grid."
            )
            + left_out
        )

    def _select(self) -> None:
        from napari_sesami.prompt import FoundMasks

        if self.kind == ALIKE:
            alike = self._alike
            self.found = [m for m in self._all if alike[id(m)] >= self.likeness]
        else:
            h, w = self._controller.binding.session.scan.plane_shape
            self.found = FoundMasks(self._all, h * w).select(self.filters)
        self.index = 0
        self._show()

    def _show(self) -> None:
        self.index = min(self.index, max(len(self.found) - 1, 0))
        pieces = [of_mask(m, FOUND) for m in reversed(self.found)]
        if self.found:
            pieces.append(of_mask(self.found[self.index], MASK))
        self._controller.extra = pieces
        self._controller.refresh()
        self.changed.emit()

    def _commit(self, mask: Mask, class_id: int) -> bool:
        """Commit one; False if all its pixels belong to others already."""
        options, session = self._controller.options, self._controller.binding.session
        draft = Draft()
        draft.add(self.plane, PromptStep("mask", mask))
        try:
            target = session.commit(
                mask,
                class_id,
                self.plane,
                overlap=options.overlap,
                instance=options.instance,
                prompts=draft.stored(self.plane),
            )
        except SessionError:
            return False
        self._controller.last_object = target.id
        return True
