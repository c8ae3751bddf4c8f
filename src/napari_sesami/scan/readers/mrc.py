"""MRC, MRCS, REC and MAP: header through mrcfile, pixels straight from the file."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.scan.errors import BROKEN_FILE, ScanError
from napari_sesami.scan.lazy import raw_array
from napari_sesami.scan.readers.base import ImageInfo, Reader
from napari_sesami.scan.scan import Scan
from napari_sesami.scan.units import clean_axes

if TYPE_CHECKING:
    from pathlib import Path

HEADER = 1024


def sniff(path: Path, head: bytes) -> bool:
    """Recognise "MAP " in the header, or, in files without it, believable sizes."""
    if len(head) < 256 or path.suffix.lower() not in READER.extensions:
        return head[208:212] in (b"MAP ", b"MAP\x00")
    if head[208:211] == b"MAP":
        return True
    for order in ("<i4", ">i4"):
        nx, ny, nz, mode = np.frombuffer(head[:16], order)
        if (
            min(nx, ny, nz) > 0
            and max(nx, ny, nz) < 2**20
            and mode in (0, 1, 2, 4, 6, 12)
        ):
            return True
    return False


def list_images(path: Path) -> list[ImageInfo]:
    """An MRC file holds one image or one stack."""
    header = _header(path)
    kind = np.dtype(np.float32) if header["dtype"].kind == "c" else header["dtype"]
    return [ImageInfo("0", path.stem, header["shape"], kind.newbyteorder("=").name)]


def read(path: Path, key: str) -> Scan:
    """Open the stack; MRC keeps lengths in ångström."""
    header = _header(path)
    shape = header["shape"]
    axes = ("y", "x") if len(shape) == 2 else ("t", "z", "y", "x")[-len(shape) :]
    voxel = (None, *header["voxel"])[-len(shape) :]
    sizes, units, notes = clean_axes(axes, [_said(v) for v in voxel])
    data = raw_array(path, header["dtype"], shape, header["offset"])
    if data.dtype.kind == "c":
        data = abs(data)
        notes.append("The image is complex; its modulus is shown.")
    return Scan(
        data=data,
        axes=axes,
        pixel_size=sizes,
        units=units,
        modality="TEM",
        name=path.stem,
        path=path,
        image_key=key,
        metadata={"labels": header["labels"], "notes": (*header["notes"], *notes)},
    )


def _said(voxel: float | None) -> tuple[Any, Any]:
    """Turn the values that writers leave where they know nothing, 0 and 1, to None."""
    return (None, None) if voxel in (None, 0.0, 1.0) else (voxel, "Å")


def _header(path: Path) -> dict[str, Any]:
    """Read what is needed of the header; the file is closed again."""
    import mrcfile

    if path.stat().st_size < HEADER:
        raise ScanError(
            f"{path.name} is too short for an MRC file: its header alone takes "
            f"{HEADER} bytes and the file has {path.stat().st_size}."
        )
    with warnings.catch_warnings(record=True) as heard, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        with mrcfile.mmap(path, mode="r", permissive=True) as mrc:
            if mrc.data is None or mrc.data.size == 0:
                why = str(heard[-1].message) if heard else "no pixels"
                raise ScanError(
                    f"{path.name} cannot be read as MRC ({why}); it is cut off, "
                    f"damaged or of another format."
                )
            voxel = tuple(float(mrc.voxel_size[a]) for a in "zyx")
            return {
                "shape": tuple(int(n) for n in mrc.data.shape),
                "dtype": mrc.data.dtype,
                "offset": HEADER + int(mrc.header.nsymbt),
                "voxel": voxel if mrc.data.ndim > 2 else voxel[1:],
                "labels": [str(label) for label in mrc.get_labels()],
                "notes": [f"MRC header: {w.message}." for w in heard],
            }


READER = Reader(
    name="MRC",
    extensions=(".mrc", ".mrcs", ".rec", ".map", ".st", ".ali"),
    sniff=sniff,
    list_images=list_images,
    read=read,
    failures=(*BROKEN_FILE, RuntimeError),
)
