"""How times, memory and states of runs are said to people."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.train import Run

ACTIVE = frozenset({"queued", "starting", "running", "paused"})
RESUMABLE = frozenset({"crashed", "cancelled", "failed"})
MARKS = {
    "queued": "waiting",
    "starting": "starting",
    "running": "running",
    "paused": "paused",
    "finished": "finished",
    "cancelled": "stopped",
    "failed": "failed",
    "crashed": "cut off",
}


def said_state(state: str) -> str:
    """A state in a word that is no jargon."""
    return MARKS.get(state, state)


def said_time(seconds: float) -> str:
    """A duration, as rough as one can know it: "40 s", "6 min", "1 h 20 min"."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def said_memory(n_bytes: float) -> str:
    """An amount of memory: "640 MB", "1.2 GB"."""
    if n_bytes < 1e9:
        return f"{max(1, round(n_bytes / 1e6))} MB"
    return f"{n_bytes / 1e9:.1f} GB"


def said_name(run: Run) -> str:
    """What a run is called: by its own name, else by its recipe."""
    return run.config.name or run.config.recipe.rsplit(":", 1)[-1]


def said_begin(folder: Path) -> str:
    """When a run was begun, from the name or the age of its folder."""
    when = _stamp(folder.name)
    if when is None:
        try:
            when = datetime.fromtimestamp(folder.stat().st_mtime)
        except OSError:
            return folder.name
    return _said(when)


def said_adapter(name: str) -> str:
    """What an adapter is called: by when and how it was learned, if that is known."""
    when = _stamp(name)
    return name if when is None else f"{name[16:] or 'run'}, {_said(when)}"


def _stamp(name: str) -> datetime | None:
    try:
        return datetime.strptime(name[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return None


def _said(when: datetime) -> str:
    today = when.date() == datetime.now().date()
    return when.strftime("%H:%M" if today else "%d %b %H:%M")


def counted(number: int, thing: str, things: str | None = None) -> str:
    """A number and its noun: "1 object", "3 classes"."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"
