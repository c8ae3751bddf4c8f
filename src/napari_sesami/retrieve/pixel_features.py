"""What single pixels look like: grey level, edges, ridges and texture at five scales.

Computed by tiles with a margin, so that memory does not grow with the plane and a new
stroke costs the tiles under it. Wide filters run on reduced images.
"""

from __future__ import annotations

import math
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np

from napari_sesami.common.recent import Recent
from napari_sesami.retrieve.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sesami.common.box import BBox
    from napari_sesami.retrieve.upsample import Check
    from napari_sesami.scan import Scan

    Read = Callable[[BBox], NDArray[np.float32]]

# reduction of the image → widths of the filters there, in reduced pixels
SCALES: dict[int, tuple[float, ...]] = {1: (1.0,), 2: (1.0, 1.75), 4: (1.25, 2.5)}
FINEST = 0.7  # pixels
PER_SCALE = 6  # smoothed, slope, two of the Hessian, two of the structure tensor
N_LOOKS = 1 + PER_SCALE * sum(map(len, SCALES.values()))
TILE, MARGIN = 1024, 64  # pixels, multiples of the largest reduction
KEPT = 4  # tiles: a plane of 2048² stays
KEPT_PLANES = 2  # of a scan


_looks: WeakKeyDictionary[Scan, Recent[int, PixelFeatures]] = WeakKeyDictionary()


def looks_of(scan: Scan, plane: int) -> PixelFeatures:
    """Features of a plane of a scan: the same at whatever zoom its tokens are read."""
    planes = _looks.setdefault(scan, Recent(KEPT_PLANES))
    found = planes.get(plane)
    if found is None:
        own = ref(scan)  # what is kept must not keep its scan

        def read(box: BBox) -> NDArray[np.float32]:
            asked = own()
            assert asked is not None  # whoever asks has it
            return asked.grey(plane, box)

        planes[plane] = found = PixelFeatures(read)
    return found


