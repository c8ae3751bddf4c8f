"""What the JSON files of a project must hold, before anything of them is used."""

from __future__ import annotations

import math
import re
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # for Python before 3.12
)

from pydantic import AfterValidator, ConfigDict, Field
from typing_extensions import TypedDict

from napari_sesami.common.inside import FileName
from napari_sesami.project.changes import LAYERS

SCAN_KEY = re.compile(r"[0-9]{4,}-[A-Za-z0-9_.-]+")
"""Name of a scan's folder under ``scans/``."""
_OPEN = ConfigDict(extra="allow")  # what a newer version adds is kept

Index = Annotated[int, Field(ge=0)]
ClassId = Annotated[int, Field(ge=1, le=255)]
Digits = Annotated[str, Field(pattern=r"^[0-9]{1,12}$")]
Size = tuple[list[float | None], list[str | None]]
RecipeText = Annotated[str, Field(max_length=1_000_000)]


class Head(TypedDict, total=False):
    """The beginning of any file: what wrote it."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    format: str
    version: int


class ClassRow(TypedDict):
    """One class."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    id: ClassId
    name: Annotated[str, Field(min_length=1, max_length=1000)]
    color: Annotated[str, Field(pattern=r"^#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$")]


def _no_twins(rows: list[ClassRow]) -> list[ClassRow]:
    if len({row["id"] for row in rows}) < len(rows):
        raise ValueError("two classes have the same id")
    return rows


class ClassRows(TypedDict):
    """The class table."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    entries: Annotated[list[ClassRow], AfterValidator(_no_twins)]
    next_id: NotRequired[Annotated[int, Field(ge=1)]]


class ScanRow(TypedDict):
    """One scan."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    key: Annotated[str, Field(pattern=rf"^{SCAN_KEY.pattern}$", max_length=200)]
    name: str
    content_hash: str
    shape: Annotated[list[Annotated[int, Field(ge=1, lt=2**31)]], Field(min_length=2)]
    axes: Annotated[list[str], Field(min_length=2)]
    file_size: Size
    own_size: NotRequired[Size | None]
    path: NotRequired[str | None]
    relative: NotRequired[str | None]
    image_key: NotRequired[str | None]
    modality: NotRequired[str | None]


def _axes_fit(row: ScanRow) -> ScanRow:
    spatial = [axis for axis in row["axes"] if axis != "c"]
    if len(row["axes"]) != len(row["shape"]) or spatial[-2:] != ["y", "x"]:
        raise ValueError("its axes do not end with y, x or do not fit its shape")
    if math.prod(row["shape"]) >= 2**62:
        raise ValueError("its shape has more pixels than can be counted")
    own = row.get("own_size")
    for size in (row["file_size"], own):
        if size and {len(size[0]), len(size[1])} != {len(row["axes"])}:
            raise ValueError("its pixel sizes are not one per axis")
    return row


def _one_key_each(rows: list[ScanRow]) -> list[ScanRow]:
    if len({row["key"] for row in rows}) < len(rows):
        raise ValueError("two scans have the same key")
    return rows


class ProjectIndex(TypedDict):
    """The file ``project.json``."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    classes: ClassRows
    scans: Annotated[
        list[Annotated[ScanRow, AfterValidator(_axes_fit)]],
        AfterValidator(_one_key_each),
    ]


class ScanState(TypedDict):
    """The file ``state.json`` of one scan."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    generation: Index
    journal: Index
    planes: dict[str, dict[Digits, FileName]]
    objects: NotRequired[FileName | None]
    classes: NotRequired[list[int]]
    last_object: NotRequired[Index]
    answers: NotRequired[dict[Digits, dict[str, Any]]]
    recipe: NotRequired[RecipeText]


class PartRow(TypedDict):
    """What an object is in one plane."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    bbox: tuple[int, int, int, int]
    score: float | None
    overlap: str
    prompts: dict[str, Any] | None


ObjectRow = TypedDict(
    "ObjectRow",
    {
        "class": int,
        "instance": bool,
        "order": int,
        "parts": Annotated[dict[Digits, PartRow], Field(min_length=1)],
    },
)
ObjectRow.__pydantic_config__ = _OPEN  # type: ignore[attr-defined]


class ObjectRows(TypedDict):
    """The file of committed objects."""

    objects: dict[Digits, ObjectRow]


# ----------------------------------------------------------------------------- journal


class PixelRow(TypedDict):
    """Changed pixels; as many bytes follow the record."""

    kind: Literal["pixels"]
    layer: Literal[tuple(LAYERS)]  # type: ignore[valid-type]
    plane: Index
    bbox: tuple[Index, Index, Index, Index]
    bytes: Index


class _ClassStates(TypedDict):
    kind: Literal["class"]
    id: ClassId
    states: tuple[ClassRow | None, ClassRow | None]


class _ObjectStates(TypedDict):
    kind: Literal["object"]
    id: Index
    states: tuple[ObjectRow | None, ObjectRow | None]


class _AnswerStates(TypedDict):
    kind: Literal["answer"]
    id: Index
    states: tuple[dict[str, Any] | None, dict[str, Any] | None]


class _SizeStates(TypedDict):
    kind: Literal["size"]
    states: tuple[Size, Size]


class _RecipeStates(TypedDict):
    kind: Literal["recipe"]
    states: tuple[RecipeText, RecipeText]


class RecordRow(TypedDict):
    """One record of a journal."""

    kind: Literal["do", "undo", "redo", "forget"]
    name: str
    group: int | None
    changes: list[
        Annotated[
            PixelRow
            | _ClassStates
            | _ObjectStates
            | _AnswerStates
            | _SizeStates
            | _RecipeStates,
            Field(discriminator="kind"),
        ]
    ]


class StartRow(TypedDict):
    """The first block of a journal: which one it goes on from."""

    kind: Literal["start"]
    follows: tuple[int, int] | None


class Remembered(TypedDict):
    """Which adapter answers, and which did before; names, or whole paths of files."""

    active: str | None
    before: list[str | None]
