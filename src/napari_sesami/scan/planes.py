"""What the name, the grey scale and the checks of a scan need of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class HasPlanes(Protocol):
    """Planes (y, x) that can be read one by one; a `Scan` has them."""

    @property
    def data(self) -> Any:
        """Array-like, often lazy."""

    @property
    def axes(self) -> tuple[str, ...]:
        """One name per axis."""

    @property
    def pixel_size(self) -> tuple[float | None, ...]:
        """One size per axis; None is unknown."""

    @property
    def units(self) -> tuple[str | None, ...]:
        """One unit per axis; None is unknown."""

    @property
    def origin(self) -> tuple[float, ...]:
        """Position of the first pixel."""

    @property
    def name(self) -> str:
        """Name for people."""

    @property
    def ignore(self) -> NDArray[np.bool_] | None:
        """True where pixels are not specimen."""

    @property
    def levels(self) -> tuple[Any, ...]:
        """Coarser versions of `data`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of `data`."""

    @property
    def is_rgb(self) -> bool:
        """Whether the last axis is colour."""

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width of a plane."""

    @property
    def n_planes(self) -> int:
        """How many planes there are."""

    def plane(self, index: int = 0, *, step: int = 1) -> NDArray[Any]:
        """Read one plane."""

    def window(self, index: int, box: tuple[int, int, int, int]) -> NDArray[Any]:
        """Read a box of one plane."""
