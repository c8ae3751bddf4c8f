"""Open any file: find the reader by the first bytes, then by the extension."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_sesami.common.cancel import Cancelled
from napari_sesami.scan.errors import BROKEN_FILE, ScanError
from napari_sesami.scan.readers.base import ImageInfo, Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.scan.scan import Scan

__all__ = ["ImageInfo", "Reader", "list_images", "open_scan", "readable_extensions"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
LONGEST = 400  # characters of a sentence, beside the name of the file
HEAD = 4096  # bytes that a sniffing reader sees


@dataclass(frozen=True)
class _Format:
    """Where a reader lives and what makes it worth importing."""

    module: str
    extensions: tuple[str, ...]
    magic: tuple[tuple[int, bytes], ...] = ()

    def load(self) -> Reader:
        """Import the reader; only now its library is loaded."""
        reader: Reader = import_module(
            f"napari_sesami.scan.readers.{self.module}"
        ).READER
        return reader

    def may_start(self, head: bytes) -> bool:
        """Whether the first bytes could be of this format."""
        return any(head[at : at + len(sign)] == sign for at, sign in self.magic)


_HDF5 = ((0, b"\x89HDF\r\n\x1a\n"),)

# Several formats may share their first bytes; the first whose `sniff` says yes wins.
# DICOM comes first: before its mark at byte 128 it may start as a TIFF does.
FORMATS = (
    _Format("dicom", (".dcm", ".dicom", ".dic", ".ima"), ((128, b"DICM"),)),
    _Format(
        "tiff",
        (".tif", ".tiff", ".btf", ".tf8", ".tf2"),
        ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+")),
    ),
    _Format("dm", (".dm3", ".dm4"), ((0, b"\0\0\0\x03"), (0, b"\0\0\0\x04"))),
    _Format(
        "mrc",
        (".mrc", ".mrcs", ".rec", ".st", ".ali", ".map"),
        ((208, b"MAP "), (208, b"MAP\0")),
    ),
    _Format("emd", (".emd",), _HDF5),
    _Format("ser", (".ser", ".emi"), ((0, b"II\x97\x01"),)),
    _Format("txrm", (".txrm", ".txm", ".xrm"), ((0, b"\xd0\xcf\x11\xe0"),)),
    _Format("hdf5", (".h5", ".hdf5", ".hdf", ".nxs", ".nx", ".nexus"), _HDF5),
    _Format("vgi", (".vgi", ".vol")),
    _Format(
        "raster",
        (".png", ".jpg", ".jpeg", ".bmp"),
        ((0, b"\x89PNG"), (0, b"\xff\xd8\xff"), (0, b"BM")),
    ),
)
_ARCHIVES = {
    b"PK\x03\x04": "ZIP",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "RAR",
    b"\x1f\x8b": "gzip",
}


def open_scan(path: str | os.PathLike[str], image: str | int | None = None) -> Scan:
    """Open an image or volume with its pixel size, lazily where the format allows.

    Parameters
    ----------
    path
        An instrument file, an OME-Zarr folder, or a folder of slices.
    image
        Which image of a file that holds several: a key or a position of
        `list_images`. Without it the first one opens, and ``metadata["images"]``
        names them all.

    Raises
    ------
    ScanError
        One sentence that names the file, for every file that cannot be opened.
    """
    where = _existing(path)
    reader = find_reader(where)
    images = _listed(reader, where)
    key = _chosen(where, images, image)
    scan = _attempt(reader, where, lambda: reader.read(where, key))
    changes: dict[str, Any] = {}
    if scan.path is None:
        changes["path"] = where
    if scan.image_key is None:
        changes["image_key"] = key
    if len(images) > 1:
        changes["metadata"] = {**scan.metadata, "images": tuple(images)}
    return replace(scan, **changes) if changes else scan


def list_images(path: str | os.PathLike[str]) -> list[ImageInfo]:
    """Name the images that a file or folder holds, the default one first."""
    where = _existing(path)
    return _listed(find_reader(where), where)


def readable_extensions() -> list[str]:
    """All file extensions that have a reader, for file dialogs."""
    return sorted(e for f in FORMATS for e in f.extensions)


def find_reader(path: Path) -> Reader:
    """Find the reader of a file: its first bytes count more than its name."""
    if path.is_dir():
        return _folder_reader(path)
    head = _head(path)
    for candidate in FORMATS:
        if candidate.may_start(head):
            reader = candidate.load()
            if _attempt(reader, path, partial(reader.sniff, path, head)):
                return reader
    by_name = [f for f in FORMATS if path.suffix.lower() in f.extensions]
    if by_name:
        return by_name[0].load()
    extra = _Format("rsciio", ()).load()
    if extra.sniff(path, head):
        return extra
    raise ScanError(_unknown(path, head))


def _folder_reader(path: Path) -> Reader:
    """A folder is an OME-Zarr or full of slices."""
    marks = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
    zarr = path.suffix == ".zarr" or any((path / mark).exists() for mark in marks)
    return _Format("zarr" if zarr else "folder", ()).load()


def _existing(path: str | os.PathLike[str]) -> Path:
    """Refuse what is not there."""
    try:
        where = Path(path).expanduser()
        there = bool(os.fspath(path)) and where.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise ScanError(f"{os.fspath(path)!r} cannot be opened: {error}.") from error
    if not there:
        name = os.fspath(path) or "A file without a name"
        raise ScanError(f"{name} does not exist; check the name or whether it moved.")
    return where


def _head(path: Path) -> bytes:
    """Read the first bytes of a file; none at all is an error of its own."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise ScanError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not head:
        raise ScanError(
            f"{path} is empty (0 bytes); copy it again from the instrument."
        )
    return head


