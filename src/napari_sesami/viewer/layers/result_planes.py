"""The layers that retrieval shows: class labels, and maps as heat maps."""

from __future__ import annotations

import shutil
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.project import PlaneArray
from napari_sesami.viewer.layers.session_layers import colormap_of
from napari_sesami.viewer.layers.spatial import KEPT_CLASSES, spatial_kwargs

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.viewer import Viewer
    from numpy.typing import DTypeLike, NDArray

    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.workspace import Workspace

KEPT_PLANES = 4  # in memory, of each layer


@dataclass(frozen=True)
class MapKind:
    """A heat map: how it is drawn, and what it means."""

    key: str
    title: str
    colormap: str
    limits: tuple[float, float]
    legend: str


MAPS = (
    MapKind(
        "vote",
        "Votes of a class",
        "viridis",
        (0.0, 1.0),
        "Votes: yellow = all labelled patches say this class, blue = none does.",
    ),
    MapKind(
        "margin",
        "Margin",
        "magma",
        (0.0, 1.0),
        "Margin: bright = decided, black = two classes are even; paint there.",
    ),
    MapKind(
        "novelty",
        "Never seen",
        "inferno",
        (0.0, 0.3),
        "Never seen: bright = nothing like it was painted (similarity below 0.7).",
    ),
)
"""Every map that can be shown."""


