"""Session: one scan at work, the object that scripts, docks and commands drive."""

from napari_sesami.session.adapters import Adapter, Adapters
from napari_sesami.session.cleanup import Cleaned, clean_plane
from napari_sesami.session.committed import CommittedObject, Part
from napari_sesami.session.control import QueueJudge
from napari_sesami.session.document import Document
from napari_sesami.session.draft import (
    Draft,
    Filled,
    PromptChain,
    PromptStep,
    chain_of,
    snapped,
)
from napari_sesami.session.errors import SessionError
from napari_sesami.session.events import SessionEvents
from napari_sesami.session.history import History
from napari_sesami.session.labelled import BankLabels, ProjectLabels, SegmenterLabels
from napari_sesami.session.labels import Labels
from napari_sesami.session.learner import StrokeLearner
from napari_sesami.session.measurements import Measurements
from napari_sesami.session.object_table import ObjectRow
from napari_sesami.session.objects import Objects
from napari_sesami.session.plane_labels import (
    Explanation,
    PlaneLabels,
    ReadOptions,
    StrokeFacts,
    Why,
)
from napari_sesami.session.prompts import Prompts, Question, Solved
from napari_sesami.session.queries import (
    Answer,
    Budget,
    QuerySettings,
    QueuedQuery,
    core,
)
from napari_sesami.session.queue import Queue
from napari_sesami.session.ranking import SCORES, Ranking
from napari_sesami.session.retrieval import Retrieval
from napari_sesami.session.runs import SessionRuns
from napari_sesami.session.segmentation import Segmentation
from napari_sesami.session.segmenters import Segmenters
from napari_sesami.session.session import Session
from napari_sesami.session.shared_predictor import SharedPredictor
from napari_sesami.session.strokes import Strokes
from napari_sesami.session.superpixels import Superpixels, touched

__all__ = [
    "SCORES",
    "Adapter",
    "Adapters",
    "Answer",
    "BankLabels",
    "Budget",
    "Cleaned",
    "CommittedObject",
    "Document",
    "Draft",
    "Explanation",
    "Filled",
    "History",
    "Labels",
    "Measurements",
    "ObjectRow",
    "Objects",
    "Part",
    "PlaneLabels",
    "ProjectLabels",
    "PromptChain",
    "PromptStep",
    "Prompts",
    "QuerySettings",
    "Question",
    "Queue",
    "QueueJudge",
    "QueuedQuery",
    "Ranking",
    "ReadOptions",
    "Retrieval",
    "Segmentation",
    "SegmenterLabels",
    "Segmenters",
    "Session",
    "SessionError",
    "SessionEvents",
    "SessionRuns",
    "SharedPredictor",
    "Solved",
    "StrokeFacts",
    "StrokeLearner",
    "Strokes",
    "Superpixels",
    "Why",
    "chain_of",
    "clean_plane",
    "core",
    "snapped",
    "touched",
]
