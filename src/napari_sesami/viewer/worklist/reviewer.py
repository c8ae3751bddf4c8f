"""Judge: goes through the proposals one by one, by keys, buttons and clicks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.common.errors import SesamiError
from napari_sesami.viewer.app.errors import ViewerError, sentence
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.prompt.controller import PromptController
from napari_sesami.viewer.worklist.layers import ProposalLayer

if TYPE_CHECKING:
    from napari_sesami.viewer.worklist.controller import WorklistController
    from napari_sesami.worklist import Review


class ProposalReviewer:
    """Which proposal is at hand, and what is done with it.

    Attributes
    ----------
    index
        The proposal at hand, or None.
    """

    def __init__(self, controller: WorklistController) -> None:
        self._controller = controller
        self.index: int | None = None
        self._correcting: int | None = None
        self._screen: ProposalLayer | None = None
        self._review: Review | None = None
        self._draw = Debounced(self._redraw, 0)

    @property
    def review(self) -> Review | None:
        """The proposals of the scan shown."""
        engine = self._controller.engine
        return (
            engine.review if engine is not None and self._controller.at_work else None
        )

    @property
    def correcting(self) -> bool:
        """Whether a proposal is being corrected with prompts just now."""
        return self._correcting is not None

    @property
    def screen(self) -> ProposalLayer | None:
        """The layer that shows the proposals."""
        return self._screen

    # --- showing

    def show(self) -> None:
        """Show the proposals of the scan shown, the surest in hand."""
        review = self.review
        self._follow(review)
        if review is None:
            self.hide()
            return
        if self._screen is None or self._screen.binding is not self._controller.binding:
            self._drop_screen()
            self._screen = ProposalLayer(
                self._controller.workspace, self._controller.binding, self
            )
        self.index = self._next(-1)
        self._screen.activate()
        self._redraw()
        self._controller.changed.emit()

    def hide(self) -> None:
        """Show nothing."""
        self._correcting, self.index = None, None
        self._follow(None)
        self._drop_screen()

    def close(self) -> None:
        """Let go of everything."""
        self._draw.stop()
        self.hide()

    def clicked(self, y: float, x: float) -> None:
        """Take the proposal under a point in hand."""
        review = self.review
        found = (
            None if review is None else review.at(y, x, self._controller.binding.plane)
        )
        if found is not None:
            self.take(found)

    def take(self, index: int) -> None:
        """Take a proposal in hand."""
        self.index = index
        self._redraw()
        self._controller.changed.emit()

    # --- judging

    def accept(self, class_id: int | None = None) -> None:
        """Make the proposal in hand an object, of its own class or another."""
        if self._correcting is not None:
            self._finish_correction()
            return
        review, index = self._in_hand()
        self._controller.binding.flush()
        target = review.accept(index, class_id)
        name = review.session.classes[target.class_id].name
        self._go_on(f"Accepted as {name}.")

    def correct(self) -> None:
        """Accept the proposal in hand, and point at it to correct it."""
        review, index = self._in_hand()
        self._controller.binding.flush()
        prompts = self._controller.workspace.get(PromptController)
        if review.object_of(index) is None:
            review.accept(index)
        object_id = review.object_of(index)
        if object_id is None:
            raise ViewerError("This proposal has no pixels of its own any more.")
        if prompts.tool is not Tool.CLICK:
            prompts.use(Tool.CLICK)
        prompts.history.take_up(object_id)
        self._correcting = index
        self._controller.workspace.say(
            "Click what is missing, Shift+click what is too much; A or U when right."
        )
        self._controller.changed.emit()

    def reject(self) -> None:
        """Say that the proposal in hand is wrong."""
        review, index = self._in_hand()
        self._stop_correcting()
        review.reject(index)
        self._go_on("Rejected.")

    def skip(self) -> None:
        """Take the next proposal that waits in hand."""
        self._stop_correcting()
        review = self.review
        if review is None:
            raise ViewerError("There are no proposals here; press Propose.")
        self.index = self._next(-1 if self.index is None else self.index)
        self._go_on("", stay=True)

    def rest(self) -> None:
        """Accept all proposals that wait, as one step."""
        review = self.review
        if review is None or not review.waiting:
            raise ViewerError("There is no proposal that waits.")
        self._stop_correcting()
        self._controller.binding.flush()
        done = review.accept_rest()
        self._go_on(f"{done} proposals accepted; undo (Ctrl+Z) takes all back.")

    def settle(self) -> None:
        """Commit what is being corrected, before the scan is finished."""
        if self._correcting is not None:
            self._finish_correction()

    # --- inside

    def _in_hand(self) -> tuple[Review, int]:
        review = self.review
        if review is None:
            raise ViewerError("There are no proposals here; press Propose.")
        if self.index is None:
            raise ViewerError("Click on a proposal first.")
        return review, self.index

    def _next(self, after: int) -> int | None:
        """The next proposal that waits, going round once."""
        review = self.review
        waiting = [] if review is None else review.waiting
        later = [i for i in waiting if i > after]
        return later[0] if later else waiting[0] if waiting else None

    def _go_on(self, text: str, *, stay: bool = False) -> None:
        review, controller = self.review, self._controller
        if not stay:
            self.index = self._next(-1 if self.index is None else self.index)
        left = 0 if review is None else len(review.waiting)
        told = f"{left} wait." if left else "All are judged: press Done (Shift+D)."
        controller.workspace.say(f"{text} {told}".strip())
        if self._screen is not None:
            self._screen.activate()
            if self.index is not None and review is not None:
                self._screen.bring_into_view(review.proposed[self.index])
        self._redraw()
        controller.changed.emit()

    def _finish_correction(self) -> None:
        """Commit the object at work if it was changed, and go on."""
        prompts = self._controller.workspace.get(PromptController)
        if prompts.busy:
            raise ViewerError("The mask is still being computed; again in a moment.")
        if prompts.draft.changed_planes:
            prompts.commit()  # `_on_objects` goes on from there
        if self._correcting is not None:
            self._stop_correcting()
            self._go_on("Left as it was.")

    def _stop_correcting(self) -> None:
        if self._correcting is None:
            return
        self._correcting = None
        prompts = self._controller.workspace.get(PromptController)
        prompts.new_draft()
        prompts.use(Tool.NONE)

    def _follow(self, review: Review | None) -> None:
        old = self._review
        if old is review:
            return
        if old is not None:
            old.changed.disconnect(self._on_judged)
            old.session.document.events.objects.disconnect(self._on_objects)
            old.session.document.events.classes.disconnect(self._on_judged)
        self._review = review
        if review is not None:
            review.changed.connect(self._on_judged)
            review.session.document.events.objects.connect(self._on_objects)
            review.session.document.events.classes.connect(self._on_judged)

    def _drop_screen(self) -> None:
        screen, self._screen = self._screen, None
        if screen is not None:
            # napari may be in the middle of removing layers
            self._controller.workspace.jobs.post(screen.close)

    def _on_judged(self) -> None:
        self._draw.soon()

    def _on_objects(self, ids: tuple[int, ...]) -> None:
        """An object came, changed or went, perhaps by undo."""
        review, index = self.review, self._correcting
        self._draw.soon()
        if review is None or index is None or review.object_of(index) not in ids:
            return
        if self._controller.workspace.get(PromptController).draft.changed_planes:
            # the object at work was committed just now; its prompts go in a moment
            self._controller.workspace.jobs.post(self._corrected)

    def _corrected(self) -> None:
        if self._correcting is None:
            return
        self._stop_correcting()
        self._go_on("Corrected.")

    def _redraw(self) -> None:
        review = self.review
        if self._screen is None or review is None:
            return
        if self.index is None:  # perhaps one waits again, by undo
            self.index = self._next(-1)
        try:
            self._screen.draw(review, self.index)
        except (SesamiError, OSError) as error:
            self._controller.workspace.say(sentence(error))
        self._controller.changed.emit()
