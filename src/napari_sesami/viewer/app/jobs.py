"""Background work: one lasting thread, the latest request wins, results on the GUI.

Every slow thing of the docks goes through `Work.submit`. One thread for all keeps
models warm and the order clear; a topic ("embedding", "open") is a queue of length
one, so rapid requests never pile up.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from inspect import ismethod
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtCore import QCoreApplication, QObject, Qt, QTimer
from qtpy.QtCore import Signal as QtSignal

from napari_sesami.viewer.app.errors import sentence

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)
_REPORT_EVERY = 0.05  # s; more progress reports than this would only load the GUI


class Cancelled(Exception):
    """Raised inside a job by `Ticket.check` after somebody cancelled it."""


class Job:
    """One request: tells the job to stop, and the GUI how far it has come.

    Attributes
    ----------
    topic
        What the request is about; a newer request of the topic replaces it.
    generation
        Counts the requests of the topic; results of old generations are dropped.
    """

    def __init__(self, work: JobQueue, topic: str, generation: int) -> None:
        self.topic = topic
        self.generation = generation
        self._jobs = weakref.ref(work)
        self._cancelled = threading.Event()
        self._last_report = 0.0

    @property
    def cancelled(self) -> bool:
        """Whether the job should stop."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the job to stop at its next `check`."""
        self._cancelled.set()

    def check(self) -> None:
        """Stop the job here if it was cancelled; call it in every loop."""
        if self.cancelled:
            raise Cancelled

    def report(self, fraction: float, text: str = "") -> None:
        """Tell the GUI the progress, 0 to 1, and stop here if cancelled."""
        self.check()
        now = time.monotonic()
        work = self._jobs()
        if work is None or (fraction < 1 and now - self._last_report < _REPORT_EVERY):
            return
        self._last_report = now
        work._send(work._report, self, float(fraction), text)


@dataclass(frozen=True)
class _Job:
    """A request with what to do when it ends."""

    ticket: Job
    run: Callable[[Job], Any]
    done: Callable[[], Callable[[Any], None] | None]
    failed: Callable[[], Callable[[str], None] | None]


class _Courier(QObject):
    """Carries calls from any thread to the one it was made in, the GUI's."""

    sent = QtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.sent.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def _deliver(self, message: tuple[Callable[..., None], tuple[Any, ...]]) -> None:
        function, arguments = message
        function(*arguments)


