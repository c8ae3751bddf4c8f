"""The one table of what a user can do by key, button or command of the palette.

A new action is one entry here and one command of the same name in `napari.yaml`; a
test compares the two. Keys, tooltips, the key card and napari's shortcut preferences
read this table. It imports nothing: targets and verbs are names, looked up at use.

napari ignores the key bindings of a manifest, a layer's own key wins over a viewer's,
and napari uses most letters; so letters come from the free ones (G H J K N Q U W), and
numbers are bound on our own layers only, where napari's tools keep their letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Any

ROOM = "napari_sesami.viewer."
NUMBERS = "1-9"
"""The key of an action that is called with the number that was pressed."""

LABEL = "label.controller:LabelController"
PROMPT = "prompt.controller:PromptController"
QUEUE = "queue.controller:QueueController"
MEASURE = "measure.controller:MeasureController"
WORKLIST = "worklist.controller:WorklistController"
DEFECTS = "classify.controller:ClassifyController"
KEYS = "widgets.key_help:KeyCards"
TOUR = "tour.controller:TourController"
PANEL = "panel"
"""The panel of the action's page, for what a controller cannot do, e.g. ask."""


@dataclass(frozen=True)
class Action:
    """One thing that a user can do.

    Attributes
    ----------
    id
        Its name, and that of its command: `napari-sesami.ID`.
    title
        What the palette, the key card and napari's preferences call it.
    page
        The page of the workbench that it belongs to; its command opens that page.
    target, verb
        Whose method is called, "module:class" of a controller below
        `napari_sesami.viewer` or `PANEL`, and which one.
    argument
        What the verb is called with; None for nothing.
    key
        By default, as napari writes it, e.g. "Control-Z" (Command on a Mac).
    button, tip
        On its button: the word, and the sentence if the title says too little.
    when
        Attribute of the controller that must be true for the action to have its key,
        or its name, before the other actions of that key or name; "" is always.
    needs
        "scan" or "image": what the target's binding must have, else it says so.
    on_layers
        Whether the key is bound on our layers only, in place of `replaces`.
    replaces
        What the key does there in napari, and which key still does it.
    opens_page
        Whether its key opens the page, too.
    inside
        The part of the page that must have the keyboard, for keys that mean this only
        there, not over the picture.
    """

    id: str
    title: str
    page: str
    target: str
    verb: str
    argument: Any = None
    key: str = ""
    button: str = ""
    tip: str = ""
    when: str = ""
    needs: str = ""
    on_layers: bool = False
    replaces: str = ""
    opens_page: bool = False
    inside: str = ""

    def load(self) -> type[Any]:
        """Import the class of the target; what it needs is not imported before."""
        module, name = self.target.split(":")
        found: type[Any] = getattr(import_module(ROOM + module), name)
        return found

    def call(self, target: Any, number: int | None = None) -> None:
        """Call the verb of a target, with the number that was pressed if it takes one.

        Raises
        ------
        SesamiError
            What is missing, as one sentence.
        """
        if self.needs:
            binding = target.binding
            if self.needs == "image":
                binding.check_image()
        given = self.argument if number is None else number
        arguments = () if given is None else (given,)
        attrgetter(self.verb)(target)(*arguments)

    @property
    def shown_title(self) -> str:
        """The title, and when it holds if the key has another meaning otherwise."""
        told = STATES[self.when] if self.when else self.inside
        return f"{self.title} ({told})" if self.when or self.inside else self.title


STATES = {
    "answering": "while asked",
    "takes_numbers": "while asked",
    "superpixels.on": "while on",
    "pointing": "while clicking",
    "workspace.binding": "the last prompt, then the last step",
}
"""What each `when` means, in words."""


