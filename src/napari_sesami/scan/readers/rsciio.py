"""Formats that only rosettasciio reads (Bruker .bcf, HyperSpy .hspy, Merlin .mib, …).

rosettasciio is under the GPL: it is no dependency and is imported only where a user
installed it, ``pip install "napari-sesami[gpl-readers]"``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import BROKEN_FILE, ScanError
from napari_sesami.scan.lazy import name_axes, unique_names
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.scan import Scan
from napari_sesami.scan.units import clean_axes, parse_unit

if TYPE_CHECKING:
    from pathlib import Path


def sniff(path: Path, head: bytes) -> bool:
    """Tell whether rosettasciio is there and knows the ending."""
    return find_spec("rsciio") is not None and _plugin(path) is not None


def list_images(path: Path) -> list[ImageInfo]:
    """List signals of at least two axes of numbers."""
    return [
        ImageInfo(key, key, tuple(s["data"].shape), str(s["data"].dtype))
        for key, s in _signals(path).items()
    ]


def read(path: Path, key: str) -> Scan:
    """Open one signal, lazily where rosettasciio can."""
    signal = _signals(path)[key]
    said = [(a.get("scale"), a.get("units") or None) for a in signal["axes"]]
    known = [(s, u) if u else (None, None) for s, u in said]
    axes = name_axes([parse_unit(u) for _, u in known])
    sizes, units, notes = clean_axes(axes, known)
    return Scan(
        data=signal["data"],
        axes=axes,
        pixel_size=sizes,
        units=units,
        name=f"{path.stem} {key}",
        path=path,
        image_key=key,
        metadata={"vendor": "rosettasciio", "notes": tuple(notes)},
    )


def _plugin(path: Path) -> Any:
    """Find the plugin whose endings include that of the file."""
    from rsciio import IO_PLUGINS

    ending = path.suffix.lower().removeprefix(".")
    for plugin in IO_PLUGINS:
        if ending and ending in plugin["file_extensions"]:
            return plugin
    return None


def _signals(path: Path) -> dict[str, Any]:
    """Read the file's signals that could be images."""
    reader = import_module(_plugin(path)["api"]).file_reader
    try:
        found = reader(str(path), lazy=True)
    except (NotImplementedError, TypeError):  # some formats are never lazy
        found = reader(str(path))
    images = [s for s in found if _is_image(s)]
    if not images:
        raise ScanError(
            f"{path.name} holds no image: rosettasciio finds only spectra or tables."
        )
    said = [s.get("metadata", {}).get("General", {}).get("title") for s in images]
    return dict(zip(unique_names([t or "image" for t in said]), images, strict=True))


def _is_image(signal: dict[str, Any]) -> bool:
    """Whether the last two axes span a plane of specimen."""
    data = signal["data"]
    units = [parse_unit(axis.get("units")) for axis in signal["axes"][-2:]]
    numbers = np.dtype(data.dtype).kind in "buif"
    return data.ndim >= 2 and numbers and not {"eV", "keV"} & set(units)


READER = Reader(
    name="a format of rosettasciio",
    extensions=(),
    sniff=sniff,
    list_images=list_images,
    read=read,
    failures=(*BROKEN_FILE, RuntimeError, AssertionError),
)
