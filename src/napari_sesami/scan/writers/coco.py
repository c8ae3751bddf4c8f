"""Masks as COCO JSON and classes as JSON; both read back exactly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_sesami.common.box import box_of, slices
from napari_sesami.common.checked import DamagedFile, read_checked
from napari_sesami.scan.atomic import whole
from napari_sesami.scan.errors import ScanError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


class ClassLike(Protocol):
    """A class of objects: anything with a number, a name and a colour."""

    @property
    def id(self) -> int:
        """Number in the labels, from 1."""

    @property
    def name(self) -> str:
        """Name for people."""

    @property
    def color(self) -> str:
        """Colour as "#rrggbb"."""


@dataclass(frozen=True)
class SavedClass:
    """A class as `load_classes` reads it back."""

    id: int
    name: str
    color: str


@dataclass(frozen=True, eq=False)
class CocoMask:
    """One object: a crop of its mask, where it lies, its class and its image.

    Attributes
    ----------
    mask
        Bool array, the whole plane or a crop of it.
    class_id
        Number of its class.
    image
        Which image (or plane) it belongs to, from 0.
    origin
        Row and column of the crop's first pixel.
    score
        How sure the model was, or None.
    """

    mask: NDArray[np.bool_]
    class_id: int
    image: int = 0
    origin: tuple[int, int] = (0, 0)
    score: float | None = None


@dataclass(frozen=True)
class CocoImage:
    """One image that masks belong to."""

    file_name: str
    height: int
    width: int


def save_coco(
    masks: NDArray[Any] | Iterable[CocoMask],
    path: str | os.PathLike[str],
    classes: Sequence[ClassLike] = (),
    images: Sequence[CocoImage | str] = (),
) -> None:
    """Save masks as COCO JSON, run-length encoded so that they read back exactly.

    Parameters
    ----------
    masks
        Labels (y, x) or (plane, y, x), which give one mask per class and plane, or
        objects as `CocoMask`, which may overlap.
    path
        The JSON file.
    classes
        Classes of the labels; those not named get their number as a name.
    images
        One per plane, or just file names when `masks` are labels.
    """
    shape = None
    if hasattr(masks, "ndim"):
        objects, shape = _of_labels(np.asarray(masks))
    else:
        objects = list(masks)
    pictures = _images(images, objects, shape)
    found = sorted({m.class_id for m in objects})
    document = {
        "info": {"description": "Saved by napari-sesami"},
        "images": [
            {"id": i, "file_name": p.file_name, "height": p.height, "width": p.width}
            for i, p in enumerate(pictures, 1)
        ],
        "annotations": [
            _annotation(i, m, _picture(m, pictures)) for i, m in enumerate(objects, 1)
        ],
        "categories": _categories(classes, found),
    }
    with whole(path) as draft:
        draft.write_text(json.dumps(document), encoding="utf-8")


def load_coco(
    path: str | os.PathLike[str],
) -> tuple[list[CocoMask], list[CocoImage], list[SavedClass]]:
    """Read the masks, images and classes of a COCO file with run-length encoding."""
    file = Path(path)
    document = _json(file, dict)
    try:
        order = {image["id"]: i for i, image in enumerate(document["images"])}
        images = [
            CocoImage(p["file_name"], int(p["height"]), int(p["width"]))
            for p in document["images"]
        ]
        masks = [_mask(a, order[a["image_id"]]) for a in document["annotations"]]
        classes = [
            SavedClass(int(c["id"]), str(c["name"]), str(c.get("color", "#ffffff")))
            for c in document["categories"]
        ]
    except (LookupError, TypeError, ValueError) as error:
        raise ScanError(
            f"{file} is no COCO file with run-length encoded masks ({error})."
        ) from error
    return masks, images, classes


def save_classes(classes: Sequence[ClassLike], path: str | os.PathLike[str]) -> None:
    """Save classes (number, name, colour) as JSON."""
    rows = [{"id": int(c.id), "name": c.name, "color": c.color} for c in classes]
    with whole(path) as draft:
        text = json.dumps({"classes": rows}, indent=2, ensure_ascii=False)
        draft.write_text(text + "\n", encoding="utf-8")


def load_classes(path: str | os.PathLike[str]) -> list[SavedClass]:
    """Read classes from JSON; numbers must be whole, above 0 and occur once."""
    file = Path(path)
    document = _json(file, dict)
    try:
        rows = [(c["id"], c["name"], c["color"]) for c in document["classes"]]
    except (LookupError, TypeError) as error:
        raise ScanError(
            f"{file} is no list of classes: each needs an id, a name and a color."
        ) from error
    numbers = [number for number, _, _ in rows]
    whole_numbers = all(type(n) is int and n > 0 for n in numbers)
    if not whole_numbers or len(set(numbers)) < len(numbers):
        raise ScanError(
            f"{file} numbers its classes {numbers}; they must be different whole "
            f"numbers from 1 (0 means nothing)."
        )
    return [SavedClass(n, str(name), str(color)) for n, name, color in rows]


def encode_rle(mask: NDArray[np.bool_]) -> list[int]:
    """Run lengths of a mask, down the columns, beginning with the zeros."""
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    bounds = np.concatenate([[0], edges, [flat.size]])
    runs = [int(n) for n in np.diff(bounds)]
    return [0, *runs] if flat.size and flat[0] else runs


def decode_rle(counts: Sequence[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Undo `encode_rle`."""
    if sum(counts) != shape[0] * shape[1]:
        raise ValueError(f"the runs cover {sum(counts)} pixels of {shape}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(shape, order="F")


def _of_labels(labels: NDArray[Any]) -> tuple[list[CocoMask], tuple[int, int]]:
    """One mask per class and plane, cropped to where the class is."""
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "bui":
        raise ScanError(
            f"COCO needs labels (y, x) or (plane, y, x) of whole numbers, or masks; "
            f"an array {labels.shape} of {labels.dtype} was given."
        )
    planes = labels[np.newaxis] if labels.ndim == 2 else labels
    masks = [
        _cropped(plane == number, int(number), index)
        for index, plane in enumerate(planes)
        for number in np.unique(plane)
        if number > 0
    ]
    return masks, (planes.shape[1], planes.shape[2])


def _cropped(mask: NDArray[np.bool_], class_id: int, image: int) -> CocoMask:
    box = box_of(mask)
    assert box is not None  # the class is somewhere in the plane
    return CocoMask(mask[slices(box)], class_id, image, box[:2])


def _images(
    given: Sequence[CocoImage | str],
    masks: Sequence[CocoMask],
    shape: tuple[int, int] | None,
) -> list[CocoImage]:
    """Complete what is known about the images."""
    count = max((m.image for m in masks), default=-1) + 1
    if given and len(given) < count:
        raise ScanError(
            f"The masks belong to {count} images; {len(given)} are described."
        )
    named = list(given) or [f"plane_{i:04d}" for i in range(max(count, 1))]
    pictures = []
    for index, image in enumerate(named):
        if isinstance(image, CocoImage):
            pictures.append(image)
            continue
        height, width = shape or _extent([m for m in masks if m.image == index])
        pictures.append(CocoImage(image, height, width))
    return pictures


def _extent(masks: Sequence[CocoMask]) -> tuple[int, int]:
    """Size of an image that nobody described: its masks must fit."""
    height = max((m.origin[0] + m.mask.shape[0] for m in masks), default=0)
    width = max((m.origin[1] + m.mask.shape[1] for m in masks), default=0)
    return height, width


def _picture(mask: CocoMask, pictures: Sequence[CocoImage]) -> CocoImage:
    picture = pictures[mask.image]
    bottom = mask.origin[0] + mask.mask.shape[0]
    right = mask.origin[1] + mask.mask.shape[1]
    if min(mask.origin) < 0 or bottom > picture.height or right > picture.width:
        raise ScanError(
            f"A mask reaches to row {bottom} and column {right}, but "
            f"{picture.file_name} has {picture.height} × {picture.width} pixels."
        )
    return picture


def _annotation(number: int, mask: CocoMask, picture: CocoImage) -> dict[str, Any]:
    full = np.zeros((picture.height, picture.width), dtype=bool)
    y, x = mask.origin
    full[y : y + mask.mask.shape[0], x : x + mask.mask.shape[1]] = mask.mask
    top, left, bottom, right = box_of(full) or (0, 0, 0, 0)
    box = [left, top, right - left, bottom - top]
    entry = {
        "id": number,
        "image_id": mask.image + 1,
        "category_id": int(mask.class_id),
        "segmentation": {
            "size": [picture.height, picture.width],
            "counts": encode_rle(full),
        },
        "area": int(full.sum()),
        "bbox": box,
        "iscrowd": 1,  # COCO's sign for run-length encoding instead of polygons
    }
    return entry if mask.score is None else {**entry, "score": float(mask.score)}


def _mask(entry: dict[str, Any], image: int) -> CocoMask:
    outline = entry["segmentation"]
    if not isinstance(outline, dict) or isinstance(outline["counts"], str):
        raise TypeError("its masks are polygons or compressed")
    height, width = outline["size"]
    full = decode_rle(outline["counts"], (int(height), int(width)))
    left, top, across, down = (int(n) for n in entry["bbox"])
    return CocoMask(
        full[top : top + down, left : left + across],
        int(entry["category_id"]),
        image,
        (top, left),
        entry.get("score"),
    )


def _categories(classes: Sequence[ClassLike], found: Sequence[int]) -> list[Any]:
    rows = [{"id": int(c.id), "name": c.name, "color": c.color} for c in classes]
    known = {row["id"] for row in rows}
    rows += [
        {"id": n, "name": f"class {n}", "color": "#ffffff"}
        for n in found
        if n not in known
    ]
    return rows


def _json(file: Path, kind: type[Any]) -> Any:
    """Read a JSON file, or say what is wrong with it."""
    try:
        document = read_checked(file, Any)
    except OSError as error:
        raise ScanError(f"{file} cannot be read: {error.strerror}.") from error
    except DamagedFile as error:
        raise ScanError(f"{file} is no JSON file, or cut off ({error}).") from error
    if not isinstance(document, kind):
        raise ScanError(f"{file} is JSON, but not what was expected.")
    return document
