"""Makes the layers of a session; all of them lie exactly on the image."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.layers.spatial import KEPT_SCAN, scan_kwargs, spatial_kwargs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

    from napari_sesami.scan import Scan
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.layers.result_planes import MapKind

STROKES, LABELS = "strokes", "labels"
BAR = (18, 140)  # px of a colour bar on the canvas
L = TypeVar("L", bound="Layer")


def image_options(scan: Scan, **metadata: Any) -> tuple[Any, dict[str, Any]]:
    """Give a scan as data and options of ``add_image``; the Scan travels along."""
    data = [scan.data, *scan.levels] if scan.levels else scan.data
    options: dict[str, Any] = {
        "name": scan.name,
        "rgb": scan.is_rgb,
        "multiscale": bool(scan.levels),
        # napari's cache of dask breaks (KeyError) while another thread computes, too
        "cache": False,
        "metadata": {KEPT_SCAN: scan, **metadata},
        **scan_kwargs(scan),
    }
    if not scan.is_rgb:
        options["contrast_limits"] = contrast_of(scan)
    return data, options


def contrast_of(scan: Scan) -> tuple[float, float]:
    """Robust grey range; a few hot pixels do not turn the picture black."""
    lo, hi = float(scan.normalisation.lo), float(scan.normalisation.hi)
    return (lo, hi) if hi > lo else (lo, lo + 1.0)


def add_image(viewer: ViewerModel, scan: Scan) -> Image:
    """Show a scan."""
    data, options = image_options(scan)
    return viewer.add_image(data, **options)


def add_labels(
    viewer: ViewerModel, image: Image, data: Any, kind: str, opacity: float
) -> Labels:
    """Add one of our label layers on top of an image."""
    return viewer.add_labels(
        data,
        name=f"{image.name} {kind}",
        opacity=opacity,
        metadata={"sesami_layer": kind},
        **spatial_kwargs(image),
    )


@contextmanager
def keeping_selection(viewer: ViewerModel) -> Iterator[None]:
    """Add layers meanwhile without taking the mouse from the one in use."""
    active = viewer.layers.selection.active
    yield
    viewer.layers.selection.active = active


def add_result(
    viewer: ViewerModel,
    link: LayerBinding,
    data: Any,
    name: str,
    kind: str,
    opacity: float,
) -> Labels:
    """Add labels that nobody paints in, below the strokes; the selection stays."""
    with keeping_selection(viewer):
        layer = viewer.add_labels(
            data,
            name=name,
            opacity=opacity,
            multiscale=False,
            metadata={"sesami_layer": kind},
            **spatial_kwargs(link.image),
        )
        layer.editable = False
        _put_below(viewer, layer, link.strokes)
    return layer


def add_map(
    viewer: ViewerModel, link: LayerBinding, kind: MapKind, data: Any, opacity: float
) -> Image:
    """Add a heat map below the strokes, with its colour bar; the selection stays."""
    with keeping_selection(viewer):
        layer = viewer.add_image(
            data,
            name=f"{link.image.name} {kind.title.lower()}",
            colormap=kind.colormap,
            contrast_limits=kind.limits,
            opacity=opacity,
            blending="translucent",
            multiscale=False,
            metadata={"sesami_map": kind.key, "legend": kind.legend},
            **spatial_kwargs(link.image),
        )
        _put_below(viewer, layer, link.strokes)
    layer.colorbar.size = BAR
    layer.colorbar.visible = True
    return layer


def _put_below(viewer: ViewerModel, layer: Layer, above: Layer) -> None:
    layers = viewer.layers
    if above in layers:
        layers.move(layers.index(layer), layers.index(above))


def in_viewer(viewer: ViewerModel, layer: L | None) -> L | None:
    """The layer, if it was made and nobody removed it."""
    return layer if layer is not None and layer in viewer.layers else None


def remove(viewer: ViewerModel, *gone: Layer | None) -> None:
    """Take layers out of the viewer, those that are still there."""
    for layer in gone:
        if layer is not None and layer in viewer.layers:
            viewer.layers.remove(layer)


def redraw(layer: Layer) -> None:
    """Draw the pixels of a layer again, and nothing else of it."""
    layer.refresh(thumbnail=False, extent=False, highlight=False)


def colormap_of(colors: Mapping[int, str], hidden: frozenset[int] = frozenset()) -> Any:
    """Give classes their colours; 0, hidden and unknown ids are transparent."""
    from napari.utils.colormaps import DirectLabelColormap

    nothing = (0.0, 0.0, 0.0, 0.0)
    shown: dict[int | None, Any] = {None: nothing, 0: nothing}
    for class_id, color in colors.items():
        shown[class_id] = nothing if class_id in hidden else color
    return DirectLabelColormap(color_dict=shown)


def brush_for(plane_shape: tuple[int, int]) -> int:
    """Choose a brush that is neither a dot nor a paint roller, in pixels."""
    return max(3, round(min(plane_shape) / 64))


def check_shape(image: Image, scan: Scan) -> None:
    """Refuse to label an image of another shape than the scan's."""
    first = image.data[0] if image.multiscale else image.data
    count = image.ndim
    if tuple(first.shape[:count]) != scan.shape[: len(scan.axes) - scan.is_rgb]:
        raise ViewerError(
            f"The layer {image.name} has the shape {tuple(first.shape)}, the scan "
            f"{scan.name} has {scan.shape}; choose the layer that shows this scan."
        )