def _unknown(path: Path, head: bytes) -> str:
    """Say why no reader takes a file."""
    for sign, archive in _ARCHIVES.items():
        if head.startswith(sign):
            return f"{path} is a {archive} archive, not an image; unpack it first."
    return (
        f"{path} is in no format that Sesami reads; it needs an image such as TIFF, "
        f"DM3/DM4, MRC, EMD, SER, TXRM, HDF5, OME-Zarr, VGI, DICOM, PNG, JPG or BMP."
    )


def _listed(reader: Reader, path: Path) -> list[ImageInfo]:
    """List the images of a file; a file without any is of no use."""
    images = _attempt(reader, path, lambda: reader.list_images(path))
    if not images:
        raise ScanError(f"{path} was read as {reader.name}, but holds no image.")
    return images


def _chosen(path: Path, images: list[ImageInfo], image: str | int | None) -> str:
    """Key of the image asked for, by key, position or name."""
    if image is None:
        return images[0].key
    for info in images:
        if image == info.key:
            return info.key
    if isinstance(image, int) and 0 <= image < len(images):
        return images[image].key
    for info in images:
        if image == info.name:
            return info.key
    keys = ", ".join(repr(info.key) for info in images[:8])
    raise ScanError(f"{path} has no image {image!r}; choose one of {keys}.")


def _shortened(text: str, most: int) -> str:
    """Give words that fit a sentence: what a damaged file says may be anything."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    whole = " ".join(words)
    half = most // 2
    return whole if len(whole) <= most else f"{whole[:half]} … {whole[-half:]}"


def _attempt(reader: Reader, path: Path, action: Callable[[], _T]) -> _T:
    """Turn what libraries raise on broken files into one sentence for people."""
    try:
        return action()
    except ScanError as error:
        text = str(error)
        if text.isprintable() and len(text) <= LONGEST + len(str(path)):
            raise
        raise ScanError(_shortened(text, LONGEST + len(str(path)))) from error
    except Cancelled:
        raise
    except Exception as error:  # what libraries raise on bad bytes has no end
        if not isinstance(error, (*BROKEN_FILE, *reader.failures)):
            _log.warning("%s was read as %s", path, reader.name, exc_info=error)
        why = _shortened(str(error), 200).rstrip(".") or type(error).__name__
        raise ScanError(
            f"{path} cannot be read as {reader.name}: it is broken, cut short or "
            f"something else in disguise ({why})."
        ) from error
