"""The object at work through slices, and many objects at once, in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from tests.fakes.grey_model import GreyModel
from tests.fakes.hands import press, settle
from tests.fakes.prompting import (
    CONTROL,
    SHIFT,
    answered,
    begin,
    click,
    scene,
    shown,
    stack,
)

from napari_sesami.viewer.layers.mouse import Tool

pytestmark = pytest.mark.gui


@pytest.fixture
def volume(make_napari_viewer, qtbot):
    where = {
        "scale": (4, 2, 2),
        "units": ("nm",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
    viewer, dock = begin(make_napari_viewer, qtbot, stack(), **where)
    viewer.dims.set_current_step(0, 2)
    settle(qtbot, 50)
    dock.controller.use(Tool.CLICK)
    return viewer, dock


def click_block(viewer, dock, qtbot, z):
    click(viewer, dock.workspace.binding.strokes, (28 + 2 * z, 36 + 2 * z))
    answered(qtbot, dock)


def idle(qtbot, dock):
    qtbot.waitUntil(lambda: not dock.workspace.jobs.busy)
    settle(qtbot, 30)


def test_a_click_belongs_to_the_slice_on_screen(volume, qtbot):
    viewer, dock = volume
    click_block(viewer, dock, qtbot, 2)
    assert dock.controller.draft.planes == [2]
    assert shown(dock)[26, 26]
    viewer.dims.set_current_step(0, 5)
    settle(qtbot, 50)
    assert not np.asarray(dock.controller.screen.preview.layer.data).any()
    viewer.dims.set_current_step(0, 2)
    settle(qtbot, 50)
    assert shown(dock)[26, 26]


def test_an_object_is_followed_until_it_ends_and_committed_as_one(volume, qtbot):
    viewer, dock = volume
    click_block(viewer, dock, qtbot, 2)
    press(viewer, Qt.Key.Key_F, SHIFT)
    qtbot.waitUntil(lambda: dock.controller.draft.planes == [0, 1, 2, 3, 4, 5])
    idle(qtbot, dock)
    assert "5 slices added" in dock.status.label.text()
    strip = dock.volume.strip
    assert [bar[0] for bar in strip.bars] == [0, 1, 2, 3, 4, 5]
    assert [bar[2] for bar in strip.bars].index(True) == 2
    qtbot.mouseClick(
        strip, Qt.MouseButton.LeftButton, pos=QPoint(strip.width() - 3, 20)
    )
    settle(qtbot, 50)
    assert dock.controller.plane == 5
    assert shown(dock)[38, 46]
    press(viewer, Qt.Key.Key_U)
    session = dock.workspace.session
    (target,) = session.objects.values()
    assert sorted(target.parts) == [0, 1, 2, 3, 4, 5]
    press(viewer, Qt.Key.Key_Z, CONTROL)  # one step, all slices
    assert not np.asarray(session.labels).any()


def test_cancel_keeps_the_slices_that_are_done(volume, qtbot):
    viewer, dock = volume
    click_block(viewer, dock, qtbot, 2)
    work = dock.workspace.jobs

    def stop(topic, fraction, text):
        if topic == "follow":
            work.cancel()

    work.progressed.connect(stop)
    dock.controller.slices.follow((1,))
    qtbot.waitUntil(lambda: 3 in dock.controller.draft.planes)
    idle(qtbot, dock)
    assert 2 in dock.controller.draft.planes
    work.progressed.disconnect(stop)
    press(viewer, Qt.Key.Key_Z, CONTROL)
    assert dock.controller.draft.planes == [2]


def test_an_object_committed_while_it_is_followed_gets_its_other_slices(volume, qtbot):
    viewer, dock = volume
    click_block(viewer, dock, qtbot, 2)
    work, session, done = dock.workspace.jobs, dock.workspace.session, []

    def commit(topic, fraction, text):
        if topic == "follow" and not done:
            done.append(fraction)
            press(viewer, Qt.Key.Key_U)

    work.progressed.connect(commit)
    press(viewer, Qt.Key.Key_F, SHIFT)
    qtbot.waitUntil(lambda: bool(session.objects))
    (target,) = session.objects
    assert dock.controller.draft.planes == []  # ready for the next object
    qtbot.waitUntil(lambda: sorted(session.objects[target].parts) == [0, 1, 2, 3, 4, 5])
    idle(qtbot, dock)
    assert done and "joined object" in dock.status.label.text()
    press(viewer, Qt.Key.Key_Z, CONTROL)  # still one step
    assert not session.objects


def test_giving_an_object_up_stops_following_it_and_says_so(volume, qtbot):
    viewer, dock = volume
    click_block(viewer, dock, qtbot, 2)
    dock.controller.slices.follow()
    dock.controller.new_draft()
    assert "Following was stopped" in dock.status.label.text()
    idle(qtbot, dock)
    assert dock.controller.draft.planes == []


def test_slices_between_two_that_were_prompted_are_filled_in(volume, qtbot):
    viewer, dock = volume
    click_block(viewer, dock, qtbot, 2)
    dock.controller.slices.jump(5)
    settle(qtbot, 50)
    click_block(viewer, dock, qtbot, 5)
    qtbot.mouseClick(dock.volume.between, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dock.controller.draft.planes == [2, 3, 4, 5])
    truth = stack()[3] > 0
    found = dock.controller.draft.mask(3).full
    assert (truth & found).sum() / (truth | found).sum() > 0.8
    dock.controller.slices.jump_to_worst()
    settle(qtbot, 50)
    assert dock.controller.plane in (3, 4)


def test_an_object_of_many_slices_is_taken_up_and_corrected(volume, qtbot):
    viewer, dock = volume
    click_block(viewer, dock, qtbot, 2)
    dock.controller.slices.follow()
    idle(qtbot, dock)
    dock.controller.commit()
    session = dock.workspace.session
    click(viewer, dock.workspace.binding.strokes, (32, 40), CONTROL)
    answered(qtbot, dock)
    assert dock.controller.draft.planes == [0, 1, 2, 3, 4, 5]
    dock.controller.slices.jump(4)
    settle(qtbot, 50)
    click(viewer, dock.workspace.binding.strokes, (80, 100), SHIFT)
    answered(qtbot, dock)
    assert dock.controller.draft.changed_planes == [4]
    dock.controller.commit()
    assert len(session.objects) == 1


def test_everything_is_found_tuned_and_taken(make_napari_viewer, qtbot):
    viewer, dock = begin(make_napari_viewer, qtbot, scene())
    search, session = dock.controller.search, dock.workspace.session
    dock.many.spacing.setValue(16)
    model = session.prompts.model
    press(viewer, Qt.Key.Key_E, SHIFT)
    qtbot.waitUntil(lambda: len(search.found) >= 2)
    idle(qtbot, dock)
    before, encoded = len(search.found), model.encoded
    dock.many.smallest.setValue(4000)
    assert len(search.found) < before
    dock.many.smallest.setValue(30)
    assert len(search.found) == before
    assert model.encoded == encoded  # nothing was asked again
    dock.many.skip.click()
    assert len(search.found) == before - 1
    dock.many.accept.click()
    assert len(session.objects) == 1
    left = len(search.found)
    press(viewer, Qt.Key.Key_T, SHIFT)
    assert len(session.objects) <= 1 + left
    assert search.found == []
    press(viewer, Qt.Key.Key_Z, CONTROL)
    assert len(session.objects) == 1


def test_what_was_found_in_one_scan_is_not_committed_to_another(
    make_napari_viewer, qtbot
):
    viewer, dock = begin(make_napari_viewer, qtbot, scene())
    search = dock.controller.search
    press(viewer, Qt.Key.Key_E, SHIFT)
    qtbot.waitUntil(lambda: len(search.found) >= 2)
    idle(qtbot, dock)
    dock.workspace.adopt(viewer.add_image(scene()[:, ::-1], name="other"))
    assert search.found == []
    dock.workspace.session.classes.add("void")
    press(viewer, Qt.Key.Key_T, SHIFT)
    assert len(dock.workspace.session.objects) == 0
    assert "search first" in dock.workspace.message


def test_all_like_one_are_found_with_one_click(make_napari_viewer, qtbot):
    image = np.full((128, 256), 40, np.uint8)
    for y in range(20, 120, 40):
        for x in range(20, 250, 40):
            image[y - 6 : y + 6, x - 6 : x + 6] = 200
    viewer, dock = begin(make_napari_viewer, qtbot, image, model=GreyModel(tile=256))
    dock.controller.use(Tool.CLICK)
    click(viewer, dock.workspace.binding.image, (60, 100))
    answered(qtbot, dock)
    press(viewer, Qt.Key.Key_S, SHIFT)
    qtbot.waitUntil(lambda: bool(dock.controller.search.found))
    found = dock.controller.search.found
    assert len(found) >= 16  # of 18; two at the rim may go
    dock.controller.search.accept_all()
    count = len(dock.workspace.session.objects)
    assert count == len(found)
    press(viewer, Qt.Key.Key_S, SHIFT)  # like the last one that was committed
    qtbot.waitUntil(lambda: "committed already" in dock.status.label.text())
    assert all(
        not dock.workspace.session.objects.holds(mask)
        for mask in dock.controller.search.found
    )


def test_a_cancelled_search_shows_what_it_has(make_napari_viewer, qtbot):
    image = np.tile(scene(), (12, 1))  # three bands
    _, dock = begin(make_napari_viewer, qtbot, image)
    work, search = dock.workspace.jobs, dock.controller.search

    def stop(topic, fraction, text):
        if fraction > 0.5:
            work.cancel()

    work.progressed.connect(stop)
    search.everything()
    qtbot.waitUntil(lambda: not work.busy, timeout=30_000)
    settle(qtbot, 50)
    work.progressed.disconnect(stop)
    assert search.found
    assert max(mask.bbox[2] for mask in search.found) < image.shape[0]
