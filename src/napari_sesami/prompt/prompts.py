"""Prompt: what the user points at, checked once and ready for a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.prompt.errors import PromptError
from napari_sesami.prompt.mask import Mask, around

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

MOST_POINTS = 96
STROKE_POINTS = 12
Extent = tuple[float, float, float, float]


@dataclass(frozen=True)
class Stroke:
    """A line drawn along (label 1) or off (label 0) an object: (N, 2) as (y, x)."""

    path: Any
    label: int = 1

    def points(self, most: int = STROKE_POINTS, spacing: float = 8.0) -> NDArray[Any]:
        """Points spread evenly along the line, at least `spacing` pixels apart."""
        path = np.asarray(self.path, float).reshape(-1, 2)
        steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        count = int(np.clip(along[-1] // spacing + 1, 1, most))
        if count == 1:
            return path[len(path) // 2][None]
        # half a step in from both ends, where a hand is least precise
        at = (np.arange(count) + 0.5) * along[-1] / count
        return np.stack([np.interp(at, along, path[:, i]) for i in (0, 1)], 1)


@dataclass(frozen=True, eq=False)
class Prompt:
    """Everything the user gave for one object, in data pixels of a plane.

    `points` (N, 2) as (y, x), `labels` (N,) 1 or 0, `box` (y0, x0, y1, x1) half-open,
    `strokes`, and `mask`: an earlier answer, a label or a lasso.
    """

    points: NDArray[Any]
    labels: NDArray[Any]
    box: Extent | None
    strokes: tuple[Stroke, ...]
    mask: Mask | None

    @classmethod
    def parse(
        cls,
        shape: tuple[int, int],
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        box: Sequence[float] | None = None,
        strokes: Sequence[Any] | None = None,
        mask: Mask | ArrayLike | None = None,
        lasso: ArrayLike | None = None,
    ) -> Prompt:
        """Check what was given against a plane; a `PromptError` says what is wrong."""
        at, signs = _clicks(points, labels, shape)
        prompt = cls(
            at,
            signs,
            None if box is None else _box(box, shape),
            tuple(_stroke(s, shape) for s in strokes or ()),
            _prior(mask, lasso, shape),
        )
        if not prompt._says_where():
            raise PromptError(
                "Nothing says where the object is: give a positive click or stroke, a "
                "box, a lasso or a mask."
            )
        return prompt

    def _says_where(self) -> bool:
        positive = self.labels.any() or any(s.label for s in self.strokes)
        return bool(positive) or self.box is not None or self.mask is not None

    @property
    def clicks(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Clicks and stroke points; where two share a pixel the last one holds."""
        drawn = [s.points() for s in self.strokes]
        at = np.concatenate([*drawn, self.points])
        signs = [
            np.full(len(p), s.label) for p, s in zip(drawn, self.strokes, strict=True)
        ]
        labels = np.concatenate([*signs, self.labels]).astype(int)
        return thin_out(*_last_per_pixel(at, labels))

    @property
    def positive(self) -> NDArray[Any]:
        """The clicks and stroke points on the object."""
        at, labels = self.clicks
        return at[labels == 1]

    @property
    def anchor(self) -> tuple[float, float]:
        """The place that all views are chosen around: the first thing given."""
        first = next((s.points()[0] for s in self.strokes if s.label), None)
        if self.labels.any():
            first = self.points[self.labels == 1][0]
        if first is not None:
            return float(first[0]), float(first[1])
        y0, x0, y1, x1 = self.extent
        return (y0 + y1) / 2, (x0 + x1) / 2

    @property
    def extent(self) -> Extent:
        """The box around everything that a view must show."""
        boxes = [(y, x, y + 1, x + 1) for y, x in self.points]
        for stroke in self.strokes:
            path = np.asarray(stroke.path)
            boxes.append((*path.min(0), *(path.max(0) + 1)))
        if self.box is not None:
            boxes.append(self.box)
        # an answer that is handed back may well go on beyond the view it came from
        if self.mask is not None and (self.mask.view is None or not boxes):
            boxes.append(self.mask.bbox)
        return around(boxes) if boxes else (0.0, 0.0, 1.0, 1.0)

    @property
    def is_one_click(self) -> bool:
        """A single click leaves open how much of the neighbourhood is meant."""
        alone = self.box is None and self.mask is None and not self.strokes
        return alone and len(self.points) == 1


def _finite(values: ArrayLike, what: str) -> NDArray[Any]:
    try:
        numbers = np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{what} must be numbers in data pixels, (y, x).") from error
    if not np.isfinite(numbers).all():
        raise PromptError(f"{what} must be finite numbers in data pixels, (y, x).")
    return numbers


def _pairs(values: ArrayLike, what: str) -> NDArray[Any]:
    numbers = _finite(values, what)
    numbers = numbers.reshape(1, 2) if numbers.shape == (2,) else numbers
    if numbers.ndim != 2 or numbers.shape[1] != 2:
        raise PromptError(
            f"{what} must be pairs (y, x); an array of shape {numbers.shape} was given."
        )
    return numbers


