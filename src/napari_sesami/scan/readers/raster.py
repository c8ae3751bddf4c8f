"""PNG, JPEG and BMP: pixels without a size; their dpi are meant for printers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.facts import Facts, build_scan
from napari_sesami.scan.promise import check_promise
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.sidecar import read_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.scan.scan import Scan

_ONE_AT_A_TIME = threading.Lock()
_GREY = {"1": "uint8", "L": "uint8", "LA": "uint8", "I": "int32", "F": "float32"}


def sniff(path: Path, head: bytes) -> bool:
    """Tell by signature; "BM" alone is too short to be sure, so the size counts."""
    if head[:2] == b"BM":
        return len(head) > 26 and int.from_bytes(head[14:18], "little") in range(
            12, 200
        )
    return head[:8] == b"\x89PNG\r\n\x1a\n" or head[:3] == b"\xff\xd8\xff"


def list_images(path: Path) -> list[ImageInfo]:
    """One image, described by the header alone."""
    with _opened(path) as image:
        width, height = image.size
        deep = _is_deep_colour(path, image)
        grey = "uint16" if image.mode.startswith("I;16") else _GREY.get(image.mode)
    shape = (height, width) if grey else (height, width, 3)
    dtype = grey or ("uint16" if deep else "uint8")
    return [ImageInfo("0", path.stem, shape, dtype)]


def read(path: Path, key: str) -> Scan:
    """Read the image; these formats cannot be read in parts."""
    pixels = read_pixels(path)
    axes = ("y", "x", "c")[: pixels.ndim]
    facts = Facts().or_else(read_sidecar(path, pixels.shape[:2]))
    return build_scan(pixels, axes, facts, path=path, key=key)


def read_pixels(path: Path) -> NDArray[Any]:
    """Read grey as (y, x), all else as (y, x, 3), in the depth of the file."""
    with _opened(path) as image:
        width, height = image.size
        bands = len(image.getbands())
        if image.format == "BMP" and image.tile and image.tile[0][0] == "raw":
            # not compressed: a bit at least for each pixel
            check_promise(path, width * height // 8, packed=False)
        check_promise(path, width * height * bands)
        if _is_deep_colour(path, image):
            import imagecodecs

            return np.asarray(imagecodecs.png_decode(path.read_bytes()))[..., :3]
        if image.mode.startswith("I;16"):
            return np.asarray(image).astype(np.uint16)
        if image.mode in ("1", "LA"):
            image = image.convert("L")
        elif image.mode not in _GREY:
            image = image.convert("RGB")
        return np.array(image)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open with Pillow, without its limit on pixels: whole wafers are bigger."""
    from PIL import Image

    with _ONE_AT_A_TIME:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(path, formats=("PNG", "JPEG", "BMP"))
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image


def _is_deep_colour(path: Path, image: Any) -> bool:
    """Whether this is a PNG of 16 bits per colour, of which Pillow would keep eight."""
    if image.format != "PNG":
        return False
    with path.open("rb") as file:
        header = file.read(26)
    return header[24] == 16 and header[25] in (2, 6)


READER = Reader(
    name="PNG, JPEG or BMP",
    extensions=(".png", ".jpg", ".jpeg", ".bmp"),
    sniff=sniff,
    list_images=list_images,
    read=read,
    failures=(SyntaxError,),  # Pillow's word for a broken PNG
)
