"""Labelled pictures: what a recipe learns from, cut out of scans, in a run's `data`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired

import numpy as np
from pydantic import ConfigDict
from scipy import ndimage as ndi
from skimage.measure import label
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from napari_sesami.common.box import box_of, grown, slices
from napari_sesami.common.checked import read_arrays, read_checked
from napari_sesami.common.errors import SesamiError
from napari_sesami.common.inside import FileName, inside
from napari_sesami.scan import Normalisation, Scan
from napari_sesami.train.errors import TrainError

if TYPE_CHECKING:
    from numpy.typing import NDArray

INDEX = "set.json"
VERSION = 1
LEVELS = 65535  # grey steps that normalised pixels are stored with
SPECK = 30  # pixels below which a region is no object to learn
MARGIN = 256  # pixels of surroundings kept around what is labelled
LARGEST = 1 << 25  # pixels of one picture, so that a run's memory stays bounded


@dataclass(frozen=True, eq=False)
class Picture:
    """One labelled plane, or the labelled part of one.

    Attributes
    ----------
    grey
        uint16 (y, x): the plane normalised as its scan is, 0 and 65535 the ends.
    classes
        uint8 (y, x): class ids, 0 is nothing or unknown.
    regions
        int32 (y, x): one number for each object, 0 is nothing.
    scan, plane
        Where it comes from.
    pixel_size, unit
        Of y and x; None is unknown.
    normalisation
        Grey values of the scan that became 0 and 1.
    held_out
        Never trained on: the gate measures here.
    """

    grey: NDArray[np.uint16]
    classes: NDArray[np.uint8]
    regions: NDArray[np.int32]
    scan: str = ""
    plane: int = 0
    pixel_size: float | None = None
    unit: str | None = None
    normalisation: dict[str, float] = field(default_factory=dict)
    held_out: bool = False

    def as_scan(self) -> Scan:
        """The picture as models read it; its own normalisation is kept."""
        scan = Scan.from_array(self.grey, name=self.scan or "picture")
        # the pixels are normalised already, and never by what this part of them shows
        scan.__dict__["normalisation"] = Normalisation(0.0, float(LEVELS))
        return scan

    def objects(self) -> dict[int, int]:
        """Number of each object that is no speck, and its class."""
        return self._objects

    @cached_property
    def _objects(self) -> dict[int, int]:
        area = np.bincount(self.regions.ravel())
        area[0] = 0
        good = np.flatnonzero(area >= SPECK)
        found = ndi.minimum(self.classes, self.regions, good)
        return dict(zip(good.tolist(), np.atleast_1d(found).tolist(), strict=True))

    def part(self, box: tuple[int, int, int, int]) -> Picture:
        """Cut ``(y0, x0, y1, x1)`` out of it."""
        y0, x0, y1, x1 = box
        cut = (slice(y0, y1), slice(x0, x1))
        return replace(
            self,
            grey=self.grey[cut],
            classes=self.classes[cut],
            regions=self.regions[cut],
        )


@dataclass(frozen=True)
class LabelledSet:
    """The pictures of a run, its classes by id, and what people should know of them."""

    pictures: tuple[Picture, ...]
    classes: dict[int, str]
    notes: tuple[str, ...] = ()

    @property
    def training(self) -> tuple[Picture, ...]:
        """What is learnt from."""
        return tuple(p for p in self.pictures if not p.held_out)

    @property
    def held_out(self) -> tuple[Picture, ...]:
        """What the gate measures on."""
        return tuple(p for p in self.pictures if p.held_out)


def cut_picture(
    scan: Scan,
    plane: int,
    classes: NDArray[Any],
    objects: NDArray[Any] | None = None,
    *,
    name: str = "",
) -> Picture | None:
    """Take a plane's labels with the grey pixels around them; None if there are none.

    Parameters
    ----------
    scan, plane
        Where the pixels come from; they are normalised as the scan is.
    classes
        (y, x) class ids; 0 is nothing.
    objects
        (y, x) numbers of objects where they are known one by one; elsewhere pixels of
        one class that hang together are one object.
    name
        What the scan is called here, if its own name may come twice.
    """
    labelled = box_of(classes)
    if labelled is None:
        return None
    box = grown(labelled, MARGIN, classes.shape)
    if (box[2] - box[0]) * (box[3] - box[1]) > LARGEST:
        raise TrainError(
            f"The labels of {scan.name}, plane {plane}, reach over "
            f"{box[2] - box[0]} × {box[3] - box[1]} pixels; label a smaller part, or "
            "crop the scan."
        )
    cut = slices(box)
    grey = np.rint(scan.grey(plane, box) * LEVELS).astype(np.uint16)
    own = np.ascontiguousarray(classes[cut]).astype(np.uint8)
    regions = regions_of(own, None if objects is None else objects[cut])
    size, unit = scan.pixel_size, scan.units
    at = scan.axes.index("y")
    picture = Picture(
        grey, own, regions, name or scan.name, plane, size[at], unit[at],
        scan.normalisation.to_dict(),
    )  # fmt: skip
    return picture if picture.objects() else None


def regions_of(
    classes: NDArray[np.uint8], objects: NDArray[Any] | None = None
) -> NDArray[np.int32]:
    """Number the objects: those known one by one, then connected parts of a class."""
    known = np.zeros(classes.shape, bool) if objects is None else objects > 0
    rest = np.where(known, 0, classes)
    out = label(rest, background=0, connectivity=2).astype(np.int32)
    if known.any() and objects is not None:
        _, numbers = np.unique(objects[known], return_inverse=True)
        out[known] = numbers.astype(np.int32) + 1 + int(out.max())
    return out


def resampled(picture: Picture, pixel_size: float) -> Picture:
    """The same picture with pixels of another size."""
    from skimage.transform import resize

    if picture.pixel_size is None:
        return picture
    factor = picture.pixel_size / pixel_size
    shape = tuple(max(1, round(n * factor)) for n in picture.grey.shape)
    grey = resize(
        picture.grey.astype(np.float32), shape, order=1, anti_aliasing=factor < 1
    )

    def nearest(array: NDArray[Any]) -> NDArray[Any]:
        same: Any = resize(array, shape, order=0, preserve_range=True)
        return np.asarray(same).astype(array.dtype)

    return replace(
        picture,
        grey=np.rint(np.clip(grey, 0, LEVELS)).astype(np.uint16),
        classes=nearest(picture.classes),
        regions=nearest(picture.regions),
        pixel_size=pixel_size,
    )


def write_set(folder: Path, labelled: LabelledSet) -> None:
    """Write a set into a run's `data`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, picture in enumerate(labelled.pictures):
        name = f"{number:04d}.npz"
        arrays = {k: getattr(picture, k) for k in ("grey", "classes", "regions")}
        np.savez_compressed(folder / name, **arrays)
        told = [f.name for f in fields(picture) if f.name not in arrays]
        rows.append({"file": name, **{k: getattr(picture, k) for k in told}})
    index = {
        "version": VERSION,
        "classes": {str(k): v for k, v in labelled.classes.items()},
        "notes": list(labelled.notes),
        "pictures": rows,
    }
    text = json.dumps(index, indent=1, ensure_ascii=False)
    (folder / INDEX).write_text(text, encoding="utf-8")


