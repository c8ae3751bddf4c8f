"""JSON and arrays from disk, checked against what they must be before they are used.

Every file that the package reads as JSON goes through `read_checked`: a value of the
wrong kind is one sentence with the file and the place in it, never a traceback, and a
file that is too long or nested too deep is not taken into memory.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MOST_BYTES = 512 * 2**20
"""No JSON file of the package comes near it."""
_T = TypeVar("_T")


class DamagedFile(SesamiError):
    """A file holds something else than it must."""


def read_checked(
    path: Path,
    kind: Any,
    error: type[SesamiError] = DamagedFile,
    *,
    most: int = MOST_BYTES,
) -> Any:
    """Read a JSON file as `kind`, a dataclass or annotation that pydantic knows.

    Raises
    ------
    error
        The file cannot be read, or holds something else; the sentence says where.
    FileNotFoundError
        There is no such file.
    """
    try:
        size = path.stat().st_size
        if size > most:
            raise error(
                f"{path} has {size} bytes, more than such a file can have; it is not "
                "ours or damaged."
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as problem:
        raise error(f"{path} cannot be read ({problem.strerror}).") from problem
    return checked(kind, data, str(path), error)


def checked(
    kind: Any,
    value: bytes | str,
    where: str,
    error: type[SesamiError] = DamagedFile,
) -> Any:
    """Take JSON text as `kind`; else raise `error` with the place in `where`."""
    try:
        return _adapter(kind).validate_json(value, strict=True)
    except ValidationError as problem:
        raise error(f"{where} is damaged: {first_problem(problem)}.") from problem


def first_problem(problem: ValidationError) -> str:
    """Say what the first value is that does not fit, and where it stands."""
    first = problem.errors(include_url=False)[0]
    place = " → ".join(str(step) for step in first["loc"] if not _internal(step))
    given = repr(first["input"])
    given = given if len(given) <= 60 else f"{given[:57]}…"
    why = first["msg"][:1].lower() + first["msg"][1:]
    if first["type"] in ("json_invalid", "missing"):
        return f"{place}: {why}" if place else why
    return f"{place} is {given}, but {why}" if place else f"{given}: {why}"


def _internal(step: object) -> bool:
    """Whether a step of a place is pydantic's own word, not one of the file."""
    return isinstance(step, str) and ("[" in step or ("-" in step and "(" in step))


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


# ------------------------------------------------------------------------------ arrays


def read_arrays(
    path: Path,
    wanted: Mapping[str, tuple[tuple[int, ...] | None, str]],
    error: type[SesamiError] = DamagedFile,
    *,
    most: int = 2**34,
) -> dict[str, NDArray[Any]]:
    """Read named arrays of an `.npz` file; sizes are checked before it is inflated.

    Parameters
    ----------
    path
        The file.
    wanted
        Per name the shape it must have (None: any) and the kinds of numbers that it
        may hold, as NumPy's letters ("u", "iuf", …).
    error
        Raised for whatever is wrong with it.
    most
        Bytes that an array of any shape may have.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {n: _array(archive, n, *told, most) for n, told in wanted.items()}
    except FileNotFoundError as problem:
        raise error(f"{path} is missing.") from problem
    except (
        OSError, EOFError, ValueError, KeyError, TypeError, SyntaxError, MemoryError,
        NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error,
    ) as problem:  # fmt: skip
        raise error(f"{path} is damaged ({problem}).") from problem


def _array(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...] | None,
    kinds: str,
    most: int,
) -> NDArray[Any]:
    """Read one array whose header says what it must say."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            head = np.lib.format.read_array_header_1_0(stream)
        else:
            head = np.lib.format.read_array_header_2_0(stream)
        told, fortran, dtype = head
        size = math.prod(told) * dtype.itemsize
        if dtype.kind not in kinds or dtype.hasobject:
            raise ValueError(f"“{name}” holds {dtype}, not what it must")
        if shape is not None and told != shape:
            raise ValueError(f"“{name}” has the shape {told}, not {shape}")
        if size > most or member.file_size != stream.tell() + size:
            raise ValueError(f"“{name}” has not the size that it states")
        flat = np.frombuffer(stream.read(size), dtype)
    return np.array(flat.reshape(told, order="F" if fortran else "C"))


def inflated(packed: bytes, size: int) -> bytes:
    """Inflate what must become exactly `size` bytes; more is never held in memory."""
    try:
        machine = zlib.decompressobj()
        data = machine.decompress(packed, size + 1)
    except zlib.error as problem:
        raise ValueError(f"packed pixels are damaged ({problem})") from problem
    if len(data) != size:
        raise ValueError(f"packed pixels have not the {size} bytes that they state")
    return data