def _inside(at: NDArray[Any], shape: tuple[int, int], what: str) -> NDArray[Any]:
    """Refuse places off the plane; the outer half of an edge pixel belongs to it."""
    off = ((at < -0.5) | (at > np.array(shape) - 0.5)).any(axis=1)
    if off.any():
        y, x = at[off][0]
        raise PromptError(
            f"{what} (y, x) = ({y:g}, {x:g}) lies outside the image of "
            f"{shape[0]} × {shape[1]} pixels; give one inside."
        )
    return np.clip(at, 0, np.array(shape) - 1)


def _clicks(
    points: ArrayLike | None, labels: ArrayLike | None, shape: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[Any]]:
    if points is None or np.size(points) == 0:
        return np.zeros((0, 2)), np.zeros(0, int)
    at = _inside(_pairs(points, "Points"), shape, "The point")
    given = np.ones(len(at)) if labels is None else _finite(labels, "Labels").ravel()
    if len(given) != len(at) or not np.isin(given, (0, 1)).all():
        raise PromptError(
            f"{len(at)} points need {len(at)} labels, 1 on the object or 0 off it; "
            f"{len(given)} were given."
        )
    return at, given.astype(int)


def _box(box: Sequence[float], shape: tuple[int, int]) -> Extent:
    corners = _finite(box, "A box").ravel()
    if corners.size != 4:
        raise PromptError(
            f"A box is (y0, x0, y1, x1); {corners.size} numbers were given."
        )
    (y0, y1), (x0, x1) = sorted(corners[[0, 2]]), sorted(corners[[1, 3]])
    if y1 <= y0 or x1 <= x0:
        raise PromptError("The box has no area; drag from corner to corner, or click.")
    y0, x0 = max(y0, 0.0), max(x0, 0.0)
    y1, x1 = min(y1, float(shape[0])), min(x1, float(shape[1]))
    if y1 <= y0 or x1 <= x0:
        raise PromptError(
            f"The box lies outside the image of {shape[0]} × {shape[1]} pixels."
        )
    return float(y0), float(x0), float(y1), float(x1)


def _stroke(given: Any, shape: tuple[int, int]) -> Stroke:
    stroke = given if isinstance(given, Stroke) else Stroke(given)
    path = _pairs(stroke.path, "A stroke")
    if not len(path):
        raise PromptError("A stroke has no points; draw it again.")
    if stroke.label not in (0, 1):
        raise PromptError(f"A stroke has label 1 or 0, not {stroke.label}.")
    return Stroke(_inside(path, shape, "The stroke point"), int(stroke.label))


def _prior(
    mask: Mask | ArrayLike | None, lasso: ArrayLike | None, shape: tuple[int, int]
) -> Mask | None:
    if lasso is not None:
        return polygon_mask(lasso, shape)
    if mask is None:
        return None
    prior = mask if isinstance(mask, Mask) else Mask.from_array(mask)
    if prior.shape != tuple(shape):
        raise PromptError(
            f"The mask is of {prior.shape[0]} × {prior.shape[1]} pixels, the "
            f"image has {shape[0]} × {shape[1]}; give one of the same plane."
        )
    return None if prior.empty else prior


def polygon_mask(vertices: ArrayLike, shape: tuple[int, int]) -> Mask:
    """Fill a lasso or polygon, (N, 2) as (y, x), to a mask of the plane."""
    from skimage.draw import polygon

    corners = _pairs(vertices, "A lasso")
    if len(corners) < 3:
        raise PromptError(f"A lasso needs three corners; {len(corners)} were given.")
    low = np.clip(np.floor(corners.min(0)), 0, None).astype(int)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, shape)
    size = np.maximum(high - low, 0)
    crop = np.zeros(tuple(size), bool)
    crop[polygon(*(corners - low).T, shape=crop.shape)] = True
    if not crop.any():
        raise PromptError("The lasso encloses no pixel of the image; draw it larger.")
    (y0, x0), (y1, x1) = low.tolist(), high.tolist()
    return Mask((y0, x0, y1, x1), crop, 1.0, shape)


def _last_per_pixel(
    at: NDArray[Any], labels: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    places = {tuple(p): i for i, p in enumerate(np.rint(at).astype(int).tolist())}
    keep = sorted(places.values())
    return at[keep], labels[keep]


def thin_out(
    at: NDArray[Any], labels: NDArray[Any], most: int = MOST_POINTS
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Keep the points farthest from each other; the last click always stays."""
    if len(at) <= most:
        return at, labels
    kept = [len(at) - 1]
    distance = np.linalg.norm(at - at[-1], axis=1)
    while len(kept) < most:
        kept.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(at - at[kept[-1]], axis=1))
    kept.sort()
    return at[kept], labels[kept]
