"""Each kind of prompt with a real mouse, on scans with scale, rotation and units."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.fakes.hands import drag, press, settle
from tests.fakes.prompting import CONTROL, SHIFT, answered, begin, click, scene, shown

from napari_sesami.viewer.layers.mouse import Tool
from napari_sesami.viewer.layers.spatial import SPATIAL

pytestmark = pytest.mark.gui


@pytest.fixture
def opened(make_napari_viewer, qtbot):
    where = {"scale": (0.5, 0.5), "units": ("nm", "nm"), "axis_labels": ("y", "x")}
    return begin(make_napari_viewer, qtbot, scene(), **where)


def button(qtbot, dock, tool):
    qtbot.mouseClick(dock.tools.buttons[tool], Qt.MouseButton.LeftButton)


def image_of(dock):
    return dock.workspace.binding.image


def test_a_click_shows_the_mask_and_its_facts(opened, qtbot):
    viewer, dock = opened
    button(qtbot, dock, Tool.CLICK)
    click(viewer, image_of(dock), (28, 36))
    answered(qtbot, dock)
    mask = dock.controller.mask.full
    assert mask[28, 36]
    assert not mask[28, 100]
    assert shown(dock)[20, 20]
    assert "nm²" in dock.facts.text.text()
    layer = dock.controller.screen.preview.layer
    for name in SPATIAL:
        np.testing.assert_array_equal(
            np.asarray(getattr(layer, name), object),
            np.asarray(getattr(image_of(dock), name), object),
        )


def test_the_same_tool_again_gives_the_mouse_back(opened, qtbot):
    viewer, dock = opened
    button(qtbot, dock, Tool.CLICK)
    assert dock.controller.tool is Tool.CLICK
    button(qtbot, dock, Tool.CLICK)
    assert dock.controller.tool is Tool.NONE
    click(viewer, image_of(dock), (28, 36))
    settle(qtbot, 50)
    assert dock.controller.draft.planes == []


def test_shift_and_the_right_button_point_off_the_object(opened, qtbot):
    viewer, dock = opened
    press(viewer, Qt.Key.Key_G)
    click(viewer, image_of(dock), (28, 36))
    answered(qtbot, dock)
    click(viewer, image_of(dock), (60, 60), SHIFT)
    answered(qtbot, dock)
    click(viewer, image_of(dock), (80, 20), button=Qt.MouseButton.RightButton)
    answered(qtbot, dock)
    chain = dock.controller.draft.heads[0].steps
    assert [ask.label for ask in chain] == [1, 0, 0]


def test_a_box_a_lasso_and_a_stroke_are_dragged(opened, qtbot):
    viewer, dock = opened
    image = image_of(dock)
    camera = viewer.scene.camera.center
    for tool, path in (
        (Tool.BOX, [(14, 14), (20, 30), (42, 58)]),
        (Tool.STROKE, [(28, 20), (28, 30), (28, 50)]),
        (Tool.LASSO, [(17, 17), (17, 54), (38, 54), (38, 17), (18, 17)]),
    ):
        button(qtbot, dock, tool)
        drag(viewer, image, path)
        answered(qtbot, dock)
        assert dock.controller.draft.heads[0].step.kind == tool.value
        assert dock.controller.mask.full[28, 36], tool
        assert not dock.controller.mask.full[60, 100], tool
        dock.controller.clear()
        button(qtbot, dock, tool)
    assert viewer.scene.camera.center == camera  # drags did not move the view


def test_a_stroke_along_a_thin_layer_is_enough(opened, qtbot):
    viewer, dock = opened
    press(viewer, Qt.Key.Key_J)
    drag(viewer, image_of(dock), [(60, 10), (60, 40), (60, 110)])
    answered(qtbot, dock)
    mask = dock.controller.mask.full
    assert mask[60, 4:124].all()
    assert not mask[28, 36]


def test_coordinates_hold_on_a_rotated_layer(make_napari_viewer, qtbot):
    viewer, dock = begin(
        make_napari_viewer, qtbot, scene(), rotate=30, scale=(2, 2), units=("nm", "nm")
    )
    dock.controller.use(Tool.CLICK)
    click(viewer, dock.controller.screen.preview.layer, (80, 96))
    answered(qtbot, dock)
    at = dock.controller.draft.heads[0].step.where
    np.testing.assert_allclose(at, (80, 96), atol=1)
    assert dock.controller.mask.full[80, 96]


def test_prompts_and_commits_are_undone_with_the_same_key(opened, qtbot):
    viewer, dock = opened
    session = dock.workspace.session
    press(viewer, Qt.Key.Key_G)
    click(viewer, image_of(dock), (28, 36))
    answered(qtbot, dock)
    press(viewer, Qt.Key.Key_U)
    assert session.document.labels.plane()[28, 36] == 1
    assert not shown(dock).any()
    click(viewer, image_of(dock), (80, 96))
    answered(qtbot, dock)
    press(viewer, Qt.Key.Key_Z, CONTROL)  # the click
    assert dock.controller.draft.planes == []
    assert not shown(dock).any()
    press(viewer, Qt.Key.Key_Z, CONTROL)  # the commit
    assert not session.document.labels.plane().any()
    assert not np.asarray(dock.workspace.binding.labels.data).any()
    press(viewer, Qt.Key.Key_Z, CONTROL | SHIFT)
    assert session.document.labels.plane()[28, 36] == 1
    press(viewer, Qt.Key.Key_Z, CONTROL | SHIFT)
    answered(qtbot, dock)
    assert dock.controller.mask.full[80, 96]
    np.testing.assert_array_equal(
        dock.workspace.binding.labels.data, session.document.labels.plane()
    )


def test_a_commit_changes_nothing_outside_the_box(opened, qtbot):
    viewer, dock = opened
    session = dock.workspace.session
    session.document.labels.write(np.ones((96, 128), np.uint8))
    session.classes.add("layer")
    dock.controller.use(Tool.CLICK)
    press(viewer, Qt.Key.Key_2)
    click(viewer, image_of(dock), (28, 36))
    answered(qtbot, dock)
    y0, x0, y1, x1 = dock.controller.mask.bbox
    before = session.document.labels.plane().copy()
    press(viewer, Qt.Key.Key_U)
    after = session.document.labels.plane().copy()
    assert (after[28, 36], after[0, 0]) == (2, 1)
    after[y0:y1, x0:x1] = before[y0:y1, x0:x1]
    np.testing.assert_array_equal(after, before)


def test_a_committed_object_is_corrected_under_its_id(opened, qtbot):
    viewer, dock = opened
    session = dock.workspace.session
    dock.controller.use(Tool.CLICK)
    click(viewer, image_of(dock), (28, 36))
    answered(qtbot, dock)
    press(viewer, Qt.Key.Key_U)
    (first,) = session.objects
    click(viewer, image_of(dock), (28, 36), CONTROL)
    answered(qtbot, dock)
    assert dock.controller.draft.object_id == first
    assert [a.kind for a in dock.controller.draft.heads[0].steps] == ["point"]
    click(viewer, image_of(dock), (60, 60))
    answered(qtbot, dock)
    press(viewer, Qt.Key.Key_U)
    assert list(session.objects) == [first]
    assert session.objects.at(28, 36).id == session.objects.at(60, 100).id == first
    press(viewer, Qt.Key.Key_Z, CONTROL)
    assert session.objects.at(60, 100) is None
    assert session.objects.at(28, 36).id == first


def test_three_candidates_are_stepped_through(opened, qtbot):
    viewer, dock = opened
    dock.controller.use(Tool.CLICK)
    click(viewer, image_of(dock), (28, 36))
    answered(qtbot, dock)
    for expected in (1, 2, 0):
        press(viewer, Qt.Key.Key_H, SHIFT)
        answered(qtbot, dock)
        assert dock.controller.candidate == expected
        assert dock.facts.candidate.text() == f"Candidate {expected + 1}/3"


def test_the_preview_follows_the_cursor_before_the_click(opened, qtbot):
    from qtpy.QtTest import QTest
    from tests.fakes.hands import canvas, place

    from napari_sesami.viewer.layers.overlay import HOVER

    viewer, dock = opened
    dock.controller.use(Tool.CLICK)

    def seen():
        return np.asarray(dock.controller.screen.preview.layer.data) == HOVER

    QTest.mouseMove(canvas(viewer), place(viewer, image_of(dock), (28, 36)))
    qtbot.waitUntil(lambda: bool(seen()[28, 36]))
    QTest.mouseMove(canvas(viewer), place(viewer, image_of(dock), (80, 96)))
    qtbot.waitUntil(lambda: bool(seen()[80, 96]))
    dock.tools.hover.click()
    qtbot.waitUntil(lambda: not seen().any())


def test_mistakes_are_one_sentence(opened, qtbot):
    viewer, dock = opened
    said = dock.status.label.text
    press(viewer, Qt.Key.Key_U)
    assert "no mask to commit" in said()
    press(viewer, Qt.Key.Key_H, SHIFT)
    assert "Point at the object first" in said()
    dock.controller.use(Tool.CLICK)
    click(viewer, image_of(dock), (28, 36), SHIFT)
    qtbot.waitUntil(lambda: "Nothing says where" in said())
    assert dock.controller.draft.planes == []
    click(viewer, image_of(dock), (28, 36), CONTROL)
    assert "no committed object" in said()


def test_a_cleared_object_comes_back_with_undo(opened, qtbot):
    viewer, dock = opened
    dock.controller.use(Tool.CLICK)
    click(viewer, image_of(dock), (28, 36))
    answered(qtbot, dock)
    press(viewer, Qt.Key.Key_U, SHIFT)
    assert not shown(dock).any()
    press(viewer, Qt.Key.Key_Z, CONTROL)
    answered(qtbot, dock)
    assert shown(dock)[20, 20]


def test_what_belongs_to_others_is_kept_and_said(opened, qtbot):
    viewer, dock = opened
    session = dock.workspace.session
    session.commit(np.ones((96, 128), bool), "void")
    dock.controller.options.overlap = "keep"
    dock.controller.use(Tool.CLICK)
    click(viewer, image_of(dock), (28, 36))
    answered(qtbot, dock)
    press(viewer, Qt.Key.Key_U)
    assert "belong to other objects" in dock.status.label.text()
    assert len(session.objects) == 1
    assert dock.controller.draft.planes == [0]  # nothing is lost