class Planes(PlaneArray):
    """Planes of a result: the last ones in memory, those of a whole scan on disk."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._own: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._nothing = np.zeros(shape[-2:], dtype)
        self._disk: Any = None
        self._folder: Path | None = None
        self._temporary = False
        self.written: set[int] = set()
        super().__init__(shape, dtype, self.plane)

    def plane(self, number: int) -> NDArray[Any]:
        """One plane (y, x) as it is known now; zeros where nothing is."""
        own = self._own.get(number)
        if own is not None:
            return own
        if number in self.written:
            return np.asarray(self._disk[number])
        return self._nothing

    @property
    def known(self) -> list[int]:
        """The planes that have a result."""
        return sorted(self.written | {n for n, own in self._own.items() if own.any()})

    def put(self, number: int, pixels: NDArray[Any]) -> bool:
        """Take over a plane; False if it was the same already."""
        old = self._own.get(number)
        if old is not None and np.array_equal(old, pixels):
            return False
        self._own[number] = pixels
        self._own.move_to_end(number)
        while len(self._own) > KEPT_PLANES:
            self._own.popitem(last=False)
        return True

    def clear(self) -> None:
        """Forget all that is in memory."""
        self._own.clear()

    def to_disk(self, folder: Path | None) -> Any:
        """Begin a zarr array for all planes: in `folder`, or in a temporary one."""
        import zarr

        self.drop_disk()
        self._temporary = folder is None
        self._folder = (
            Path(tempfile.mkdtemp(prefix="sesami-")) if folder is None else folder
        )
        self._disk = zarr.create_array(
            store=str(self._folder / "whole scan.zarr"),
            shape=(int(np.prod(self.shape[:-2])), *self.shape[-2:]),
            chunks=(1, *self.shape[-2:]),
            dtype=self.dtype,
            overwrite=True,
        )
        return self._disk

    def drop_disk(self) -> None:
        """Let go of the planes on disk; a temporary folder goes with them."""
        self.written.clear()
        self._disk = None
        if self._temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None


class ResultLayers:
    """Makes the layers of one scan when they are first needed, and again if removed."""

    def __init__(self, workspace: Workspace, binding: LayerBinding) -> None:
        self._workspace, self._binding = workspace, binding
        shape = binding.session.scan.shape
        self.shape = shape[:-1] if binding.session.scan.is_rgb else shape
        self.labels = Planes(self.shape, np.uint8)
        self._layer: Labels | None = None
        self._classes: dict[int, tuple[Planes, Labels]] = {}
        self._maps: dict[str, tuple[Planes, Image]] = {}

    @property
    def _viewer(self) -> Viewer:
        return self._workspace.viewer

    @property
    def layer(self) -> Labels | None:
        """The result layer, if it is in the viewer."""
        known = self._layer
        return known if known is not None and known in self._viewer.layers else None

    def show(self, plane: int, labels: NDArray[np.uint8]) -> None:
        """Draw the labels of a plane."""
        changed = self.labels.put(plane, labels)
        if self.layer is None:
            name = f"{self._binding.image.name} from strokes"
            self._layer = self._add_labels(self.labels, name)
        elif changed:
            self.redraw()

    def redraw(self) -> None:
        """Draw again what is known of the plane on screen."""
        if self.layer is not None:
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)

    def show_overlap(self, plane: int, masks: NDArray[np.bool_] | None) -> None:
        """Draw every class by itself, (H, W, C); None takes those layers away."""
        if masks is None:
            self.hide_overlap()
            return
        for entry in self._binding.session.classes:
            if entry.id > masks.shape[-1]:
                continue
            known = self._classes.get(entry.id)
            if known is None or known[1] not in self._viewer.layers:
                planes = Planes(self.shape, np.uint8)
                layer = self._add_labels(
                    planes, f"{self._binding.image.name} {entry.name}"
                )
                known = self._classes[entry.id] = (planes, layer)
            found = np.where(masks[..., entry.id - 1], entry.id, 0)
            if known[0].put(plane, found.astype(np.uint8)):
                known[1].refresh(thumbnail=False, extent=False, highlight=False)
        if self.layer is not None:
            self.layer.visible = False

    def hide_overlap(self) -> None:
        """Take the layers of single classes out of the viewer."""
        if not self._classes:
            return
        for _, layer in self._classes.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._classes.clear()
        if self.layer is not None:
            self.layer.visible = True

    def class_layer(self, class_id: int) -> Labels | None:
        """The layer of one class, if classes may overlap."""
        known = self._classes.get(class_id)
        shown = known is not None and known[1] in self._viewer.layers
        return known[1] if known is not None and shown else None

    def blank(self) -> None:
        """Show nothing, after the last stroke is gone."""
        self.labels.clear()
        for planes, layer in self._classes.values():
            planes.clear()
            layer.refresh(thumbnail=False, extent=False, highlight=False)
        for planes, image in self._maps.values():
            planes.clear()
            image.refresh(thumbnail=False, extent=False, highlight=False)
        self.redraw()

    def recolor(self) -> None:
        """Follow the class table."""
        several = [layer for _, layer in self._classes.values()]
        for layer in several if self._layer is None else [self._layer, *several]:
            self._color(layer)

    def show_map(self, kind: MapKind, plane: int, pixels: NDArray[np.float32]) -> None:
        """Draw a map of a plane."""
        known = self._maps.get(kind.key)
        if known is None or known[1] not in self._viewer.layers:
            planes = Planes(self.shape, np.float32)
            planes.put(plane, pixels)
            self._maps[kind.key] = (planes, self._add_map(kind, planes))
        else:
            known[0].put(plane, pixels)
            known[1].visible = True
            known[1].refresh(thumbnail=False, extent=False, highlight=False)

    def hide_map(self, kind: MapKind) -> None:
        """Take a map out of the viewer."""
        known = self._maps.pop(kind.key, None)
        if known is not None and known[1] in self._viewer.layers:
            self._viewer.layers.remove(known[1])

    def map_layer(self, key: str) -> Image | None:
        """The layer of a map, if it is shown."""
        known = self._maps.get(key)
        return (
            known[1] if known is not None and known[1] in self._viewer.layers else None
        )

    def close(self) -> None:
        """Take the layers out, and what they hold on disk only for a while."""
        for kind in MAPS:
            self.hide_map(kind)
        self.hide_overlap()
        if self.layer is not None:
            self._viewer.layers.remove(self.layer)
        self._layer = None
        self.labels.drop_disk()

    def _color(self, layer: Labels) -> None:
        colors = {entry.id: entry.color for entry in self._binding.session.classes}
        layer.colormap = colormap_of(colors)
        layer.metadata[KEPT_CLASSES] = tuple(self._binding.session.classes)

    def _add_labels(self, planes: Planes, name: str) -> Labels:
        image = self._binding.image
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_labels(
            planes,
            name=name,
            opacity=0.45,
            multiscale=False,
            metadata={"sesami_layer": "retrieved"},
            **spatial_kwargs(image),
        )
        self._color(layer)
        layer.editable = False
        self._below_strokes(layer)
        self._viewer.layers.selection.active = active
        return layer

    def _add_map(self, kind: MapKind, planes: Planes) -> Image:
        image = self._binding.image
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_image(
            planes,
            name=f"{image.name} {kind.title.lower()}",
            colormap=kind.colormap,
            contrast_limits=kind.limits,
            opacity=0.7,
            blending="translucent",
            multiscale=False,
            metadata={"sesami_map": kind.key, "legend": kind.legend},
            **spatial_kwargs(image),
        )
        self._below_strokes(layer)
        self._viewer.layers.selection.active = active
        return layer

    def _below_strokes(self, layer: Any) -> None:
        layers = self._viewer.layers
        if self._binding.strokes in layers:
            layers.move(layers.index(layer), layers.index(self._binding.strokes))
