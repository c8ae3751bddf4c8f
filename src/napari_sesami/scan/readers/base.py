"""What a reader of one file format has to offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sesami.scan.scan import Scan


@dataclass(frozen=True)
class ImageInfo:
    """One image of a file, without its pixels.

    `key` is what `open_scan(path, image=key)` takes, `name` is for people.
    """

    key: str
    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Reader:
    """A file format: how to recognise it, list its images and read one of them.

    Attributes
    ----------
    name
        For people: "Gatan DM3/DM4".
    extensions
        Lower case, with the dot.
    sniff
        ``sniff(path, head)`` tells from the first bytes of the file whether it is of
        this format. It must not raise on foreign bytes.
    list_images
        ``list_images(path)``: all images of the file, the default one first.
    read
        ``read(path, key)``: a lazy `Scan`; `key` is that of an `ImageInfo`.
    failures
        What a broken file of this format may raise besides `BROKEN_FILE`.
    """

    name: str
    extensions: tuple[str, ...]
    sniff: Callable[[Path, bytes], bool]
    list_images: Callable[[Path], list[ImageInfo]]
    read: Callable[[Path, str], Scan]
    failures: tuple[type[Exception], ...] = ()
