"""The runs: which there are, what they do, and what is asked of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.jobs import Debounced, JobQueue
from napari_sesami.viewer.runs.gpu import GpuHandover, needs_card
from napari_sesami.viewer.runs.judging import JUDGE, RunVerdicts
from napari_sesami.viewer.runs.noise import FIT, NoiseFitter
from napari_sesami.viewer.runs.notices import (
    ask_once,
    offer_resume,
    tell_end,
    was_cut_off,
)
from napari_sesami.viewer.runs.planner import COUNT, TrainingPlanner
from napari_sesami.viewer.runs.words import ACTIVE, said_begin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sesami.train import Run
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.app.workspace import Workspace
    from napari_sesami.viewer.runs.planner import TrainingPlan

PERIOD = 400  # ms between two looks at what moved; each draws the whole window
LIST, START, TELL, STOP, FORGET = (
    "list runs",
    "start a run",
    "tell a run",
    "stop a run",
    "forget a run",
)


class RunsController(Controller):
    """Starts, lists and follows the runs of a workspace; docks reflect it.

    Attributes
    ----------
    runs
        Those of the project at work and those still active elsewhere, newest first.
    selected
        The one that is shown, or None.
    starting
        Whether a run is being prepared.
    work
        A thread of its own: stopping a run may take half a minute, and clicks must
        not wait for it.
    planner, judging, noise
        What could be learned, what became of what was, and noise fitted for it.
    """

    changed = Signal()
    """list, selection, or the state of a run"""
    ticked = Signal()
    """a run moved; at most two or three times a second"""
    started = Signal()
    """a run was started from here"""
    finished = Signal(object)
    """a run did all its steps"""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.jobs = JobQueue("sesami-runs")
        self.jobs.failed.connect(self._on_failed)
        self.handover = GpuHandover(workspace)
        self.runs: list[Run] = []
        self.selected: Run | None = None
        self.starting = False
        self._states: dict[Path, str] = {}
        self._pending = False
        self._tick = Debounced(self._on_tick, PERIOD)
        self._root: Path | None = None
        self.planner = TrainingPlanner(self)
        self.verdicts = RunVerdicts(self)
        self.noise = NoiseFitter(workspace, self.jobs)
        workspace.session_changed.connect(self.refresh)
        workspace.saver.changed.connect(self._on_kept)
        self.refresh()

    @property
    def active(self) -> list[Run]:
        """Runs that go on or wait."""
        return [run for run in self.runs if run.status.state in ACTIVE]

    def select(self, run: Run | None) -> None:
        """Show this run."""
        if run is not self.selected:
            self.selected = run
            self.changed.emit()

    def refresh(self) -> None:
        """Look which runs there are, in the background."""
        session = self.workspace.session
        self._root = None if session is None else session.runs.root
        if session is None:
            self._on_listed([])
            return
        self.jobs.submit(LIST, _Call(session.runs.list), self._on_listed)

    # --- asking a run

    def start(self, plan: TrainingPlan) -> None:
        """Start a run in the background, on what is labelled now."""
        session = self.workspace.session
        if session is None or self.starting:
            return
        self.starting = True
        self.workspace.say("Collecting what the run learns from …")
        self.changed.emit()
        task = _Call(partial(plan.begin, session))
        self.jobs.submit(START, task, self._on_started, self._on_refused)

    def resume(self, run: Run, ask: Callable[[str], bool] | None = None) -> None:
        """Go on with a run that was cut off, stopped, or failed.

        If it needs code of somebody else that nobody agreed to, `ask` gets a question
        that says what would be run from where, and returns whether it may; without
        it a notification asks. Until then nothing of it is imported.
        """
        from napari_sesami.train import ForeignRecipe, check_agreed

        trust = False
        try:
            check_agreed(run.config)
        except ForeignRecipe as error:
            question = (
                f"The run of {said_begin(run.folder)} executes code that is not part "
                f"of napari-sesami: {error.code}. Run it only if you know this file "
                "and trust it."
            )
            if ask is None:
                agreed = partial(self.resume, run, lambda _: True)
                ask_once(self.workspace, question, "Run it anyway", agreed)
                return
            trust = ask(question)
            if not trust:
                self.workspace.say("The run was not resumed; nothing of it was run.")
                return
        self.workspace.say(f"Going on with the run of {said_begin(run.folder)} …")
        self.jobs.submit(TELL, _Call(partial(run.resume, trust=trust)), self._on_told)

    def tell(self, run: Run, what: str) -> None:
        """Send `pause`, `go_on` or `checkpoint_now` to a run."""
        self.jobs.submit(TELL, _Call(getattr(run, what)), self._on_told)

    def stop(self, run: Run) -> None:
        """End a run; it writes a checkpoint first and may take a while."""
        self.workspace.say("Stopping the run; it writes a checkpoint first …")
        self.jobs.submit(f"{STOP} {run.folder}", _Call(run.stop), self._on_told)

    def forget(self, run: Run) -> None:
        """Delete a run and its folder."""
        session = self.workspace.session
        if session is not None:
            task = _Call(partial(session.runs.forget, run))
            self.jobs.submit(FORGET, task, self._on_forgotten)

    def close(self) -> None:
        """Let go of everything; the run folders know the rest."""
        self.workspace.session_changed.disconnect(self.refresh)
        self.workspace.saver.changed.disconnect(self._on_kept)
        self._tick.stop()
        for run in self.runs:
            self._let_go(run)
        self.runs, self.selected = [], None
        self.jobs.close()

    # --- what runs tell

    def _on_moved(self, *_: object) -> None:
        """Hear a run, in its reader's thread; look a moment later."""
        if not self._pending:
            self._pending = True
            self.jobs.post(self._tick.soon)

    def _on_tick(self) -> None:
        self._pending = False
        turned = [run for run in self.runs if self._turned(run)]
        for run in turned:
            if run.status.state not in ACTIVE:
                tell_end(self.workspace, run)
        self.handover.need(any(needs_card(run) for run in self.active))
        (self.changed if turned else self.ticked).emit()
        for run in turned:
            if run.status.state == "finished":
                self.finished.emit(run)

    def _turned(self, run: Run) -> bool:
        """Whether the state of a run changed since the last look; notes it."""
        before, now = self._states.get(run.folder), run.status.state
        self._states[run.folder] = now
        return before is not None and before != now

    def _follow(self, run: Run) -> None:
        self._states[run.folder] = run.status.state
        run.changed.connect(self._on_moved)

    def _let_go(self, run: Run) -> None:
        self._states.pop(run.folder, None)
        run.changed.disconnect(self._on_moved)

    # --- answers of the thread

    def _on_listed(self, found: list[Run]) -> None:
        """Take the list; a run that is followed already stays the same object."""
        known = {run.folder: run for run in self.runs}
        fresh = {run.folder: known.get(run.folder, run) for run in found}
        kept = {run.folder: run for run in self.active if run.folder not in fresh}
        self.runs = sorted([*kept.values(), *fresh.values()], key=_age, reverse=True)
        for folder, run in known.items():
            if folder not in kept and folder not in fresh:
                self._let_go(run)
        new = [run for folder, run in fresh.items() if folder not in known]
        for run in new:
            self._follow(run)
        if self.selected not in self.runs:
            self.selected = self.runs[0] if self.runs else None
        self.changed.emit()
        self._on_moved()
        session = self.workspace.session
        for trouble in () if session is None else session.runs.unreadable.values():
            self.workspace.say(trouble)
        cut_off = [run for run in new if was_cut_off(run)]
        if cut_off:
            cut_off.sort(key=_age, reverse=True)
            offer_resume(self.workspace, cut_off, self.resume)

    def _on_started(self, run: Run) -> None:
        self.starting = False
        if run.folder not in self._states:
            self._follow(run)
            self.runs.insert(0, run)
        self.selected = next(r for r in self.runs if r.folder == run.folder)
        self.workspace.say("The run has begun; you can go on working.")
        self.changed.emit()
        self.started.emit()
        self._on_moved()

    def _on_refused(self, text: str) -> None:
        self.starting = False
        self.changed.emit()

    def _on_told(self, _: object) -> None:
        self._on_moved()

    def _on_forgotten(self, _: object) -> None:
        self.workspace.say("The run and its folder are deleted.")
        self.refresh()

    def _on_failed(self, topic: str, text: str) -> None:
        if topic not in (COUNT, JUDGE, FIT):  # the form, verdict, tab say it
            self.workspace.say(text)

    def _on_kept(self) -> None:
        """Hear that the session is kept in another folder now."""
        session = self.workspace.session
        if session is not None and session.runs.root != self._root:
            self.refresh()


class _Call:
    """A job that takes no ticket."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call

    def __call__(self, job: Job) -> Any:
        return self.call()


def _age(run: Run) -> str:
    return run.folder.name


def follow_runs(workspace: Workspace) -> None:
    """Follow the runs of a project from its opening on: one may be cut off."""
    folder = workspace.saver.folder
    if folder is not None and (folder / "runs").is_dir():
        workspace.get(RunsController)
