"""The only room that knows napari and Qt: layers, keys, background work, docks.

`attach` is all a script needs; the docks are found by napari through the manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

from napari_sesami.common.triton import keep_triton_out

if TYPE_CHECKING:
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.demo import run_demo
    from napari_sesami.viewer.app.jobs import JobQueue
    from napari_sesami.viewer.app.workspace import Workspace, attach, workspace_of
    from napari_sesami.viewer.layers.spatial import spatial_kwargs

keep_triton_out()

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "app.binding": ["LayerBinding"],
        "app.demo": ["run_demo"],
        "app.jobs": ["JobQueue"],
        "app.workspace": ["Workspace", "attach", "workspace_of"],
        "layers.spatial": ["spatial_kwargs"],
    },
)
