"""The "Strokes to labels" dock: composes its parts and wires them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel
from superqt.utils import signals_blocked

from napari_sesami.viewer.strokes.banks_box import BankBox
from napari_sesami.viewer.strokes.controller import StrokesController
from napari_sesami.viewer.strokes.maps_box import MapsBox
from napari_sesami.viewer.strokes.repeats_box import RepeatsBox
from napari_sesami.viewer.strokes.run_box import WholeRow
from napari_sesami.viewer.strokes.stroke_list import StrokeList
from napari_sesami.viewer.strokes.why_box import WhyBox
from napari_sesami.viewer.widgets.action_button import ActionButton
from napari_sesami.viewer.widgets.factory import (
    button,
    choose,
    combo,
    fill_classes,
    note,
    row,
    tabs,
    tick,
)
from napari_sesami.viewer.widgets.panel import Panel

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget

    from napari_sesami.retrieve import Method

ZOOMS = (("auto", None), ("1×", 1.0), ("½×", 0.5), ("2×", 2.0))
METHODS: tuple[tuple[str, Method], ...] = (
    ("ours", "ours"),
    ("distance", "distance"),
    ("attention", "attention"),
    ("histogram", "histogram"),
)
POLICIES = (("free pixels", False), ("overwrite", True))


class StrokesPanel(Panel):
    """Paint a few strokes; the slice on screen is labelled while you paint.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.controller = self.workspace.get(StrokesController)
        self.paint_button = ActionButton(self.workspace, "paint")
        self.paint_button.setCheckable(True)
        self.classes = combo(
            "Class of the next stroke (keys 1 to 9)", name="Class of the stroke"
        )
        self.live_tick = tick(
            "Live", "Label the slice on screen after every stroke", self.controller.on
        )
        self.fine_tick = tick(
            "Fine borders",
            "A moment after the stroke, follow the edges of the image",
            self.controller.refine,
        )
        self.zoom = combo(
            "Zoom at which the scan is read: ½ sees more around each pixel",
            ZOOMS,
            letters=3,
        )
        self.method = combo(
            "How strokes become labels: our way, or one as it was published: distance "
            "and attention (AOI-SSL), histogram (Hummingbird)",
            METHODS,
            letters=5,
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
        self.accept_button = ActionButton(self.workspace, "accept_strokes")
        self.policy = combo(
            "What happens to pixels that have a label already",
            POLICIES,
            letters=5,
        )
        self.whole = WholeRow(self.controller)
        self.maps = MapsBox(self.controller)
        self.why = WhyBox(self.controller)
        self.strokes = StrokeList(self.controller)
        self.banks = BankBox(self.controller)
        self.repeats = RepeatsBox(self.controller)
        self.tabs = tabs(
            "Why, strokes, banks, repeats",
            (
                ("Why?", "Which patches decided a pixel", self.why),
                ("Strokes", "Switch strokes off, see what each is worth", self.strokes),
                ("Banks", "Take what was learned to other scans", self.banks),
                ("Repeats", "Find cells like a chosen one", self.repeats),
            ),
        )
        self.lay_out(
            row(self.paint_button, (self.classes, 1)),
            row(self.live_tick, (self.fine_tick, 1), self.overlap_tick),
            row(QLabel("Method"), (self.method, 1)),
            row(QLabel("Zoom"), self.zoom, (self.clean_button, 1)),
            self.facts,
            row((self.accept_button, 1), self.policy),
            self.whole,
            self.maps,
            self.tabs,
            stretch=self.tabs,
        )
        self.watch(self.controller.changed, self.refresh)
        self.watch(self.workspace.session_changed, self._on_session)
        self.on(self.paint_button.clicked, self._show_brush)
        self.on(self.classes.activated, self._on_class)
        self.live_tick.toggled.connect(self.controller.turn)
        self.fine_tick.toggled.connect(self.controller.set_refine)
        self.overlap_tick.toggled.connect(self.controller.set_overlap)
        self.method.activated.connect(self._on_method)
        self.zoom.activated.connect(self._on_scale)
        self.policy.activated.connect(self._on_policy)
        self.on(self.clean_button.clicked, self.controller.clean_up)
        self._on_session()
        self.refresh()

    def take_up(self) -> None:
        """Take the brush, if there is a class to paint and the view is flat."""
        binding = self.controller.binding
        flat, classes = binding.strokes.editable, len(binding.session.classes)
        if flat and classes and not binding.painting:
            binding.toggle_brush()

    def _on_session(self) -> None:
        binding = self.workspace.binding
        self.unwatch("binding")
        if binding is not None:
            self.watch(binding.changed, self._show_brush, "binding")
            self.watch(
                binding.session.document.events.classes, self._show_brush, "binding"
            )
        self._show_brush()

    def _show_brush(self) -> None:
        """Show whether the brush is on, and what it paints."""
        binding = self.workspace.binding
        self.paint_button.setEnabled(binding is not None)
        self.classes.setEnabled(binding is not None)
        entries = () if binding is None else binding.session.classes
        chosen = 0 if binding is None else binding.current_class
        fill_classes(self.classes, entries, chosen)
        if self.classes.count() == 0:
            self.classes.addItem("Name a class first (key N)", 0)
        self.paint_button.setChecked(binding is not None and binding.painting)

    def _on_class(self) -> None:
        chosen = self.classes.currentData()
        if chosen:
            self.controller.binding.pick(chosen)

    def refresh(self) -> None:
        """Show what is known, whoever changed it."""
        controller = self.controller
        here = self.workspace.binding is not None
        for made in (self.accept_button, self.clean_button):
            made.setEnabled(here and controller.last is not None)
        with signals_blocked(self.overlap_tick):
            self.overlap_tick.setChecked(controller.overlap)
        choose(self.method, controller.method)
        if not here:
            text = "Open a scan, name two classes, paint a stroke of each."
        elif controller.last is None:
            text = "Paint a stroke of each class: the slice is labelled at once."
        else:
            strokes = len(controller.strokes) - len(controller.off)
            text = (
                f"{strokes} strokes of {controller.last.classes} classes, read at "
                f"{controller.zoom:g}× in {controller.seconds:.1f} s."
            )
            text += f"\n{controller.last.told}" if controller.last.told else ""
        self.facts.setText(text)

    def _on_scale(self, index: int) -> None:
        self.controller.set_zoom(self.zoom.itemData(index))

    def _on_method(self, index: int) -> None:
        self.controller.set_method(self.method.itemData(index))

    def _on_policy(self, index: int) -> None:
        self.whole.overwrite = self.policy.itemData(index)

    def accept(self) -> None:
        """Write the result of the slice on screen into the labels."""
        self.controller.accept(self.policy.currentData())

    def ask_why(self) -> None:
        """Explain the class of the pixel under the cursor."""
        self.tabs.setCurrentWidget(self.why)
        self.why.ask()
