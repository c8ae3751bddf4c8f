"""Which heat maps are on: one at a time, with the labels faded meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_sesami.viewer.app.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.viewer.app.workspace import Workspace

FADES = frozenset({"labels", "retrieved"})
"""Layers, by their metadata, that would lie over the colours of a map."""
FADED = 0.12  # of their opacity


class ShownMaps(Controller):
    """The maps of all pages of one viewer; pages tell it what they show.

    Attributes
    ----------
    several
        Whether several maps may be on at once; else a new one takes the place of the
        one before.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.several = False
        self._on: dict[str, Callable[[], None]] = {}
        # layer -> opacity before, and as faded: what somebody set since then stays
        self._faded: WeakKeyDictionary[Any, tuple[float, float]] = WeakKeyDictionary()

    def put_on(self, name: str, take_off: Callable[[], None]) -> None:
        """Note that a map is shown; `take_off` hides it again.

        The map that was on before goes, unless `several` may be on.
        """
        self._on[name] = take_off
        if not self.several:
            self._keep_last()
        self._fade()

    def taken_off(self, name: str) -> None:
        """Note that a map is hidden."""
        self._on.pop(name, None)
        if not self._on:
            self._give_back()

    def allow_several(self, on: bool) -> None:
        """Let several maps be on, or one alone: the one that came last stays."""
        self.several = on
        if not on:
            self._keep_last()
        self.changed.emit()

    def close(self) -> None:
        """Forget everything; the layers go with their viewer."""
        self._on.clear()
        self._faded.clear()

    def _keep_last(self) -> None:
        for other in list(self._on)[:-1]:
            self._on[other]()

    def _fade(self) -> None:
        for layer in self.workspace.viewer.layers:
            if layer.metadata.get("sesami_layer") in FADES and layer not in self._faded:
                before = float(layer.opacity)
                layer.opacity = FADED * before
                self._faded[layer] = before, float(layer.opacity)

    def _give_back(self) -> None:
        for layer, (before, faded) in list(self._faded.items()):
            if layer.opacity == faded:
                layer.opacity = before
        self._faded.clear()
