"""Arrays as JSON values: short ones as numbers, long ones packed."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy as np

from napari_sesami.common.checked import inflated

LISTED = 512
"""Arrays up to this size are written out as numbers."""


def pack(value: Any) -> Any:
    """Turn arrays, also those within lists and dictionaries, into JSON values."""
    if isinstance(value, np.ndarray) and value.size > LISTED:
        packed = base64.b64encode(zlib.compress(np.ascontiguousarray(value).tobytes()))
        shape = list(value.shape)
        return {"dtype": value.dtype.str, "shape": shape, "zlib": packed.decode()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [pack(item) for item in value]
    if isinstance(value, dict):
        return {key: pack(item) for key, item in value.items()}
    return value


def unpack(value: Any) -> Any:
    """Read one array that `pack` wrote; what is no packed array stays as it is."""
    if isinstance(value, dict) and "zlib" in value:
        dtype, shape = np.dtype(value["dtype"]), [int(n) for n in value["shape"]]
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind not in "buif" or min(shape, default=0) < 0:
            raise ValueError(f"packed arrays hold no {dtype} of the shape {shape}")
        data = inflated(base64.b64decode(value["zlib"]), size)
        return np.frombuffer(data, dtype).reshape(shape)
    return value
