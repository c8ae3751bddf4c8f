"""The "Sesami" dock: all panels as pages of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_sesami.viewer.app.jobs import Debounced
from napari_sesami.viewer.app.pages import PAGES, page
from napari_sesami.viewer.app.panels import bring_forward
from napari_sesami.viewer.widgets.factory import button, note
from napari_sesami.viewer.widgets.panel import Panel
from napari_sesami.viewer.widgets.plain import plain_label
from napari_sesami.viewer.workbench.icons import icon

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_sesami.viewer.app.pages import Page

WIDTH, HEIGHT = 318, 720  # px; the dock's frame makes 320 of it
ROWS = 2  # of page buttons: one row would cut their names
ICON, SMALL_ICON = 24, 18  # px
STYLE = """
QToolButton {{ border: 0px; border-radius: 4px; padding: 3px 0px; color: {text}; }}
QToolButton:hover {{ background-color: {primary}; }}
QToolButton:checked {{ background-color: {current}; }}
QToolButton:focus {{ border: 1px solid {text}; }}
"""


class Workbench(Panel):
    """Pages in the order of the work; each is loaded when it is first looked at.

    A page can be taken out as a dock of its own, for work on two screens. It is never
    in both places: here its place then says where it is.

    Parameters
    ----------
    napari_viewer
        Injected by napari, which looks for exactly this parameter name.
    """

    def __init__(self, napari_viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.panels = self.workspace.panels
        self._viewer_events = napari_viewer.events
        self._areas: dict[str, QScrollArea] = {}
        self.buttons = {each.name: _page_button(each) for each in PAGES}
        self.head = plain_label(QLabel())
        self.head.setAccessibleName("What this page is for")
        self.own_dock_button = QToolButton()
        self.own_dock_button.setIconSize(QSize(SMALL_ICON, SMALL_ICON))
        self.stack = QStackedWidget()
        self.away = QWidget()
        self.away_text = note("", "Where this page is")
        self.show_button = button("Show it", "Bring the dock with this page forward")
        self.back_button = button("Bring it back", "Make it a page of this panel again")
        self._lines = (QFrame(), QFrame())
        self._look_again = Debounced(self._look, 0)
        self._compose()
        self._connect()
        self._on_theme()
        self.turn_to(self.panels.turned_to)
        self._begin = Debounced(self.take_image, 0)  # after the panel is on screen
        self._begin.soon()

    def _let_go(self) -> None:
        """Close the pages that are here; those in docks of their own stay."""
        self._look_again.stop()
        self._begin.stop()
        self._viewer_events.theme.disconnect(self._on_theme)
        self.panels.taken.disconnect(self._on_taken)
        self.panels.closed.disconnect(self._on_closed)
        for name in list(self._areas):
            panel = self.panels.find(name)
            if panel is not None:
                panel.clean_up()
        self.status.release()

    def _compose(self) -> None:
        navigation = QGridLayout()
        navigation.setSpacing(2)
        columns = -(-len(PAGES) // ROWS)
        self._group = QButtonGroup(self)
        for place, made in enumerate(self.buttons.values()):
            self._group.addButton(made, place)
            navigation.addWidget(made, *divmod(place, columns))
        for column in range(columns):
            navigation.setColumnStretch(column, 1)
        head = QHBoxLayout()
        head.setContentsMargins(6, 0, 2, 0)
        head.addWidget(self.head, 1)
        head.addWidget(self.own_dock_button)
        keeps_room = self.own_dock_button.sizePolicy()
        keeps_room.setRetainSizeWhenHidden(True)
        self.own_dock_button.setSizePolicy(keeps_room)
        away = QVBoxLayout(self.away)
        for part in (self.away_text, self.show_button, self.back_button):
            away.addWidget(part)
        away.addStretch(1)
        self.stack.addWidget(self.away)
        foot = QHBoxLayout()
        foot.setContentsMargins(6, 0, 6, 2)
        foot.addWidget(self.status)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(navigation)
        layout.addWidget(self._lines[0])
        layout.addLayout(head)
        layout.addWidget(self.stack, 1)
        layout.addWidget(self._lines[1])
        layout.addLayout(foot)
        for line in self._lines:
            line.setFixedHeight(1)
        self.setMinimumWidth(WIDTH)
        # else napari puts a spring below, which takes the room from the pages
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def _connect(self) -> None:
        self._group.idClicked.connect(self._on_turned)
        for place, _ in enumerate(PAGES, 1):
            shortcut = QShortcut(QKeySequence(f"Alt+{place % 10}"), self)
            shortcut.activated.connect(self._on_shortcut)
        self.own_dock_button.clicked.connect(self._on_own_dock)
        self.show_button.clicked.connect(self._on_show)
        self.back_button.clicked.connect(self._on_back)
        self.panels.taken.connect(self._on_taken)
        self.panels.closed.connect(self._on_closed)
        self._viewer_events.theme.connect(self._on_theme)

    def sizeHint(self) -> QSize:
        """Ask for no more than every screen has."""
        return QSize(WIDTH, HEIGHT)

    @property
    def page(self) -> Page:
        """The page that is open."""
        return page(self.panels.turned_to)

    def turn_to(self, name: str) -> Panel | None:
        """Open a page and give its panel, wherever that is."""
        typing = self.window().focusWidget()
        if typing is not None and self.stack.isAncestorOf(typing):
            # else Qt hands the focus on to any field, which then takes the keys
            self.setFocus()
        self.panels.turned_to = name
        self.buttons[name].setChecked(True)
        self._show()
        return self.panels.find(name)

    def _show(self) -> None:
        """Show the open page, or say in which dock it is."""
        shown = self.page
        self.head.setText(shown.line)
        if self.panels.find(shown.name) is None:
            self._load(shown)
        here = shown.name in self._areas
        self.stack.setCurrentWidget(self._areas[shown.name] if here else self.away)
        self.own_dock_button.setVisible(here)
        tip = f"Open {shown.title} in a dock of its own, for work on two screens"
        self.own_dock_button.setToolTip(tip)
        self.own_dock_button.setAccessibleName(tip)
        self.away_text.setText(f"{shown.title} is open in a dock of its own.")

    def _look(self) -> None:
        """Show the open page again, unless the window is closing."""
        if self.isVisible():
            self._show()

    def _load(self, shown: Page) -> None:
        self._put(shown.name, shown.load()(self.workspace.viewer))

    def _put(self, name: str, panel: Panel) -> None:
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(panel)
        panel.status.hide()  # the one below is for all pages
        panel.show()
        self._areas[name] = area
        self.stack.addWidget(area)

    def _take(self, name: str) -> None:
        """Take the panel out of its page."""
        area = self._areas.pop(name)
        panel = area.takeWidget()
        self.stack.removeWidget(area)
        area.deleteLater()
        if isinstance(panel, Panel):
            panel.setParent(None)
            panel.status.show()

    def _on_turned(self, place: int) -> None:
        """Open the page that the user asked for, with its tool in hand."""
        panel = self.turn_to(PAGES[place].name)
        if panel is not None and self.workspace.binding is not None:
            panel.take_up()

    def _on_shortcut(self) -> None:
        keys = self.sender()
        assert isinstance(keys, QShortcut)
        self._on_turned((int(keys.key().toString()[-1]) - 1) % 10)

    def _on_own_dock(self) -> None:
        """Move the page, as it is, into a dock that floats beside the window."""
        shown = self.page
        panel = self.panels.find(shown.name)
        if panel is None or shown.name not in self._areas:
            return
        corner = self.mapToGlobal(self.stack.pos())
        self._take(shown.name)
        # the name under which napari's menu opens and closes it
        dock = self.workspace.viewer.window.add_dock_widget(
            panel, name=f"{shown.dock} (Sesami)", area="right"
        )
        dock.setFloating(True)  # in the window it would push other docks off the screen
        dock.resize(WIDTH, max(self.stack.height(), panel.minimumSizeHint().height()))
        dock.move(corner.x() - WIDTH - 20, corner.y())
        self._show()

    def _on_show(self) -> None:
        panel = self.panels.find(self.page.name)
        if panel is not None:
            bring_forward(panel)

    def _on_back(self) -> None:
        """Move the page, as it is, from its dock back here."""
        name = self.page.name
        panel = self.panels.find(name)
        if panel is not None and name not in self._areas:
            panel.leave_dock()
            self.workspace.viewer.window.remove_dock_widget(panel)
            self._put(name, panel)
        self._show()

    def _on_taken(self, name: str, panel: Panel) -> None:
        """A dock of its own was opened by the menu: it has the page now."""
        if name in self._areas:
            self._take(name)
            self._look_again.soon()

    def _on_closed(self, name: str) -> None:
        """Have the page here again once its dock was closed."""
        if name == self.page.name and name not in self._areas:
            self._look_again.soon()

    def _on_theme(self, *_: object) -> None:
        from napari.utils.theme import get_theme

        theme = get_theme(self.workspace.viewer.theme)
        text = theme.text.as_hex()
        style = STYLE.format(
            text=text, primary=theme.primary.as_hex(), current=theme.current.as_hex()
        )
        for name, made in self.buttons.items():
            made.setIcon(icon(name, ICON, text))
            made.setStyleSheet(style)
        self.own_dock_button.setIcon(icon("own_dock", SMALL_ICON, text))
        self.own_dock_button.setStyleSheet(style)
        for line in self._lines:
            line.setStyleSheet(f"background-color: {theme.foreground.as_hex()};")


def _page_button(shown: Page) -> QToolButton:
    made = QToolButton()
    made.setText(shown.title)
    made.setCheckable(True)
    made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
    made.setIconSize(QSize(ICON, ICON))
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    place = PAGES.index(shown) + 1
    made.setToolTip(f"{shown.line} (Alt+{place % 10})")
    made.setAccessibleName(f"{shown.title}: {shown.line}")
    return made
