"""The form that starts a run: what it learns from, how long, what it will take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QFormLayout, QWidget

from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.runs.planner import TrainingPlan, recipes
from napari_sesami.viewer.widgets.factory import (
    button,
    column,
    combo,
    note,
    row,
    spin,
    tick,
)
from napari_sesami.viewer.widgets.part import PanelPart
from napari_sesami.viewer.widgets.plain import plain_tip

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from napari_sesami.viewer.runs.controller import RunsController

SECOND = 1000  # ms
LOOK = 1500  # ms after the last edit until the labels are counted again
STEPS = 200
POOL = "Scans without labels…"
PRESETS = (
    ("ours", "Labels, scans without, and noise"),
    ("supervised+noise", "Labels and noise"),
    ("supervised", "Labels alone"),
    ("cutmix", "CutMix"),
    ("unimatch", "UniMatch"),
    ("paper", "Yu et al., as printed"),
)
WORDS_TIP = "Committed objects and labels; the run is judged on those held out"


class StartForm(PanelPart, QWidget):
    """Asks for little: all of it has defaults that are sensible."""

    def __init__(
        self, controller: RunsController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self._planner = controller, controller.planner
        self.workspace = controller.workspace
        self._stale = False  # labels changed while nobody saw the form
        found = ((title, name) for name, title in recipes())
        self.recipe = combo("What is trained", found, letters=12, name="Recipe")
        self.words = note("", "What the run learns from", WORDS_TIP)
        tip = "Steps; each looks at a few objects"
        self.steps = spin(tip, 10, 100_000, STEPS, step=50)
        tip = "LoRA rank; automatic trains 1.4 % of the model"
        self.rank = spin(tip, 0, 256, step=4, zero="automatic")
        self.decoder = tick("Train the mask decoder too", "Learns more, takes longer")
        tip = "From a few dry steps of the real training process"
        tip = "What the segmenter learns from besides labels; see the page on it"
        found = ((title, name) for name, title in PRESETS)
        self.preset = combo(tip, found, letters=12, name="Preset")
        self.pool: Path | None = None
        self.pool_button = button(
            POOL,
            "A folder of scans like these, without labels: they are learnt from too",
        )
        self.estimate = note("", "Estimate of time and memory", tip)
        self.estimate_button = button(
            "Estimate",
            "Try a few steps and tell how long the run takes, and its memory; again: "
            "stop that",
        )
        self.start_button = button(
            "Start", "Train in the background; napari stays free"
        )
        self._look = Debounced(self._on_look, LOOK)
        self._count = Debounced(self.refresh, SECOND)  # while a trial runs
        self.at_close(self._look.stop)
        self.at_close(self._count.stop)
        fields = QFormLayout()
        fields.setContentsMargins(0, 0, 0, 0)
        fields.addRow("Steps", self.steps)
        fields.addRow("Rank", self.rank)
        self._rank_label = fields.labelForField(self.rank)
        buttons = row((self.estimate_button, 1), (self.start_button, 1))
        head = (self.recipe, self.words, fields)
        pool = (self.preset, self.pool_button)
        column(self, *head, self.decoder, *pool, self.estimate, buttons)
        self.watch(controller.changed, self.refresh)
        self.watch(self._planner.counted, self.refresh)
        self.watch(self._planner.estimated, self.refresh)
        self.watch(self.workspace.session_changed, self._on_session)
        self.recipe.activated.connect(self._on_recipe)
        self.preset.activated.connect(self.refresh)
        self.pool_button.clicked.connect(self._on_pool)
        self.steps.valueChanged.connect(self.refresh)
        self.rank.valueChanged.connect(self.refresh)
        self.decoder.toggled.connect(self.refresh)
        self.estimate_button.clicked.connect(self._on_estimate)
        self.start_button.clicked.connect(self._on_start)
        self._on_session()

    @property
    def plan(self) -> TrainingPlan:
        """What the form says."""
        return TrainingPlan(
            str(self.recipe.currentData()),
            self.steps.value(),
            self.rank.value(),
            self.decoder.isChecked(),
            str(self.preset.currentData()),
            self.pool,
        )

    def choose_pool(self, folder: Path | None) -> None:
        """Learn from the scans of this folder too, or of none."""
        self.pool = folder
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Show what can be learned from, and what is known of the effort."""
        controller, planner = self._controller, self._planner
        found = planner.learnable
        self.words.setText(" ".join([found.sentence, *found.notes[:1]]))
        self.words.setToolTip(plain_tip("\n".join(found.notes)) or WORDS_TIP)
        segmenter = self.plan.recipe == "semi"
        for part in (self.rank, self._rank_label, self.decoder):
            part.setVisible(not segmenter)
        self.preset.setVisible(segmenter)
        self.pool_button.setVisible(
            segmenter and not self.plan.preset.startswith("supervised")
        )
        name = POOL if self.pool is None else f"Without labels: {self.pool.name}"
        self.pool_button.setText(name.replace("&", "&&"))  # no shortcut of Qt
        ready = found.enough and not controller.starting and not self.plan.lacks_pool
        self.start_button.setEnabled(ready)
        self.start_button.setText("Starting …" if controller.starting else "Start")
        trying = planner.estimating is not None
        self.estimate_button.setEnabled(ready or trying)
        self.estimate_button.setText("Cancel" if trying else "Estimate")
        self.estimate.setText(planner.words(self.plan))
        if trying:
            self._count.soon()

    def _on_session(self) -> None:
        session = self.workspace.session
        self.unwatch("session")
        if session is not None:
            self.watch(session.document.events.history, self._look.soon, "session")
        self._planner.count(self.plan.recipe)
        self.refresh()

    def _on_recipe(self, *_: object) -> None:
        self._planner.count(self.plan.recipe)
        self.refresh()

    def _on_pool(self) -> None:
        title = "A folder of scans without labels"
        chosen = QFileDialog.getExistingDirectory(self, title)
        if chosen:
            self.choose_pool(Path(chosen))

    def _on_look(self) -> None:
        """Count again, if anybody sees it: all labelled planes are read for it."""
        if self.isVisible():
            self._planner.count(self.plan.recipe)
        else:
            self._stale = True

    def showEvent(self, event: QShowEvent) -> None:
        """Count what was labelled while the form was folded."""
        super().showEvent(event)
        if self._stale:
            self._stale = False
            self._planner.count(self.plan.recipe)

    def _on_estimate(self) -> None:
        if self._planner.estimating is None:
            self.run(self._planner.estimate, self.plan)
        else:
            self.run(self._planner.stop)

    def _on_start(self) -> None:
        """Start; a trial that still runs makes way."""
        self._planner.stop()
        self.run(self._controller.start, self.plan)
