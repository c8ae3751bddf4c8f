"""What strokes, labels and objects have in common: pixels, read plane by plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.session.checks import Plane
    from napari_sesami.session.document import Document


class DrawnLayer:
    """One layer of what is drawn on a scan.

    Parameters
    ----------
    document
        Where it is kept.
    """

    _layer: ClassVar[str]

    def __init__(self, document: Document) -> None:
        self._document = document

    @property
    def array(self) -> Any:
        """Ids as they are now, with the scan's shape; a lazy view if large."""
        return self._document.work.layers[self._layer].array

    @property
    def planes(self) -> list[int]:
        """The planes in which there may be anything."""
        return self._document.work.layers[self._layer].planes

    def plane(self, plane: Plane = None) -> NDArray[Any]:
        """Ids of one plane (y, x); a read-only view, good until the next edit."""
        return self._document.read(self._layer, plane)