ACTIONS: tuple[Action, ...] = (
    # --- Scan
    Action("open", "Open a scan of any instrument", "scan", PANEL, "picker.ask_file"),
    Action(
        "open_folder",
        "Open a folder of slices as a scan",
        "scan",
        PANEL,
        "picker.ask_folder",
    ),
    Action(
        "paint",
        "Brush on; again: move the view",
        "scan",
        LABEL,
        "toggle_brush",
        key="W",
        button="Paint",
    ),
    Action("pick_class", "Pick the class to paint", "scan", PANEL, "ask_class"),
    Action(
        "class_number",
        "Paint class 1 to 9",
        "scan",
        LABEL,
        "pick",
        key=NUMBERS,
        on_layers=True,
        replaces="napari's tools, which keep E, P, F, L and Z",
    ),
    Action(
        "erase",
        "Erase strokes",
        "scan",
        LABEL,
        "pick",
        argument=0,
        key="0",
        on_layers=True,
    ),
    Action(
        "new_class",
        "Name a new class",
        "scan",
        LABEL,
        "name_class",
        key="N",
        opens_page=True,
    ),
    Action(
        "toggle_labels",
        "Hide or show strokes and labels",
        "scan",
        LABEL,
        "toggle_visible",
        key="H",
    ),
    Action(
        "undo",
        "Undo",
        "scan",
        LABEL,
        "undo",
        key="Control-Z",
        button="Undo",
        tip="Take back the last step",
        on_layers=True,
        replaces="napari's own undo; ours takes back both, in step",
    ),
    Action(
        "redo",
        "Redo",
        "scan",
        LABEL,
        "redo",
        key="Control-Shift-Z",
        button="Redo",
        tip="Do again what was taken back",
        on_layers=True,
        replaces="napari's own redo; ours brings both back, in step",
    ),
    Action(
        "save",
        "Save the project",
        "scan",
        LABEL,
        "save",
        key="K",
        button="Save",
    ),
    Action("show_keys", "Show all keys", "scan", KEYS, "toggle", key="Q"),
    Action("tour", "Tour of Sesami", "scan", TOUR, "start"),
    # --- Click
    Action(
        "prompt_click",
        "Click on objects; again: move the view",
        "click",
        PROMPT,
        "use",
        argument="click",
        key="G",
        button="Click",
        needs="scan",
    ),
    Action(
        "prompt_box",
        "Drag a box around an object",
        "click",
        PROMPT,
        "use",
        argument="box",
        key="Shift-G",
        button="Box",
        needs="scan",
    ),
    Action(
        "prompt_lasso",
        "Draw a lasso around an object",
        "click",
        PROMPT,
        "use",
        argument="lasso",
        key="Shift-J",
        button="Lasso",
        needs="scan",
    ),
    Action(
        "prompt_stroke",
        "Draw a stroke along an object",
        "click",
        PROMPT,
        "use",
        argument="stroke",
        key="J",
        button="Stroke",
        tip="Draw a stroke along an object, e.g. a thin layer",
        needs="scan",
    ),
    Action(
        "prompt_correct",
        "Click a committed object to correct it",
        "click",
        PROMPT,
        "use",
        argument="correct",
        key="Shift-K",
        button="Correct",
        tip="Click a committed object to correct it (or Ctrl+click with any tool)",
        needs="scan",
    ),
    Action(
        "prompt_sign",
        "Prompts add to the object, or subtract",
        "click",
        PROMPT,
        "flip_sign",
        key="Shift-N",
        button="Subtract",
        tip="Prompts mean what is not the object. With Shift, or the right button, a "
        "single prompt means the opposite",
        needs="scan",
    ),
    Action(
        "prompt_candidate",
        "Next of the three candidates",
        "click",
        PROMPT,
        "step_candidate",
        key="Shift-H",
        button="Candidate 1/3",
        tip="Show the next reading of the prompts",
        needs="image",
    ),
    Action(
        "prompt_commit",
        "Commit the mask to its class",
        "click",
        PROMPT,
        "commit",
        key="U",
        button="Commit",
        tip="Give the mask to its class; undo takes it back",
        needs="image",
    ),
    Action(
        "prompt_clear",
        "Forget the mask, begin anew",
        "click",
        PROMPT,
        "history.clear",
        key="Shift-U",
        button="Clear",
        tip="Forget the object at work; what is committed stays",
        needs="scan",
    ),
    Action(
        "class_number",
        "Class of the mask",
        "click",
        PROMPT,
        "pick_class",
        key=NUMBERS,
        when="pointing",
        on_layers=True,
        replaces="napari's tools, which keep E, P, F, L and Z",
    ),
    Action(
        "undo",
        "Undo",
        "click",
        PROMPT,
        "history.undo",
        key="Control-Z",
        when="workspace.binding",
        on_layers=True,
        replaces="napari's own undo; ours takes back both, in step",
    ),
    Action(
        "redo",
        "Redo",
        "click",
        PROMPT,
        "history.redo",
        key="Control-Shift-Z",
        when="workspace.binding",
        on_layers=True,
        replaces="napari's own redo; ours brings both back, in step",
    ),
    Action(
        "prompt_follow",
        "Follow the object through the slices",
        "click",
        PROMPT,
        "slices.follow",
        key="Shift-F",
        button="Follow",
        tip="Follow the object both ways through the slices",
        needs="image",
    ),
    Action(
        "prompt_between",
        "Fill in between corrected slices",
        "click",
        PROMPT,
        "slices.between",
        key="Shift-B",
        button="Fill between",
        tip="Interpolate between the slices that were prompted",
        needs="image",
    ),
    Action(
        "prompt_everything",
        "Masks of everything",
        "click",
        PROMPT,
        "search.everything",
        key="Shift-E",
        button="Everything",
        tip="Masks of everything on this slice",
        needs="image",
    ),
    Action(
        "prompt_alike",
        "Find all like this one",
        "click",
        PROMPT,
        "search.alike",
        key="Shift-S",
        button="Find all like this",
        tip="All that look like the object at work",
        needs="image",
    ),
    Action(
        "prompt_accept",
        "Take all masks that were found",
        "click",
        PROMPT,
        "search.accept_all",
        key="Shift-T",
        button="Take all",
        tip="Commit all that were found",
        needs="image",
    ),
    # --- Strokes
    Action(
        "why",
        "Why did this pixel get its class?",
        "strokes",
        PANEL,
        "ask_why",
        key="Shift-W",
        opens_page=True,
    ),
    Action(
        "accept_strokes",
        "Accept the result of strokes into the labels",
        "strokes",
        PANEL,
        "accept",
        button="Accept into labels",
        tip="Write this slice's result to the labels; undoable",
    ),
    Action(
        "whole_scan",
        "Label the whole scan from strokes, or stop that",
        "strokes",
        PANEL,
        "whole.toggle",
        button="Whole scan",
        tip="Label every slice in the background, from this one outward",
    ),
    # --- Next
    Action(
        "queue_find",
        "Find what is worth a label, or stop that",
        "next",
        PANEL,
        "options.rank_or_stop",
        button="Find queries",
        tip="Rank what to label next, in the background",
    ),
    Action(
        "queue_next",
        "Next place",
        "next",
        QUEUE,
        "next",
        key="Shift-Q",
        button="Next",
        tip="Go to the next place; what was painted here is its answer",
        opens_page=True,
    ),
    Action(
        "queue_next",
        "Next place",
        "next",
        QUEUE,
        "next",
        key="N",
        button="Next",
        tip="Go on; this one stays in the list",
        when="answering",
    ),
    Action(
        "queue_accept",
        "Accept what it looks like",
        "next",
        QUEUE,
        "accept",
        key="A",
        button="Accept",
        tip="It is what it looks like",
        when="answering",
        on_layers=True,
        replaces="nothing on labels (select all on points)",
    ),
    Action(
        "class_number",
        "Give the region class 1 to 9",
        "next",
        QUEUE,
        "change_to",
        key=NUMBERS,
        when="takes_numbers",
        on_layers=True,
        replaces="napari's tools, which keep E, P, F, L and Z",
    ),
    Action(
        "paint",
        "Paint in the region",
        "next",
        QUEUE,
        "paint",
        key="W",
        button="Paint",
        tip="Paint in the outline; then N",
        when="answering",
    ),
    Action(
        "queue_skip",
        "Skip this place",
        "next",
        QUEUE,
        "skip",
        key="S",
        button="Skip",
        tip="Leave it out; it is not asked again",
        when="answering",
        on_layers=True,
        replaces="nothing on labels (select on points)",
    ),
    # --- Measure
    Action(
        "measure_pick",
        "Click a class to measure it",
        "measure",
        MEASURE,
        "tools.use",
        argument="pick",
        key="Shift-M",
        button="Pick class",
        tip="Click a labelled class: the quantity is measured on all of it",
        needs="scan",
    ),
    Action(
        "measure_caliper",
        "Draw a caliper that snaps to edges",
        "measure",
        MEASURE,
        "tools.use",
        argument="caliper",
        key="Shift-C",
        button="Caliper",
        tip="Drag a line: its ends snap to the nearest edges",
        needs="scan",
    ),
    Action(
        "measure_move",
        "Choose and drag dimension lines",
        "measure",
        MEASURE,
        "tools.use",
        argument="move",
        key="Shift-I",
        button="Move",
        tip="Click a line to choose its row; drag it to another depth",
        needs="scan",
    ),
    Action(
        "measure_again",
        "Measure again from the beginning",
        "measure",
        MEASURE,
        "measure_now",
        key="Shift-R",
        button="Measure again",
        needs="scan",
    ),
    # --- List
    Action(
        "work_next",
        "Next scan of the work list",
        "list",
        WORKLIST,
        "step",
        argument=1,
        key="PageDown",
        button="▶",
    ),
    Action(
        "work_before",
        "Previous scan of the work list",
        "list",
        WORKLIST,
        "step",
        argument=-1,
        key="PageUp",
        button="◀",
    ),
    Action(
        "work_done",
        "Done with this scan: on to the next",
        "list",
        WORKLIST,
        "done",
        key="Shift-D",
        button="Done, next",
        tip="Accept this scan as it is now, and open the next one",
    ),
    Action(
        "work_propose",
        "Propose masks for this scan",
        "list",
        WORKLIST,
        "propose",
        key="Shift-O",
        button="Propose",
        tip="Propose masks of what was labelled on accepted scans",
    ),
    Action(
        "work_accept",
        "Accept the proposal in hand",
        "list",
        WORKLIST,
        "reviewer.accept",
        key="A",
        button="Accept",
        tip="Take the proposal in hand as it is",
        on_layers=True,
        replaces="nothing on labels (select all on points)",
    ),
    Action(
        "work_correct",
        "Correct the proposal in hand with clicks",
        "list",
        WORKLIST,
        "reviewer.correct",
        key="C",
        button="Correct",
        tip="Take the proposal in hand and click to correct it",
        on_layers=True,
        replaces="nothing on labels (contrast on images)",
    ),
    Action(
        "work_reject",
        "Reject the proposal in hand",
        "list",
        WORKLIST,
        "reviewer.reject",
        key="R",
        button="Reject",
        on_layers=True,
        replaces="nothing on labels (rectangles on shapes)",
    ),
    Action(
        "work_skip",
        "Go to the next proposal",
        "list",
        WORKLIST,
        "reviewer.skip",
        key="S",
        button="Skip",
        on_layers=True,
        replaces="nothing on labels (select on points)",
    ),
    Action(
        "work_rest",
        "Accept all proposals that wait",
        "list",
        WORKLIST,
        "reviewer.rest",
        key="Shift-Y",
        button="Accept the rest",
        tip="Accept all proposals that wait; one undo step",
    ),
    Action(
        "work_pieces",
        "Superpixels: click or drag to label",
        "list",
        WORKLIST,
        "superpixels.toggle",
        key="Shift-X",
        button="Label superpixels",
        tip="Click or drag over superpixels to give them to the class; Shift or the "
        "right button clears",
    ),
    Action(
        "class_number",
        "Class of the superpixels",
        "list",
        WORKLIST,
        "superpixels.pick",
        key=NUMBERS,
        when="superpixels.on",
        on_layers=True,
        replaces="napari's tools, which keep E, P, F, L and Z",
    ),
    # --- Defects
    Action("defect_file", "Open a lot of defects", "defects", PANEL, "ask_file"),
    Action(
        "defect_folder",
        "Open a folder of defects as a lot",
        "defects",
        PANEL,
        "ask_folder",
    ),
    Action(
        "defect_objects",
        "Sort the objects of this scan as defects",
        "defects",
        DEFECTS,
        "open_objects",
        button="Objects",
        tip="Take the committed objects of the scan for a lot: high as it is, low 3.5 "
        "times wider",
    ),
    Action(
        "class_number",
        "Class 1 to 9 for the picked",
        "defects",
        DEFECTS,
        "label_number",
        key=NUMBERS,
        inside="gallery",
    ),
    Action(
        "defect_clear",
        "Take labels away",
        "defects",
        DEFECTS,
        "label_number",
        argument=0,
        key="0",
        inside="gallery",
    ),
    Action(
        "defect_accept",
        "Accept the machine's class",
        "defects",
        DEFECTS,
        "accept",
        key="Enter",
        inside="gallery",
    ),
    Action(
        "defect_undo",
        "Undo a label or a class",
        "defects",
        DEFECTS,
        "undo",
        key="Control-Z",
        button="Undo",
        tip="Take back the last change of labels or classes",
        inside="gallery",
    ),
    Action(
        "defect_redo",
        "Redo a label or a class",
        "defects",
        DEFECTS,
        "redo",
        key="Control-Shift-Z",
        button="Redo",
        tip="Do again what was taken back",
        inside="gallery",
    ),
    Action(
        "defect_why",
        "Why: where the picked differs",
        "defects",
        PANEL,
        "ask_why",
        key="W",
        button="Why",
        tip="Where the picked defect differs from its surroundings",
        inside="gallery",
    ),
    Action(
        "defect_alike",
        "Most like the picked first",
        "defects",
        DEFECTS,
        "sort",
        argument="likeness",
        key="L",
        button="Most like it",
        tip="Sort by likeness to the picked one",
        inside="gallery",
    ),
    Action(
        "defect_queue",
        "Show the review queue",
        "defects",
        DEFECTS,
        "show",
        argument="queue",
        key="R",
        inside="gallery",
    ),
    Action(
        "defect_all",
        "Show all defects",
        "defects",
        DEFECTS,
        "show",
        argument="all",
        key="A",
        inside="gallery",
    ),
    Action(
        "defect_cell",
        "Show the defects of the cell",
        "defects",
        PANEL,
        "matrix.open_cell",
        key="Enter",
        inside="matrix",
    ),
    Action(
        "defect_tune",
        "Fine-tune the encoder, or stop that",
        "defects",
        DEFECTS,
        "tune_or_stop",
        button="Fine-tune",
        tip="Train the encoder on the labels, from 20 a class; whole lots that it "
        "never sees decide whether it is used",
    ),
)
"""Everything with a key, a button or a command; the order of the key card."""


def meanings(*, name: str = "", key: str = "", inside: str = "") -> list[Action]:
    """Give what a name or a key can mean: what has a condition first.

    A key may mean something else inside a part of a page that has the keyboard.
    """
    found = (
        a
        for a in ACTIONS
        if (a.id == name if name else a.key == key and a.inside == inside)
    )
    return sorted(found, key=lambda each: not each.when)


def action(name: str) -> Action:
    """Find an action by its name; the one that holds always, if there is one."""
    return meanings(name=name)[-1]


def keys() -> dict[str, Action]:
    """Give every key over the picture, with what it means if no condition holds."""
    bound = (each.key for each in ACTIONS if each.key and not each.inside)
    return {key: meanings(key=key)[-1] for key in bound}
