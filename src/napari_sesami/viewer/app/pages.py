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
    keys
        Keys that belong to it, for its tip; "" for none.
    dock
        How the manifest calls the panel when it is a dock of its own.
    panel
        Where the panel's class is, below `napari_sesami.viewer`: "module:class".
    """

    name: str
    title: str
    line: str
    keys: str
    dock: str
    panel: str

    def load(self) -> type[Any]:
        """Import the panel's class; what it needs is not imported before."""
        module, name = self.panel.split(":")
        found: type[Any] = getattr(import_module(ROOM + module), name)
        return found


PAGES: tuple[Page, ...] = (
    Page(
        "scan",
        "Scan",
        "Open a scan, name classes, paint",
        "W paints, N names a class",
        "Scan and classes",
        "label.panel:SesamiDock",
    ),
    Page(
        "click",
        "Click",
        "Clicks and boxes become masks",
        "G clicks, Shift+G boxes, U commits",
        "Click prompts",
        "prompt.panel:PromptDock",
    ),
    Page(
        "strokes",
        "Strokes",
        "A few strokes label a whole slice",
        "Shift+W asks why",
        "Strokes to labels",
        "strokes.panel:StrokesDock",
    ),
    Page(
        "next",
        "Next",
        "What to label next",
        "Shift+Q goes to the next place",
        "What to label next",
        "queue.panel:QueueDock",
    ),
    Page(
        "train",
        "Train",
        "Train on what was labelled",
        "",
        "Runs",
        "runs.panel:RunsDock",
    ),
    Page(
        "list",
        "List",
        "Work through a folder of scans",
        "Page Down opens the next scan",
        "Work list",
        "worklist.panel:WorkListDock",
    ),
    Page(
        "models",
        "Models",
        "Which model answers clicks",
        "",
        "Models",
        "models.panel:ModelsDock",
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
