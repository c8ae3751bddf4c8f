"""Views: crops of pictures, and what is done to unlabelled ones to make them hard."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from napari_sesami.train.semi.losses import IGNORE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Generator, Tensor

LEVELS = 65535


class StrongView(NamedTuple):
    """A batch of perturbed images with pseudo-labels that followed them."""

    images: Tensor
    labels: Tensor
    accepted: Tensor
    valid: Tensor


def crop(
    grey: NDArray[np.uint16],
    labels: NDArray[np.uint8] | None,
    side: int,
    zoom: float,
    rng: np.random.Generator,
    near: tuple[int, int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Cut the weak view of a picture: resampled, perhaps mirrored; its labels alike.

    Parameters
    ----------
    grey
        (y, x); 65535 becomes 1.
    labels
        (y, x) outputs of the net, or None: then the second answer is 0 where there is
        picture and `IGNORE` beyond its edge.
    side, zoom
        Of the crop; the factor of resampling lies between 1 / zoom and zoom.
    rng
        Source of all chance.
    near
        A pixel that the crop should show.
    """
    factor = float(np.exp(rng.uniform(-1, 1) * np.log(zoom)))
    wide = max(8, round(side / factor))
    start = []
    for n, at in zip(grey.shape, near or (None, None), strict=True):
        if at is None:
            low, high = min(0, (n - wide) // 2), max(0, n - wide)
        else:  # the pixel lies anywhere in the middle half of the crop
            low, high = at - 3 * wide // 4, at - wide // 4
            low = min(max(low, 0), max(n - wide, 0))
            high = min(max(high, 0), max(n - wide, 0))
        low = low if n >= wide else (n - wide) // 2
        high = high if n >= wide else low
        start.append(int(rng.integers(low, high + 1)))
    rows = np.arange(start[0], start[0] + wide)
    columns = np.arange(start[1], start[1] + wide)
    inside = np.ix_(_mirrored(rows, grey.shape[0]), _mirrored(columns, grey.shape[1]))
    image = torch.from_numpy(grey[inside].astype(np.float32) / LEVELS)[None, None]
    beyond = ~np.logical_and.outer(
        (rows >= 0) & (rows < grey.shape[0]),
        (columns >= 0) & (columns < grey.shape[1]),
    )
    marks = np.zeros((wide, wide), np.uint8) if labels is None else labels[inside]
    told = torch.from_numpy(np.where(beyond, IGNORE, marks).astype(np.uint8))
    if wide != side:
        size = (side, side)
        image = F.interpolate(
            image, size, mode="bilinear", align_corners=False, antialias=True
        )
        nearest = F.interpolate(told[None, None].float(), size, mode="nearest-exact")
        told = nearest[0, 0].to(torch.uint8)
    if rng.random() < 0.5:
        image, told = image.flip(-1), told.flip(-1)
    return image[0].contiguous(), told.long().contiguous()


def _mirrored(at: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Bring places beyond the edges back by mirroring."""
    if n == 1:
        return np.zeros_like(at)
    around = np.abs(at) % (2 * n - 2)
    return np.where(around >= n, 2 * n - 2 - around, around)


def jitter(images: Tensor, generator: Generator) -> Tensor:
    """Change brightness and contrast (0.5, chance 0.8) and blur (σ 0.1 to 2, 0.5).

    UniMatch's colour jitter, as far as grey pictures have it.
    """
    b = len(images)

    def draw(low: float, high: float) -> Tensor:
        r = torch.rand(b, 1, 1, 1, generator=generator)
        return (low + (high - low) * r).to(images)

    on = draw(0, 1) < 0.8
    brightness = torch.where(on, draw(0.5, 1.5), torch.ones(()).to(images))
    contrast = torch.where(on, draw(0.5, 1.5), torch.ones(()).to(images))
    out = (images * brightness).clamp(0, 1)
    mean = out.mean((1, 2, 3), keepdim=True)
    out = ((out - mean) * contrast + mean).clamp(0, 1)
    blurred = draw(0, 1) < 0.5
    sigma = draw(0.1, 2.0)
    at = torch.arange(-4, 5).to(images)
    kernel = torch.exp(-0.5 * (at / sigma.view(b, 1)) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    soft = F.pad(out.transpose(0, 1), (4, 4, 4, 4), mode="reflect")
    soft = F.conv2d(soft, kernel.view(b, 1, 9, 1), groups=b)
    soft = F.conv2d(soft, kernel.view(b, 1, 1, 9), groups=b).transpose(0, 1)
    return torch.where(blurred, soft, out)


def cut_mix(view: StrongView, chance: float, generator: Generator) -> StrongView:
    """Put a box of the next image of the batch into each, with what is known of it.

    The box covers 2 to 40 % of the image, its sides stand 0.3 to 3.3 to each other.
    """
    b, height, width = view.labels.shape
    if b < 2 or chance <= 0:
        return view
    box = torch.zeros(b, height, width, dtype=torch.bool)
    drawn = torch.rand(b, 5, generator=generator).tolist()
    for i, (on, area, ratio, y, x) in enumerate(drawn):
        if on >= chance:
            continue
        size = (0.02 + 0.38 * area) * height * width
        tall = (0.3 * (3.3 / 0.3) ** ratio) ** 0.5
        h = min(height, max(1, round(size**0.5 * tall)))
        w = min(width, max(1, round(size**0.5 / tall)))
        y0, x0 = int(y * (height - h + 1)), int(x * (width - w + 1))
        box[i, y0 : y0 + h, x0 : x0 + w] = True
    box = box.to(view.labels.device)

    def mixed(a: Tensor) -> Tensor:
        where = box[:, None] if a.ndim == 4 else box
        return torch.where(where, a.roll(1, 0), a)

    return StrongView(*(mixed(a) for a in view))
