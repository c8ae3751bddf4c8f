"""The whole scan in the background, plane by plane, outward from the one on screen."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sesami.common.errors import SesamiError
from napari_sesami.viewer.app.errors import ViewerError, sentence
from napari_sesami.viewer.app.jobs import Priority
from napari_sesami.viewer.strokes import jobs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sesami.viewer.strokes.controller import StrokesController

WHOLE, ACCEPT = "whole scan", "accept whole scan"


class WholeScan:
    """Each plane is a job of its own, so that a stroke in between is answered at once.

    Attributes
    ----------
    total
        How many planes are wanted; 0 if nothing runs.
    done
        How many are on disk.
    """

    def __init__(self, controller: StrokesController) -> None:
        self._controller = controller
        self._planes: list[int] = []
        self._disk: Any = None
        self.total = self.done = 0

    @property
    def running(self) -> bool:
        """Whether planes are still to come."""
        return bool(self._planes)

    def start(self) -> None:
        """Label every plane with the strokes as they are now."""
        controller = self._controller
        binding, layers = controller.binding, controller.layers
        if layers is None:
            return
        binding.check_image()
        self.stop()
        session = binding.session
        folder = None
        if (
            session.document.project is not None
            and not session.document.project.read_only
        ):
            folder = session.document.project.path / "retrieved"
        try:
            self._disk = layers.labels.to_disk(folder)
        except OSError as error:
            controller.workspace.say(sentence(error))
            return
        here, n = binding.plane, session.scan.n_planes
        self._planes = sorted(range(n), key=partial(_distance, here))
        self.total, self.done = n, 0
        self._next()

    def stop(self) -> None:
        """Leave it at what is done."""
        if self.running:
            self._planes = []
            self._controller.workspace.jobs.cancel(WHOLE)
            self._controller.progressed.emit(self.done, self.total)

    def _next(self) -> None:
        controller = self._controller
        controller.progressed.emit(self.done, self.total)
        if not self._planes or controller.workspace.binding is None:
            return
        plane, keep = self._planes[0], controller.binding.plane
        task = partial(
            jobs.one_of_all,
            controller.binding.session,
            plane,
            controller.how,
            self._disk,
            keep,
        )
        controller.workspace.jobs.submit(
            WHOLE,
            task,
            self._on_plane,
            self._on_refused,
            priority=Priority.BACKGROUND,
            restartable=True,
        )

    def _on_plane(self, plane: int) -> None:
        if not self._planes or self._controller.layers is None:
            return
        self._planes.pop(0)
        self.done += 1
        self._controller.layers.labels.written.add(plane)
        if plane == self._controller.binding.plane:
            self._controller.layers.show(
                plane, self._controller.layers.labels.plane(plane)
            )
        if not self._planes:
            self._controller.workspace.say(f"All {self.total} slices are labelled.")
        self._next()

    def _on_refused(self, text: str) -> None:
        self._planes = []
        self._controller.progressed.emit(self.done, self.total)


class AcceptAll:
    """Writes the result of every slice that has one into the labels, one undo step.

    A slice is read in the background and written when it is there, so that the window
    stays alive; a stroke or an edit in between makes it two steps.
    """

    def __init__(self, controller: StrokesController) -> None:
        self._controller = controller
        self._planes: list[int] = []
        self._key = self.changed = self.total = 0
        self._overwrite = False

    @property
    def running(self) -> bool:
        """Whether slices are still to come."""
        return bool(self._planes)

    def start(self, overwrite: bool) -> None:
        """Begin; `overwrite` replaces labels that are there."""
        layers = self._controller.layers
        planes = [] if layers is None else layers.labels.known
        if not planes:
            raise ViewerError("There is no result yet: press Whole scan first.")
        self._planes, self._overwrite = planes, overwrite
        self._key, self.changed, self.total = time.time_ns(), 0, len(planes)
        self._next()

    def stop(self) -> None:
        """Leave it at what is written; undo takes that back."""
        if self.running:
            self._planes = []
            self._controller.workspace.jobs.cancel(ACCEPT)
            self._controller.progressed.emit(0, 0)

    def _next(self) -> None:
        controller = self._controller
        if controller.layers is None:
            self._planes = []
            return
        controller.progressed.emit(self.total - len(self._planes), self.total)
        if self._planes:
            read = controller.layers.labels.plane
            task = partial(jobs.plane_of, read, self._planes[0])
            controller.workspace.jobs.submit(
                ACCEPT,
                task,
                self._on_read,
                self._on_refused,
                priority=Priority.BACKGROUND,
            )

    def _on_read(self, answer: tuple[int, NDArray[np.uint8]]) -> None:
        plane, labels = answer
        controller = self._controller
        if not self._planes or controller.workspace.binding is None:
            return
        session = controller.binding.session
        try:
            with session.history.group("accept whole scan", self._key):
                self.changed += session.document.labels.accept(
                    labels, plane, overwrite=self._overwrite
                )
        except (SesamiError, OSError) as error:
            self._on_refused(sentence(error))
            controller.workspace.say(sentence(error))
            return
        self._planes.pop(0)
        if not self._planes:
            controller.workspace.say(
                f"{self.changed} of {self.total} slices are in the labels; undo "
                "(Ctrl+Z) takes them back."
            )
        self._next()

    def _on_refused(self, text: str) -> None:
        self._planes = []
        self._controller.progressed.emit(0, 0)


def _distance(here: int, plane: int) -> tuple[int, int]:
    return abs(plane - here), plane
