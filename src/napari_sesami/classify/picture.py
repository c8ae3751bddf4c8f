"""Where the pixels of a defect lie, and reading them as models see them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.classify.errors import ClassifyError
from napari_sesami.common.errors import SesamiError
from napari_sesami.common.inside import inside
from napari_sesami.scan import Scan, open_scan

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Box = tuple[int, int, int, int]
MOST_OPEN = 16
"""Files that stay open; a lot may have a hundred thousand."""
LARGEST = 2**28
"""Bytes of one page; no review picture comes near it."""


@dataclass(frozen=True, slots=True)
class DefectPicture:
    """One picture of a defect; nothing is read before it is asked for.

    Attributes
    ----------
    file
        A name inside of `folder` as the lot's file gives it, or "" for `scan`.
    folder
        The folder of the lot; no name leads out of it.
    page
        Of a TIFF with many pages, counted from 0; None reads the file as a scan.
    plane
        Of a scan with several planes.
    box
        (y0, x0, y1, x1) of a larger picture; it may reach over its edges.
    nm
        Size of a pixel in nm, or None.
    scan
        Pixels that are open already, instead of a file.
    """

    file: str = ""
    folder: Path | None = None
    page: int | None = None
    plane: int = 0
    box: Box | None = None
    nm: float | None = None
    scan: Scan | None = None

    @property
    def path(self) -> Path | None:
        """The file; a name that leads out of the folder is refused."""
        if self.folder is None:
            return None
        return inside(self.folder, *self.file.replace("\\", "/").split("/"))


class PictureReader:
    """Reads pictures of defects; keeps a few files open. Safe to use from threads."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, Any] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, picture: DefectPicture) -> NDArray[np.float32]:
        """Give a picture as grey values in [0, 1], without its data bar.

        Raises
        ------
        ClassifyError
            It is missing or broken; one sentence.
        """
        with self._lock:
            try:
                if picture.page is not None:
                    return _normalised(self._page(picture))
                scan = picture.scan or self._scan(picture)
                return _cut(scan, picture.plane, picture.box)
            except ClassifyError:
                raise
            except (SesamiError, OSError) as error:
                raise ClassifyError(str(error)) from error

    def __enter__(self) -> PictureReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for kept in self._open.values():
                _close(kept)
            self._open.clear()

    def _scan(self, picture: DefectPicture) -> Scan:
        path = _existing(picture)
        if path not in self._open:
            self._keep(path, open_scan(path))
        self._open.move_to_end(path)
        scan: Scan = self._open[path]
        return scan

    def _page(self, picture: DefectPicture) -> NDArray[Any]:
        """Read one page of a TIFF; what codecs raise on bad bytes has no end."""
        import tifffile

        path, number = _existing(picture), picture.page
        assert number is not None
        try:
            if path not in self._open:
                self._keep(path, tifffile.TiffFile(path))
            self._open.move_to_end(path)
            pages = self._open[path].pages
            if number >= len(pages):
                raise ClassifyError(
                    f"{path} has {len(pages)} pages; page {number + 1} is asked for."
                )
            page = pages[number]
            if page.nbytes > LARGEST:
                raise ClassifyError(
                    f"Page {number + 1} of {path} states {page.nbytes} bytes, more "
                    "than a picture of a defect has; the file is damaged."
                )
            return np.asarray(page.asarray())
        except (SesamiError, OSError):
            raise
        except Exception as error:
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise ClassifyError(
                f"Page {number + 1} of {path} cannot be read ({why})."
            ) from error

    def _keep(self, path: Path, opened: Any) -> None:
        self._open[path] = opened
        while len(self._open) > MOST_OPEN:
            _close(self._open.popitem(last=False)[1])


def _close(kept: Any) -> None:
    if not isinstance(kept, Scan):
        kept.close()


def _existing(picture: DefectPicture) -> Path:
    path = picture.path
    if path is None:
        raise ClassifyError("This defect has neither pixels nor a file.")
    if not path.is_file():
        raise ClassifyError(f"The picture {path} is missing.")
    return path


def _normalised(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Bring a page to [0, 1], by itself: review tools set the brightness each time."""
    if pixels.ndim == 3 and pixels.shape[0] in (3, 4) and pixels.shape[-1] > 4:
        pixels = np.moveaxis(pixels, 0, -1)
    scan = Scan.from_array(np.ascontiguousarray(pixels))
    if len(scan.leading_shape):
        raise ClassifyError(
            f"A page of shape {pixels.shape} is no picture; give pages of grey or RGB."
        )
    return scan.grey()


def _cut(scan: Scan, plane: int, box: Box | None) -> NDArray[np.float32]:
    """Give a box of a scan; what reaches over the edge repeats it."""
    if box is None:
        grey = scan.grey(plane)
        if scan.ignore is not None and not scan.ignore.all():
            rows = np.flatnonzero(~scan.ignore.all(1))
            columns = np.flatnonzero(~scan.ignore.all(0))
            grey = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return grey
    y0, x0, y1, x1 = box
    height, width = scan.plane_shape
    if y1 <= max(0, y0) or x1 <= max(0, x0) or y0 >= height or x0 >= width:
        raise ClassifyError(f"The box {box} lies outside of {scan.name}.")
    grey = scan.grey(plane, box)
    over = ((max(0, -y0), max(0, y1 - height)), (max(0, -x0), max(0, x1 - width)))
    return np.pad(grey, over, mode="edge") if np.any(over) else grey
