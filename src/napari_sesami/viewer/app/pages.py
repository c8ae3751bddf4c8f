"""The pages of the workbench, in the order of the work; a new page is one entry."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

ROOM = "napari_sesami.viewer."


@dataclass(frozen=True)
class Page:
    """One panel: a page of the workbench, or a dock of its own.

    Attributes
    ----------
    name
        How code asks for it, and the drawing in `workbench/icons`.
    title
        The word below its icon.
    line
        What it is for, in the head of the page; fits 270 pixels.
    dock
        How the manifest calls the panel when it is a dock of its own.
    panel
        Where the panel's class is, below `napari_sesami.viewer`: "module:class".
    follower
        A function "module:function" that is called with the workspace when another
        session is shown, for what must not wait until the page is opened.
    """

    name: str
    title: str
    line: str
    dock: str
    panel: str
    follower: str = ""

    def load(self) -> type[Any]:
        """Import the panel's class; what it needs is not imported before."""
        found: type[Any] = _load(self.panel)
        return found

    def tell_follower(self, workspace: Any) -> None:
        """Tell the feature that another session is shown, if it wants to know."""
        if self.follower:
            _load(self.follower)(workspace)


PAGES: tuple[Page, ...] = (
    Page(
        "scan",
        "Scan",
        "Open a scan, name classes, paint",
        "Scan and classes",
        "label.panel:LabelPanel",
    ),
    Page(
        "click",
        "Click",
        "Clicks and boxes become masks",
        "Click prompts",
        "prompt.panel:PromptPanel",
    ),
    Page(
        "strokes",
        "Strokes",
        "A few strokes label a whole slice",
        "Strokes to labels",
        "strokes.panel:StrokesPanel",
    ),
    Page(
        "next",
        "Next",
        "What to label next",
        "What to label next",
        "queue.panel:QueuePanel",
    ),
    Page(
        "objects",
        "Objects",
        "What was committed, as a table",
        "Committed objects",
        "objects.panel:ObjectsPanel",
    ),
    Page(
        "measure",
        "Measure",
        "Dimensions with error bars",
        "Measure dimensions",
        "measure.panel:MeasurePanel",
    ),
    Page(
        "train",
        "Train",
        "Train on what was labelled",
        "Runs",
        "runs.panel:RunsPanel",
        follower="runs.controller:follow_runs",
    ),
    Page(
        "list",
        "List",
        "Work through a folder of scans",
        "Work list",
        "worklist.panel:WorklistPanel",
    ),
    Page(
        "models",
        "Models",
        "Which model answers clicks",
        "Models",
        "models.panel:ModelsPanel",
    ),
    Page(
        "defects",
        "Defects",
        "Sort defects from two magnifications",
        "Defect classes",
        "classify.panel:ClassifyPanel",
    ),
)


def page(name: str) -> Page:
    """Find a page by its name."""
    return next(each for each in PAGES if each.name == name)


def page_of(panel: Any) -> Page | None:
    """Find the page that a panel belongs to; None for the workbench itself."""
    kind = type(panel)
    where = f"{kind.__module__}:{kind.__qualname__}"
    return next((each for each in PAGES if ROOM + each.panel == where), None)


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(ROOM + module), name)
