"""A folder: slices of one size are a stack, images of several sizes a choice."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import ScanError
from napari_sesami.scan.lazy import plane_array
from napari_sesami.scan.normalise import luminance
from napari_sesami.scan.readers import dicom
from napari_sesami.scan.readers.base import ImageInfo, Reader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.scan.scan import Scan

STACK = "stack"
_TIFF = (".tif", ".tiff")
_RASTER = (".png", ".jpg", ".jpeg", ".bmp")


def sniff(path: Path, head: bytes) -> bool:
    """Tell whether this is a folder."""
    return path.is_dir()


def list_images(path: Path) -> list[ImageInfo]:
    """Describe the stack, or every image if they are of several kinds."""
    slices = dicom_slices(path)
    if slices:
        return dicom.list_folder(path, slices)
    files = image_files(path)
    infos, broken = _describe(files)
    first = next(iter(infos.values()), None)
    if first is None:
        raise broken[0]
    same = all((i.shape, i.dtype) == (first.shape, first.dtype) for i in infos.values())
    is_plane = len(first.shape) == 2 or (len(first.shape) == 3 and first.shape[-1] == 3)
    if not same or not is_plane or len(files) == 1:
        return [replace(infos[f], key=f.name, name=f.name) for f in files if f in infos]
    if broken:  # a stack without one of its slices would have wrong depths
        raise broken[0]
    return [ImageInfo(STACK, path.name, (len(files), *first.shape), first.dtype)]


def read(path: Path, key: str) -> Scan:
    """Open the stack, one plane per file, or one image of the folder."""
    from napari_sesami.scan.open import open_scan

    slices = dicom_slices(path)
    if slices:
        return dicom.read_folder(path, slices, key)
    if key != STACK:
        return open_scan(path / key)
    files = image_files(path)
    first, last = open_scan(files[0]), open_scan(files[-1])
    pixels = first.plane(0)
    read_slice = _Slices(tuple(files), pixels.shape, pixels.dtype)
    data = plane_array(read_slice, len(files), pixels.shape, pixels.dtype)
    return replace(
        first,
        data=data,
        axes=("z", *first.axes),
        pixel_size=(None, *first.pixel_size),
        units=(None, *first.units),
        origin=(0.0, *first.origin),
        name=path.name,
        path=path,
        image_key=STACK,
        ignore=_common(first.ignore, last.ignore),
        levels=(),
        metadata={**first.metadata, "files": tuple(f.name for f in files)},
    )


def dicom_slices(path: Path) -> list[Path]:
    """DICOM files of a folder that holds no other images; often without an ending."""
    from napari_sesami.scan.open import readable_extensions

    others = set(readable_extensions()) - set(dicom.EXTENSIONS)
    files = [f for f in path.iterdir() if f.is_file() and not f.name.startswith(".")]
    if any(f.suffix.lower() in others for f in files):
        return []
    return [f for f in files if f.name != "DICOMDIR" and dicom.is_dicom(f)]


def image_files(path: Path) -> list[Path]:
    """List images of a folder as people count: slice 9 before slice 10."""
    from napari_sesami.scan.open import readable_extensions

    known = set(readable_extensions())
    files = [
        f
        for f in path.iterdir()
        if f.suffix.lower() in known and not f.name.startswith(".") and f.is_file()
    ]
    if not files:
        raise ScanError(
            f"{path} holds no image that Sesami reads; choose a folder with slices "
            f"such as TIFF, PNG or BMP, or an OME-Zarr."
        )
    return sorted(files, key=_natural)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key in which numbers count as numbers."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(1, int(p), "") if p.isdigit() else (0, 0, p) for p in parts]


def _common(
    first: NDArray[np.bool_] | None, last: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Data bar of a stack: the one that its first and last slice share."""
    if first is None or last is None or not np.array_equal(first, last):
        return None
    return first


def _describe(files: list[Path]) -> tuple[dict[Path, ImageInfo], list[ScanError]]:
    """Describe files by their headers; of files alike as twins only some are read."""
    alike = len({(f.suffix.lower(), f.stat().st_size) for f in files}) == 1
    uncompressed = files[0].suffix.lower() in (*_TIFF, ".bmp")
    if alike and uncompressed and len(files) > 16:
        files = [files[0], files[len(files) // 2], files[-1]]
    infos: dict[Path, ImageInfo] = {}
    broken: list[ScanError] = []
    for file in files:
        try:
            infos[file] = _describe_one(file)
        except ScanError as error:
            broken.append(error)
    return infos, broken


def _describe_one(path: Path) -> ImageInfo:
    from napari_sesami.scan.open import list_images as list_images_of_file

    return list_images_of_file(path)[0]


@dataclass(frozen=True)
class _Slices:
    """Reads slice after slice of a stack; picklable."""

    files: tuple[Path, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __call__(self, index: int) -> NDArray[Any]:
        path = self.files[index]
        pixels = _pixels(path)
        if pixels.ndim == 3 and len(self.shape) == 2:
            same = (pixels == pixels[..., :1]).all()
            pixels = pixels[..., 0] if same else luminance(pixels)
        elif pixels.ndim == 2 and len(self.shape) == 3:
            pixels = np.repeat(pixels[..., np.newaxis], 3, axis=2)
        if pixels.shape != self.shape:
            raise ScanError(
                f"{path} has the shape {pixels.shape}, other slices of its stack "
                f"{self.shape}; move it to another folder."
            )
        return pixels.astype(self.dtype, copy=False)


def _pixels(path: Path) -> NDArray[Any]:
    """Read the plane of a file, past all that only matters for a single image."""
    suffix = path.suffix.lower()
    if suffix in _RASTER:
        from napari_sesami.scan.readers.raster import read_pixels

        return read_pixels(path)
    if suffix in _TIFF:
        import tifffile

        pixels = tifffile.imread(path, key=0)
        return pixels[..., :3] if pixels.ndim == 3 else pixels
    from napari_sesami.scan.open import open_scan

    return open_scan(path).plane(0)


READER = Reader(
    name="a folder of images",
    extensions=(),
    sniff=sniff,
    list_images=list_images,
    read=read,
    failures=(SyntaxError,),
)
