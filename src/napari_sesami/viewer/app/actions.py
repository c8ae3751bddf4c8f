"""What each action does; keys, buttons and the palette all come here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.features import act_by_feature
from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.app.panels import show_panel

if TYPE_CHECKING:
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.workspace import Workspace


def act(workspace: Workspace, action: Action, argument: int = 0) -> None:
    """Carry out an action; a ValueError is a sentence for the user."""
    if act_by_feature(workspace, action, argument):
        return
    match action:
        case Action.UNDO:
            _undo(workspace)
        case Action.REDO:
            _redo(workspace)
        case Action.PAINT:
            _binding(workspace).toggle_brush()
        case Action.PICK_CLASS:
            _pick(workspace, argument)
        case Action.NEW_CLASS:
            _binding(workspace)
            show_panel(
                workspace.viewer, "scan"
            )  # never type into a page that is hidden
            workspace.name_wanted.emit()
        case Action.TOGGLE_LABELS:
            _binding(workspace).toggle_visible()
        case Action.SAVE:
            _save(workspace)
        case Action.SHOW_KEYS:
            show_panel(workspace.viewer, "scan")
            workspace.keys_wanted.emit()
        case Action.WHY:
            _binding(workspace)  # strokes answer it if there is a scan


def _binding(workspace: Workspace) -> LayerBinding:
    if workspace.binding is None:
        raise ViewerError(
            "There is no scan to label yet: open one, or take an image of the viewer."
        )
    return workspace.binding


def _undo(workspace: Workspace) -> None:
    step = _binding(workspace).undo()
    workspace.say(f"Taken back: {step}." if step else "There is nothing to undo.")


def _redo(workspace: Workspace) -> None:
    step = _binding(workspace).redo()
    workspace.say(f"Done again: {step}." if step else "There is nothing to redo.")


def _pick(workspace: Workspace, number: int) -> None:
    """Pick the n-th class of the table; 0 is the eraser."""
    binding = _binding(workspace)
    entries = list(binding.session.classes)
    if number > len(entries):
        have = len(entries)
        raise ViewerError(
            f"There is no class {number} yet; there {'is' if have == 1 else 'are'} "
            f"{have}. Press N to name a new one."
        )
    binding.pick(entries[number - 1].id if number else 0)
    what = f"Painting {entries[number - 1].name}." if number else "Erasing strokes."
    workspace.say(what)


def _save(workspace: Workspace) -> None:
    binding = _binding(workspace)
    binding.flush()
    if binding.session.document.project is None:
        raise ViewerError("This labelling has no folder yet: press Save as… first.")
    workspace.saver.save()
