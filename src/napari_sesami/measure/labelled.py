"""Where the labels of a lot come from: files beside the scans, or other rooms.

A source lists the scans among what it is given, and opens each with its labels. Sources
that need a project or a model live in the rooms that know them and are loaded by name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from napari_sesami.measure.errors import MeasureError
from napari_sesami.scan import load_classes, open_scan, readable_extensions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sesami.scan import Scan

SOURCES = {
    "files": "napari_sesami.measure.labelled:FileLabels",
    "project": "napari_sesami.session:ProjectLabels",
    "bank": "napari_sesami.session:BankLabels",
    "model": "napari_sesami.worklist:ModelLabels",
    "segmenter": "napari_sesami.session:SegmenterLabels",
}
"""Name of a source of labels → "module:Class", imported when it is used."""

ENDINGS = ("_labels", "_truth")


@dataclass(frozen=True, eq=False)
class ScanWithLabels:
    """A scan with labels.

    Attributes
    ----------
    scan, labels, classes
        As `measure` takes them.
    source
        Where the labels come from, for people.
    votes
        Shares of the classes per pixel, or None.
    """

    scan: Scan
    labels: Any
    classes: Any
    source: str
    votes: Any = None


class LabelSource(Protocol):
    """Lists and opens labelled scans; made of plain values, so that it can travel."""

    def scans(self, given: Iterable[str | Path]) -> list[str]:
        """Give the names by which `open` knows the scans among files and folders."""

    def open(self, name: str) -> ScanWithLabels:
        """Open one of them."""


def label_source(kind: str, **options: Any) -> LabelSource:
    """Make a source by its name in `SOURCES`."""
    if kind not in SOURCES:
        names = ", ".join(SOURCES)
        raise MeasureError(f"Labels come from {names}; {kind!r} was asked for.")
    module, _, name = SOURCES[kind].partition(":")
    source: LabelSource = getattr(import_module(module), name)(**options)
    return source


def scan_files(given: Iterable[str | Path]) -> list[Path]:
    """Give the scans among files and folders, label files left out."""
    endings = tuple(readable_extensions())
    found: list[Path] = []
    for item in given:
        path = Path(item)
        if not path.exists():
            raise MeasureError(f"{path} is not there; check the path.")
        if not path.is_dir() or path.suffix == ".zarr":
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.name.lower().endswith(endings))
        found += [p for p in inside if not _stem(p).endswith(ENDINGS)]
    return found


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


class FileLabels:
    """Labels in a file beside each scan: NAME_labels.ome.tif, as `sesami segment` does.

    Parameters
    ----------
    classes
        A JSON file of classes, for label files that do not name them.
    """

    def __init__(self, classes: str | Path | None = None) -> None:
        self.classes = None if classes is None else str(classes)

    def scans(self, given: Iterable[str | Path]) -> list[str]:
        """See `LabelSource`."""
        return [str(p) for p in scan_files(given)]

    def open(self, name: str) -> ScanWithLabels:
        """See `LabelSource`."""
        path = Path(name)
        folders = (path.parent, path.parent / "labels")
        stems = [f"{_stem(path)}{ending}" for ending in ENDINGS]
        stems += [_stem(path)]
        files = [
            file
            for folder, stem in zip(
                (*folders, *folders, folders[1]),
                (stems[0], stems[0], stems[1], stems[1], stems[2]),
                strict=True,
            )
            for file in sorted(folder.glob(f"{stem}.*"))
            if file != path
        ]
        if not files:
            raise MeasureError(
                f"{path.name} has no labels: there is no {stems[0]}.ome.tif beside it "
                "or in a folder labels."
            )
        labels = open_scan(files[0])
        named: Any = self._classes_of(files[0])
        return ScanWithLabels(
            open_scan(path), labels.data, named, _kind_of(files[0], path)
        )

    def _classes_of(self, file: Path) -> Any:
        if self.classes is not None:
            return load_classes(self.classes)
        named = named_classes(file)
        if named:
            return named
        beside = file.parent / "classes.json"
        if beside.exists():
            return load_classes(beside)
        raise MeasureError(
            f"{file.name} does not name its classes; put a classes.json beside it, or "
            "say which file has them."
        )


def _kind_of(file: Path, scan: Path) -> str:
    """How a label file is named, the same for all scans of a lot."""
    ending = _stem(file).removeprefix(_stem(scan))
    return f"files {file.parent.name}/" if not ending else f"files *{ending}"


def named_classes(file: Path) -> dict[str, int]:
    """Read the class names that `save_labels` wrote into an OME-TIFF."""
    import xml.etree.ElementTree as ET

    import tifffile

    try:
        with tifffile.TiffFile(file) as tiff:
            text = tiff.ome_metadata
        if not text or "<!DOCTYPE" in text:
            return {}
        for element in ET.fromstring(text).iter():
            if element.tag.endswith("Description") and element.text:
                rows = json.loads(element.text)["classes"]
                return {str(r["name"]): int(r["id"]) for r in rows}
    except (tifffile.TiffFileError, ET.ParseError, ValueError, LookupError, TypeError):
        return {}
    return {}