class JobQueue:
    """Runs jobs one after the other in a thread of its own.

    Parameters
    ----------
    name
        Name of the thread.

    Notes
    -----
    Bound methods given as `done` and `failed` are held weakly: a closed panel is
    not kept alive by a result that it waits for.
    """

    progressed = Signal(str, float, str)
    """topic, fraction 0 to 1, text"""
    busy_changed = Signal(str)
    """topic at work, or "" when there is nothing left to do"""
    failed = Signal(str, str)
    """topic, one sentence"""

    def __init__(self, name: str = "sesami-work") -> None:
        self._name = name
        self._courier = _Courier()
        self._condition = threading.Condition()
        self._waiting: OrderedDict[str, _Job] = OrderedDict()
        self._running: _Job | None = None
        self._generations: dict[str, int] = {}
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        with self._condition:
            return self._running is not None or bool(self._waiting)

    def submit(
        self,
        topic: str,
        run: Callable[[Job], Any],
        done: Callable[[Any], None] | None = None,
        failed: Callable[[str], None] | None = None,
    ) -> Job:
        """Run `run(ticket)` in the background and give its result to `done`.

        An older request of the same topic is cancelled and its result dropped.

        Parameters
        ----------
        topic
            What it is about, e.g. "open"; each topic has room for one request.
        run
            Called in the thread; loops inside call `ticket.check` or `ticket.report`.
        done, failed
            Called on the GUI thread with the result or with one sentence.
        """
        with self._condition:
            if self._closed:
                raise RuntimeError("the background work was shut down")
            self._drop(topic)
            generation = self._generations.get(topic, 0) + 1
            self._generations[topic] = generation
            ticket = Job(self, topic, generation)
            self._waiting[topic] = _Job(ticket, run, _weak(done), _weak(failed))
            if self._thread is None:
                self._start()
            self._condition.notify_all()
        return ticket

    def cancel(self, topic: str | None = None) -> None:
        """Cancel a topic, or all of them; what was queued never starts."""
        with self._condition:
            topics = set(self._generations) if topic is None else {topic}
            for each in topics:
                self._drop(each)
                self._generations[each] = self._generations.get(each, 0) + 1

    def dropped(self, ticket: Job) -> bool:
        """Whether a request was cancelled or replaced, so that no result will come."""
        return not self._current(ticket)

    def close(self, timeout: float = 1.0) -> None:
        """Cancel everything and end the thread; waits at most `timeout` seconds."""
        self.cancel()
        with self._condition:
            self._closed = True
            self._condition.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def post(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function on the GUI thread; may be called from any thread."""
        self._send(function, *arguments)

    def _start(self) -> None:
        # the thread holds the object weakly between jobs, so forgetting it ends it
        self._thread = threading.Thread(
            target=_serve,
            args=(weakref.ref(self), self._condition),
            name=self._name,
            daemon=True,
        )
        self._thread.start()

    def _drop(self, topic: str) -> None:
        waiting = self._waiting.pop(topic, None)
        if waiting is not None:
            waiting.ticket.cancel()
        if self._running is not None and self._running.ticket.topic == topic:
            self._running.ticket.cancel()

    def _current(self, ticket: Job) -> bool:
        return (
            not ticket.cancelled
            and self._generations.get(ticket.topic) == ticket.generation
        )

    def _run(self, job: _Job) -> None:
        self._send(self.busy_changed.emit, job.ticket.topic)
        try:
            result = job.run(job.ticket)
        except Cancelled:
            pass
        except Exception as error:  # a thread has nobody else to tell
            self._send(self._fail, job, sentence(error))
            if not isinstance(error, ValueError | OSError | MemoryError):
                _log.exception("%s failed", job.ticket.topic)
        else:
            self._send(self._finish, job, result)

    def _idle(self) -> None:
        self._send(self.busy_changed.emit, "")

    def _send(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._courier.sent.emit((self._unless_closed, (function, arguments)))
        except RuntimeError:  # Qt has already deleted the object: nobody listens
            _log.debug("a result came after the window was closed")

    def _unless_closed(
        self, function: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        if not self._closed:
            function(*arguments)

    def _report(self, ticket: Job, fraction: float, text: str) -> None:
        if self._current(ticket):
            self.progressed.emit(ticket.topic, fraction, text)

    def _finish(self, job: _Job, result: Any) -> None:
        done = job.done()
        if done is not None and self._current(job.ticket):
            done(result)

    def _fail(self, job: _Job, text: str) -> None:
        if not self._current(job.ticket):
            return
        self.failed.emit(job.ticket.topic, text)
        failed = job.failed()
        if failed is not None:
            failed(text)


def _serve(reference: weakref.ref[JobQueue], condition: threading.Condition) -> None:
    """Take jobs until the work is closed or forgotten (the thread's whole life)."""
    while True:
        with condition:
            work = reference()
            if work is None or work._closed:
                return
            job = work._waiting.popitem(last=False)[1] if work._waiting else None
            work._running = job
            if job is None:
                del work
                condition.wait(1.0)  # wakes by itself to see whether work is gone
                continue
        work._run(job)
        with condition:
            work._running = None
            idle = not work._waiting
        if idle:
            work._idle()
        del work, job


def _weak(function: Callable[..., None] | None) -> Callable[[], Any]:
    """Hold a bound method weakly, anything else strongly."""
    if function is not None and ismethod(function):
        return weakref.WeakMethod(function)
    return lambda: function


class Debounced:
    """Debounces a bound method, which is held weakly.

    Without a Qt application, as in a script with a `ViewerModel`, it calls at once.
    """

    def __init__(self, method: Callable[[], None], wait: int) -> None:
        self._method = weakref.WeakMethod(method)
        self._timer: QTimer | None = None
        self._wait = wait

    def soon(self) -> None:
        """Ask for a call; a pending one is put off."""
        if QCoreApplication.instance() is None:
            self._call()
            return
        if self._timer is None:
            self._timer = QTimer()
            self._timer.setSingleShot(True)
            self._timer.timeout.connect(self._call)
        self._timer.start(self._wait)

    def stop(self) -> None:
        """Drop a pending call."""
        if self._timer is not None:
            with suppress(RuntimeError):  # at the end Qt deletes timers before panels
                self._timer.stop()

    def _call(self) -> None:
        method = self._method()
        if method is not None:
            method()