def read_set(folder: Path) -> LabelledSet:
    """Read the set of a run."""
    path = Path(folder) / INDEX
    try:
        index = read_checked(inside(path.parent, INDEX), _SetRow)
        pictures = [_read(path.parent, row) for row in index["pictures"]]
        classes = index["classes"]
    except FileNotFoundError as error:
        raise TrainError(
            f"{folder} holds no labelled pictures; start the run from a session."
        ) from error
    except (OSError, SesamiError) as error:
        raise TrainError(
            f"The labelled pictures in {folder} are damaged ({error}); start the run "
            "again from its session."
        ) from error
    return LabelledSet(tuple(pictures), classes, tuple(index.get("notes", ())))


class _PictureRow(TypedDict):
    """A picture of the set; what else is told of it may be left out."""

    file: FileName


class _PictureFacts(TypedDict, total=False):
    scan: str
    plane: int
    pixel_size: float | None
    unit: str | None
    normalisation: dict[str, float]
    held_out: bool


class _WholePictureRow(_PictureRow, _PictureFacts):
    """One picture."""


class _SetRow(TypedDict):
    """The file ``set.json``."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    classes: dict[int, str]
    pictures: list[_WholePictureRow]
    notes: NotRequired[list[str]]


def _read(folder: Path, row: dict[str, Any]) -> Picture:
    told = {key: value for key, value in row.items() if key != "file"}
    names = {"grey": "u", "classes": "u", "regions": "iu"}
    wanted: dict[str, tuple[tuple[int, ...] | None, str]] = {
        name: (None, kinds) for name, kinds in names.items()
    }
    found = read_arrays(inside(folder, row["file"]), wanted, most=8 * LARGEST)
    if len({array.shape for array in found.values()}) > 1 or found["grey"].ndim != 2:
        raise TrainError(f"the arrays of {row['file']} do not fit each other")
    return Picture(found["grey"], found["classes"], found["regions"], **told)
