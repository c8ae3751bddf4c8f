"""The "Strokes to labels" dock: composes its parts and wires them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QTabWidget, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_sesami.viewer.app.dock import DeskDock
from napari_sesami.viewer.app.errors import sentence
from napari_sesami.viewer.layers.map_kinds import MapsBox
from napari_sesami.viewer.strokes.acts import accept
from napari_sesami.viewer.strokes.banks_box import BankBox
from napari_sesami.viewer.strokes.controller import live_of
from napari_sesami.viewer.strokes.repeats_box import RepeatsBox
from napari_sesami.viewer.strokes.run_box import WholeRow
from napari_sesami.viewer.strokes.stroke_list import StrokeList
from napari_sesami.viewer.strokes.why_box import WhyBox
from napari_sesami.viewer.widgets.factory import button, note, tick
from napari_sesami.viewer.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_sesami.retrieve import Way

WIDTH = 300  # px; with the dock's frame this stays below 320
SCALES = (("auto", None), ("1×", 1.0), ("½×", 0.5), ("2×", 2.0))
WAYS: tuple[tuple[str, Way], ...] = (
    ("ours", "ours"),
    ("distance", "distance"),
    ("attention", "attention"),
    ("histogram", "histogram"),
)
POLICIES = (("free pixels", False), ("overwrite", True))


class StrokesDock(DeskDock):
    """Paint a few strokes; the slice on screen is labelled while you paint.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = live_of(self.workspace)
        self.live_tick = tick(
            "Live", "Label the slice on screen after every stroke", self.controller.on
        )
        self.fine_tick = tick(
            "Fine borders",
            "A moment after the stroke, follow the edges of the image",
            self.controller.refine,
        )
        self.scale = _combo(
            "Scale at which the scan is read: ½ sees more around each pixel",
            [name for name, _ in SCALES],
            letters=3,
        )
        self.way = _combo(
            "How strokes become labels: our way, or one as it was published: distance "
            "and attention (AOI-SSL), histogram (Hummingbird)",
            [name for name, _ in WAYS],
        )
        self.overlap_tick = tick(
            "Overlap",
            "Classes may overlap: each is found by itself, paint over paint is both",
            self.controller.overlap,
        )
        self.clean_button = button(
            "Clean up", "Let the prompt model redraw the parts it agrees with"
        )
        self.facts = note("", "What the strokes gave")
        self.accept_button = button(
            "Accept into labels", "Write this slice's result to the labels; undoable"
        )
        self.policy = _combo(
            "What happens to pixels that have a label already",
            [name for name, _ in POLICIES],
        )
        self.whole = WholeRow(self.controller)
        self.maps = MapsBox(self.controller)
        self.why = WhyBox(self.controller)
        self.strokes = StrokeList(self.controller)
        self.banks = BankBox(self.controller)
        self.repeats = RepeatsBox(self.controller)
        self.status = StatusLine(self.workspace)
        self._compose()
        self._connect()
        self._reflect()

    def _let_go(self) -> None:
        """Let go of everything that would keep the panel alive; the workspace stays."""
        for part in (self.whole, self.maps, self.why, self.strokes, self.repeats):
            part.disconnect_from_live()
        self.status.disconnect_from_desk()
        self.controller.changed.disconnect(self._reflect)
        self.workspace.why_wanted.disconnect(self._on_why)

    def _compose(self) -> None:
        first, ways, second = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        for widget in (self.live_tick, self.fine_tick, self.clean_button):
            first.addWidget(widget)
        ways.addWidget(self.way, 1)
        ways.addWidget(self.scale)
        ways.addWidget(self.overlap_tick)
        second.addWidget(self.accept_button, 1)
        second.addWidget(self.policy)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("Why, strokes, banks, repeats")
        self.tabs.setDocumentMode(True)
        for title, tip, part in (
            ("Why?", "Which patches decided a pixel", self.why),
            ("Strokes", "Switch strokes off, see what each is worth", self.strokes),
            ("Banks", "Take what was learned to other scans", self.banks),
            ("Repeats", "Find cells like a chosen one", self.repeats),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(part, title), tip)
        layout = QVBoxLayout(self)
        layout.addLayout(first)
        layout.addLayout(ways)
        layout.addWidget(self.facts)
        layout.addLayout(second)
        layout.addWidget(self.whole)
        layout.addWidget(self.maps)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.status)
        self.setMinimumWidth(WIDTH)

    def _connect(self) -> None:
        self.controller.changed.connect(self._reflect)
        self.workspace.why_wanted.connect(self._on_why)
        self.live_tick.toggled.connect(self._on_live)
        self.fine_tick.toggled.connect(self.controller.set_refine)
        self.overlap_tick.toggled.connect(self.controller.set_overlap)
        self.way.activated.connect(self._on_way)
        self.scale.activated.connect(self._on_scale)
        self.policy.activated.connect(self._on_policy)
        self.clean_button.clicked.connect(self._on_clean)
        self.accept_button.clicked.connect(self._on_accept)

    def _reflect(self) -> None:
        """Show what is known, whoever changed it."""
        controller = self.controller
        here = self.workspace.binding is not None
        for made in (self.accept_button, self.clean_button):
            made.setEnabled(here and controller.last is not None)
        with signals_blocked(self.overlap_tick):
            self.overlap_tick.setChecked(controller.overlap)
        self.way.setCurrentIndex([way for _, way in WAYS].index(controller.way))
        if not here:
            text = "Open a scan, name two classes, paint a stroke of each."
        elif controller.last is None:
            text = "Paint a stroke of each class: the slice is labelled at once."
        else:
            strokes = len(controller.strokes) - len(controller.off)
            text = (
                f"{strokes} strokes of {controller.last.classes} classes, read at "
                f"{controller.zoom:g}× in {1000 * controller.seconds:.0f} ms."
            )
            text += f"\n{controller.last.told}" if controller.last.told else ""
        self.facts.setText(text)

    def _on_live(self, on: bool) -> None:
        self.controller.turn(on)

    def _on_scale(self, index: int) -> None:
        self.controller.set_zoom(SCALES[index][1])

    def _on_way(self, index: int) -> None:
        self.controller.set_way(WAYS[index][1])

    def _on_policy(self, index: int) -> None:
        self.whole.overwrite = POLICIES[index][1]

    def _on_clean(self) -> None:
        try:
            self.controller.clean_up()
        except (ValueError, OSError) as error:
            self.workspace.say(sentence(error))

    def _on_accept(self) -> None:
        try:
            accept(self.controller, POLICIES[self.policy.currentIndex()][1])
        except (ValueError, OSError) as error:
            self.workspace.say(sentence(error))

    def _on_why(self) -> None:
        self.tabs.setCurrentWidget(self.why)
        self.why.ask()


def _combo(tip: str, names: list[Any], letters: int = 5) -> QComboBox:
    made = QComboBox()
    made.addItems(names)
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    made.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    made.setMinimumContentsLength(letters)
    return made
