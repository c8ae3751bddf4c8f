"""Our keys clash with none of napari's, and each can also be reached as a command."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import yaml
from app_model.types import KeyBinding
from napari.utils.shortcuts import default_shortcuts

from napari_sesami.viewer.app.keys import KEYS, Action, bind, help_rows, viewer_keys

MANIFEST = Path(__file__).parents[3] / "src" / "napari_sesami" / "napari.yaml"


def names_of_napari() -> set[str]:
    return {str(k) for keys in default_shortcuts.values() for k in keys}


def spelled(key: str) -> str:
    return str(KeyBinding.validate(key.replace("Control", "Ctrl").replace("-", "+")))


def test_keys_of_the_viewer_are_free_in_napari():
    taken = names_of_napari()
    assert not {k.key for k in viewer_keys() if spelled(k.key) in taken}


def test_keys_that_replace_one_of_naparis_say_what_stays():
    taken = names_of_napari()
    for key in KEYS:
        if spelled(key.key) in taken:
            assert key.ours_only, key
            assert key.replaces, key


def test_no_key_is_bound_twice():
    keys = [spelled(key.key) for key in KEYS]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("action", list(Action))
def test_every_action_is_a_key_and_a_command(action):
    assert any(key.action is action for key in KEYS)
    manifest = yaml.safe_load(MANIFEST.read_text())
    commands = {c["id"]: c for c in manifest["contributions"]["commands"]}
    command = commands[f"napari-sesami.{action.value}"]
    module, function = command["python_name"].split(":")
    assert callable(getattr(import_module(module), function))


def test_the_help_card_names_every_key_once():
    rows = help_rows()
    assert len({keys for keys, _ in rows}) == len(rows)
    assert ("1 – 9", "Class 1 to 9") in rows


def test_binding_returns_its_own_undo():
    from napari.components import ViewerModel

    viewer, seen = ViewerModel(), []
    before = set(viewer.keymap)
    unbind = bind(viewer, lambda action, n: seen.append((action, n)), viewer_keys())
    assert len(viewer.keymap) == len(before) + len(viewer_keys())
    unbind()
    assert set(viewer.keymap) == before
