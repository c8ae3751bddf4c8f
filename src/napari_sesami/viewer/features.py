"""What features do by themselves when another session is shown, panel or no panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sesami.viewer.app.workspace import Workspace


def session_shown(workspace: Workspace) -> None:
    """Follow the runs of a project from its opening on: one may be cut off."""
    folder = workspace.saver.folder
    if folder is not None and (folder / "runs").is_dir():
        from napari_sesami.viewer.runs.controller import RunsController

        workspace.get(RunsController)
