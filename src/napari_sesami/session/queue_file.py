"""The queue as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_sesami.session.errors import SessionError
from napari_sesami.session.queries import Budget, Entry
from napari_sesami.session.ranking import Wish

if TYPE_CHECKING:
    from napari_sesami.session.asking import Asking

VERSION = 1


def packed(queue: Asking, scan: str) -> dict[str, Any]:
    """Give wish, budget and open queries of a scan, known by its content hash."""
    return {
        "version": VERSION,
        "scan": scan,
        "wish": asdict(queue.wish),
        "budget": asdict(queue.budget),
        "next": queue.next_id,
        "open": [entry.to_dict() for entry in queue.open],
    }


def unpack(queue: Asking, values: dict[str, Any], scan: str) -> None:
    """Take up what `packed` gave, if it is of this very scan."""
    try:
        if values["version"] > VERSION:
            raise SessionError(
                "The queue was kept by a newer napari-sesami: update to go on with it; "
                "a new one begins."
            )
        if values["scan"] != scan:
            return
        planes = values["wish"]["planes"]
        planes = None if planes is None else tuple(int(p) for p in planes)
        wish = Wish(**{**values["wish"], "planes": planes})
        budget, next_id = Budget(**values["budget"]), int(values["next"])
        found = [Entry.from_dict(item) for item in values["open"]]
    except (KeyError, TypeError) as error:
        raise SessionError(
            f"The kept queue is damaged ({error}); rank anew, answers are not lost."
        ) from error
    queue.wish, queue.budget, queue.next_id = wish, budget, next_id
    queue.open = found
