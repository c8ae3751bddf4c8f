"""OME-Zarr 0.4 and 0.5: multiscale images and labels with units, and plain Zarr."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from napari_sesami.scan.check import guess_axes
from napari_sesami.scan.chunks import merged_chunks
from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.facts import Facts, build_scan
from napari_sesami.scan.readers.base import ImageInfo, Reader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_sesami.scan.scan import Scan

_RED_GREEN_BLUE = ["FF0000", "00FF00", "0000FF"]


def sniff(path: Path, head: bytes) -> bool:
    """Tell by the files that describe a Zarr."""
    return any((path / m).is_file() for m in ("zarr.json", ".zgroup", ".zarray"))


def list_images(path: Path) -> list[ImageInfo]:
    """List images, then labels, then plain arrays; keys are paths inside the Zarr."""
    import zarr

    root = _open(path)
    if isinstance(root, zarr.Array):
        return [_info(path, "", root)]
    with warnings.catch_warnings():
        # stray files such as .DS_Store are none of the user's business
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        return _images_of_group(path, root)


def _images_of_group(path: Path, root: Any) -> list[ImageInfo]:
    """Multiscale images of a group, or its plain arrays if there are none."""
    import zarr

    infos = [_info(path, key, _finest(root, key)) for key in _multiscales(root)]
    if infos:
        return infos
    arrays = [(k, a) for k, a in root.members(max_depth=3) if isinstance(a, zarr.Array)]
    return [_info(path, key, a) for key, a in sorted(arrays) if a.ndim >= 2]


def read(path: Path, key: str) -> Scan:
    """Open an image with all its levels, lazily."""
    import zarr

    root = _open(path)
    node = root[key] if key else root
    name = f"{path.stem.removesuffix('.ome')} {key}".strip()
    if isinstance(node, zarr.Array):
        axes = guess_axes(node.shape)
        facts = Facts(metadata={"vendor": "Zarr"})
        data = _lazy(node, axes)
        data = data[..., :3] if axes[-1] == "c" else data
        return build_scan(data, axes, facts, path=path, key=key, name=name)
    about = _about(node)
    image = about["multiscales"][0]
    arrays = [node[dataset["path"]] for dataset in image["datasets"]]
    axes = _axis_names(image, arrays[0].ndim)
    facts = _facts(image, axes)
    if "labels" in key.split("/"):
        facts.metadata["labels"] = True
    is_colour = _is_colour(about, axes, arrays[0])
    levels = [_arrange(_lazy(array, axes), axes, is_colour) for array in arrays]
    return build_scan(
        levels[0][0],
        levels[0][1],
        facts,
        path=path,
        key=key,
        name=name,
        levels=tuple(data for data, _ in levels[1:]),
        look_for_bar=False,
    )


def _open(path: Path) -> Any:
    """Open a group or an array."""
    import zarr

    if not sniff(path, b""):
        raise ScanError(
            f"{path} is named like a Zarr but has no zarr.json, .zgroup or .zarray; "
            f"choose the folder that holds one of them."
        )
    return zarr.open(path, mode="r")


def _about(group: Any) -> Mapping[str, Any]:
    """OME metadata of a group: under "ome" since 0.5, at the top before."""
    attributes = dict(group.attrs)
    ome = attributes.get("ome")
    return ome if isinstance(ome, dict) else attributes


def _multiscales(root: Any, prefix: str = "") -> list[str]:
    """Paths of all multiscale images of a Zarr: its own, its series', their labels."""
    import zarr

    group = root[prefix] if prefix else root
    if not isinstance(group, zarr.Group):
        return []
    about = _about(group)
    start = f"{prefix}/" if prefix else ""
    found = [prefix] if "multiscales" in about else []
    if "bioformats2raw.layout" in about:
        series = sorted((k for k in group.group_keys() if k.isdigit()), key=int)
        found += [key for k in series for key in _multiscales(root, start + k)]
    if "labels" in group and isinstance(group["labels"], zarr.Group):
        names = _about(group["labels"]).get("labels") or sorted(
            group["labels"].group_keys()
        )
        for name in names:
            found += _multiscales(root, f"{start}labels/{name}")
    listed = about.get("labels")
    if not found and isinstance(listed, list):  # the labels folder itself was opened
        found = [f"{start}{n}" for n in listed if n in group]
    return found


