"""Features of a lot: frozen tokens of each picture, pooled, and kept by content."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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
from napari_sesami.common.process import cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.classify.cache import FeatureCache
    from napari_sesami.classify.defect import Defect
    from napari_sesami.classify.picture import DefectPicture
    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.models import TokenEncoder

SMALLEST, LARGEST = 96, 224
"""Longer side of a picture as the encoder sees it, pixels: it is brought between."""
THREADS = 4
"""Of which each reads, encodes and pools a defect, one for a core."""
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
    with ThreadPoolExecutor(max(1, min(THREADS, cores()))) as pool:
        for start in range(0, n, AT_ONCE):
            _check(stop)
            some = range(start, min(n, start + AT_ONCE))
            _some(defects, some, encoder, cache, own, found, pool, stop)
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
    pool: ThreadPoolExecutor,
    stop: IsCancelled,
) -> None:
    """Fill the rows of some defects."""

    def read(k: int) -> tuple[dict[str, NDArray[np.float32]], str]:
        _check(stop)
        greys, wrong = {}, ""
        for view in ("high", "low", "template"):
            picture = defects[k].picture(view)
            if picture is None:
                continue
            try:
                greys[view] = prepared(reader.read(picture))
            except ClassifyError as error:
                wrong = str(error)
        return greys, wrong

    greys: dict[int, dict[str, NDArray[np.float32]]] = {}
    keys: dict[tuple[int, str], bytes] = {}
    for k, (own, wrong) in zip(some, pool.map(read, some), strict=True):
        greys[k] = own
        if wrong:
            found.broken[k] = wrong
        elif not defects[k].high and not defects[k].low:
            found.broken[k] = "it has no picture"
        for view, grey in own.items():
            keys[k, view] = _digest(found.key, grey)
        if "high" in own and "template" in own:
            both = keys[k, "high"] + keys[k, "template"]
            keys[k, DIFFERENCE] = blake2b(both, digest_size=16).digest()
        if "high" in own:
            found.contents[k] = keys[k, "high"]
    fresh: dict[bytes, NDArray[np.float32]] = {}
    known: dict[bytes, NDArray[np.float32]] = {}
    wanted = {place: key for place, key in keys.items() if place[1] in found.views}
    for view, numbers in found.views.items():
        of_view = [key for (_, v), key in wanted.items() if v == view]
        if cache is not None:
            known |= cache.get(of_view, numbers.shape[1])
    missing: dict[int, list[str]] = {}
    for (k, view), key in wanted.items():
        if key not in known:
            missing.setdefault(k, []).append(view)

    def pooled(k: int) -> dict[str, NDArray[np.float32]]:
        _check(stop)
        views = set(missing[k])
        needed = views - {DIFFERENCE}
        if DIFFERENCE in views:
            needed |= {"high", "template"}
        maps = {view: tokens_of(encoder, greys[k][view]) for view in sorted(needed)}
        out = {v: pooled_alone(maps[v]) for v in sorted(views - {DIFFERENCE})}
        if DIFFERENCE in views:
            out[DIFFERENCE] = pooled_beside(maps["high"], maps["template"])
        return out

    for k, made in zip(missing, pool.map(pooled, missing), strict=True):
        for view, numbers in made.items():
            # half precision at once: the same bits with and without the cache
            half = numbers.astype(np.float16).astype(np.float32)
            known[keys[k, view]] = fresh[keys[k, view]] = half
            found.computed += 1
    for (k, view), key in wanted.items():
        found.views[view][k] = known[key]
    if cache is not None:
        cache.put(fresh)


def _check(stop: IsCancelled) -> None:
    if stop():
        raise Cancelled("Reading the lot was stopped.")


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
