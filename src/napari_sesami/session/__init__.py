"""Session: one scan at work, the one object that everything drives."""

from napari_sesami.session._active import (
    Cycle,
    Plan,
    Study,
    judge_fully,
    run_active,
)
from napari_sesami.session._clean import Cleaned, clean_plane
from napari_sesami.session._control import Judging
from napari_sesami.session._draft import Ask, Asked, Draft, Filled
from napari_sesami.session._engine import DataEngine
from napari_sesami.session._entries import Answer, Budget, Entry
from napari_sesami.session._errors import SessionError
from napari_sesami.session._events import SessionEvents
from napari_sesami.session._objects import CommittedObject, Part
from napari_sesami.session._proposal import Proposal, recall
from napari_sesami.session._queue import Queue
from napari_sesami.session._ranking import SCORES, Ranking, Wish
from napari_sesami.session._review import Review
from napari_sesami.session._rounds import Round
from napari_sesami.session._session import Session

__all__ = [
    "SCORES",
    "Answer",
    "Ask",
    "Asked",
    "Budget",
    "Cleaned",
    "CommittedObject",
    "Cycle",
    "DataEngine",
    "Draft",
    "Entry",
    "Filled",
    "Judging",
    "Part",
    "Plan",
    "Proposal",
    "Queue",
    "Ranking",
    "Review",
    "Round",
    "Session",
    "SessionError",
    "SessionEvents",
    "Study",
    "Wish",
    "clean_plane",
    "judge_fully",
    "recall",
    "run_active",
]
