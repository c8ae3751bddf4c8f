"""One table of actions: keys, commands, buttons and napari's preferences agree."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

import pytest
import yaml
from app_model.types import KeyBinding
from napari.components import ViewerModel
from napari.settings import get_settings
from napari.utils.action_manager import action_manager
from napari.utils.shortcuts import default_shortcuts

from napari_sesami.viewer.app import commands
from napari_sesami.viewer.app.actions import (
    ACTIONS,
    NUMBERS,
    PANEL,
    STATES,
    action,
    keys,
    meanings,
)
from napari_sesami.viewer.app.pages import PAGES, page
from napari_sesami.viewer.app.shortcuts import FIXED, PREFIX, BoundKeys, shortcuts
from napari_sesami.viewer.app.workspace import Workspace
from napari_sesami.viewer.widgets.key_help import COLUMNS, key_rows

MANIFEST = Path(__file__).parents[3] / "src" / "napari_sesami" / "napari.yaml"
OURS = "napari_sesami.viewer.app.commands:"


def names_of_napari() -> set[str]:
    return {
        str(key)
        for name, found in default_shortcuts.items()
        for key in found
        if not name.startswith(PREFIX)
    }


def spelled(key: str) -> str:
    return str(KeyBinding.validate(key.replace("Control", "Ctrl").replace("-", "+")))


def pressed_keys(key: str) -> list[str]:
    """The single keys behind one of the table."""
    return [str(n) for n in range(1, 10)] if key == NUMBERS else [spelled(key)]


@pytest.fixture
def workspace():
    """A workspace without a window."""

    class Now:
        def post(self, function, *arguments):
            function(*arguments)

    viewer = ViewerModel()  # the workspace holds it weakly
    made = Workspace(viewer, caller=Now())
    yield made
    made.close()


@pytest.fixture
def restored():
    """napari's shortcuts as they were, whatever a test changes."""
    before = {n: list(k) for n, k in get_settings().shortcuts.shortcuts.items()}
    ours = {n: k for n, k in default_shortcuts.items() if n.startswith(PREFIX)}
    yield
    for name, found in ours.items():
        action_manager.unbind_shortcut(name)
        for key in found:
            action_manager.bind_shortcut(name, key)
    get_settings().shortcuts.shortcuts = before


def test_keys_of_the_viewer_are_free_in_napari():
    taken = names_of_napari()
    free = [key for key, found in keys().items() if not found.on_layers]
    assert free
    assert not [key for key in free if spelled(key) in taken]


def test_keys_that_replace_one_of_naparis_say_what_stays():
    taken = names_of_napari()
    for each in ACTIONS:
        if each.inside or not each.key:
            continue  # a list or a drawing has the keyboard, no layer
        if any(key in taken for key in pressed_keys(each.key)):
            assert each.on_layers, each.id
            assert each.replaces, each.id


def test_no_key_is_bound_twice():
    bound = [key for each in keys() for key in pressed_keys(each)]
    assert len(bound) == len(set(bound))


def test_a_key_has_one_meaning_on_each_page_and_a_condition_on_the_others():
    for key in keys():
        found = meanings(key=key)
        assert [each.when for each in found].count("") == 1, key
        here = [(each.page, each.when) for each in found]
        assert len(here) == len(set(here)), key
        assert all(each.when in STATES for each in found if each.when)
        assert len({each.on_layers for each in found}) == 1, key


def test_a_key_has_one_meaning_inside_a_part_of_a_page():
    inside = [(each.inside, each.key) for each in ACTIONS if each.inside and each.key]
    assert inside and len(inside) == len(set(inside))
    found = meanings(key="Enter", inside="matrix")
    assert [each.id for each in found] == ["defect_cell"]


def test_every_action_is_a_command_of_the_manifest_and_no_other_is_there():
    manifest = yaml.safe_load(MANIFEST.read_text("utf-8"))
    given = {
        c["id"]: (c["title"], c["python_name"].removeprefix(OURS))
        for c in manifest["contributions"]["commands"]
        if c["python_name"].startswith(OURS)
    }
    assert given == {
        f"napari-sesami.{name}": (action(name).title, name) for name in commands.NAMES
    }
    assert all(callable(getattr(commands, name)) for name in commands.NAMES)
    with pytest.raises(AttributeError):
        commands.no_such_action  # noqa: B018


@pytest.mark.parametrize("each", ACTIONS, ids=lambda each: f"{each.page}-{each.id}")
def test_every_verb_exists(each, workspace):
    assert page(each.page)
    if each.target == PANEL:
        return  # those are looked up in a window, below
    controller = workspace.get(each.load())
    assert callable(attrgetter(each.verb)(controller))
    if each.when and each.when != "takes_numbers":
        assert not attrgetter(each.when)(controller)  # nothing is at work
    assert hasattr(type(controller), "binding") or not each.needs


@pytest.mark.gui
def test_every_verb_of_a_panel_exists(make_napari_viewer):
    from napari_sesami.viewer.app.workspace import workspace_of

    panels = workspace_of(make_napari_viewer(show=True)).panels
    found = [each for each in ACTIONS if each.target == PANEL]
    assert found
    for each in found:
        assert callable(attrgetter(each.verb)(panels.show(each.page))), each.id


def test_the_card_names_every_key_of_every_page_once():
    pages = [name for column in COLUMNS for name in column]
    assert len(pages) == len(set(pages))
    assert {each.page for each in ACTIONS if each.key} == set(pages)
    assert set(pages) <= {each.name for each in PAGES}
    for name in pages:
        rows = key_rows(name)
        assert len(rows) == len(set(rows))
    shown = {key for name in pages for key, _ in key_rows(name)}
    inside = {shortcuts().shown(e.key) for e in ACTIONS if e.inside and e.key}
    assert shown == {shortcuts().shown(key) for key in keys()} | inside
    assert ("1 – 9", "Paint class 1 to 9") in key_rows("scan")


def test_keys_are_taken_off_again():
    viewer, seen = ViewerModel(), []
    before = set(viewer.keymap)
    bound = BoundKeys(viewer, lambda key, n: seen.append((key, n)), layer=False)
    assert len(viewer.keymap) == len(before) + sum(
        not found.on_layers for found in keys().values()
    )
    bound.close()
    assert set(viewer.keymap) == before


def test_a_key_changed_in_the_preferences_is_the_one_that_works(restored):
    viewer, seen = ViewerModel(), []
    bound = BoundKeys(viewer, lambda key, n: seen.append((key, n)), layer=False)
    name, old, new = f"{PREFIX}prompt_commit", spelled("U"), spelled("Y")
    assert shortcuts().shown("U") == "U"
    # what napari's editor does when the user types another key
    action_manager.unbind_shortcut(name)
    action_manager.bind_shortcut(name, "Y")
    pressed = {str(key): call for key, call in viewer.keymap.items()}
    assert old not in pressed
    pressed[new](viewer)
    assert seen == [("U", None)]
    assert shortcuts().shown("U") == "Y"
    assert ("Y", "Commit the mask to its class") in key_rows("click")
    bound.close()
    assert new not in {str(key) for key in viewer.keymap}


def test_napari_lists_every_key_that_can_be_changed(restored):
    shortcuts()
    listed = {name for name in action_manager._actions if name.startswith(PREFIX)}
    free = {found.id for key, found in keys().items() if key not in FIXED}
    assert listed == {PREFIX + name for name in free}
    assert all(default_shortcuts[name] for name in listed)
    words = action_manager._actions[f"{PREFIX}new_class"].description
    assert words == "Sesami: Name a new class; Next place (while asked)"
