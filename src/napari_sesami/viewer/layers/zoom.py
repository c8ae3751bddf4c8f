"""Lines as thick as before on screen, whatever the zoom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.jobs import Debounced

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_sesami.viewer.app.workspace import Workspace


class ZoomFollower:
    """Calls a bound method, held weakly, when the camera's zoom has come to rest."""

    def __init__(
        self, workspace: Workspace, method: Callable[[], None], wait: int
    ) -> None:
        self._workspace, self._later = workspace, Debounced(method, wait)
        workspace.viewer.scene.camera.events.zoom.connect(self._on_zoom)

    def let_go(self) -> Viewer | None:
        """Follow no longer; gives the viewer, None if the window went first."""
        self._later.stop()
        try:
            viewer = self._workspace.viewer
        except ViewerError:  # its events went with it
            return None
        viewer.scene.camera.events.zoom.disconnect(self._on_zoom)
        return viewer

    def _on_zoom(self, event: Any = None) -> None:
        self._later.soon()
