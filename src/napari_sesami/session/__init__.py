"""Session: one scan at work, the one object that everything drives."""

from napari_sesami.session.cleanup import Cleaned, clean_plane
from napari_sesami.session.control import Judging
from napari_sesami.session.draft import (
    Ask,
    Asked,
    Draft,
    Filled,
    snapped,
    stored_mask,
)
from napari_sesami.session.errors import SessionError
from napari_sesami.session.events import SessionEvents
from napari_sesami.session.objects import CommittedObject, Part
from napari_sesami.session.proposal import Proposal, recall
from napari_sesami.session.queries import Answer, Budget, Entry
from napari_sesami.session.queue import Queue
from napari_sesami.session.ranking import SCORES, Ranking, Wish
from napari_sesami.session.reopen import asked_of, is_filled
from napari_sesami.session.session import Session

__all__ = [
    "SCORES",
    "Answer",
    "Ask",
    "Asked",
    "Budget",
    "Cleaned",
    "CommittedObject",
    "Draft",
    "Entry",
    "Filled",
    "Judging",
    "Part",
    "Proposal",
    "Queue",
    "Ranking",
    "Session",
    "SessionError",
    "SessionEvents",
    "Wish",
    "asked_of",
    "clean_plane",
    "is_filled",
    "recall",
    "snapped",
    "stored_mask",
]
