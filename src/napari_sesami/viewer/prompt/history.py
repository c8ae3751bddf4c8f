"""Back and forth: undo and redo of prompts, clearing, and objects taken up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError

if TYPE_CHECKING:
    from napari_sesami.session import CommittedObject, Draft
    from napari_sesami.viewer.prompt.controller import Prompter


class Travel:
    """Walks through what was pointed at, and on into the history of the session."""

    def __init__(self, prompter: Prompter) -> None:
        self._prompter = prompter
        self._cleared: Draft | None = None  # undo brings it back
        self._undone_steps = 0  # of the session, after the draft was empty

    def forget(self) -> None:
        """Start anew: something else is at work."""
        self._cleared, self._undone_steps = None, 0

    def undo(self) -> None:
        """Take the last prompt back, or else the last step of the session."""
        prompter = self._prompter
        if prompter.draft.undo():
            self._arrive("Prompt taken back.")
            return
        if self._cleared is not None and not prompter.draft.planes:
            prompter.new_draft(self._cleared)
            self._arrive("The cleared object is back.")
            return
        step = prompter.link.undo()
        self._undone_steps += step is not None
        prompter.desk.say(
            f"Taken back: {step}." if step else "There is nothing to undo."
        )

    def redo(self) -> None:
        """Do again what was taken back last."""
        prompter = self._prompter
        if not self._undone_steps and prompter.draft.redo():
            self._arrive("Prompt given again.")
            return
        step = prompter.link.redo()
        self._undone_steps = max(0, self._undone_steps - (step is not None))
        prompter.desk.say(
            f"Done again: {step}." if step else "There is nothing to redo."
        )

    def clear(self) -> None:
        """Forget the object at work; what is committed stays."""
        prompter = self._prompter
        prompter.engine.stop()
        cleared = prompter.draft if prompter.draft.planes else None
        prompter.new_draft()
        self._cleared = cleared
        prompter.desk.say("Cleared. Point at the next object.")

    def correct(self, at: tuple[float, float]) -> None:
        """Make the committed object under a point current again."""
        prompter = self._prompter
        found = prompter.link.session.object_at(*at, plane=prompter.plane)
        if found is None:
            raise ViewerError("There is no committed object here; click on one.")
        self.take_up(found.id)

    def take_up(self, object_id: int) -> None:
        """Go on with a committed object: its prompts come back with its masks."""
        prompter = self._prompter
        session, options = prompter.link.session, prompter.options
        target, draft = session.objects[object_id], session.objects.reopen(object_id)
        prompter.new_draft(draft)
        options.class_id, options.instance = target.class_id, target.instance
        name = session.classes[target.class_id].name
        prompter.desk.say(
            f"Object {object_id} ({name}) is current: point to correct it."
        )
        self._show_stored(target)
        prompter.ask_open()
        prompter.refresh()

    def _show_stored(self, target: CommittedObject) -> None:
        """Show the pixels of planes that are not answered yet."""
        prompter = self._prompter
        session = prompter.link.session
        for plane, node in prompter.draft.heads.items():
            if node.answer is None:
                prompter.shown[node] = session.objects.mask(target.id, plane)

    def _arrive(self, text: str) -> None:
        prompter = self._prompter
        prompter.engine.stop()
        prompter.desk.say(text)
        prompter.ask_open()
        prompter.refresh()
