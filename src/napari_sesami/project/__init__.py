"""Project: the folder ``*.sesami`` with scans, classes, labels and their history."""

from napari_sesami.project._changes import (
    LAYERS,
    AnswerChange,
    BBox,
    Change,
    ObjectChange,
    PixelChange,
    SizeChange,
    Step,
    box_of,
)
from napari_sesami.project._classes import (
    MAX_CLASSES,
    ClassChange,
    ClassEntry,
    ClassTable,
    default_color,
)
from napari_sesami.project._entries import ScanEntry
from napari_sesami.project._errors import (
    ClassError,
    ProjectError,
    ProjectLocked,
    SaveError,
    ScanMoved,
)
from napari_sesami.project._journal import Record
from napari_sesami.project._peek import peek
from napari_sesami.project._planes import PlaneArray, PlaneStore
from napari_sesami.project._project import Project
from napari_sesami.project._work import Work
from napari_sesami.project._worklist import IDLE, STATES, WorkItem, WorkList
from napari_sesami.project._worktime import Times

__all__ = [
    "IDLE",
    "LAYERS",
    "MAX_CLASSES",
    "STATES",
    "AnswerChange",
    "BBox",
    "Change",
    "ClassChange",
    "ClassEntry",
    "ClassError",
    "ClassTable",
    "ObjectChange",
    "PixelChange",
    "PlaneArray",
    "PlaneStore",
    "Project",
    "ProjectError",
    "ProjectLocked",
    "Record",
    "SaveError",
    "ScanEntry",
    "ScanMoved",
    "SizeChange",
    "Step",
    "Times",
    "Work",
    "WorkItem",
    "WorkList",
    "box_of",
    "default_color",
    "peek",
]
