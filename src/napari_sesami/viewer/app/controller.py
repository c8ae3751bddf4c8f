"""What the controllers of all features have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sesami.viewer.app.errors import ViewerError

if TYPE_CHECKING:
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.workspace import Workspace


class Controller:
    """State and verbs of one feature, without widgets; panels reflect it.

    Verbs raise a `SesamiError` where they cannot do what was asked; whoever calls them
    shows it. `workspace.get(SomeController)` makes one per viewer, and the workspace
    closes it.
    """

    changed = Signal()
    """whatever a panel reflects"""

    needs_scan = (
        "There is no scan to label yet: open one, or take an image of the viewer."
    )
    """what is said where a scan is needed and there is none"""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    @property
    def session(self) -> Session | None:
        """The active session, or None."""
        return self.workspace.session

    @property
    def binding(self) -> LayerBinding:
        """The session's layers, or one sentence about what is missing."""
        if self.workspace.binding is None:
            raise ViewerError(self.needs_scan)
        return self.workspace.binding

    @property
    def pointing(self) -> bool:
        """Whether the feature has the mouse, so that no other layer is selected."""
        return False

    def close(self) -> None:
        """Disconnect from workspace, viewer and session."""
