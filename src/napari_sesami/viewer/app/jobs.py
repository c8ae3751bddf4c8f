"""Background work: one lasting thread, the most urgent first, results on the GUI.

Every slow thing of the panels goes through `JobQueue.submit`. One thread for all keeps
models warm and sessions free of locks; a topic ("embedding", "open") has room for one
request, so rapid requests never pile up. Jobs that may be begun again (rankings,
slices of a whole scan) make way for a click: they end at their next check, go back to
the head of their lane, and start over when the urgent ones are answered. A second
thread would be shorter to write, but retriever, predictor and session would then need
locks, and the click would share the cores with what it is to overtake.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from bisect import insort_left, insort_right
from contextlib import suppress
from enum import IntEnum
from inspect import ismethod
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from psygnal import Signal
from qtpy.QtCore import QCoreApplication, QObject, Qt, QTimer
from qtpy.QtCore import Signal as QtSignal

from napari_sesami.common.cancel import Cancelled
from napari_sesami.viewer.app.errors import is_expected, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)
_urgency = attrgetter("priority")
_REPORT_EVERY = 0.05  # s; more progress reports than this would only load the GUI


class Priority(IntEnum):
    """How urgent a job is; within one, the job that was asked for first comes first."""

    CLICK = 0
    STROKE = 1
    VISIBLE = 2
    RANKING = 3
    BACKGROUND = 4


class Caller(Protocol):
    """Calls functions in the thread of the GUI."""

    def post(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call it soon; may be called from any thread."""


