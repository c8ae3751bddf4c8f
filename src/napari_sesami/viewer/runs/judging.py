"""What became of runs: verdicts, and which adapter answers clicks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.common.cancel import cancellable
from napari_sesami.viewer.app.jobs import Priority
from napari_sesami.viewer.prompt.controller import PromptController
from napari_sesami.viewer.runs.words import said_adapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sesami.session import Adapter, Session
    from napari_sesami.train import Run, Verdict
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.runs.controller import RunsController

JUDGE, SWITCH, LOOK = "judge a run", "adapter", "look for adapters"
LABEL, SEMI = "label a slice", "semi"


class RunVerdicts:
    """Verdicts on the runs, and the steps that follow from them.

    Attributes
    ----------
    trouble
        Why a run could not be judged, by its folder.
    adapters
        Those of the model at work, as far as they were looked for.
    """

    changed = Signal()
    """a verdict came, or another adapter is in use"""

    def __init__(self, controller: RunsController) -> None:
        self._controller = controller
        self._verdicts: dict[Path, Verdict] = {}
        self._asked: Run | None = None
        self.trouble: dict[Path, str] = {}
        self.adapters: list[Adapter] = []
        self._model = ""  # that the adapters are for
        controller.changed.connect(self._on_changed)

    def verdict(self, run: Run | None) -> Verdict | None:
        """What the gate said about a run, if it has been asked."""
        return None if run is None else self._verdicts.get(run.folder)

    def in_use(self, run: Run | None) -> bool:
        """Whether clicks are answered by the adapter of this run."""
        session = self._controller.workspace.session
        return bool(run and session and session.runs.uses(run))

    @property
    def can_roll_back(self) -> bool:
        """Whether there is something to go back to."""
        session = self._controller.workspace.session
        run = self._controller.selected
        return session is not None and session.runs.can_roll_back(run)

    def adopt(self, run: Run) -> None:
        """Use what a run learnt; whoever asks has seen the verdict on it."""
        if run.config.recipe == SEMI:
            self._use_segmenter(lambda session: session.runs.adopt(run, insist=True))
            return
        self._switch(lambda session: session.runs.adopt(run, insist=True))

    def roll_back(self) -> None:
        """Go back to what was in use before the selected run's kind was adopted."""
        run = self._controller.selected
        if run is not None and run.config.recipe == SEMI:
            self._use_segmenter(lambda session: session.runs.roll_back(run))
            return
        self._switch(lambda session: session.adapters.roll_back())

    def _use_segmenter(self, change: Callable[[Session], Any]) -> None:
        """Change what labels scans; no click waits for it."""
        workspace = self._controller.workspace
        session = workspace.session
        if session is None:
            return

        def run(job: Job) -> bool:
            change(session)
            return session.segmenters.active is not None

        self._controller.jobs.submit(SWITCH, run, self._on_segmenter)

    def _on_segmenter(self, used: bool) -> None:
        self._controller.workspace.say(
            "Scans are labelled by this segmenter: the work list proposes with it, and "
            "the heat maps are its own."
            if used
            else "No segmenter is in use any more: strokes label again."
        )
        self.changed.emit()

    def label_slice(self, run: Run) -> None:
        """Show what the segmenter of a run says of the slice on screen, as a layer."""
        from napari_sesami.viewer.runs.layers import SegmentedLayers

        workspace = self._controller.workspace
        link = workspace.binding
        if link is None:
            return
        plane, session = link.plane, link.session
        layers = workspace.get(SegmentedLayers)
        workspace.say("Labelling the slice …")

        def call(job: Job) -> Any:
            from napari_sesami.models import Segmenter

            with cancellable(lambda: job.cancelled):
                model = Segmenter.load(run.folder)
                return model.segment_scan(session.scan, plane).labels

        def shown(labels: Any) -> None:
            if workspace.binding is link:
                layers.show(link, plane, labels)
                workspace.say("The layer shows what the segmenter says of this slice.")

        self._controller.jobs.submit(LABEL, call, shown, workspace.say)

    def use(self, adapter: Path | None) -> None:
        """Answer clicks with this adapter; None is the base alone."""
        self._switch(lambda session: session.adapters.use(adapter))

    def look(self, again: bool = False) -> None:
        """Look for adapters if the model at work is another one, or `again`.

        In the background, since reading them brings torch along.
        """
        session = self._controller.workspace.session
        model = (
            "" if session is None else f"{id(session)} {session.adapters.model_name}"
        )
        if session is None or (model == self._model and not again):
            return
        self._model = model
        self._controller.jobs.submit(LOOK, lambda _: session.adapters(), self._on_found)

    def _on_found(self, found: list[Adapter]) -> None:
        self.adapters = found
        self.changed.emit()

    def _switch(self, change: Callable[[Session], Any]) -> None:
        """Change adapters in the thread that asks the model, so that none is cut."""
        workspace, session = (
            self._controller.workspace,
            self._controller.workspace.session,
        )
        if session is None:
            return
        prompts = workspace.find(PromptController)
        if prompts is not None:
            prompts.clear()

        workspace.say("Changing what answers clicks …")

        def run(job: Job) -> str:
            change(session)
            return session.adapters.active_name

        workspace.jobs.submit(SWITCH, run, self._on_switched, priority=Priority.CLICK)

    def _on_switched(self, name: str) -> None:
        self._controller.workspace.say(
            f"Clicks are answered with what “{said_adapter(name)}” learned."
            if name
            else "Clicks are answered by the base model alone."
        )
        self.changed.emit()
        self.look(again=True)

    def _on_changed(self) -> None:
        """Judge the selected run once it has finished."""
        run, session = self._controller.selected, self._controller.workspace.session
        if run is None or session is None or run.status.state != "finished":
            return
        known = run.folder in self._verdicts or run.folder in self.trouble
        if known or self._asked is run:
            return
        self._asked = run

        def judge(job: Job) -> tuple[Run, Verdict]:
            return run, recorded(run) or session.runs.judge(run)

        self._controller.jobs.submit(JUDGE, judge, self._on_judged, self._on_refused)

    def _on_judged(self, found: tuple[Run, Verdict]) -> None:
        run, verdict = found
        self._verdicts[run.folder] = verdict
        self._asked = None
        self.changed.emit()
        self._on_changed()  # another run may have been selected meanwhile

    def _on_refused(self, text: str) -> None:
        if self._asked is not None:
            self.trouble[self._asked.folder] = text
            self._asked = None
        self.changed.emit()


def recorded(run: Run) -> Verdict | None:
    """What the worker found when the run ended: comparing takes it minutes."""
    from napari_sesami.train import Verdict

    return Verdict.read(run.folder)
