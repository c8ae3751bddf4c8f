"""Prompts become masks and objects, without a window."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fakes.headless import HandCaller, Headless

from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.workspace import Workspace
from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.prompt.controller import PromptController


def scene() -> np.ndarray:
    image = np.zeros((96, 128), np.uint8)
    image[16:40, 16:56] = 120
    image[72:88, 80:112] = 120
    return image


@pytest.fixture
def headless(qapp):
    made = Headless(scene())
    yield made
    made.close()


@pytest.fixture
def prompts(headless):
    return headless.workspace.get(PromptController)


def test_one_controller_per_viewer(headless, prompts):
    assert headless.workspace.get(PromptController) is prompts
    assert headless.workspace.find(PromptController) is prompts


def test_a_click_becomes_a_mask_and_an_object(headless, prompts):
    heard = []
    prompts.changed.connect(lambda: heard.append(prompts.busy))
    prompts.use(Tool.CLICK)
    prompts.clicked(Tool.CLICK, (28.0, 36.0), off=False)
    headless.wait(lambda: prompts.mask is not None and not prompts.busy)
    found = prompts.mask.full
    assert (found <= _block()).all()
    assert found.sum() > 0.99 * _block().sum()  # corners may be round
    assert heard
    prompts.commit()
    assert len(headless.session.objects) == 1
    np.testing.assert_array_equal(headless.session.document.labels.plane(0) == 1, found)
    assert prompts.draft.planes == []


def test_undo_walks_from_prompts_into_the_session(headless, prompts):
    prompts.use(Tool.CLICK)
    prompts.clicked(Tool.CLICK, (28.0, 36.0), off=False)
    headless.wait(lambda: prompts.mask is not None and not prompts.busy)
    prompts.commit()
    prompts.history.undo()
    assert not headless.session.document.labels.plane(0).any()
    prompts.history.redo()
    assert headless.session.document.labels.plane(0).any()


def test_verbs_raise_one_sentence(prompts):
    with pytest.raises(ViewerError, match="no mask to commit"):
        prompts.commit()
    with pytest.raises(ViewerError, match="Point at the object first"):
        prompts.step_candidate()
    with pytest.raises(ViewerError, match="Point at the object in this slice"):
        prompts.slices.follow()


def test_without_a_scan_the_sentence_says_so():
    from napari.components import ViewerModel

    workspace = Workspace(ViewerModel(), caller=HandCaller())
    try:
        prompts = workspace.get(PromptController)
        assert prompts.session is None
        with pytest.raises(ViewerError, match="no scan to prompt"):
            prompts.use(Tool.CLICK)
    finally:
        workspace.close()


def test_cancelling_ends_the_wait(headless, prompts):
    prompts.use(Tool.CLICK)
    prompts.clicked(Tool.CLICK, (28.0, 36.0), off=False)
    headless.workspace.jobs.cancel()
    headless.wait(lambda: not prompts.busy)


def _block() -> np.ndarray:
    mask = np.zeros((96, 128), bool)
    mask[16:40, 16:56] = True
    return mask
