"""Work that is in no project yet: kept in a folder of the user's own all the same.

Each session without a project gets a folder here at its first edit. It goes when the
work is saved in a project, or when the user says that it is not wanted.
"""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sesami.common.checked import read_checked
from napari_sesami.common.disk import write_json
from napari_sesami.common.home import home
from napari_sesami.common.process import lives, me

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.session import Session

NOTE = "recovery.json"
KEPT_DAYS = 30


@dataclass(frozen=True)
class LostWork:
    """What an earlier window left without saving.

    Attributes
    ----------
    project
        The project folder.
    scan
        Name of the scan.
    when
        Of the last change, in seconds since 1970.
    """

    project: Path
    scan: str
    when: float


def recovery_root() -> Path:
    """The folder that keeps work of no project."""
    return home() / "recovery"


def new_folder(session: Session) -> Path:
    """Make a place for a session's work; gives the project folder to write."""
    name = re.sub(r"[^\w.-]+", "_", session.scan.name).strip("._") or "scan"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        place = recovery_root() / f"{stamp}-{number}"
        try:
            place.mkdir(parents=True)
        except FileExistsError:
            continue
        write_json(place / NOTE, {"scan": session.scan.name, "owner": me()})
        return place / f"{name}.sesami"
    raise OSError(f"{recovery_root()} has no room for another folder.")


def is_recovery(project: Path) -> bool:
    """Whether a project folder is one of these."""
    return project.parent.parent == recovery_root()


def lost_work() -> list[LostWork]:
    """List what no living window works on, the latest first; the old is cleared."""
    found = []
    for note in recovery_root().glob(f"*/{NOTE}"):
        try:
            told = read_checked(note, dict[str, Any])
            scan, owner = str(told["scan"]), dict(told["owner"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        projects = list(note.parent.glob("*.sesami"))
        if lives(owner) or len(projects) != 1:
            continue
        when = max(
            path.stat().st_mtime for path in (projects[0], *projects[0].rglob("*"))
        )
        if time.time() - when > KEPT_DAYS * 86400:
            discard(projects[0])
        else:
            found.append(LostWork(projects[0], scan, when))
    return sorted(found, key=lambda lost: -lost.when)


def claim(project: Path) -> None:
    """Say that this process works on it now."""
    note = project.parent / NOTE
    told = read_checked(note, dict[str, Any])
    write_json(note, {**told, "owner": me()})


def give_up(project: Path) -> None:
    """Say that nobody works on it any more, so that it is offered again."""
    note = project.parent / NOTE
    told = read_checked(note, dict[str, Any])
    write_json(note, {**told, "owner": {}})


def discard(project: Path) -> None:
    """Delete what is kept; only ever a folder of ours."""
    if is_recovery(project) and (project.parent / NOTE).is_file():
        shutil.rmtree(project.parent, ignore_errors=True)
