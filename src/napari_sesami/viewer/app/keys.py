"""Our keys as one table: what is bound, what the help card shows, what is tested.

napari ignores key bindings of a manifest, a layer's own key wins over a viewer's, and
napari uses most letters; so letters come from the free ones (G H J K N Q U W), and
numbers are bound on our own layers only, where napari's tools keep their letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Dispatch = Callable[["Action", int], None]


class Action(Enum):
    """What a key, a button or a command of the palette can ask for."""

    UNDO = "undo"
    REDO = "redo"
    PAINT = "paint"
    PICK_CLASS = "pick_class"
    NEW_CLASS = "new_class"
    TOGGLE_LABELS = "toggle_labels"
    SAVE = "save"
    SHOW_KEYS = "show_keys"
    PROMPT_CLICK = "prompt_click"
    PROMPT_BOX = "prompt_box"
    PROMPT_STROKE = "prompt_stroke"
    PROMPT_LASSO = "prompt_lasso"
    PROMPT_CORRECT = "prompt_correct"
    PROMPT_SIGN = "prompt_sign"
    PROMPT_CANDIDATE = "prompt_candidate"
    PROMPT_COMMIT = "prompt_commit"
    PROMPT_CLEAR = "prompt_clear"
    PROMPT_FOLLOW = "prompt_follow"
    PROMPT_BETWEEN = "prompt_between"
    PROMPT_EVERYTHING = "prompt_everything"
    PROMPT_ALIKE = "prompt_alike"
    PROMPT_ACCEPT = "prompt_accept"
    WHY = "why"
    QUEUE_NEXT = "queue_next"
    WORK_ACCEPT = "work_accept"
    WORK_CORRECT = "work_correct"
    WORK_REJECT = "work_reject"
    WORK_SKIP = "work_skip"
    WORK_REST = "work_rest"
    WORK_PROPOSE = "work_propose"
    WORK_DONE = "work_done"
    WORK_NEXT = "work_next"
    WORK_BEFORE = "work_before"
    WORK_PIECES = "work_pieces"


@dataclass(frozen=True)
class Key:
    """One row of the table.

    Attributes
    ----------
    key
        As napari writes it, e.g. "Control-Z" (Command on a Mac).
    action, argument
        What happens, and with which number.
    text
        For the help card.
    ours_only
        Bound on our layers only, in place of `replaces`.
    replaces
        Which key of napari still does there what this one did, or "".
    """

    key: str
    action: Action
    text: str
    argument: int = 0
    ours_only: bool = False
    replaces: str = ""


_TOOLS = {
    1: "E (erase)",
    2: "P (paint)",
    3: "the polygon button",
    4: "F (fill)",
    5: "L (pick)",
    6: "Z (pan and zoom)",
    7: "the transform button",
}

KEYS: tuple[Key, ...] = (
    Key("W", Action.PAINT, "Brush on; again: move the view"),
    *(
        Key(
            str(number),
            Action.PICK_CLASS,
            f"Class {number}",
            number,
            ours_only=True,
            replaces=_TOOLS.get(number, ""),
        )
        for number in range(1, 10)
    ),
    Key("0", Action.PICK_CLASS, "Eraser", 0, ours_only=True),
    Key("N", Action.NEW_CLASS, "New class"),
    Key("H", Action.TOGGLE_LABELS, "Hide or show strokes and labels"),
    Key("K", Action.SAVE, "Save the project"),
    Key("Q", Action.SHOW_KEYS, "This list"),
    Key("Control-Z", Action.UNDO, "Undo", ours_only=True, replaces="ours, in step"),
    Key(
        "Control-Shift-Z", Action.REDO, "Redo", ours_only=True, replaces="ours, in step"
    ),
    Key("G", Action.PROMPT_CLICK, "Click on objects; again: move the view"),
    Key("Shift-G", Action.PROMPT_BOX, "Drag a box around an object"),
    Key("J", Action.PROMPT_STROKE, "Draw a stroke along an object"),
    Key("Shift-J", Action.PROMPT_LASSO, "Draw a lasso around an object"),
    Key("Shift-K", Action.PROMPT_CORRECT, "Click a committed object to correct it"),
    Key("Shift-N", Action.PROMPT_SIGN, "Prompts on, or off, the object"),
    Key("Shift-H", Action.PROMPT_CANDIDATE, "Next of the three candidates"),
    Key("U", Action.PROMPT_COMMIT, "Commit the mask to its class"),
    Key("Shift-U", Action.PROMPT_CLEAR, "Forget the mask, begin anew"),
    Key("Shift-F", Action.PROMPT_FOLLOW, "Follow the object through the slices"),
    Key("Shift-B", Action.PROMPT_BETWEEN, "Fill in between corrected slices"),
    Key("Shift-E", Action.PROMPT_EVERYTHING, "Masks of everything"),
    Key("Shift-S", Action.PROMPT_ALIKE, "Find all like this one"),
    Key("Shift-T", Action.PROMPT_ACCEPT, "Take all masks that were found"),
    Key("Shift-W", Action.WHY, "Why did the pixel under the cursor get its class?"),
    Key("Shift-Q", Action.QUEUE_NEXT, "Next query; N while one is asked"),
    Key(
        "A",
        Action.WORK_ACCEPT,
        "Accept the proposal in hand",
        ours_only=True,
        replaces="nothing on labels (select all on points)",
    ),
    Key(
        "C",
        Action.WORK_CORRECT,
        "Correct the proposal in hand with clicks",
        ours_only=True,
        replaces="nothing on labels (contrast on images)",
    ),
    Key(
        "R",
        Action.WORK_REJECT,
        "Reject the proposal in hand",
        ours_only=True,
        replaces="nothing on labels (rectangles on shapes)",
    ),
    Key(
        "S",
        Action.WORK_SKIP,
        "Go to the next proposal",
        ours_only=True,
        replaces="nothing on labels (select on points)",
    ),
    Key("Shift-Y", Action.WORK_REST, "Accept all proposals that wait"),
    Key("Shift-O", Action.WORK_PROPOSE, "Propose masks for this scan"),
    Key("Shift-D", Action.WORK_DONE, "Done with this scan: on to the next"),
    Key("PageDown", Action.WORK_NEXT, "Next scan of the work list"),
    Key("PageUp", Action.WORK_BEFORE, "Previous scan of the work list"),
    Key("Shift-X", Action.WORK_PIECES, "Superpixels: click or drag to label"),
)
"""Every key we bind."""


def bind(target: Any, dispatch: Dispatch, keys: Iterable[Key]) -> Callable[[], None]:
    """Bind keys on a viewer or a layer; the returned function takes them off again.

    `dispatch` is called with the action and its number. It must not hold the layer or
    a widget strongly, since napari keeps it as long as the target lives.
    """
    bound = []
    for key in keys:
        target.bind_key(key.key, _call(dispatch, key), overwrite=True)
        bound.append(key.key)

    def unbind() -> None:
        for name in bound:
            target.bind_key(name, None)

    return unbind


def _call(dispatch: Dispatch, key: Key) -> Callable[[Any], None]:
    def pressed(target: Any) -> None:
        dispatch(key.action, key.argument)

    return pressed


def viewer_keys() -> list[Key]:
    """Keys that work whatever layer is selected."""
    return [key for key in KEYS if not key.ours_only]


def help_rows(prompts: bool = False) -> list[tuple[str, str]]:
    """(keys, what they do) for people, of this panel or of the one with the prompts.

    The nine classes are one row.
    """
    rows = [] if prompts else [("1 – 9", "Class 1 to 9")]
    for key in KEYS:
        if key.action is Action.PICK_CLASS and key.argument:
            continue
        if key.action.value.startswith("work_"):
            continue
        if key.action.value.startswith("prompt_") == prompts:
            rows.append((_shown(key), key.text))
    return rows


def key_of(action: Action) -> str:
    """The key of an action as people read it, for tooltips."""
    return next(_shown(key) for key in KEYS if key.action is action)


def _shown(key: Key) -> str:
    return key.key.replace("Control", "Ctrl").replace("-", "+")