class PixelFeatures:
    """Features of the pixels of one plane, computed where they are asked for.

    Parameters
    ----------
    image
        (H, W) float32 in [0, 1], or what reads a box (y0, x0, y1, x1) of it.
    """

    def __init__(self, image: NDArray[np.float32] | Read) -> None:
        self._image = image
        self._busy: dict[tuple[int, int], Lock] = {}
        self._reading = Lock()  # a reader may not know threads
        self._tiles: Recent[tuple[int, int], dict[int, NDArray[np.float16]]]
        self._tiles = Recent(KEPT)

    def at(
        self, y: NDArray[np.intp], x: NDArray[np.intp], check: Check
    ) -> NDArray[np.float32]:
        """Features (n, N_LOOKS) of single pixels."""
        out = np.empty((len(y), N_LOOKS), np.float32)
        tiles = np.stack([y // TILE, x // TILE], -1)
        for row, column in np.unique(tiles, axis=0):
            check()
            here = np.flatnonzero((tiles == (row, column)).all(-1))
            top, left, maps = self._tile(int(row), int(column), check)
            out[here] = _gather(maps, y[here] - top, x[here] - left)
        return out

    def grid(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp], check: Check
    ) -> NDArray[np.float32]:
        """Features (len(rows), len(columns), N_LOOKS) where rows and columns meet."""
        out = np.empty((len(rows), len(columns), N_LOOKS), np.float32)
        for row in np.unique(rows // TILE):
            down = np.flatnonzero(rows // TILE == row)
            for column in np.unique(columns // TILE):
                right = np.flatnonzero(columns // TILE == column)
                top, left, maps = self._tile(int(row), int(column), check)
                y, x = np.meshgrid(
                    rows[down] - top, columns[right] - left, indexing="ij"
                )
                found = _gather(maps, y.ravel(), x.ravel())
                out[np.ix_(down, right)] = found.reshape(len(down), len(right), -1)
        return out

    def _tile(
        self, row: int, column: int, check: Check
    ) -> tuple[int, int, dict[int, NDArray[np.float16]]]:
        """Top, left and feature maps of a tile with its margin."""
        top, left = (max(0, i * TILE - MARGIN) for i in (row, column))
        # several threads may look at one scan: each tile is described once
        with self._busy.setdefault((row, column), Lock()):
            maps = self._tiles.get((row, column))
            if maps is None:
                bottom, right = ((i + 1) * TILE + MARGIN for i in (row, column))
                if callable(self._image):
                    with self._reading:
                        part = self._image((top, left, bottom, right))
                else:
                    part = self._image[top:bottom, left:right]
                maps = describe(part, check)
                self._tiles[row, column] = maps
        return top, left, maps


def names_of_looks() -> list[str]:
    """What each of the `N_LOOKS` features means, for people."""
    names = ["grey level"]
    for reduction, sigmas in SCALES.items():
        for sigma in sigmas:
            wide = f"{reduction * sigma:g} px"
            names += ["grey level", "edges", "lines", "lines"]
            names += [f"texture, {wide}"] * 2
    return names


def describe(
    image: NDArray[np.float32], check: Check
) -> dict[int, NDArray[np.float16]]:
    """Feature maps (F, h, w) per reduction of the image."""
    import torch

    whole = torch.from_numpy(np.ascontiguousarray(image))
    out: dict[int, NDArray[np.float16]] = {}
    with one_thread():
        gy, gx = _slopes(_blur(whole, FINEST))
        fine = [gy * gy, gy * gx, gx * gx]
        for reduction, sigmas in SCALES.items():
            small = _reduced(whole, reduction)
            tensor = [_reduced(a, reduction) for a in fine]
            maps = [small] if reduction == 1 else []
            for sigma in sigmas:
                check()
                maps += _at_scale(small, tensor, sigma)
            out[reduction] = torch.stack([m.half() for m in maps]).numpy()
    return out


def _at_scale(image: Tensor, tensor: list[Tensor], sigma: float) -> list[Tensor]:
    """The `PER_SCALE` maps of one width.

    `tensor` holds products of the finest slopes: how rough a place is, and which way.
    """
    smooth = _blur(image, sigma)
    gy, gx = _slopes(smooth)
    strength = (gy * gy).addcmul_(gx, gx).sqrt_().mul_(sigma)
    hyy, hxy = _slopes(gy)
    hxx = _slopes(gx)[1]
    ridges = [a.mul_(sigma**2) for a in _eigenvalues(hyy, hxy, hxx)]
    texture = _eigenvalues(*(_blur(a, sigma) for a in tensor))
    return [smooth, strength, *ridges, *(a.clamp_(min=0).sqrt_() for a in texture)]


def _blur(a: Tensor, sigma: float) -> Tensor:
    """Gaussian, three widths far: sums of shifted images are quickest here."""
    reach = max(1, round(3 * sigma))
    weights = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(reach + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    h, w = a.shape
    padded = _padded(a, reach)
    across = padded[:, reach : reach + w] * (weights[0] / total)
    for i, weight in enumerate(weights[1:], 1):
        for at in (reach - i, reach + i):
            across.add_(padded[:, at : at + w], alpha=weight / total)
    out = across[reach : reach + h] * (weights[0] / total)
    for i, weight in enumerate(weights[1:], 1):
        for at in (reach - i, reach + i):
            out.add_(across[at : at + h], alpha=weight / total)
    return out


def _padded(a: Tensor, reach: int) -> Tensor:
    """The border repeated outwards."""
    import torch

    around = torch.nn.functional.pad(a[None, None], (reach,) * 4, mode="replicate")
    return around[0, 0]


def _slopes(a: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences down and right."""
    padded = _padded(a, 1)
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]).mul_(0.5)
    right = (padded[1:-1, 2:] - padded[1:-1, :-2]).mul_(0.5)
    return down, right


def _eigenvalues(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Larger and smaller eigenvalue of [[a, b], [b, c]] at every pixel."""
    middle = (a + c).mul_(0.5)
    half = (a - c).mul_(0.5)
    reach = half.square_().addcmul_(b, b).sqrt_()
    return middle + reach, middle.sub_(reach)


def _reduced(image: Tensor, factor: int) -> Tensor:
    """Means over squares; the last ones are of what is there."""
    import torch

    if factor == 1:
        return image
    pooled = torch.nn.functional.avg_pool2d(
        image[None, None], factor, ceil_mode=True, count_include_pad=False
    )
    return pooled[0, 0]


def _gather(
    maps: dict[int, NDArray[np.float16]], y: NDArray[np.intp], x: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Features (n, N_LOOKS) at pixels of a tile."""
    parts: list[NDArray[Any]] = []
    for reduction, stack in maps.items():
        if reduction == 1:
            parts.append(stack[:, y, x].T)
        else:
            parts.append(at_pixels(stack, reduction, y, x))
    return np.concatenate(parts, axis=1, dtype=np.float32)


def at_pixels(
    maps: NDArray[Any], patch: int, y: NDArray[np.intp], x: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Maps (F, h, w) of squares of `patch` pixels, interpolated at pixels: (n, F)."""
    return sample(maps, (y + 0.5) / patch - 0.5, (x + 0.5) / patch - 0.5)


def sample(
    maps: NDArray[Any], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Maps (F, h, w) interpolated at points: (n, F); outside, the border counts."""
    h, w = maps.shape[1:]
    y, x = np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)
    y0, x0 = (np.floor(a).astype(np.intp) for a in (y, x))
    y1, x1 = np.minimum(y0 + 1, h - 1), np.minimum(x0 + 1, w - 1)
    fy, fx = (a.astype(np.float32)[:, None] for a in (y - y0, x - x0))

    def get(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        return maps[:, rows, columns].T.astype(np.float32)

    above = get(y0, x0) * (1 - fx) + get(y0, x1) * fx
    below = get(y1, x0) * (1 - fx) + get(y1, x1) * fx
    mixed = above * (1 - fy) + below * fy
    return mixed.astype(np.float32, copy=False)


def spaced(side: int, step: int) -> NDArray[np.intp]:
    """Pixels in the middle of steps of `step`, so that interpolation finds them."""
    return np.minimum(np.arange(0, side, step, dtype=np.intp) + step // 2, side - 1)


def priority(planes: Sequence[int] | NDArray[Any], pixels: NDArray[Any]) -> Any:
    """A fixed shuffle of pixels: which ones are kept when there are too many.

    New strokes push out few of those that are kept, so little is computed again.
    """
    mixed = np.asarray(pixels, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= np.asarray(planes, np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    return mixed * np.uint64(0xBF58476D1CE4E5B9)