class MainThreadCaller(QObject):
    """Carries calls from any thread to the one it was made in, the GUI's."""

    sent = QtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.sent.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def post(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function with the next events of the GUI."""
        try:
            self.sent.emit((function, arguments))
        except RuntimeError:  # Qt has already deleted the object: nobody listens
            _log.debug("a result came after the window was closed")

    def _deliver(self, message: tuple[Callable[..., None], tuple[Any, ...]]) -> None:
        function, arguments = message
        function(*arguments)


class Job:
    """One request: tells the work to stop, and the GUI how far it has come.

    Attributes
    ----------
    topic
        What the request is about; a newer request of the topic replaces it.
    priority
        How urgent it is.
    ended
        "done", "failed" or "cancelled", or "" before; set once, on the GUI thread,
        just before the one callback of that name.
    progress
        The share that is done, 0 to 1.
    """

    def __init__(
        self,
        queue: JobQueue,
        topic: str,
        run: Callable[[Job], Any],
        priority: Priority,
        restartable: bool,
    ) -> None:
        self.topic = topic
        self.priority = priority
        self.ended = ""
        self.progress = 0.0
        self._run = run
        self._restartable = restartable
        self._queue = weakref.ref(queue)
        self._stop = threading.Event()
        self._make_way = threading.Event()
        self._callbacks: dict[str, Callable[[], Any]] = {}
        self._last_report = 0.0

    @property
    def cancelled(self) -> bool:
        """Whether the work should stop here, for good or to make way for a click."""
        return self._stop.is_set() or self._make_way.is_set()

    @property
    def dropped(self) -> bool:
        """Whether somebody cancelled or replaced it: no result will come."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """End it: at its next `check` if it runs, at once if it waits."""
        queue = self._queue()
        if queue is None:
            self._stop.set()
        else:
            queue._cancel_job(self)

    def check(self) -> None:
        """Stop the work here if it was cancelled; call it in every loop."""
        if self.cancelled:
            raise Cancelled

    def report(self, fraction: float, text: str = "") -> None:
        """Tell the GUI the progress, 0 to 1, and stop here if cancelled."""
        self.check()
        now = time.monotonic()
        queue = self._queue()
        if queue is None or (fraction < 1 and now - self._last_report < _REPORT_EVERY):
            return
        self._last_report = now
        queue._send(queue._report, self, float(fraction), text)

    def _end(self, how: str, *arguments: Any) -> None:
        """Call the one callback of its end; what was cancelled has no result."""
        if self.dropped:
            how, arguments = "cancelled", ()
        self.ended = how
        callback = self._callbacks[how]()
        if callback is not None:
            callback(*arguments)


class JobQueue:
    """Runs jobs one after the other in a thread of its own, the most urgent first.

    Parameters
    ----------
    name
        Name of the thread.
    caller
        Brings results to the GUI thread; by default by Qt's events.

    Notes
    -----
    Bound methods given as callbacks are held weakly: a closed panel is not kept alive
    by a result that it waits for.
    """

    progressed = Signal(str, float, str)
    """topic, fraction 0 to 1, text"""
    busy_changed = Signal(str)
    """topic at work, or "" when there is nothing left to do"""
    failed = Signal(str, str)
    """topic, one sentence"""
    broke = Signal(str, object)
    """topic and exception of a job that failed by a mistake of ours"""

    def __init__(self, name: str = "sesami-work", caller: Caller | None = None) -> None:
        self._name = name
        self._caller = MainThreadCaller() if caller is None else caller
        self._condition = threading.Condition()
        self._waiting: list[Job] = []
        self._running: Job | None = None
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
        cancelled: Callable[[], None] | None = None,
        *,
        priority: Priority = Priority.VISIBLE,
        restartable: bool | None = None,
    ) -> Job:
        """Run `run(job)` in the background; exactly one of the callbacks is called.

        An older request of the same topic is cancelled.

        Parameters
        ----------
        topic
            What it is about, e.g. "open"; each topic has room for one request.
        run
            Called in the thread; loops inside call `job.check` or `job.report`.
        done, failed, cancelled
            Called on the GUI thread: with the result, with one sentence, or without
            arguments.
        priority
            How urgent it is.
        restartable
            Whether it may be stopped and begun again, to make way for what is on
            screen; by default rankings may.
        """
        if restartable is None:
            restartable = priority is Priority.RANKING
        job = Job(self, topic, run, priority, restartable)
        job._callbacks = {
            "done": _weak(done),
            "failed": _weak(failed),
            "cancelled": _weak(cancelled),
        }
        with self._condition:
            if self._closed:
                raise RuntimeError("the background work was shut down")
            self._drop(topic)
            insort_right(self._waiting, job, key=_urgency)
            running = self._running
            if running is not None and running._restartable:
                if priority <= Priority.VISIBLE < running.priority:
                    running._make_way.set()
            if self._thread is None:
                self._start()
            self._condition.notify_all()
        return job

    def cancel(self, topic: str | None = None) -> None:
        """Cancel a topic, or all of them; what was queued never starts."""
        with self._condition:
            self._drop(topic)

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

    def _drop(self, topic: str | None) -> None:
        for job in [*self._waiting, self._running]:
            if job is not None and topic in (None, job.topic):
                self._cancel_job(job)

    def _cancel_job(self, job: Job) -> None:
        with self._condition:
            if job._stop.is_set():
                return
            job._stop.set()
            if job not in self._waiting:
                return  # it runs: its end is told when it has come to it
            self._waiting.remove(job)
        self._send(job._end, "cancelled")

    def _run(self, job: Job) -> None:
        self._send(self.busy_changed.emit, job.topic)
        try:
            result = job._run(job)
        except Cancelled:
            with self._condition:
                again = job._make_way.is_set() and not job._stop.is_set()
                job._make_way.clear()
                if again:
                    insort_left(self._waiting, job, key=_urgency)
            if not again:
                self._send(job._end, "cancelled")
        except Exception as error:  # a thread has nobody else to tell
            if not is_expected(error) and not job.dropped:
                _log.exception("%s failed", job.topic)
            self._send(self._fail, job, error)
        else:
            self._send(job._end, "done", result)

    def _send(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._caller.post(self._unless_closed, function, arguments)

    def _unless_closed(
        self, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        if not self._closed:
            function(*arguments)

    def _report(self, job: Job, fraction: float, text: str) -> None:
        if not job.dropped:
            job.progress = fraction
            self.progressed.emit(job.topic, fraction, text)

    def _fail(self, job: Job, error: Exception) -> None:
        text = sentence(error)
        if not job.dropped:
            self.failed.emit(job.topic, text)
            if not is_expected(error):
                self.broke.emit(job.topic, error)
        job._end("failed", text)


def _serve(reference: weakref.ref[JobQueue], condition: threading.Condition) -> None:
    """Take jobs until the queue is closed or forgotten (the thread's whole life)."""
    while True:
        with condition:
            queue = reference()
            if queue is None or queue._closed:
                return
            job = queue._waiting.pop(0) if queue._waiting else None
            queue._running = job
            if job is None:
                del queue
                condition.wait(1.0)  # wakes by itself to see whether the queue is gone
                continue
        queue._run(job)
        with condition:
            queue._running = None
            idle = not queue._waiting
        if idle:
            queue._send(queue.busy_changed.emit, "")
        del queue, job


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
