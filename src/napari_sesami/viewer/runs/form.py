"""The form that starts a run: what it learns from, how long, what it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.runs.planner import TrainingPlan, recipes
from napari_sesami.viewer.widgets.factory import button, note, tick

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from napari_sesami.session import Session
    from napari_sesami.viewer.runs.controller import RunsController

LOOK = 1500  # ms after the last edit until the labels are counted again
STEPS = 200
WORDS_TIP = "Committed objects and labels; the run is judged on those held out"


class StartForm(QWidget):
    """Asks for little: all of it has defaults that are sensible."""

    def __init__(
        self, controller: RunsController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self._planner = controller, controller.planner
        self._session: Session | None = None
        self._stale = False  # labels changed while nobody saw the form
        self.recipe = QComboBox()
        self.recipe.setToolTip("What is trained")
        self.recipe.setAccessibleName("Recipe")
        self.recipe.setMinimumContentsLength(12)
        self.recipe.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        for name, title in recipes():
            self.recipe.addItem(title, name)
        self.words = note("", "What the run learns from")
        self.words.setToolTip(WORDS_TIP)
        self.steps = _spin("Steps; each looks at a few objects", 10, 100_000, STEPS)
        self.steps.setSingleStep(50)
        self.rank = _spin("LoRA rank; automatic trains 1.4 % of the model", 0, 256, 0)
        self.rank.setSingleStep(4)
        self.rank.setSpecialValueText("automatic")
        self.decoder = tick("Train the mask decoder too", "Learns more, takes longer")
        self.estimate = note("", "Estimate of time and memory")
        self.estimate.setToolTip("From a dry step of the real training process")
        self.estimate_button = button(
            "Estimate", "Try one step and tell how long the run takes, and its memory"
        )
        self.start_button = button(
            "Start", "Train in the background; napari stays free"
        )
        self._look = Debounced(self._on_look, LOOK)
        self._compose()
        self._connect()
        self._on_session()

    def disconnect_from_board(self) -> None:
        """Let go of the board and of the session."""
        self._look.stop()
        self._follow(None)
        self._controller.changed.disconnect(self.reflect)
        self._planner.counted.disconnect(self.reflect)
        self._planner.estimated.disconnect(self.reflect)
        self._controller.workspace.session_changed.disconnect(self._on_session)

    @property
    def plan(self) -> TrainingPlan:
        """What the form says."""
        return TrainingPlan(
            str(self.recipe.currentData()),
            self.steps.value(),
            self.rank.value(),
            self.decoder.isChecked(),
        )

    def reflect(self, *_: object) -> None:
        """Show what can be learned from, and what is known of the effort."""
        controller, planner = self._controller, self._planner
        found = planner.learnable
        self.words.setText(" ".join([found.sentence, *found.notes[:1]]))
        self.words.setToolTip("\n".join(found.notes) or WORDS_TIP)
        ready = found.enough and not controller.starting
        self.start_button.setEnabled(ready)
        self.start_button.setText("Starting …" if controller.starting else "Start")
        self.estimate_button.setEnabled(ready and planner.estimating is None)
        self.estimate.setText(planner.words(self.plan))

    def _compose(self) -> None:
        fields = QFormLayout()
        fields.setContentsMargins(0, 0, 0, 0)
        fields.addRow("Steps", self.steps)
        fields.addRow("Rank", self.rank)
        row = QHBoxLayout()
        row.addWidget(self.estimate_button, 1)
        row.addWidget(self.start_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.recipe)
        layout.addWidget(self.words)
        layout.addLayout(fields)
        layout.addWidget(self.decoder)
        layout.addWidget(self.estimate)
        layout.addLayout(row)

    def _connect(self) -> None:
        controller = self._controller
        controller.changed.connect(self.reflect)
        self._planner.counted.connect(self.reflect)
        self._planner.estimated.connect(self.reflect)
        controller.workspace.session_changed.connect(self._on_session)
        self.recipe.activated.connect(self.reflect)
        self.steps.valueChanged.connect(self.reflect)
        self.rank.valueChanged.connect(self.reflect)
        self.decoder.toggled.connect(self.reflect)
        self.estimate_button.clicked.connect(self._on_estimate)
        self.start_button.clicked.connect(self._on_start)

    def _on_session(self) -> None:
        self._follow(self._controller.workspace.session)
        self._planner.count()
        self.reflect()

    def _follow(self, session: Session | None) -> None:
        if self._session is not None:
            self._session.events.history.disconnect(self._on_edit)
        self._session = session
        if session is not None:
            session.events.history.connect(self._on_edit)

    def _on_edit(self) -> None:
        self._look.soon()

    def _on_look(self) -> None:
        """Count again, if anybody sees it: all labelled planes are read for it."""
        if self.isVisible():
            self._planner.count()
        else:
            self._stale = True

    def showEvent(self, event: QShowEvent) -> None:
        """Count what was labelled while the form was folded."""
        super().showEvent(event)
        if self._stale:
            self._stale = False
            self._planner.count()

    def _on_estimate(self) -> None:
        self._planner.estimate(self.plan)

    def _on_start(self) -> None:
        self._controller.start(self.plan)


def _spin(tip: str, low: int, high: int, value: int) -> QSpinBox:
    made = QSpinBox()
    made.setRange(low, high)
    made.setValue(value)
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    return made
