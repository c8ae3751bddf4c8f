"""Back and forth: undo and redo of prompts, clearing, and objects taken up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError

if TYPE_CHECKING:
    from napari_sesami.session import CommittedObject, Draft
    from napari_sesami.viewer.prompt.at_work import ObjectAtWork


class PromptHistory:
    """Walks through what was pointed at, and on into the history of the session."""

    def __init__(self, controller: ObjectAtWork) -> None:
        self._controller = controller
        self._cleared: Draft | None = None  # undo brings it back
        self._undone_steps = 0  # of the session, after the draft was empty

    def forget(self) -> None:
        """Start anew: something else is at work."""
        self._cleared, self._undone_steps = None, 0

    def undo(self) -> None:
        """Take the last prompt back, or else the last step of the session."""
        controller = self._controller
        if controller.draft.undo():
            self._arrive("Prompt taken back.")
            return
        if self._cleared is not None and not controller.draft.planes:
            controller.new_draft(self._cleared)
            self._arrive("The cleared object is back.")
            return
        step = controller.binding.undo()
        self._undone_steps += step is not None
        controller.workspace.say(
            f"Taken back: {step}." if step else "There is nothing to undo."
        )

    def redo(self) -> None:
        """Do again what was taken back last."""
        controller = self._controller
        if not self._undone_steps and controller.draft.redo():
            self._arrive("Prompt given again.")
            return
        step = controller.binding.redo()
        self._undone_steps = max(0, self._undone_steps - (step is not None))
        controller.workspace.say(
            f"Done again: {step}." if step else "There is nothing to redo."
        )

    def clear(self) -> None:
        """Forget the object at work; what is committed stays."""
        controller = self._controller
        controller.engine.stop()
        cleared = controller.draft if controller.draft.planes else None
        controller.new_draft()
        self._cleared = cleared
        controller.workspace.say("Cleared. Point at the next object.")

    def correct(self, at: tuple[float, float]) -> None:
        """Make the committed object under a point current again."""
        controller = self._controller
        found = controller.binding.session.objects.at(*at, plane=controller.plane)
        if found is None:
            raise ViewerError("There is no committed object here; click on one.")
        self.take_up(found.id)

    def take_up(self, object_id: int) -> None:
        """Go on with a committed object: its prompts come back with its masks."""
        controller = self._controller
        session, options = controller.binding.session, controller.options
        target, draft = session.objects[object_id], session.objects.reopen(object_id)
        controller.new_draft(draft)
        options.class_id, options.instance = target.class_id, target.instance
        name = session.classes[target.class_id].name
        controller.workspace.say(
            f"Object {object_id} ({name}) is current: point to correct it."
        )
        self._show_stored(target)
        controller.ask_open()
        controller.refresh()

    def _show_stored(self, target: CommittedObject) -> None:
        """Show the pixels of planes that are not answered yet."""
        controller = self._controller
        session = controller.binding.session
        for plane, node in controller.draft.heads.items():
            if node.answer is None:
                controller.shown[node] = session.objects.mask(target.id, plane)

    def _arrive(self, text: str) -> None:
        controller = self._controller
        controller.engine.stop()
        controller.workspace.say(text)
        controller.ask_open()
        controller.refresh()