def _finest(root: Any, key: str) -> Any:
    """Array of full resolution of a multiscale image."""
    group = root[key] if key else root
    return group[_about(group)["multiscales"][0]["datasets"][0]["path"]]


def _info(path: Path, key: str, array: Any) -> ImageInfo:
    name = key or path.stem.removesuffix(".ome")
    return ImageInfo(key, name, tuple(array.shape), str(array.dtype))


def _axis_names(image: Mapping[str, Any], ndim: int) -> tuple[str, ...]:
    """Axis names of a multiscale image; before 0.4 bare strings, or t c z y x."""
    said = image.get("axes") or list("tczyx"[-ndim:])
    names = [a["name"] if isinstance(a, dict) else a for a in said]
    return tuple("channel" if n.lower() == "c" else n.lower() for n in names)


def _facts(image: Mapping[str, Any], axes: tuple[str, ...]) -> Facts:
    """Scale and translation of the finest level, units of the axes."""
    said = image.get("axes") or []
    units = {
        name: axis.get("unit") if isinstance(axis, dict) else None
        for name, axis in zip(axes, said, strict=False)
    }
    scale, shift = [1.0] * len(axes), [0.0] * len(axes)
    steps = list(image["datasets"][0].get("coordinateTransformations", []))
    for step in [*steps, *image.get("coordinateTransformations", [])]:
        if step.get("type") == "scale" and "scale" in step:
            scale = [a * b for a, b in zip(scale, step["scale"], strict=True)]
            shift = [a * b for a, b in zip(shift, step["scale"], strict=True)]
        if step.get("type") == "translation" and "translation" in step:
            shift = [a + b for a, b in zip(shift, step["translation"], strict=True)]
    facts = Facts(metadata={"vendor": "OME-Zarr"})
    for axis, size, start in zip(axes, scale, shift, strict=True):
        if units.get(axis) is not None:  # without a unit a scale says nothing
            facts.sizes[axis] = (size, units[axis])
            facts.origin[axis] = float(start)
    return facts


def _is_colour(about: Mapping[str, Any], axes: tuple[str, ...], array: Any) -> bool:
    """Whether three channels of bytes are shown in red, green and blue."""
    channels = about.get("omero", {}).get("channels", [])
    colours = [str(c.get("color", "")).upper() for c in channels]
    if "channel" not in axes or array.dtype.itemsize > 2:
        return False
    return colours == _RED_GREEN_BLUE and array.shape[axes.index("channel")] == 3


def _lazy(array: Any, axes: tuple[str, ...]) -> Any:
    """Open a Zarr array as a dask array whose chunks suit planes."""
    import dask.array as da

    y, x = axes.index("y"), axes.index("x")
    size = array.dtype.itemsize
    chunks = merged_chunks(array.chunks, tuple(array.shape), y, x, size)
    return da.from_array(array, chunks=chunks, name=False, asarray=True)


def _arrange(
    data: Any, axes: tuple[str, ...], is_colour: bool
) -> tuple[Any, tuple[str, ...]]:
    """Drop time and channels of length 1; bring colour to the end."""
    single = [
        i for i, a in enumerate(axes) if a in ("t", "channel") and data.shape[i] == 1
    ]
    data = data.squeeze(tuple(single)) if single else data
    names = tuple(a for i, a in enumerate(axes) if i not in single)
    if is_colour and "channel" in names:
        at = names.index("channel")
        order = [i for i in range(len(names)) if i != at] + [at]
        data = data.transpose(order)
        names = (*(n for n in names if n != "channel"), "c")
    return data, names


READER = Reader(
    name="OME-Zarr",
    extensions=(".zarr",),
    sniff=sniff,
    list_images=list_images,
    read=read,
)
