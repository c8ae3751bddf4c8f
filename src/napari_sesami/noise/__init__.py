"""What microscopes, sample preparation and programs do to an image, in physical units.

Every effect is a frozen dataclass; calling it with a batch of images and a
`torch.Generator` gives a `Noised`: the image, how far pixels moved, what to ignore,
and the numbers used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "_base": ("Chain", "Effect", "NoiseError", "Noised", "displace_labels", "warp"),
}
_WHERE = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_WHERE)  # pyright: ignore


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the effects need torch, the room does not."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
