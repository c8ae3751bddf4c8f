"""The only room that knows napari and Qt: layers, keys, background work, docks.

`attach` is all a script needs; the docks are found by napari through the manifest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sesami.common.triton import keep_triton_out

if TYPE_CHECKING:
    from napari_sesami.viewer.app.binding import LayerBinding, attach
    from napari_sesami.viewer.app.demo import run_demo
    from napari_sesami.viewer.app.jobs import JobQueue
    from napari_sesami.viewer.app.workspace import Workspace, workspace_of
    from napari_sesami.viewer.layers.spatial import spatial_kwargs

keep_triton_out()

__all__ = [
    "JobQueue",
    "LayerBinding",
    "Workspace",
    "attach",
    "run_demo",
    "spatial_kwargs",
    "workspace_of",
]

_HOMES = {
    "Workspace": "app.workspace",
    "LayerBinding": "app.binding",
    "JobQueue": "app.jobs",
    "attach": "app.binding",
    "workspace_of": "app.workspace",
    "run_demo": "app.demo",
    "spatial_kwargs": "layers.spatial",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the room itself loads at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
