"""What a run could learn from, and what it would take, before it is started."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_sesami.common.cancel import cancellable
from napari_sesami.viewer.runs.words import counted, said_memory, said_time

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.session import Session
    from napari_sesami.train import Estimate, Run
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.runs.controller import RunsController

COUNT, ESTIMATE = "count labels", "estimate a run"
LOOKS, SIGHTS = 8, 4  # measurements and pictures in a run; each takes a few seconds
TITLES = {
    "sesami": "SeSAMI: adapt clicks to these scans",
    "semi": "Segment scans like these",
}
NOTHING = "Open a scan and label some objects: a run learns from what is committed."


@dataclass(frozen=True)
class TrainingPlan:
    """What the form says.

    Attributes
    ----------
    recipe
        Name of a recipe.
    steps
        How many.
    rank
        Of the adapter; 0 takes what fits the model.
    decoder
        Whether the mask decoder is trained, too.
    preset
        Of a segmenter.
    unlabelled
        Folder of scans without labels that a segmenter learns from, or None.
    """

    recipe: str
    steps: int
    rank: int = 0
    decoder: bool = False
    preset: str = "ours"
    unlabelled: Path | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Options of the run: it is looked at now and then, to draw a curve."""
        told: dict[str, Any] = {
            "evaluate_every": max(10, self.steps // LOOKS),
            "picture_every": max(10, self.steps // SIGHTS),
        }
        if self.recipe == "sesami":
            told |= {"rank": self.rank, "decoder": self.decoder}
        if self.recipe == "semi":
            told["preset"] = self.preset
            if self.unlabelled is not None:
                told["unlabelled"] = self.unlabelled
        return told

    @property
    def lacks_pool(self) -> bool:
        """Whether scans without labels are needed, and no folder is chosen."""
        return (
            self.recipe == "semi"
            and not self.preset.startswith("supervised")
            and self.unlabelled is None
        )

    def begin(self, session: Session) -> Run:
        """Start it; collects what is labelled now."""
        return session.train(self.recipe, steps=self.steps, **self.options)

    def tried(self, session: Session) -> Estimate:
        """Try a step of it in a process of its own."""
        return session.runs.estimate(self.recipe, steps=self.steps, **self.options)


@dataclass(frozen=True)
class Learnable:
    """What there is to learn from, in words.

    Attributes
    ----------
    sentence
        Objects, classes, scans; or what is missing.
    notes
        What one should know besides.
    enough
        Whether a run can be started.
    """

    sentence: str = NOTHING
    notes: tuple[str, ...] = ()
    enough: bool = False


class TrainingPlanner:
    """Counts what is labelled and remembers what runs took."""

    counted = Signal()
    """what can be learned from"""
    estimated = Signal()
    """an estimate came, or is being made"""

    def __init__(self, controller: RunsController) -> None:
        self._controller = controller
        self.learnable = Learnable()
        self.estimating: TrainingPlan | None = None
        self.since = 0.0  # when the trial began
        self._known: dict[tuple[Any, ...], Estimate] = {}

    def count(self, recipe: str = "sesami") -> None:
        """Count what is labelled, in the background; each recipe counts its own way."""
        session = self._controller.workspace.session
        if session is None:
            self._on_counted(Learnable())
            return
        count = _teachers if recipe == "semi" else _learnable
        task = partial(count, session)
        self._controller.jobs.submit(
            COUNT, task, self._on_counted, self._on_uncountable
        )

    def estimate(self, plan: TrainingPlan) -> None:
        """Try one step in a process of its own, and tell what the run would take."""
        session = self._controller.workspace.session
        if session is None:
            return
        self.estimating = plan
        self.since = time.monotonic()
        self._controller.workspace.say(
            "Trying a few steps of the training; Cancel ends that."
        )
        self.estimated.emit()

        def run(job: Job) -> Estimate:
            with cancellable(lambda: job.cancelled):
                return plan.tried(session)

        self._controller.jobs.submit(
            ESTIMATE, run, self._on_estimate, self._on_refused, self._on_stopped
        )

    def stop(self) -> None:
        """End the trial; nothing of it is kept."""
        self._controller.jobs.cancel(ESTIMATE)

    def words(self, plan: TrainingPlan) -> str:
        """Say what a plan takes, as far as it is known."""
        found = self._known.get(self._key(plan))
        if self.estimating is not None:
            passed = time.monotonic() - self.since
            return f"Trying a few steps: {passed:.0f} s …"
        if found is None:
            return "Estimate tries a few steps, to tell time and memory."
        long = said_time(found.seconds_per_step * plan.steps)
        memory = said_memory(found.memory_bytes)
        return f"About {long} and {memory} of memory here."

    def _key(self, plan: TrainingPlan) -> tuple[Any, ...]:
        """What the cost of one step depends on."""
        session = self._controller.workspace.session
        model = None if session is None else session.prompts.model
        name = getattr(model, "name", model)
        semi = (plan.preset, plan.unlabelled is None)
        return (plan.recipe, plan.rank, plan.decoder, str(name), *semi)

    def _on_counted(self, found: Learnable) -> None:
        self.learnable = found
        self.counted.emit()

    def _on_uncountable(self, text: str) -> None:
        self._on_counted(Learnable(text))

    def _on_estimate(self, found: Estimate) -> None:
        plan, self.estimating = self.estimating, None
        if plan is not None:
            self._known[self._key(plan)] = found
            self._controller.workspace.say(found.sentence or self.words(plan))
        self.estimated.emit()

    def _on_refused(self, text: str) -> None:
        self.estimating = None
        self.estimated.emit()

    def _on_stopped(self) -> None:
        self._controller.workspace.say("The trial was stopped.")
        self._on_refused("")


def recipes() -> list[tuple[str, str]]:
    """Recipes that a form can offer, and their titles."""
    from napari_sesami.train import RECIPES

    return [(name, TITLES[name]) for name in RECIPES if name in TITLES]


def _learnable(session: Session, job: Job) -> Learnable:
    """Count what a run would learn from; a sentence if that is not enough."""
    found = session.runs.training_set()
    learnt = sum(len(picture.objects()) for picture in found.training)
    held = sum(len(picture.objects()) for picture in found.held_out)
    scans = len({picture.scan for picture in found.pictures})
    sentence = (
        f"{counted(learnt + held, 'object')} of "
        f"{counted(len(found.classes), 'class', 'classes')} on "
        f"{counted(scans, 'scan')}, {learnt} to learn from, {held} to judge."
    )
    return Learnable(sentence, found.notes, True)


def _teachers(session: Session, job: Job) -> Learnable:
    """Count what a segmenter would learn from; a sentence if that is not enough."""
    found = session.runs.teachers()
    scans = len({picture.scan for picture in found.pictures})
    sentence = (
        f"{counted(len(found.classes), 'class', 'classes')} on "
        f"{counted(scans, 'labelled scan')}: {counted(len(found.training), 'picture')} "
        f"to learn from, {len(found.held_out)} to judge."
    )
    return Learnable(sentence, found.notes, True)
