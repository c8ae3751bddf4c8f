"""One workspace per viewer: the session at work, its layers, the background work.

Docks come and go; what they share lies here, so that closing a panel loses nothing
and opening it again shows the same.
"""

from __future__ import annotations

import weakref
from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from psygnal import Signal
from qtpy.QtCore import QCoreApplication

from napari_sesami.common.errors import SesamiError
from napari_sesami.viewer.app.actions import NUMBERS, PANEL, ROOM, Action, meanings
from napari_sesami.viewer.app.autosave import ProjectSaver
from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError, sentence
from napari_sesami.viewer.app.help_menu import offer_tour
from napari_sesami.viewer.app.jobs import Debounced, JobQueue
from napari_sesami.viewer.app.opening import Opening
from napari_sesami.viewer.app.pages import PAGES
from napari_sesami.viewer.app.panels import OpenPanels
from napari_sesami.viewer.app.settings import apply_cache_folder, read_settings
from napari_sesami.viewer.app.shortcuts import BoundKeys, pressed_key
from napari_sesami.viewer.app.trouble import offer_report, report_bug
from napari_sesami.viewer.layers.spatial import (
    KEPT_CLASSES,
    KEPT_SCAN,
    scan_of_layer,
    share_unit,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from napari.viewer import Viewer
    from qtpy.QtGui import QKeyEvent
    from qtpy.QtWidgets import QWidget

    from napari_sesami.scan import ImageInfo, Scan
    from napari_sesami.session import Session
    from napari_sesami.viewer.app.binding import LayerBinding
    from napari_sesami.viewer.app.jobs import Caller

AnyController = TypeVar("AnyController", bound=Controller)
RECENT = 20  # messages in the report of a bug
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
        offer_tour()
        _workspaces[real] = Workspace(real)
        _watch_quit()
    return _workspaces[real]


def show_panel(viewer: Viewer, name: str, own_dock: bool = False) -> Any:
    """Bring the panel of a page of a viewer forward, and give it."""
    return workspace_of(viewer).panels.show(name, own_dock)


def show_workbench(viewer: Viewer) -> Any:
    """Open the workbench of a viewer, or bring it forward."""
    return workspace_of(viewer).panels.show_workbench()


def attach(viewer: ViewerModel, session: Session) -> LayerBinding:
    """Show a session in napari: image, strokes and labels, kept equal both ways.

    Parameters
    ----------
    viewer
        A napari viewer, or a `ViewerModel` without a window.
    session
        What a script or the command line would drive.

    Returns
    -------
    LayerBinding
        Its `close` takes everything apart again and leaves the layers.
    """
    from napari_sesami.viewer.app.binding import LayerBinding

    real = getattr(viewer, "__wrapped__", viewer)
    if not hasattr(real, "window"):
        return LayerBinding(real, session)
    return workspace_of(real).take(session)


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
    """Session, layers, jobs and messages of one viewer; one of each controller.

    Parameters
    ----------
    viewer
        A napari viewer, or a `ViewerModel` without a window.
    caller
        Brings results of jobs to the thread of the GUI; by default by Qt's events.

    Attributes
    ----------
    binding
        Binds the active session to its layers, or None.
    saver
        Keeps the session on disk.
    jobs
        Where everything slow is done.
    panels
        The panels that are open.
    message
        What was said last.
    """

    session_changed = Signal()
    """another session (or none) is shown"""
    image_replaced = Signal()
    """the active session's image layer shows other pixels than its scan has"""
    said = Signal(str)
    """one plain sentence for the status lines"""
    many_images = Signal(object, object)
    """a file holds several images: path, list of ImageInfo"""

    def __init__(self, viewer: Viewer, caller: Caller | None = None) -> None:
        self._viewer = weakref.ref(viewer)
        apply_cache_folder(read_settings())
        self.jobs = JobQueue(caller=caller)
        self.jobs.failed.connect(self._on_failed)
        self.jobs.broke.connect(self._on_broke)
        self.message = WELCOME
        self._closed = False
        self.panels = OpenPanels(viewer)
        self.saver = ProjectSaver(self.jobs)
        self.saver.said.connect(self.say)
        self.saver.opened.connect(self._on_reopened)
        self.saver.saving.connect(self._flush)
        self.binding: LayerBinding | None = None
        self._bindings: list[LayerBinding] = []
        self._controllers: dict[type[Controller], Controller] = {}
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._press = _weak_press(self)
        self._arriving = False  # while layers of one file or sample come in
        self._settle = Debounced(self._arrived, 0)
        share_unit(viewer.layers)
        self._keys = BoundKeys(viewer, self._press, layer=False)
        viewer.layers.events.inserted.connect(self._on_inserted, position="last")
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

    def bind_keys(self, layer: Layer) -> BoundKeys:
        """Bind our keys on a layer of ours, for as long as what is returned is kept."""
        return BoundKeys(layer, self._press, layer=True)

    def say(self, text: str) -> None:
        """Show one plain sentence in every status line."""
        self.message = text
        self._recent.append(text)
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
        from napari_sesami.session import Session

        known = next(
            (binding for binding in self._bindings if binding.image is image), None
        )
        if known is not None and not known.stale:
            if known is not self.binding:
                self._put(known)
                known.look()
            return
        try:
            if known is not None:
                image.metadata.pop(KEPT_SCAN, None)  # of the pixels before
            session = Session(scan_of_layer(image))
            if known is not None:
                self._retire(known)  # its classes stay
            for entry in image.metadata.get(KEPT_CLASSES, ()):
                session.classes.add(entry.name, entry.color)
            session.history.clear()  # the user has done nothing yet
            self.take(session, image)
        except (SesamiError, OSError) as error:
            self.say(sentence(error))

    def take(
        self,
        session: Session,
        image: Image | None = None,
        closes: LayerBinding | None = None,
    ) -> LayerBinding:
        """Make a session the active one and put its layers into the viewer.

        The scan that was at work goes behind: hidden and locked, with its session open,
        so that nothing is lost; see `Workspace.behind`. Where nothing was done on it,
        its session ends and only its image stays, hidden.

        With `closes` the session of that binding is saved and closed, and its layers
        leave the viewer: the scan is exchanged for another.
        """
        from napari_sesami.viewer.app.binding import LayerBinding

        viewer = self.viewer
        # the image that the binding adds is no new scan
        with viewer.layers.events.inserted.blocker(self._on_inserted):
            binding = LayerBinding(viewer, session, image, press=self._press)
        binding.refused.connect(self.say)
        binding.image_replaced.connect(self._on_replaced)
        self._bindings.append(binding)
        if closes in self._bindings:
            self._close_binding(closes)
            for layer in closes.layers:
                if layer in viewer.layers:
                    viewer.layers.remove(layer)
        self._put(binding)
        binding.look()
        return binding

    @property
    def behind(self) -> tuple[LayerBinding, ...]:
        """Scans that are open and not at work, the latest last."""
        return tuple(b for b in self._bindings if b is not self.binding)

    def dismiss(self, binding: LayerBinding) -> None:
        """Save and close a scan, and take its layers out of the viewer."""
        if binding in self._bindings:
            self._let_go(binding)
        for layer in binding.layers:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def get(self, kind: type[AnyController]) -> AnyController:
        """Give the viewer's controller of a feature; the first call makes it."""
        if kind not in self._controllers:
            self._controllers[kind] = kind(self)
        return cast("AnyController", self._controllers[kind])

    def find(self, kind: type[AnyController]) -> AnyController | None:
        """Give the controller of a feature if somebody asked for it before."""
        return cast("AnyController | None", self._controllers.get(kind))

    def show_error(self, error: BaseException) -> None:
        """Say what is expected in one sentence; log a bug and offer its report."""
        self.say(sentence(error))
        report_bug(error, self.recent)

    @property
    def recent(self) -> tuple[str, ...]:
        """What was said last, for the report of a bug."""
        return tuple(self._recent)

    def act(self, name: str) -> None:
        """Do what a button or a command of that name asks for."""
        self._do(meanings(name=name))

    def press(self, key: str, number: int | None = None) -> None:
        """Do what a key of the table of actions means now."""
        self._do(meanings(key=key), number, by_key=True)

    def press_inside(self, part: str, event: QKeyEvent) -> bool | None:
        """Do what a key means inside a part of a page; None if nothing, false if not.

        A number key is given its number, as over the picture.
        """
        key, number = pressed_key(event), None
        if len(key) == 1 and key in "123456789":
            key, number = NUMBERS, int(key)
        found = meanings(key=key, inside=part)
        return self._do(found, number) if found else None

    def _do(
        self, found: list[Action], number: int | None = None, by_key: bool = False
    ) -> bool:
        """Call the verb of the first action whose condition holds, else the last."""
        action = next((each for each in found if self._holds(each)), found[-1])
        try:
            panel = None
            if action.target == PANEL or (by_key and action.opens_page):
                panel = self.panels.show(action.page)
            action.call(
                panel if action.target == PANEL else self.get(action.load()), number
            )
        except Exception as error:  # a key has nobody else to tell
            self.show_error(error)
            return False
        return True

    def _holds(self, action: Action) -> bool:
        """Whether the condition of an action is true; its controller is not made."""
        if not action.when:
            return True
        for kind, controller in self._controllers.items():
            if f"{kind.__module__}:{kind.__qualname__}" == ROOM + action.target:
                return bool(attrgetter(action.when)(controller))
        return False

    def bind_window(self, window: QWidget) -> None:
        """End the work when the napari window goes."""
        window.destroyed.connect(self.close)

    def close(self, *_: object) -> None:
        """End everything; what was saved is safe, the thread is gone."""
        if self._closed:
            return
        self._closed = True
        self.jobs.close()
        for controller in reversed(list(self._controllers.values())):
            controller.close()
        self._controllers.clear()
        for binding in list(self._bindings):
            self._let_go(binding)
        viewer = self._viewer()
        if viewer is not None:
            self._keys.close()
            viewer.layers.events.inserted.disconnect(self._on_inserted)
            viewer.layers.events.removed.disconnect(self._on_removed)
            _workspaces.pop(viewer, None)

    def _put(self, binding: LayerBinding | None) -> None:
        before, self.binding = self.binding, binding
        if before in self._bindings and before is not binding:
            self._put_behind(before)
        self.saver.follow(self.session)
        if binding is not None:
            binding.bring_back()
            binding.select()
            name = binding.session.scan.name
            self.say(f"{name} is ready: click an object (G), or paint (W).")
        else:
            self.say(WELCOME)
        self.session_changed.emit()
        for page in PAGES:
            page.tell_follower(self)

    def _put_behind(self, binding: LayerBinding) -> None:
        """Make room for another scan."""
        binding.put_behind()
        session = binding.session
        if session.document.project is None and not (
            session.history.can_undo or session.history.can_redo
        ):
            self._close_binding(binding)
            for layer in (binding.labels, binding.strokes):
                if layer in self.viewer.layers:
                    self.viewer.layers.remove(layer)

    def _let_go(self, binding: LayerBinding) -> None:
        """Save and close a session; another one that is open becomes active."""
        self._close_binding(binding)
        if self.binding is binding:
            self._put(self._bindings[-1] if self._bindings else None)

    def _close_binding(self, binding: LayerBinding) -> None:
        self._bindings.remove(binding)
        binding.close()
        binding.refused.disconnect(self.say)
        binding.image_replaced.disconnect(self._on_replaced)
        self.saver.close(binding.session)

    def _retire(self, binding: LayerBinding) -> None:
        """End a session whose image got other pixels; its layers and classes stay."""
        binding.image.metadata[KEPT_CLASSES] = tuple(binding.session.classes)
        self._let_go(binding)

    def _on_replaced(self, text: str) -> None:
        """Say it; features drop what belongs to pixels that are gone."""
        if self.binding is not None and self.binding.stale:
            self.image_replaced.emit()
        self.say(text)

    def _on_opened(self, opened: Scan | tuple[Path, list[ImageInfo]]) -> None:
        if isinstance(opened, tuple):
            self.say("Choose one of the images in this file.")
            self.many_images.emit(*opened)
            return
        try:
            self.start(opened)
        except (SesamiError, OSError) as error:
            self.say(sentence(error))

    def _on_reopened(self, session: Session) -> None:
        """Show a session that the saver opened."""
        self.take(session)

    def _flush(self) -> None:
        """Hand over what was painted before it is saved."""
        if self.binding is not None:
            self.binding.flush()

    def _on_failed(self, topic: str, text: str) -> None:
        self.say(text)

    def _on_broke(self, topic: str, error: Exception) -> None:
        """Offer the report of a bug; the queue has logged it."""
        offer_report(error, self.recent)

    def _on_inserted(self, event: Any) -> None:
        """Take what our own readers and samples open, the first scan of each."""
        layer = event.value
        share_unit(self.viewer.layers)
        if KEPT_SCAN not in layer.metadata or not layer.visible:
            return
        if self._arriving:
            layer.visible = False  # one canvas, one scan
            return
        self._arriving = True
        self.adopt(layer)
        self._settle.soon()  # napari selects what is added after it

    def _arrived(self) -> None:
        self._arriving = False
        pointing = any(controller.pointing for controller in self._controllers.values())
        if self.binding is not None and not pointing:
            self.binding.select()

    def _on_removed(self, event: Any) -> None:
        for binding in list(self._bindings):
            if event.value in binding.layers:
                self._let_go(binding)


def _weak_press(workspace: Workspace) -> Any:
    """Make a function for napari's keymaps that does not keep the workspace alive."""
    reference = weakref.ref(workspace)

    def press(key: str, number: int | None) -> None:
        found = reference()
        if found is not None:
            found.press(key, number)

    return press
