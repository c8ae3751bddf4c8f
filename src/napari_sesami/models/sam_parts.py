"""The parts of SAM's net from `segment_anything`, and nothing else of that package.

Its `__init__` also imports torchvision, for code that is not used here, and by way of
it much of torch's compiler: two seconds of a first click. The parts need torch alone.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def _without_init(package: str) -> Iterator[None]:
    """Let modules of a package be imported without running its `__init__`.

    They are kept here alone: whoever imports the package later gets it whole.
    """
    spec = find_spec(package)
    if package in sys.modules or spec is None:
        yield
        return
    sys.modules[package] = bare = ModuleType(package)
    bare.__path__ = list(spec.submodule_search_locations or ())
    try:
        yield
    finally:
        for name in list(sys.modules):
            if name == package or name.startswith(f"{package}."):
                del sys.modules[name]


with _without_init("segment_anything"):
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

__all__ = [
    "ImageEncoderViT",
    "MaskDecoder",
    "PromptEncoder",
    "Sam",
    "TwoWayTransformer",
]
