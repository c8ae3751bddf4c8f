"""What a user is told when a file or an array cannot be used."""

from __future__ import annotations

import struct
import zlib

from napari_sesami.common.errors import SesamiError


class ScanError(SesamiError):
    """One plain sentence: what was given, what is needed, what to do."""


BROKEN_FILE: tuple[type[Exception], ...] = (
    OSError,  # missing, unreadable, truncated
    EOFError,
    ValueError,  # includes UnicodeDecodeError and json.JSONDecodeError
    LookupError,  # KeyError and IndexError: a part of the file is not there
    TypeError,
    ArithmeticError,
    AttributeError,  # libraries find None where a header should be
    RuntimeError,  # imagecodecs, numcodecs and HDF5 on damaged data
    MemoryError,  # a broken header asks for absurd sizes
    struct.error,
    zlib.error,
)
"""What the libraries under the readers raise when a file is not what it should be."""
