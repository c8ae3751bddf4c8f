"""Advice is one sentence; a bug is logged and has a report that can be copied."""

from __future__ import annotations

import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from tests.fakes.headless import HandCaller

from napari_sesami.viewer.app.controller import Controller
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.workspace import Workspace


@pytest.fixture
def workspace():
    made = Workspace(ViewerModel(), caller=HandCaller())
    yield made
    made.close()


@pytest.fixture
def shown():
    seen = []
    notification_manager.notification_ready.connect(seen.append)
    yield seen
    notification_manager.notification_ready.disconnect(seen.append)


def test_advice_is_one_sentence(workspace, shown, caplog):
    workspace.show_error(ViewerError("Name a class first."))
    assert workspace.message == "Name a class first."
    workspace.show_error(FileNotFoundError(2, "No such file or directory", "a.dm4"))
    assert workspace.message == "Cannot use a.dm4: No such file or directory."
    assert not shown
    assert not caplog.records


def test_a_bug_has_a_report(workspace, shown, caplog, monkeypatch):
    import numpy as np

    workspace.say("Looking for everything …")
    try:
        np.zeros(3) + np.zeros(4)
    except ValueError as error:
        workspace.show_error(error)
    assert "could not be broadcast" in caplog.text
    (notification,) = shown
    assert "not yours" in notification.message
    (title, action) = notification.actions[0]
    assert title == "Copy report"
    copied = []
    monkeypatch.setattr("napari_sesami.viewer.app.trouble.copy", copied.append)
    action()
    (text,) = copied
    assert "napari-sesami" in text
    assert "- Looking for everything …" in text
    assert "Traceback" in text
    assert "could not be broadcast" in text


def test_the_workspace_makes_each_controller_once_and_closes_it(workspace):
    class Counting(Controller):
        closed = 0

        def close(self):
            self.closed += 1

    assert workspace.find(Counting) is None
    made = workspace.get(Counting)
    assert workspace.get(Counting) is made
    assert workspace.find(Counting) is made
    workspace.close()
    workspace.close()
    assert made.closed == 1
