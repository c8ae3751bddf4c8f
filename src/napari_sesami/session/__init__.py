"""Session: one scan at work, the one object that everything drives."""

from napari_sesami.session._draft import Ask, Asked, Draft, Filled
from napari_sesami.session._errors import SessionError
from napari_sesami.session._events import SessionEvents
from napari_sesami.session._objects import CommittedObject, Part
from napari_sesami.session._proposal import Proposal, recall
from napari_sesami.session._session import Session

__all__ = [
    "Ask",
    "Asked",
    "CommittedObject",
    "Draft",
    "Filled",
    "Part",
    "Proposal",
    "Session",
    "SessionError",
    "SessionEvents",
    "recall",
]
