"""A defect: one place of a wafer, seen at two magnifications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sesami.classify.picture import DefectPicture

VIEWS = ("low", "high", "template")
"""The pictures of a defect; the template is the place of `high` on a good die."""


@dataclass(slots=True)
class Defect:
    """One place that an inspection found.

    Attributes
    ----------
    id
        Its name in the lot; unique there.
    high, low
        The same place at high and at low magnification; each may be missing.
    template
        The place of `high` on a good die, if there is one.
    lot, wafer
        Where it comes from, as the file says.
    xy
        (x, y) on the wafer in µm, from its centre, or None.
    label
        Name of the class that somebody gave it, or None.
    labelled_by
        Who gave it: "file", "person" or a name.
    size
        Largest extent in µm, or None.
    """

    id: str
    high: DefectPicture | None = None
    low: DefectPicture | None = None
    template: DefectPicture | None = None
    lot: str = ""
    wafer: str = ""
    xy: tuple[float, float] | None = None
    label: str | None = None
    labelled_by: str = ""
    size: float | None = None

    def picture(self, view: str) -> DefectPicture | None:
        """Give one of its pictures by the name of the view."""
        found: DefectPicture | None = getattr(self, view)
        return found


@dataclass(frozen=True, slots=True)
class DefectClass:
    """A kind of defect, as the class book describes it.

    Attributes
    ----------
    name
        What people call it.
    number
        Its CLASSNUMBER in KLARF files, or None.
    definition
        How to tell it from the others, in a sentence.
    """

    name: str
    number: int | None = None
    definition: str = ""
