"""Project: the folder ``*.sesami`` with scans, classes, labels and their history."""

from napari_sesami.project.changes import (
    LAYERS,
    AnswerChange,
    Change,
    ObjectChange,
    PixelChange,
    RecipeChange,
    SizeChange,
    Step,
)
from napari_sesami.project.classes import (
    MAX_CLASSES,
    ClassChange,
    ClassEntry,
    ClassTable,
    default_color,
)
from napari_sesami.project.disk import read_json, saying, sentence
from napari_sesami.project.errors import (
    ClassError,
    ProjectError,
    ProjectLocked,
    SaveError,
    ScanMoved,
)
from napari_sesami.project.journal import Record
from napari_sesami.project.planes import PlaneArray, PlaneStore
from napari_sesami.project.project import Project
from napari_sesami.project.scan_entries import ScanEntry, Sizes, places
from napari_sesami.project.scan_labels import ScanLabels
from napari_sesami.project.schema import Remembered

__all__ = [
    "LAYERS",
    "MAX_CLASSES",
    "AnswerChange",
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
    "RecipeChange",
    "Record",
    "Remembered",
    "SaveError",
    "ScanEntry",
    "ScanLabels",
    "ScanMoved",
    "SizeChange",
    "Sizes",
    "Step",
    "default_color",
    "places",
    "read_json",
    "saying",
    "sentence",
]
