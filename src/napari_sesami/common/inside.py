"""Names that come from files: checked, and kept inside of the folder they are for.

Whatever a project, run, bank, adapter, card, work list or lot calls a file goes through
`inside`, so that a folder somebody sent cannot reach beyond itself.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    from pathlib import Path

_NEVER = r"\x00-\x1f\x7f/\\" + (":" if os.name == "nt" else "")
PLAIN = re.compile(rf"[^{_NEVER}]{{1,255}}")
"""A name of one file: no separators, no drive, nothing that moves the cursor."""


class OutsideError(SesamiError):
    """A name in a file leads out of the folder it belongs to."""


def plain_name(name: str) -> str:
    """Return a name that can be nothing but a file's own; raise `OutsideError` else."""
    if not PLAIN.fullmatch(name) or name.strip(". ") == "":
        raise OutsideError(f"{name[:80]!r} is no plain name of a file")
    return name


FileName = Annotated[str, AfterValidator(plain_name)]
"""For schemas: text that names one file in the folder of the file it stands in."""


def inside(folder: Path, *names: str, pattern: re.Pattern[str] = PLAIN) -> Path:
    """Return the path of a named file or folder that lies in `folder` and nowhere else.

    Parameters
    ----------
    folder
        Chosen by the user; it may be reached through a link itself.
    *names
        From a file: none may be or go through a link.
    pattern
        What each name must look like.

    Raises
    ------
    OutsideError
        With the name and what to do.
    """
    path = folder
    for name in names:
        if not isinstance(name, str) or not pattern.fullmatch(name):
            raise _refused(folder, name, "is no name that is used there")
        if not PLAIN.fullmatch(name) or name.strip(". ") == "":
            raise _refused(folder, name, "would lead out of it")
        path = path / name
        if path.is_symlink() or _junction(path):
            raise _refused(folder, name, "is a link to elsewhere")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise _refused(folder, "/".join(names), "would lead out of it")
    return path


def no_links(folder: Path, *names: str) -> None:
    """Refuse a folder in which one of its own files or folders is a link."""
    for name in names:
        inside(folder, name)


def _junction(path: Path) -> bool:
    """Whether it is what Windows calls a junction, which acts as a link."""
    test = getattr(path, "is_junction", None)  # since Python 3.12
    return bool(test is not None and test())


def _refused(folder: Path, name: object, why: str) -> OutsideError:
    return OutsideError(
        f"In {folder} the name {str(name)[:80]!r} {why}, so it is not followed and "
        "nothing was changed; take the folder only from somebody you trust, and ask "
        "for it again without links."
    )
