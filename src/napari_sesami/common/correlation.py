"""How well a template of many channels fits at every place of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray


def correlate(picture: NDArray[Any], template: NDArray[Any]) -> NDArray[np.float32]:
    """Sum the products of a template (h, w, d) with a picture (H, W, d) at every place.

    Only places where the template lies within the picture are given, (H − h + 1,
    W − w + 1). The channels are summed before the transform back.
    """
    size = [int(fft.next_fast_len(n, real=True)) for n in picture.shape[:2]]
    total: Any = 0
    for d in range(picture.shape[-1]):
        seen = fft.rfft2(picture[..., d], size)
        total = total + seen * fft.rfft2(template[..., d], size).conj()
    rows, columns = (
        n - m + 1 for n, m in zip(picture.shape[:2], template.shape[:2], strict=True)
    )
    # what wraps around lies behind the last place
    return np.asarray(fft.irfft2(total, size)[:rows, :columns], np.float32)
