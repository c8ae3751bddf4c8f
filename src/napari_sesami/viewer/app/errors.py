"""What goes wrong in the viewer, said in one plain sentence."""

from __future__ import annotations

from napari_sesami.common.errors import SesamiError


class ViewerError(SesamiError):
    """A layer, a window or a panel cannot be used the way it was asked to."""


def is_expected(error: BaseException) -> bool:
    """Whether an error is advice for the user; all others are mistakes of ours."""
    crowded = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    return crowded or isinstance(error, SesamiError | OSError)


def sentence(error: BaseException) -> str:
    """Turn any exception into the one sentence shown in a status line.

    The errors made for people (ValueError, OSError and their kin) already are
    sentences; the rest gets its kind in front, so that a report can name it.
    """
    text = str(error).strip().split("\n", 1)[0].strip()
    name = type(error).__name__
    if isinstance(error, MemoryError) or "OutOfMemory" in name:
        return (
            "Not enough memory for this: close other layers or choose a smaller part."
        )
    if isinstance(error, OSError) and error.strerror:
        where = f" {error.filename}" if error.filename else ""
        return f"Cannot use{where}: {error.strerror}."
    if isinstance(error, ValueError) and text:
        return text
    return f"{name}: {text}" if text else f"Something went wrong ({name})."
