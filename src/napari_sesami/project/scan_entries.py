"""What a project remembers of a scan, and how it finds the file again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_sesami.project.errors import ProjectError, ScanMoved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_sesami.scan import Scan

Sizes: TypeAlias = "tuple[tuple[float | None, ...], tuple[str | None, ...]]"
"""Pixel sizes and units over the axes."""


@dataclass(frozen=True)
class ScanEntry:
    """One scan of a project.

    Attributes
    ----------
    key
        Name of its folder under ``scans/``.
    path, relative
        Where its file was: absolute, and as seen from the project's folder.
    content_hash
        By which the file is known again, wherever it lies.
    file_size
        (sizes, units) as the file gives them.
    own_size
        (sizes, units) as the user corrected them, or None.
    name, modality
        What the scan was called when it was added; a file that was renamed meanwhile,
        or that does not tell its kind, keeps both.
    """

    key: str
    name: str
    content_hash: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    file_size: Sizes
    own_size: Sizes | None = None
    path: str | None = None
    relative: str | None = None
    image_key: str | None = None
    modality: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, scan: Scan, key: str, folder: Path) -> ScanEntry:
        """Describe a scan for the project in `folder`."""
        path, relative = places(scan.path, folder)
        return cls(
            key=key,
            name=scan.name,
            content_hash=scan.content_hash,
            shape=scan.shape,
            axes=tuple(scan.axes),
            file_size=(tuple(scan.pixel_size), tuple(scan.units)),
            path=path,
            relative=relative,
            image_key=scan.image_key,
            modality=scan.modality,
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the entry as plain JSON values."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**data.pop("more"), **data}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ScanEntry:
        """Read what `to_dict` wrote; keys of other versions are kept."""
        known = {f.name for f in fields(cls)} - {"more"}
        values = {key: value for key, value in data.items() if key in known}
        values["shape"] = tuple(int(n) for n in data["shape"])
        values["axes"] = tuple(data["axes"])
        for name in ("file_size", "own_size"):
            size = data.get(name)
            values[name] = (tuple(size[0]), tuple(size[1])) if size else None
        more = {key: value for key, value in data.items() if key not in known}
        return cls(**values, more=more)

    def known(self, scan: Scan) -> Scan:
        """Give the file's scan the name, kind and pixel size that are known here."""
        scan = replace(
            scan,
            name=self.name or scan.name,
            modality=self.modality or scan.modality,
        )
        same_file = (tuple(scan.pixel_size), tuple(scan.units)) == self.file_size
        if self.own_size is None or not same_file:
            return scan
        return scan.with_pixel_size(*self.own_size)


def places(path: Path | None, folder: Path) -> tuple[str | None, str | None]:
    """Write a path down absolutely and relative to the project's folder."""
    if path is None:
        return None, None
    absolute = Path(os.path.abspath(path))
    try:
        relative = Path(os.path.relpath(absolute, folder)).as_posix()
    except ValueError:  # another drive on Windows
        relative = None
    return str(absolute), relative


Locate: TypeAlias = "Mapping[str, Any] | Callable[[ScanEntry], Any] | None"
"""Where moved scans are: by key, name or old path, or a function that says so."""


def find(entry: ScanEntry, folder: Path, locate: Locate) -> Scan:
    """Open the entry's file where it is or was moved to; other content is refused."""
    from napari_sesami.scan import open_scan

    wrong: list[Path] = []
    for path in _candidates(entry, folder, locate):
        if not path.exists():
            continue
        scan = open_scan(path, entry.image_key)
        if scan.content_hash == entry.content_hash:
            return scan
        wrong.append(path)
    if wrong:
        raise ProjectError(
            f"{wrong[0]} is not the scan {entry.name!r} that this project was made on "
            "(its pixels differ); choose the original file."
        )
    where = f"at {entry.path}" if entry.path else "in a file: it was made from an array"
    todo = "say where it is now" if entry.path else "hand the same array over"
    raise ScanMoved(
        f"The scan {entry.name!r} is not {where}; {todo} (its content hash is "
        f"{entry.content_hash}).",
        path=Path(entry.path) if entry.path else None,
        content_hash=entry.content_hash,
        key=entry.key,
    )


def _candidates(entry: ScanEntry, folder: Path, locate: Locate) -> Iterator[Path]:
    # a project moved together with its scans means the copies beside it
    if entry.relative:
        yield Path(os.path.normpath(folder / entry.relative))
    if entry.path:
        yield Path(entry.path)
    if isinstance(locate, Mapping):
        for name in (entry.key, entry.name, entry.path):
            if name is not None and locate.get(name) is not None:
                yield Path(locate[name])
    elif locate is not None:
        chosen = locate(entry)
        if chosen is not None:
            yield Path(chosen)
