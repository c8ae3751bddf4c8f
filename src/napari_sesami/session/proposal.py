"""A mask that a model proposes for prompts, ready to be committed."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox

_LISTED = 512
"""Arrays up to this size are written out as numbers."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """The answer to prompts: a mask within its box.

    Attributes
    ----------
    bbox
        (y0, x0, y1, x1), the ends excluded.
    mask
        Bool array of that box.
    score
        The model's own guess of its quality, 0 to 1.
    shape
        Of the whole plane.
    plane
        Number of the plane.
    prompts
        What was asked, as JSON values (see `recall`).
    source
        What the prompt room answered, for refining it.
    """

    bbox: BBox
    mask: NDArray[np.bool_]
    score: float
    shape: tuple[int, int]
    plane: int
    prompts: Mapping[str, Any] = field(default_factory=dict)
    source: Any = None

    @property
    def full(self) -> NDArray[np.bool_]:
        """The mask of the whole plane."""
        y0, x0, y1, x1 = self.bbox
        full = np.zeros(self.shape, bool)
        full[y0:y1, x0:x1] = self.mask
        return full


def remember(**prompts: Any) -> dict[str, Any]:
    """Write prompts down as JSON values; those that are None are left out."""
    return {name: _plain(value) for name, value in prompts.items() if value is not None}


def recall(prompts: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `remember` wrote."""
    return {name: _revive(value) for name, value in prompts.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Proposal):
        return _plain(value.full)
    if hasattr(value, "full"):
        return _plain(np.asarray(value.full))
    if isinstance(value, np.ndarray) and value.size > _LISTED:
        packed = base64.b64encode(zlib.compress(np.ascontiguousarray(value).tobytes()))
        shape = list(value.shape)
        return {"dtype": value.dtype.str, "shape": shape, "zlib": packed.decode()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _revive(value: Any) -> Any:
    if isinstance(value, dict) and "zlib" in value:
        data = zlib.decompress(base64.b64decode(value["zlib"]))
        return np.frombuffer(data, value["dtype"]).reshape(value["shape"])
    return value
