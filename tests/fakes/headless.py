"""A workspace on a `ViewerModel`: controllers are tested without any window."""

from __future__ import annotations

import queue
import time
from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import QCoreApplication

from napari_sesami.viewer.app.workspace import Workspace
from tests.fakes.grey_model import GreyModel


class HandCaller:
    """Brings results of jobs to the test's own thread, when `pump` is called."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Any, tuple[Any, ...]]] = (
            queue.SimpleQueue()
        )

    def post(self, function: Any, *arguments: Any) -> None:
        self._calls.put((function, arguments))

    def pump(self) -> None:
        while not self._calls.empty():
            function, arguments = self._calls.get()
            function(*arguments)


class Headless:
    """A workspace with an image, classes, and the quick model; no window."""

    def __init__(self, image: Any, classes: tuple[str, ...] = ("void", "metal")):
        self.viewer = ViewerModel()
        self.caller = HandCaller()
        self.workspace = Workspace(self.viewer, caller=self.caller)
        self.workspace.adopt(self.viewer.add_image(image))
        self.session = self.workspace.session
        self.session.prompts.model = GreyModel(tile=128)
        for name in classes:
            self.session.classes.add(name)

    def wait(self, condition: Any, seconds: float = 60.0) -> None:
        """Deliver results until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            self.caller.pump()
            if QCoreApplication.instance() is not None:
                QCoreApplication.processEvents()  # debounced calls
            time.sleep(0.005)

    def close(self) -> None:
        self.workspace.close()
