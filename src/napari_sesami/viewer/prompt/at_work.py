"""What the parts of prompting know of the controller that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sesami.project import ClassEntry
    from napari_sesami.prompt import Mask
    from napari_sesami.session import Draft, PromptChain
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.layers.mouse import Tool
    from napari_sesami.viewer.prompt.engine import PromptEngine
    from napari_sesami.viewer.prompt.options import PromptOptions


class ObjectAtWork(Protocol):
    """The object that is being pointed at, where it is asked for, and how it is shown.

    `PromptController` is one; its cursor, history, search, slices and mouse see no more
    of it than this.
    """

    workspace: Workspace
    engine: PromptEngine
    draft: Draft
    options: PromptOptions
    tool: Tool
    shown: dict[PromptChain, Mask]
    extra: list[Any]
    last_object: int | None

    @property
    def binding(self) -> LayerBinding:
        """The session's layers, or one sentence about what is missing."""

    @property
    def plane(self) -> int:
        """The plane on screen."""

    @property
    def mask(self) -> Mask | None:
        """What would be committed in the plane on screen."""

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""

    def final(self, plane: int) -> Mask | None:
        """The mask of a plane as it is committed."""

    def new_draft(self, draft: Draft | None = None) -> None:
        """Go on with another object, or with an empty one."""

    def ask_open(self) -> bool:
        """Ask for a plane that is not answered yet; False if there is none."""

    def chosen_class(self) -> ClassEntry:
        """The class that masks go to."""

    def clicked(self, tool: Tool, at: tuple[float, float], off: bool) -> None:
        """Take a click at (y, x)."""

    def drawn(self, tool: Tool, points: Sequence[Any], off: bool) -> None:
        """Take a line that was drawn, in pixel centres."""

    def sketch(self, tool: Tool, points: Sequence[Any]) -> None:
        """Show a line while it is being drawn."""

    def hover(self, at: tuple[float, float]) -> None:
        """Follow the cursor."""

    def draw(self, sketch: Sequence[Any] = (), hover: Mask | None = None) -> None:
        """Write what changed into the preview layer."""

    def refresh(self) -> None:
        """Draw anew and tell the panels."""
