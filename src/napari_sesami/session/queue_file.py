"""The queue as JSON values."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from napari_sesami.common.checked import checked
from napari_sesami.session.errors import SessionError
from napari_sesami.session.queries import Budget, QuerySettings, QueuedQuery

VERSION = 1


@dataclass(frozen=True)
class KeptQueue:
    """What is kept of a queue beside the answers."""

    settings: QuerySettings
    budget: Budget
    next_id: int
    open: list[QueuedQuery]


class _WishRow(TypedDict):
    """What is asked for."""

    kind: str
    strategy: str
    stratified: bool
    n: int
    planes: list[int] | None
    zoom: float | None
    seed: int


class _BudgetRow(TypedDict):
    """How much the user is ready to give."""

    clicks: int
    seconds: int


def packed(queue: KeptQueue, scan: str) -> dict[str, Any]:
    """Give settings, budget and open queries of a scan, known by its content hash."""
    return {
        "version": VERSION,
        "scan": scan,
        "wish": asdict(queue.settings),
        "budget": asdict(queue.budget),
        "next": queue.next_id,
        "open": [entry.to_dict() for entry in queue.open],
    }


def unpacked(values: dict[str, Any], scan: str) -> KeptQueue | None:
    """Read what `packed` gave, if it is of this very scan."""
    try:
        if values["version"] > VERSION:
            raise SessionError(
                "The queue was kept by a newer napari-sesami: update to go on with it; "
                "a new one begins."
            )
        if values["scan"] != scan:
            return None
        wish = checked(_WishRow, json.dumps(values["wish"]), "its wish")
        planes = None if wish["planes"] is None else tuple(wish["planes"])
        return KeptQueue(
            QuerySettings(**{**wish, "planes": planes}),
            Budget(**checked(_BudgetRow, json.dumps(values["budget"]), "its budget")),
            int(values["next"]),
            [QueuedQuery.from_dict(item) for item in values["open"]],
        )
    except SessionError:
        raise
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise SessionError(
            f"The kept queue is damaged ({error}); rank anew, answers are not lost."
        ) from error
