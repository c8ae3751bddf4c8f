"""The tour in napari's Help menu and in the plugin's own.

napari lets no manifest add to these two, but its registry of menus takes what comes
while it runs.
"""

from __future__ import annotations

from app_model.types import CommandRule, MenuItem

from napari_sesami.viewer.app.actions import action
from napari_sesami.viewer.app.panels import PLUGIN

MENUS = ("napari/help", f"napari/plugins/{PLUGIN}")


def offer_tour() -> None:
    """Add the tour to both menus, unless it is there already."""
    from napari._app_model import get_app_model

    command = f"{PLUGIN}.tour"
    app = get_app_model()
    if command not in app.commands or any(
        isinstance(item, MenuItem) and item.command.id == command
        for item in app.menus.get_menu(MENUS[0])
    ):
        return  # the plugin is not there by its manifest, or it was asked before
    rule = CommandRule(id=command, title=action("tour").title)
    app.menus.append_menu_items(
        [(menu, MenuItem(command=rule, group="9_sesami")) for menu in MENUS]
    )
