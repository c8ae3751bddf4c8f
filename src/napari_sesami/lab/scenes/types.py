"""What a procedural scene gives back: pixels, exact labels and their physical scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sesami.scan import ClassSpec, Scan


class SynthError(SesamiError):
    """A procedural scene was asked for with numbers it cannot be drawn with."""


@dataclass(frozen=True)
class TruthValue:
    """A dimension that a scene was drawn with.

    Attributes
    ----------
    kind, zone
        As `measure.KINDS` and its readings name them.
    value, unit
        What was drawn.
    place
        The middle of what it is of, in pixels (y, x) or (z, y, x).
    """

    kind: str
    value: float
    unit: str
    place: tuple[float, ...]
    zone: str = ""


@dataclass(frozen=True, eq=False)
class Synthetic:
    """A procedural scan with exact truth.

    Attributes
    ----------
    image
        uint8 or uint16, (y, x), (z, y, x) or (y, x, 3).
    labels
        uint8 class ids on the same grid, without the colour axis; 0 is nothing.
    classes
        The classes that the family can draw, in order of their id.
    pixel_size, unit
        Size of a pixel per axis of `labels`, and its length unit.
    modality
        "TEM", "SEM", "XRM" or "AOI".
    name
        A short name that tells family and seed.
    ignore
        Bool (y, x), True where the picture does not show the specimen, or None.
    info
        Everything else worth knowing: seed, dimensions drawn, noise parameters.
    truth
        Dimensions of single parts, as drawn; empty where the scene does not tell.
    """

    image: NDArray[Any]
    labels: NDArray[np.uint8]
    classes: tuple[ClassSpec, ...]
    pixel_size: tuple[float, ...]
    unit: str
    modality: str
    name: str
    ignore: NDArray[np.bool_] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    truth: tuple[TruthValue, ...] = ()

    def scan(self) -> Scan:
        """Give the picture as a Scan with its pixel size; the truth stays here."""
        from dataclasses import replace

        from napari_sesami.scan import Scan

        is_rgb = self.image.ndim == self.labels.ndim + 1
        axes = "zyx"[3 - self.labels.ndim :] + ("c" if is_rgb else "")
        scan = Scan.from_array(
            self.image,
            axes=tuple(axes),
            pixel_size=self.pixel_size + ((None,) if is_rgb else ()),
            units=(self.unit,) * self.labels.ndim + ((None,) if is_rgb else ()),
            name=self.name,
            modality=self.modality,
        )
        return scan if self.ignore is None else replace(scan, ignore=self.ignore)

    def class_id(self, name: str) -> int:
        """Look up the id of a class by its name."""
        for spec in self.classes:
            if spec.name == name:
                return spec.id
        names = ", ".join(spec.name for spec in self.classes)
        raise SynthError(f'{self.name} has no class "{name}"; it has {names}.')


@dataclass(frozen=True, eq=False)
class SemPair:
    """A SEM defect review: the same place at low and at high magnification.

    Attributes
    ----------
    low, high
        The two pictures with their truth; `high` shows the middle part of `low`
        (see `zoom`) where the defect, if any, lies.
    defect
        Name of the defect class, "none" where there is none.
    zoom
        How many times smaller the pixels of `high` are.
    center
        (y, x) in pixels of `low` that the middle of `high` shows.
    template
        The place of `high` on a good die, if it was asked for.
    """

    low: Synthetic
    high: Synthetic
    defect: str
    zoom: float = 4.0
    center: tuple[float, float] = (0.0, 0.0)
    info: dict[str, Any] = field(default_factory=dict)
    template: Synthetic | None = None
