"""Prompts become masks: tools, the object at work, its preview and its commit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.prompt import certainty
from napari_sesami.session import Draft, PromptStep, snapped
from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.layers.mouse import DRAWN, Tool, ask_of, hear, outline
from napari_sesami.viewer.layers.overlay import (
    HOVER,
    LINE,
    MASK,
    MaskOverlay,
    edge_of,
    of_mask,
    path,
)
from napari_sesami.viewer.prompt.commits import chosen_class, commit_draft
from napari_sesami.viewer.prompt.cursor import Cursor
from napari_sesami.viewer.prompt.engine import PromptEngine
from napari_sesami.viewer.prompt.history import PromptHistory
from napari_sesami.viewer.prompt.layers import PromptLayers, follow_move, follow_press
from napari_sesami.viewer.prompt.options import PromptOptions
from napari_sesami.viewer.prompt.search import Search
from napari_sesami.viewer.prompt.slices import SliceFollower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sesami.project import ClassEntry
    from napari_sesami.prompt import Mask
    from napari_sesami.session import PromptChain, Session, Solved
    from napari_sesami.viewer.app.workspace import Workspace


# ms; drawing the window takes longer than most answers, so the mark of a click waits
# as long for its mask
PATIENCE = 80
EDGE_WIDTH = 1.5  # px on screen of the line along a mask


class PromptController(Controller):
    """Turns what the user points at into masks and committed objects.

    Attributes
    ----------
    tool
        What the left button does.
    draft
        The object at work.
    options
        How it is committed.
    engine
        Where the model is asked.
    """

    needs_scan = (
        "There is no scan to prompt yet: open one, or take an image of the viewer."
    )

    changed = Signal()
    """tool, object, answer, options: whatever a dock reflects"""
    committed = Signal(int)
    """an object was committed: its id"""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.tool = Tool.NONE
        self.draft = Draft()
        self.options = PromptOptions()
        self.engine = PromptEngine(workspace.jobs)
        self.screen: PromptLayers | None = None
        self.last_object: int | None = None
        self.times: dict[str, float] = {}
        self.extra: list[Any] = []  # masks of a search, drawn below
        self._session: Session | None = None
        self.shown: dict[PromptChain, Mask] = {}  # with the border snapped
        self._waiting: set[PromptChain] = set()  # asked, and not answered yet
        self.history = PromptHistory(self)
        self.cursor = Cursor(self)
        self._planes = Debounced(self._on_plane, 0)
        self._patience = Debounced(self.refresh, PATIENCE)
        self.engine.answered.connect(self._on_answer)
        self.engine.refused.connect(self._on_refused)
        self.engine.noticed.connect(workspace.say)
        self.engine.cancelled.connect(self._on_cancelled)
        workspace.session_changed.connect(self._on_session)
        workspace.image_replaced.connect(self.drop)
        self.slices = SliceFollower(self)
        self.search = Search(self)
        self._on_session()

    # --- what is at work

    @property
    def plane(self) -> int:
        """The plane on screen."""
        return self.binding.plane

    @property
    def mask(self) -> Mask | None:
        """What would be committed in the plane on screen."""
        return None if self.workspace.binding is None else self.final(self.plane)

    def final(self, plane: int) -> Mask | None:
        """The mask of a plane as it is committed, its border snapped."""
        found = self.draft.mask(plane)
        node = self.draft.heads.get(plane)
        if found is None or node is None or node.answer is None:
            return found
        if node not in self.shown:
            self.shown[node] = snapped(
                found, self.binding.session.scan, self.options.snap
            )
        return self.shown[node]

    @property
    def pointing(self) -> bool:
        """Whether a prompt tool is in use."""
        return self.tool is not Tool.NONE

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return any(node in self._waiting for node in self.draft.heads.values())

    # --- tools and pointing

    def use(self, tool: Tool | str) -> None:
        """Take a tool; the one in use is released, and napari has the mouse again."""
        tool = Tool(tool)
        release = tool is Tool.NONE or tool is self.tool
        if release:
            self._set_tool(Tool.NONE)
            return
        if not self.binding.strokes.editable:
            raise ViewerError(
                "Prompts need the flat view of the slices (2-D, axes in their order)."
            )
        self.binding.check_image()
        self._screen().activate(pan=tool not in DRAWN)
        self._set_tool(tool)
        self.cursor.begin(self._screen().middle())

    def flip_sign(self) -> None:
        """Let prompts mean what is not the object, or what is."""
        self.options.negative = not self.options.negative
        where = "off" if self.options.negative else "on"
        self.workspace.say(f"Prompts now mean what is {where} the object.")
        self.changed.emit()

    def pick_class(self, number: int) -> None:
        """Commit to the n-th class of the table from now on."""
        entries = list(self.binding.session.classes)
        if not 1 <= number <= len(entries):
            raise ViewerError(f"There is no class {number}; press N to name one.")
        self.options.class_id = entries[number - 1].id
        self.workspace.say(f"Masks go to {entries[number - 1].name}.")
        self.changed.emit()

    def clicked(self, tool: Tool, at: tuple[float, float], off: bool) -> None:
        """Take a click at (y, x)."""
        if tool is Tool.CORRECT:
            self.history.correct(at)
        else:
            self.add(PromptStep("point", at, self._label(off)))

    def drawn(self, tool: Tool, points: Sequence[Any], off: bool) -> None:
        """Take a line that was drawn, in pixel centres."""
        shape = self.binding.session.scan.plane_shape
        self.add(ask_of(tool, points, self._label(off), shape))

    def sketch(self, tool: Tool, points: Sequence[Any]) -> None:
        """Show the line that is being drawn."""
        line = outline(tool, points)
        screen = self._screen()
        shape, width = self.binding.session.scan.plane_shape, screen.pixels(2)
        self.draw([path(line, width, LINE, shape, tool is not Tool.STROKE)])

    def add(self, ask: PromptStep) -> None:
        """Put a prompt to those of the plane on screen, and ask."""
        fresh = not self.draft.heads
        node = self.draft.add(self.plane, ask)
        self.history.forget()
        self._ask(self.plane, node, same=not fresh)

    def step_candidate(self) -> None:
        """Show the next of the three readings of the prompts."""
        node = self.draft.heads.get(self.plane)
        if node is None:
            raise ViewerError("Point at the object first; then there are candidates.")
        taken = int(node.step.where) if node.step.kind == "candidate" else 0
        self.add(PromptStep("candidate", (taken + 1) % 3))

    @property
    def candidate(self) -> int:
        """Which reading is shown, 0 to 2."""
        node = self.draft.heads.get(self.plane) if self.workspace.binding else None
        return int(node.step.where) if node and node.step.kind == "candidate" else 0

    def clear(self) -> None:
        """Forget the object at work; what is committed stays."""
        self.history.clear()

    # --- committing

    def commit(self) -> None:
        """Make the object at work one of the session's, in all its planes."""
        if self.ask_open() or self.busy:
            raise ViewerError(
                "The mask is still being computed; commit it in a moment."
            )
        entry, draft, session = self.chosen_class(), self.draft, self.binding.session
        key = time.time_ns()
        more = self.slices.hand_over(session, draft, key)
        planes = draft.changed_planes or draft.planes
        masks = {p: m for p in planes if (m := self.final(p)) and not m.empty}
        if not masks:
            raise ViewerError("There is no mask to commit; point at an object first.")
        self.binding.flush()
        options = self.options
        done = commit_draft(session, draft, masks, entry, options, key)
        self.last_object = draft.object_id = done.id
        self.new_draft()
        left = f" Slices {done.refused} belong to others." if done.refused else ""
        left += " It is followed further; more slices will join." if more else ""
        self.workspace.say(
            f"Committed {entry.name}, object {done.id}: {done.pixels} pixels.{left}"
        )
        if not options.next_at_once:
            self.history.take_up(done.id)
        self.committed.emit(done.id)

    def drop(self) -> None:
        """Let go of tool, object and search: the image is another one now."""
        self.close()
        self.search.stop()
        self.new_draft()

    def close(self) -> None:
        """Let go of layers and viewer."""
        self.engine.stop()
        self.cursor.stop()
        self._planes.stop()
        self._patience.stop()
        self.tool = Tool.NONE
        if self.screen is not None:
            self.screen.close()
            self.screen = None

    # --- inside

    def ask_open(self) -> bool:
        """Ask for a plane that is not answered yet; False if there is none."""
        heads = self.draft.heads
        open_ = [p for p in heads if heads[p].answer is None]
        if not open_ or self.busy:
            return False
        plane = self.plane if self.plane in open_ else open_[0]
        self._ask(plane, heads[plane], same=True)
        return True

    def chosen_class(self) -> ClassEntry:
        """The class that masks go to."""
        return chosen_class(self.binding.session, self.options)

    def _label(self, off: bool) -> int:
        return int(off == self.options.negative)

    def _screen(self) -> PromptLayers:
        if self.screen is None:
            binding = self.binding
            preview = MaskOverlay(
                self.workspace.viewer, binding.image, binding.strokes.data.shape
            )
            layer = preview.layer
            undo = [
                hear(layer, self, follow_press, follow_move),
                self.workspace.bind_keys(layer).close,
            ]
            self.screen = PromptLayers(self.workspace.viewer, preview, undo)
            self.screen.left.connect(self._on_left)
            self.screen.moved.connect(self._planes.soon)
        return self.screen

    def _set_tool(self, tool: Tool) -> None:
        self.tool = tool
        if tool is Tool.NONE and self.screen is not None:
            self.screen.release()
        self.refresh()

    def _ask(self, plane: int, node: PromptChain, same: bool) -> None:
        self._waiting.add(node)
        session = self.binding.session
        self.engine.ask(session, plane, node, self.options.snap, same)
        self._patience.soon()

    def new_draft(self, draft: Draft | None = None) -> None:
        """Go on with another object, or with an empty one."""
        self.slices.leave()
        self.draft = draft or Draft()
        self.history.forget()
        self.shown.clear()
        self._waiting.clear()
        self.refresh()

    def resnap(self, reach: int) -> None:
        """Move the border anew, now within `reach` pixels of the model's."""
        self.options.snap = reach
        self.shown.clear()
        node = self.draft.heads.get(self.plane) if self.workspace.binding else None
        if node is not None:
            self._ask(self.plane, node, same=True)

    def refresh(self) -> None:
        """Draw anew and tell the docks."""
        self.draw()
        self.changed.emit()

    def draw(self, sketch: Sequence[Any] = (), hover: Mask | None = None) -> None:
        """Write what changed into the preview layer."""
        if self.screen is None or self.workspace.binding is None:
            return
        plane, shape = self.plane, self.binding.session.scan.plane_shape
        pieces = [*self.extra]
        for mask, value in ((hover, HOVER), (self._visible(plane), MASK)):
            if mask is not None and not mask.empty:
                pieces.append(of_mask(mask, value))
                if value == MASK:
                    pieces.append(edge_of(mask, self.screen.pixels(EDGE_WIDTH)))
        head = self.draft.heads.get(plane)
        marks = self.screen.marks(head.steps if head else (), shape)
        self.screen.show(plane, [*pieces, *marks, *sketch])

    def _visible(self, plane: int) -> Mask | None:
        """The newest mask that there is."""
        node = self.draft.heads.get(plane)
        while node is not None and node not in self.shown and node.answer is None:
            node = node.before
        if node is not None:
            return self.shown.get(node, node.answer)
        return self.draft.mask(plane)

    def hover(self, at: tuple[float, float]) -> None:
        """Follow the cursor."""
        self.cursor.move(at)

    # --- answers and the viewer

    def _on_answer(self, answer: Solved) -> None:
        self._waiting.clear()
        self._patience.stop()
        self.shown[answer.chain] = answer.shown
        if answer.chain not in self.draft.heads.values():
            return
        begin = time.perf_counter()
        self.draw()
        self.times = {**answer.times, "draw": time.perf_counter() - begin}
        if answer.shown.empty:
            self.workspace.say("The model found nothing here; try a box or a stroke.")
        else:
            score = answer.shown.score
            self.workspace.say(
                f"{certainty(score).capitalize()} (score {score:.2f}). "
                "Add prompts, or commit (U)."
            )
        self.ask_open()
        self.changed.emit()

    def _on_cancelled(self) -> None:
        """Wait no longer: somebody cancelled, and no answer is to come."""
        if self._waiting:
            self._waiting.clear()
            self.changed.emit()

    def _on_refused(self, node: PromptChain, text: str) -> None:
        self._waiting.clear()
        self.draft.drop(node)
        self.draw()
        self.workspace.say(text)
        self.changed.emit()

    def _on_plane(self) -> None:
        if self.workspace.binding is not None:
            self.refresh()

    def _on_left(self) -> None:
        """Another layer was selected, or ours was removed: the tool is released."""
        if self.screen is not None and self.screen.gone:
            self.close()
        if self.tool is not Tool.NONE:
            self._set_tool(Tool.NONE)
        self.changed.emit()

    def _on_session(self) -> None:
        session = self.workspace.session
        if session is self._session:
            return
        self._session, self.last_object, self.extra = session, None, []
        self.drop()
