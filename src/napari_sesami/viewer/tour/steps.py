"""What the tour leads through: for each balloon where it points and when it is done.

A balloon says what to do next as things are now, so whoever does it another way, or
was there before, is not told twice. It is done when the user did it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.objects.controller import ObjectsController
from napari_sesami.viewer.prompt.controller import PromptController
from napari_sesami.viewer.runs.controller import RunsController
from napari_sesami.viewer.strokes.controller import StrokesController

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.tour.places import Places, Spot

RUN_STEPS = 30  # of the run that the tour proposes: a minute or two


@dataclass(frozen=True)
class Hint:
    """What a balloon says, and the widget or the place of the scan it points at."""

    words: str
    at: QWidget | Spot


class TourStep:
    """One balloon.

    Parameters
    ----------
    workspace
        Whose window it is shown in.
    places
        Where on this scan to click and to paint.

    Attributes
    ----------
    page, title
        The page that is opened for it, and the first line of the balloon.
    done
        Whether the user did it.
    """

    page = title = ""

    def __init__(self, workspace: Workspace, places: Places) -> None:
        self.workspace, self.places = workspace, places
        self.done = False
        self._heard: list[tuple[Any, Callable[..., None]]] = []

    @property
    def panel(self) -> Any:
        """The page of this step."""
        return self.workspace.panels.find(self.page)

    def begin(self) -> None:
        """Get ready; called once, when the page is open."""

    def hint(self) -> Hint:
        """Tell what to do next, as things are now."""
        raise NotImplementedError

    def listen(self, signal: Any, slot: Callable[..., None]) -> None:
        """Hear something until the step ends."""
        signal.connect(slot)
        self._heard.append((signal, slot))

    def finish_at(self, signal: Any) -> None:
        """Be done when something is heard."""
        self.listen(signal, self._finish)

    def end(self) -> None:
        """Listen no longer."""
        for signal, slot in self._heard:
            signal.disconnect(slot)
        self._heard.clear()

    def _finish(self, *_: object) -> None:
        self.done = True


class ClickStep(TourStep):
    """One click becomes a mask, U keeps it, and all that look like it follow."""

    page, title = "click", "One click, all alike"

    def begin(self) -> None:
        """Take up the click tool, and the class of what is clicked."""
        self._clicks = self.workspace.get(PromptController)
        if self.places.click.class_id:
            self._clicks.options.class_id = self.places.click.class_id
        if self._clicks.tool is not Tool.CLICK:
            self.workspace.act("prompt_click")
        self._kept = False
        self.listen(self._clicks.committed, self._on_kept)
        self.finish_at(self._clicks.search.taken)

    def hint(self) -> Hint:
        """Click, keep the mask, find all like it, take them."""
        clicks, search, place = self._clicks, self._clicks.search, self.places.click
        many = self.panel.many
        if search.found:
            return Hint(
                f"{len(search.found)} more, in orange. Press Shift+T, or Take all, to "
                "keep them too.",
                many.accept_all,
            )
        if search.kind and not search.busy:
            return Hint("Nothing else looks like it. Skip goes on.", many.alike)
        if search.kind:
            return Hint("Comparing with every place of the slice …", many.alike)
        if self._kept:
            return Hint(
                "Kept. Now press Shift+S, or this button: all that look like it are "
                "looked for.",
                many.alike,
            )
        if clicks.mask is not None and not clicks.mask.empty and not clicks.busy:
            return Hint(
                "The mask follows its borders. Press U on the keyboard, or Commit, "
                "to keep it as an object.",
                self.panel.commit.commit,
            )
        if clicks.tool is Tool.NONE:
            tool = self.panel.tools.buttons[Tool.CLICK]
            return Hint("Take up the click tool: press G, or this button.", tool)
        if clicks.busy:
            return Hint("The model looks at the scan …", place)
        return Hint(f"Click {place.where}: the mask appears at once.", place)

    def _on_kept(self, *_: object) -> None:
        self._kept = True
        self.panel.many_fold.expand(animate=False)


class StrokesStep(TourStep):
    """Two strokes label the whole slice."""

    page, title = "strokes", "Two strokes, the whole slice"

    def begin(self) -> None:
        """Take up the brush with the class of the first stroke."""
        self._strokes = self.workspace.get(StrokesController)
        if self.places.strokes[0].class_id and self.workspace.binding is not None:
            self.workspace.binding.pick(self.places.strokes[0].class_id)
        self.finish_at(self._strokes.accepted)

    def hint(self) -> Hint:
        """Paint, paint another class, accept."""
        binding, found = self.workspace.binding, self._strokes.last
        painted = {facts.class_id for facts in self._strokes.strokes}
        if found is not None and len(painted) > 1:
            return Hint(
                "That labelled everything else. Add strokes where it is wrong; then "
                "accept it into the labels.",
                self.panel.accept_button,
            )
        place = self.places.strokes[len(painted)]
        brush = binding is not None and binding.painting
        if painted and binding is not None and binding.current_class in painted:
            number = self._number(place.class_id)
            return Hint(f"Now another class: press {number} on the keyboard.", place)
        if not brush:
            return Hint("Take up the brush: press W on the keyboard.", place)
        words = f"Hold the left button and draw a short line {place.where}."
        return Hint(words, place)

    def _number(self, class_id: int) -> str:
        session = self.workspace.session
        ids = () if session is None else session.classes.ids
        if class_id in ids:
            return f"{ids.index(class_id) + 1} ({self.places.strokes[1].name})"
        return "the number of another class"


class MapStep(TourStep):
    """A heat map says where the strokes are in doubt."""

    page, title = "strokes", "Where is it in doubt?"

    def begin(self) -> None:
        """Look whether a map comes and goes."""
        self._strokes = self.workspace.get(StrokesController)
        self._seen = False

    def hint(self) -> Hint:
        """Show the map, then put it away."""
        tick, layers = self.panel.maps.ticks["margin"], self._strokes.layers
        on = bool(self._strokes.maps)
        if self._seen and not on:
            self.done = True
        drawn = layers is not None and any(map(layers.map_layer, self._strokes.maps))
        self._seen |= drawn
        if on and not drawn:
            return Hint("The map is being drawn …", tick)
        if on:
            return Hint(
                "Bright is in doubt: one more stroke there teaches most. Tick it off "
                "again to go on.",
                tick,
            )
        return Hint("Tick this map.", tick)


class RunStep(TourStep):
    """What was labelled trains the model, in the background."""

    page, title = "train", "Train it on your objects"

    def begin(self) -> None:
        """Propose a short run."""
        self._runs = self.workspace.get(RunsController)
        self.panel.form.steps.setValue(RUN_STEPS)
        self.panel.fold.setChecked(True)
        self.finish_at(self._runs.started)

    def hint(self) -> Hint:
        """Start, or say what is missing."""
        form, found = self.panel.form, self._runs.planner.learnable
        if self._runs.starting:
            return Hint("It starts, beside your work …", form.start_button)
        if not found.enough:
            return Hint(f"{found.sentence} Or skip this.", form.words)
        return Hint(
            "Press Start. The run goes on in the background, and is used only if it "
            "is better on objects it never saw.",
            form.start_button,
        )


class TableStep(TourStep):
    """The objects, with their sizes, leave as a table."""

    page, title = "objects", "Take the numbers home"

    def begin(self) -> None:
        """Wait for the file."""
        self.finish_at(self.workspace.get(ObjectsController).saved)

    def hint(self) -> Hint:
        """Save the table."""
        if not self.workspace.get(ObjectsController).rows:
            return Hint("Commit an object first; then it is here.", self.panel.count)
        return Hint(
            "All objects with size and score; a double click shows one. Save the "
            "table for a spreadsheet.",
            self.panel.save_button,
        )


STEPS: tuple[type[TourStep], ...] = (
    ClickStep,
    StrokesStep,
    MapStep,
    RunStep,
    TableStep,
)
