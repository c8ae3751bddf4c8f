"""Many at once: search everything or all alike, tune, take all or one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.app.keys import Action
from napari_sesami.viewer.widgets.factory import button

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.viewer.prompt.controller import PromptController


class ManyBox(QWidget):
    """Searches, filters that work at once, and what is taken of the matches."""

    def __init__(
        self, controller: PromptController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self.everything = _button("Everything", "Masks of everything here (Shift+E)")
        self.alike = _button(
            "Find all like this", "All that look like the object at work (Shift+S)"
        )
        self.spacing = QSpinBox()
        self.spacing.setRange(4, 512)
        self.spacing.setSuffix(" px")
        self.score, self.likeness = _share(), _share()
        self.smallest = QSpinBox()
        self.smallest.setRange(1, 1_000_000)
        self.smallest.setSuffix(" px")
        self.count = QLabel()
        self.count.setAccessibleName("How many were found")
        self.previous = _button("◀", "Look at the one before")
        self.next = _button("▶", "Look at the next one")
        self.accept = _button("Take", "Commit this one")
        self.skip = _button("Skip", "Put this one aside")
        self.accept_all = _button("Take all", "Commit all of them (Shift+T)")
        self.drop = _button("Drop all", "Forget what was found")
        self._compose()
        self._connect()

    def disconnect_from_prompter(self) -> None:
        """Let go of the prompter."""
        self._controller.search.changed.disconnect(self.reflect)

    def _compose(self) -> None:
        search = QGridLayout()
        search.addWidget(self.everything, 0, 0)
        search.addWidget(self.alike, 0, 1)
        form = QFormLayout()
        form.setVerticalSpacing(2)
        for name, box, tip in (
            ("Grid", self.spacing, "Pixels between the clicks of Everything"),
            ("Least score", self.score, "Keep masks the model is as sure of"),
            ("Least area", self.smallest, "Keep masks with so many pixels"),
            ("Least likeness", self.likeness, "Of Find all like this; 1 is the same"),
        ):
            box.setToolTip(tip)
            box.setAccessibleName(f"{name}: {tip}")
            box.setKeyboardTracking(False)
            form.addRow(name, box)
        review = QGridLayout()
        for n, widget in enumerate((self.previous, self.next, self.accept, self.skip)):
            review.addWidget(widget, 0, n)
        review.addWidget(self.accept_all, 1, 0, 1, 2)
        review.addWidget(self.drop, 1, 2, 1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (search, form):
            layout.addLayout(part)
        layout.addWidget(self.count)
        layout.addLayout(review)

    def _connect(self) -> None:
        search = self._controller.search
        search.changed.connect(self.reflect)
        self.everything.clicked.connect(self._on_everything)
        self.alike.clicked.connect(self._on_alike)
        self.accept_all.clicked.connect(self._on_accept_all)
        self.accept.clicked.connect(self._on_accept)
        self.skip.clicked.connect(self._on_skip)
        self.previous.clicked.connect(self._on_previous)
        self.next.clicked.connect(self._on_next)
        self.drop.clicked.connect(self._on_drop)
        self.spacing.valueChanged.connect(self._on_spacing)
        for box in (self.score, self.smallest, self.likeness):
            box.valueChanged.connect(self._on_filter)

    def reflect(self) -> None:
        """Show filters and what was found."""
        search = self._controller.search
        values = (
            (self.spacing, search.spacing),
            (self.score, search.filters.score),
            (self.smallest, search.filters.smallest),
            (self.likeness, search.likeness),
        )
        for box, value in values:
            with signals_blocked(box):
                box.setValue(value)
        found = len(search.found)
        self.count.setText(f"{search.index + 1} of {found} found" if found else "")
        for each in (
            self.previous,
            self.next,
            self.accept,
            self.skip,
            self.accept_all,
        ):
            each.setEnabled(bool(found))
        self.drop.setEnabled(bool(search.kind))
        self.setEnabled(self._controller.workspace.binding is not None)

    def _on_everything(self) -> None:
        self._controller.workspace.act(Action.PROMPT_EVERYTHING)

    def _on_alike(self) -> None:
        self._controller.workspace.act(Action.PROMPT_ALIKE)

    def _on_accept_all(self) -> None:
        self._controller.workspace.act(Action.PROMPT_ACCEPT)

    def _on_accept(self) -> None:
        self._try(self._controller.search.accept)

    def _on_skip(self) -> None:
        self._try(self._controller.search.skip)

    def _on_previous(self) -> None:
        self._controller.search.step(-1)

    def _on_next(self) -> None:
        self._controller.search.step(1)

    def _on_drop(self) -> None:
        self._controller.search.clear()

    def _on_spacing(self, pixels: int) -> None:
        self._controller.search.spacing = pixels

    def _on_filter(self) -> None:
        self._controller.search.tune(
            score=self.score.value(),
            smallest=self.smallest.value(),
            likeness=self.likeness.value(),
        )

    def _try(self, call: Callable[[], None]) -> None:
        try:
            call()
        except ValueError as error:
            self._controller.workspace.say(sentence(error))


def _share() -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0, 1)
    box.setSingleStep(0.05)
    return box


def _button(text: str, tip: str) -> QPushButton:
    made = button(text, tip)
    made.setMinimumWidth(24)
    return made
