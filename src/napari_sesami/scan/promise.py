"""What a header promises, measured against the file, before memory is taken for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sesami.scan.errors import ScanError

if TYPE_CHECKING:
    from pathlib import Path

FREE = 256 * 2**20
"""Bytes that any file may ask for; a blank image can be packed very small."""
MOST = 5000
"""Bytes that a byte of a file can become: deflate gives 1032, runs of JPEG more."""


def check_promise(path: Path, promised: int, *, packed: bool = True) -> None:
    """Refuse a header that promises more than a file of this size can hold.

    Parameters
    ----------
    path
        The file.
    promised
        Bytes of all pixels, once they are read.
    packed
        Whether they may be compressed; else each byte must be there.
    """
    has = path.stat().st_size
    if promised <= (max(FREE, MOST * has) if packed else has):
        return
    raise ScanError(
        f"{path} promises {promised:.3g} bytes of pixels, which a file of {has} bytes "
        "cannot hold; it is damaged or cut short, copy it again from the instrument."
    )
