"""A folder of scans as work list: propose, review, train, time saved."""

from napari_sesami.worklist.engine import WorklistEngine
from napari_sesami.worklist.model_labels import ModelLabels
from napari_sesami.worklist.review import Review, Source
from napari_sesami.worklist.rounds import Round
from napari_sesami.worklist.times import Times
from napari_sesami.worklist.worklist import IDLE, STATES, WorkItem, WorkList

__all__ = [
    "IDLE",
    "STATES",
    "ModelLabels",
    "Review",
    "Round",
    "Source",
    "Times",
    "WorkItem",
    "WorkList",
    "WorklistEngine",
]
