"""Features of a lot: frozen tokens of each picture, pooled, and kept by content."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.picture import PictureReader
from napari_sesami.classify.pooling import (
    METHOD,
    alone_length,
    beside_length,
    pooled_alone,
    pooled_beside,
)
from napari_sesami.common.cancel import Cancelled, not_cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.classify.cache import FeatureCache
    from napari_sesami.classify.defect import Defect
    from napari_sesami.classify.picture import DefectPicture
    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.models import TokenEncoder

SMALLEST, LARGEST = 96, 224
"""Longer side of a picture as the encoder sees it, pixels: it is brought between."""
AT_ONCE = 32
"""Defects whose pictures are held in memory together."""
DIFFERENCE = "difference"
"""The view of `high` beside its template."""


@dataclass(eq=False)
class LotFeatures:
    """What is known of the pictures of a lot.

    Attributes
    ----------
    views
        "high", "low" and "difference" to (defects, numbers); NaN rows where a picture
        is missing or broken. Views that no defect has are left out.
    broken
        Position of a defect to what is wrong with its pictures; the rest goes on.
    encoder, key
        Name of the encoder, and of its weights and the method of pooling.
    """

    views: dict[str, NDArray[np.float32]]
    broken: dict[int, str]
    encoder: str
    key: str
    computed: int = 0
    contents: dict[int, bytes] = field(default_factory=dict)


def features_of(
    defects: Sequence[Defect],
    encoder: TokenEncoder,
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    stop: IsCancelled = not_cancelled,
    reader: PictureReader | None = None,
) -> LotFeatures:
    """Read and pool every picture of a lot; what is in the cache is not encoded again.

    Parameters
    ----------
    defects
        Of a lot of any size.
    encoder
        Frozen; see `napari_sesami.models.load_token_encoder`.
    cache
        Where features are kept; None keeps none.
    progress, stop
        Told after some defects; asked before.
    reader
        To share open files with somebody.

    Raises
    ------
    Cancelled
        `stop()` was true; what was computed stays in the cache.
    """
    own = reader or PictureReader()
    n, dim = len(defects), encoder.dim
    lengths = {
        "high": alone_length(dim), "low": alone_length(dim),
        DIFFERENCE: beside_length(dim),
    }  # fmt: skip
    views = {
        view: np.full((n, length), np.nan, np.float32)
        for view, length in lengths.items()
    }
    found = LotFeatures(views, {}, encoder.name, feature_key(encoder))
    for start in range(0, n, AT_ONCE):
        if stop():
            raise Cancelled("Reading the lot was stopped.")
        some = range(start, min(n, start + AT_ONCE))
        _some(defects, some, encoder, cache, own, found)
        if progress is not None:
            progress(some.stop, n)
    if reader is None:
        own.close()
    for view in list(views):
        if not np.isfinite(views[view][:, 0]).any():
            del views[view]
    if not views:
        first = next(iter(found.broken.values()), "no defect has a picture")
        raise ClassifyError(
            f"No picture of the lot can be read ({first.rstrip('.')}); put the "
            "pictures where the lot's file names them."
        )
    return found


def feature_key(encoder: TokenEncoder) -> str:
    """Name what features depend on, beside the pixels."""
    return f"{encoder.key}-{METHOD}-{SMALLEST}-{LARGEST}"


def prepared(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring a picture to a size that the encoder sees well."""
    import torch
    from torch.nn import functional as F

    side = max(grey.shape)
    wanted = min(max(side, SMALLEST), LARGEST)
    if side == wanted:
        return grey
    shape = tuple(max(16, round(s * wanted / side)) for s in grey.shape)
    view = torch.from_numpy(np.ascontiguousarray(grey))[None, None]
    out = F.interpolate(
        view, shape, mode="bilinear", antialias=True, align_corners=False
    )
    return out[0, 0].numpy()


def tokens_of(encoder: TokenEncoder, grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the tokens (dim, rows, columns) of a prepared picture, of length one."""
    import torch

    with torch.no_grad():
        view = torch.from_numpy(np.ascontiguousarray(grey))[None, None]
        found: NDArray[np.float32] = (
            encoder.encode(view, normalise=True)[0].cpu().numpy()
        )
    return found


def _some(
    defects: Sequence[Defect],
    some: range,
    encoder: TokenEncoder,
    cache: FeatureCache | None,
    reader: PictureReader,
    found: LotFeatures,
) -> None:
    """Fill the rows of some defects."""
    greys: dict[tuple[int, str], NDArray[np.float32]] = {}
    keys: dict[tuple[int, str], bytes] = {}
    for k in some:
        defect = defects[k]
        for view in ("high", "low", "template"):
            picture = defect.picture(view)
            if picture is None:
                continue
            try:
                grey = prepared(reader.read(picture))
            except ClassifyError as error:
                found.broken[k] = str(error)
                continue
            greys[k, view] = grey
            keys[k, view] = _digest(found.key, grey)
        if (k, "high") in keys and (k, "template") in keys:
            both = keys[k, "high"] + keys[k, "template"]
            keys[k, DIFFERENCE] = blake2b(both, digest_size=16).digest()
        if not defect.high and not defect.low:
            found.broken[k] = "it has no picture"
        if (k, "high") in keys:
            found.contents[k] = keys[k, "high"]
    fresh: dict[bytes, NDArray[np.float32]] = {}
    maps: dict[bytes, NDArray[np.float32]] = {}

    def tokens(k: int, view: str) -> NDArray[np.float32]:
        if keys[k, view] not in maps:
            maps[keys[k, view]] = tokens_of(encoder, greys[k, view])
        return maps[keys[k, view]]

    makers: dict[str, Callable[[int], NDArray[np.float32]]] = {
        "high": lambda k: pooled_alone(tokens(k, "high")),
        "low": lambda k: pooled_alone(tokens(k, "low")),
        DIFFERENCE: lambda k: pooled_beside(tokens(k, "high"), tokens(k, "template")),
    }
    for view, numbers in found.views.items():
        wanted = {k: keys[k, view] for k in some if (k, view) in keys}
        old = {} if cache is None else cache.get(wanted.values(), numbers.shape[1])
        for k, key in wanted.items():
            if key not in old:
                # half precision at once: the same bits with and without the cache
                half = makers[view](k).astype(np.float16)
                old[key] = half.astype(np.float32)
                fresh[key] = old[key]
                found.computed += 1
            numbers[k] = old[key]
    if cache is not None:
        cache.put(fresh)


def _digest(key: str, grey: NDArray[np.float32]) -> bytes:
    digest = blake2b(f"{key} {grey.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(grey).data)
    return digest.digest()


def thumbnail(
    reader: PictureReader, picture: DefectPicture | None, side: int
) -> NDArray[np.uint8] | None:
    """Give a small grey picture whose longer side is `side`; None if it is broken."""
    if picture is None:
        return None
    try:
        grey = reader.read(picture)
    except ClassifyError:
        return None
    step = max(1, max(grey.shape) // side)
    if step > 1:  # means of blocks: a speck of one pixel still shows
        h, w = (s // step * step for s in grey.shape)
        grey = grey[:h, :w].reshape(h // step, step, w // step, step).mean((1, 3))
    return (np.clip(grey, 0, 1) * 255 + 0.5).astype(np.uint8)
