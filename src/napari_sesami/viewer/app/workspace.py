"""One workspace per viewer: the session at work, its layers, the background work.

Docks come and go; what they share lies here, so that closing a panel loses nothing
and opening it again shows the same.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtCore import QCoreApplication

from napari_sesami.viewer.app.autosave import ProjectSaver
from napari_sesami.viewer.app.errors import ViewerError, sentence
from napari_sesami.viewer.app.jobs import Debounced, JobQueue
from napari_sesami.viewer.app.keys import Action, bind, viewer_keys
from napari_sesami.viewer.app.opening import Opening
from napari_sesami.viewer.app.settings import apply_cache_folder, read_settings
from napari_sesami.viewer.layers.spatial import KEPT_CLASSES, KEPT_SCAN, scan_of_layer

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget

    from napari_sesami.scan import ImageInfo, Scan
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.prompt.controller import PromptController
    from napari_sesami.viewer.queue.controller import QueueController
    from napari_sesami.viewer.runs.controller import RunsController
    from napari_sesami.viewer.strokes.controller import StrokesController
    from napari_sesami.viewer.worklist.controller import WorklistController

WELCOME = "Open a scan, or take an image that is already in the viewer."
_workspaces: weakref.WeakKeyDictionary[Any, Workspace] = weakref.WeakKeyDictionary()
_quits_watched = False


def workspace_of(viewer: Viewer) -> Workspace:
    """Give the viewer's workspace; the first call sets it up.

    napari hands plugins a proxy that dies with the panel, so the workspace belongs to
    the viewer behind it.
    """
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _workspaces:
        _workspaces[real] = Workspace(real)
        _watch_quit()
    return _workspaces[real]


def _watch_quit() -> None:
    """Save and tidy up also when the program ends without closing its windows."""
    global _quits_watched
    application = QCoreApplication.instance()
    if application is not None and not _quits_watched:
        _quits_watched = True
        application.aboutToQuit.connect(_close_all)


def _close_all() -> None:
    for workspace in list(_workspaces.values()):
        workspace.close()


class Workspace:
    """Session, layers, work and messages of one viewer.

    Attributes
    ----------
    link
        Binds the session at work to its layers, or None.
    keeper
        Keeps the session on disk.
    work
        Where everything slow is done.
    prompter
        What the SeSAMI panel drives, or None before it was asked for.
    live
        What makes labels of strokes, or None before it was asked for.
    asker
        What asks where a label teaches most, or None before it was asked for.
    foreman
        What drives the work list, or None before it was asked for.
    board
        What starts and follows runs, or None before it was asked for.
    message
        What was said last.
    """

    session_changed = Signal()
    """another session (or none) is shown"""
    said = Signal(str)
    """one plain sentence for the status lines"""
    many_images = Signal(object, object)
    """a file holds several images: path, list of ImageInfo"""
    name_wanted = Signal()
    """somebody wants to name a new class"""
    why_wanted = Signal()
    """somebody wants to know why the pixel under the cursor got its class"""
    keys_wanted = Signal()
    """somebody wants to see the list of keys"""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = weakref.ref(viewer)
        apply_cache_folder(read_settings())
        self.jobs = JobQueue()
        self.jobs.failed.connect(self._on_failed)
        self.message = WELCOME
        self._closed = self._taking = False
        self.saver = ProjectSaver(self)
        self.binding: LayerBinding | None = None
        self._bindings: list[LayerBinding] = []
        self.prompter: PromptController | None = None
        self.live: StrokesController | None = None
        self.foreman: WorklistController | None = None
        self.asker: QueueController | None = None
        self.board: RunsController | None = None
        self._dispatch = _weak_dispatch(self)
        self._settle = Debounced(self._select, 0)
        self._unbind = bind(viewer, self._dispatch, viewer_keys())
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def viewer(self) -> Viewer:
        """The napari viewer."""
        viewer = self._viewer()
        if viewer is None:
            raise ViewerError("The napari window is closed.")
        return viewer

    @property
    def session(self) -> Session | None:
        """The session at work."""
        return None if self.binding is None else self.binding.session

    @property
    def dispatch(self) -> Any:
        """What keys of our layers call; holds the workspace weakly."""
        return self._dispatch

    def say(self, text: str) -> None:
        """Show one plain sentence in every status line."""
        self.message = text
        self.said.emit(text)

    def open(self, path: Path, image: str | None = None) -> None:
        """Open a scan in the background; asks which image if there are several."""
        self.say(f"Opening {path.name} …")
        self.jobs.submit("open", Opening(path, image), self._on_opened)

    def start(self, scan: Scan, image: Image | None = None) -> LayerBinding:
        """Begin to label a scan; with `image`, on a layer that already shows it."""
        from napari_sesami.session import Session

        return self.take(Session(scan), image)

    def adopt(self, image: Image) -> None:
        """Label an image layer, or go back to the labelling that it already has."""
        known = next(
            (binding for binding in self._bindings if binding.image is image), None
        )
        if known is not None and not known.stale:
            self._put(known)
            return
        try:
            if known is not None:
                image.metadata.pop(KEPT_SCAN, None)  # of the pixels before
            scan = scan_of_layer(image)
            if known is not None:
                self._retire(known)
            binding = self.start(scan, image)
        except ValueError as error:
            self.say(sentence(error))
            return
        for entry in image.metadata.get(KEPT_CLASSES, ()):
            if entry.name not in binding.session.classes:
                binding.session.classes.add(entry.name, entry.color)

    def take(self, session: Session, image: Image | None = None) -> LayerBinding:
        """Put a session shown and its layers into the viewer."""
        from napari_sesami.viewer.app.binding import LayerBinding

        self._taking = True  # the image that the link adds is no new scan
        try:
            binding = LayerBinding(self.viewer, session, image, dispatch=self._dispatch)
        finally:
            self._taking = False
        binding.refused.connect(self.say)
        binding.image_replaced.connect(self._on_replaced)
        self._bindings.append(binding)
        self._put(binding)
        return binding

    def act(self, action: Action, argument: int = 0) -> None:
        """Do what a key, a button or a command asks for."""
        from napari_sesami.viewer.app.actions import act

        try:
            act(self, action, argument)
        except (ValueError, OSError) as error:
            self.say(sentence(error))

    def bind_window(self, window: QWidget) -> None:
        """End the work when the napari window goes."""
        window.destroyed.connect(self.close)

    def close(self, *_: object) -> None:
        """End everything; what was saved is safe, the thread is gone."""
        if self._closed:
            return
        self._closed = True
        self.jobs.close()
        if self.prompter is not None:
            self.prompter.close()
        if self.live is not None:
            self.live.close()
        if self.foreman is not None:
            self.foreman.close()
        if self.asker is not None:
            self.asker.close()
        if self.board is not None:
            self.board.close()
        for binding in list(self._bindings):
            self._let_go(binding)
        viewer = self._viewer()
        if viewer is not None:
            self._unbind()
            viewer.layers.events.inserted.disconnect(self._on_inserted)
            viewer.layers.events.removed.disconnect(self._on_removed)
            _workspaces.pop(viewer, None)

    def _put(self, binding: LayerBinding | None) -> None:
        self.binding = binding
        self.saver.follow(self.session)
        if binding is not None:
            binding.select()
            self.say(f"{binding.session.scan.name} is ready: pick a class and paint.")
        else:
            self.say(WELCOME)
        self.session_changed.emit()
        self._look_for_runs()

    def _look_for_runs(self) -> None:
        """Follow the runs of a project from its opening on: one may be cut off."""
        folder = self.saver.folder
        if self.board is None and folder is not None and (folder / "runs").is_dir():
            from napari_sesami.viewer.runs.controller import board_of

            board_of(self)

    def _let_go(self, binding: LayerBinding) -> None:
        self._bindings.remove(binding)
        binding.close()
        binding.refused.disconnect(self.say)
        binding.image_replaced.disconnect(self._on_replaced)
        self.saver.close(binding.session)
        if self.binding is binding:
            self._put(self._bindings[-1] if self._bindings else None)

    def _retire(self, binding: LayerBinding) -> None:
        """End a session whose image got other pixels; its layers and classes stay."""
        binding.image.metadata[KEPT_CLASSES] = tuple(binding.session.classes)
        self._let_go(binding)

    def _on_replaced(self, text: str) -> None:
        """Say it, and drop what was pointed at on pixels that are gone."""
        at_work = self.binding is not None and self.binding.stale
        if at_work and self.prompter is not None:
            self.prompter.drop()
        self.say(text)

    def _on_opened(self, opened: Scan | tuple[Path, list[ImageInfo]]) -> None:
        if isinstance(opened, tuple):
            self.say("Choose one of the images in this file.")
            self.many_images.emit(*opened)
            return
        try:
            self.start(opened)
        except ValueError as error:
            self.say(sentence(error))

    def _on_failed(self, topic: str, text: str) -> None:
        self.say(text)

    def _on_inserted(self, event: Any) -> None:
        """Take the first scan of our own readers and samples without being asked."""
        layer = event.value
        ours = self._taking or self.binding is not None
        if not ours and KEPT_SCAN in layer.metadata:
            self.adopt(layer)
            self._settle.soon()  # napari selects what is added after it

    def _select(self) -> None:
        from napari_sesami.viewer.layers.mouse import Tool

        pointing = self.prompter is not None and self.prompter.tool is not Tool.NONE
        if self.binding is not None and not pointing:
            self.binding.select()

    def _on_removed(self, event: Any) -> None:
        for binding in list(self._bindings):
            if event.value in binding.layers:
                self._let_go(binding)


def _weak_dispatch(workspace: Workspace) -> Any:
    """Make a function for napari's keymaps that does not keep the workspace alive."""
    reference = weakref.ref(workspace)

    def dispatch(action: Action, argument: int) -> None:
        found = reference()
        if found is not None:
            found.act(action, argument)

    return dispatch
