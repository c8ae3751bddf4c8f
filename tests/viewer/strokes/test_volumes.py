"""Volumes, banks and repeats through the panel, in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.fakes.hands import drag, settle
from tests.fakes.texture import Texture
from tests.viewer.strokes.test_live import (
    SOON,
    THIRD,
    begin,
    layers_of,
    paint_three,
    result,
    result_classes,
    truth,
)

from napari_sesami import Session
from napari_sesami.scan import Scan

pytestmark = pytest.mark.gui


def test_the_whole_scan_is_labelled_outward_onto_disk(
    make_napari_viewer, qtbot, tmp_path
):
    viewer, _session, binding, dock = begin(make_napari_viewer, qtbot, layers_of(5))
    viewer.dims.set_current_step(0, 2)
    paint_three_on(viewer, binding, qtbot, dock, 2)
    seen = []
    dock.controller.progressed.connect(lambda done, total: seen.append((done, total)))
    qtbot.mouseClick(dock.whole.button, Qt.MouseButton.LeftButton)
    assert dock.whole.button.text() == "Stop"
    qtbot.waitUntil(lambda: (5, 5) in seen, timeout=SOON)
    planes = dock.controller.layers.labels
    assert planes.written == set(range(5))
    assert all((np.asarray(planes._disk[i]) == truth()).mean() > 0.95 for i in range(5))
    folder = planes._folder
    assert folder is not None and folder.is_dir()
    viewer.dims.set_current_step(0, 4)
    settle(qtbot, 50)
    assert (np.asarray(dock.controller.layers.layer.data[4]) == truth()).mean() > 0.95
    dock.workspace.close()
    assert not folder.exists()  # temporary: there is no project


def test_the_whole_result_is_accepted_in_one_click_and_undone_in_one_step(
    make_napari_viewer, qtbot
):
    viewer, session, binding, dock = begin(make_napari_viewer, qtbot, layers_of(4))
    paint_three(viewer, binding, qtbot, dock)
    mine = np.zeros(session.scan.plane_shape, np.uint8)
    mine[:10] = 3
    session.document.labels.write(mine, plane=3)
    qtbot.mouseClick(dock.whole.button, Qt.MouseButton.LeftButton)
    written = dock.controller.layers.labels.written
    qtbot.waitUntil(lambda: written == set(range(4)), timeout=SOON)
    qtbot.mouseClick(dock.whole.accept_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: "4 of 4 slices are in" in dock.workspace.message, timeout=SOON
    )
    for plane in range(4):
        free = session.document.labels.plane(plane)[10:]
        assert (free == result(dock, plane)[10:]).all()
    assert (session.document.labels.plane(3)[:10] == 3).all()
    session.undo()
    assert not any(session.document.labels.plane(plane).any() for plane in range(3))
    assert (session.document.labels.plane(3) == mine).all()
    dock.policy.setCurrentIndex(1)
    dock.policy.activated.emit(1)
    qtbot.mouseClick(dock.whole.accept_button, Qt.MouseButton.LeftButton)
    done = lambda: (session.document.labels.plane(3) == result(dock, 3)).all()  # noqa: E731
    qtbot.waitUntil(done, timeout=SOON)


def test_without_a_result_there_is_nothing_to_accept(make_napari_viewer, qtbot):
    *_, dock = begin(make_napari_viewer, qtbot, layers_of(2))
    qtbot.mouseClick(dock.whole.accept_button, Qt.MouseButton.LeftButton)
    assert "press Whole scan first" in dock.status.label.text()


def test_two_banks_are_combined(make_napari_viewer, qtbot, tmp_path):
    viewer, session, binding, dock = begin(make_napari_viewer, qtbot, layers_of()[0])
    paint_three(viewer, binding, qtbot, dock)
    banks = [
        session.retrieval.export_bank(tmp_path / f"{n}.bank", zoom=1.0) for n in "ab"
    ]
    dock.banks.combine(banks, tmp_path / "both.bank")
    qtbot.waitUntil(lambda: "both.bank holds" in dock.workspace.message, timeout=SOON)
    assert (tmp_path / "both.bank").is_file()
    (tmp_path / "bad.bank").write_bytes(b"no bank")
    dock.banks.combine([banks[0], tmp_path / "bad.bank"], tmp_path / "c.bank")
    said = lambda: "cannot be read as a bank" in dock.workspace.message  # noqa: E731
    qtbot.waitUntil(said, timeout=SOON)


def test_strokes_on_the_data_bar_are_said_to_teach_nothing(make_napari_viewer, qtbot):
    from dataclasses import replace

    from tests.viewer.strokes.test_live import paint

    data = layers_of()[0]
    viewer, session, _binding, dock = begin(make_napari_viewer, qtbot, data)
    ignore = np.zeros(data.shape, bool)
    ignore[100:] = True
    barred = Session(replace(session.scan, ignore=ignore))
    barred.retrieval.encoder = Texture()
    for name in ("substrate", "oxide", "metal"):
        barred.classes.add(name)
    binding = dock.workspace.take(barred)
    paint(viewer, binding, 3, 110)
    said = lambda: "All strokes lie on the data bar" in dock.workspace.message  # noqa: E731
    qtbot.waitUntil(said, timeout=SOON)
    paint(viewer, binding, 1, 20)
    qtbot.waitUntil(lambda: result_classes(dock) == {0, 1}, timeout=SOON)
    assert not result(dock)[100:].any()


def test_a_stopped_run_keeps_what_is_done(make_napari_viewer, qtbot):
    viewer, _session, binding, dock = begin(make_napari_viewer, qtbot, layers_of(6))
    paint_three(viewer, binding, qtbot, dock)

    def stop_after_two(done, total):
        if done == 2 and dock.controller.whole.running:
            dock.controller.whole.stop()

    dock.controller.progressed.connect(stop_after_two)
    dock.whole.button.click()
    qtbot.waitUntil(lambda: not dock.controller.whole.running, timeout=SOON)
    assert dock.controller.layers.labels.written == {0, 1}
    assert dock.whole.button.text() == "Whole scan"


def test_going_to_another_slice_labels_it(make_napari_viewer, qtbot):
    viewer, _session, binding, dock = begin(make_napari_viewer, qtbot, layers_of(3))
    paint_three(viewer, binding, qtbot, dock)
    viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: result_classes(dock, 1) == {1, 2, 3}, timeout=SOON)
    assert (result(dock, 1) == truth()).mean() > 0.95


def test_a_bank_travels_to_another_scan_and_a_wrong_one_is_refused(
    make_napari_viewer, qtbot, tmp_path
):
    viewer, _session, binding, dock = begin(make_napari_viewer, qtbot, layers_of()[0])
    paint_three(viewer, binding, qtbot, dock)
    path = tmp_path / "device.bank"
    dock.banks.pictures.setChecked(False)
    dock.banks.save(path)
    qtbot.waitUntil(path.is_file, timeout=SOON)
    qtbot.waitUntil(lambda: "Saved device.bank" in dock.workspace.message, timeout=SOON)
    other = Session(
        Scan.from_array(layers_of()[0][::-1].copy(), pixel_size=0.5, units="nm")
    )
    other.retrieval.encoder = Texture()
    dock.workspace.take(other)
    dock.banks.load(path)
    qtbot.waitUntil(lambda: result_classes(dock) == {1, 2, 3}, timeout=SOON)
    assert other.classes.names == ("substrate", "oxide", "metal")
    flipped = truth()[::-1]
    qtbot.waitUntil(lambda: (result(dock) == flipped).mean() > 0.95, timeout=SOON)
    broken = tmp_path / "broken.bank"
    broken.write_bytes(b"no bank")
    dock.banks.load(broken)
    assert "cannot be read as a bank" in dock.status.label.text()


def test_repeats_of_a_committed_cell_get_its_labels(make_napari_viewer, qtbot):
    rng = np.random.default_rng(1)
    cell = 0.4 + 0.1 * rng.random((32, 32))
    cell[8:24, 8:24] += 0.4
    data = np.tile(cell, (4, 5)) + 0.01 * rng.normal(size=(128, 160))
    data[44:50, 44:50] = 0  # a defect in one of the cells
    _viewer, session, _binding, dock = begin(
        make_napari_viewer, qtbot, (data * 1000).clip(0).astype(np.uint16)
    )
    mask = np.zeros(data.shape, bool)
    mask[64:96, 64:96] = True
    session.commit(mask, "oxide")
    dock.tabs.setCurrentWidget(dock.repeats)
    qtbot.mouseClick(dock.repeats.find_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dock.repeats.found is not None, timeout=SOON)
    boxes = dock.repeats.found.repeats.boxes
    assert len(boxes) >= 16
    difference = dock.repeats.found.repeats.difference
    assert difference[44:50, 44:50].mean() > 5 * difference.mean()
    assert dock.controller.layers.map_layer("difference") is not None
    qtbot.mouseClick(dock.repeats.transfer_button, Qt.MouseButton.LeftButton)
    assert (session.document.labels.plane() == 1 + 1).mean() > 0.7
    session.undo()
    assert (session.document.labels.plane() == 2).sum() == mask.sum()


def paint_three_on(viewer, binding, qtbot, dock, plane):
    from tests.viewer.strokes.test_live import paint

    for number in (1, 2, 3):
        paint(viewer, binding, number, THIRD * number - THIRD // 2)
        settle(qtbot, 60)
    qtbot.waitUntil(lambda: result_classes(dock, plane) == {1, 2, 3}, timeout=SOON)
    qtbot.waitUntil(lambda: not dock.workspace.jobs.busy, timeout=SOON)


def test_a_rectangle_drawn_with_the_mouse_is_the_cell(make_napari_viewer, qtbot):
    viewer, _, binding, dock = begin(make_napari_viewer, qtbot, layers_of()[0])
    dock.tabs.setCurrentWidget(dock.repeats)
    qtbot.mouseClick(dock.repeats.find_button, Qt.MouseButton.LeftButton)
    assert "Draw a rectangle around one cell" in dock.status.label.text()
    qtbot.mouseClick(dock.repeats.choose_button, Qt.MouseButton.LeftButton)
    settle(qtbot, 50)
    drag(viewer, binding.strokes, [(30, 40), (45, 60), (60, 80), (60, 80)])
    qtbot.waitUntil(lambda: dock.repeats._cell_layers().cell is not None)
    np.testing.assert_allclose(dock.repeats._box(), (30, 40, 61, 81), atol=2)


def test_the_tile_in_view_is_labelled_while_the_others_are_being_read(
    make_napari_viewer, qtbot
):
    import threading

    from tests.viewer.strokes.test_live import paint

    class Waiting(Texture):
        """Stops after three tiles until it is told to go on."""

        go_on = threading.Event()

        def encode(self, view, normalise=False):
            if self.calls == 3:
                self.go_on.wait(20)
            return super().encode(view, normalise)

    viewer, session, binding, dock = begin(make_napari_viewer, qtbot, layers_of()[0])
    session.retrieval.encoder = Waiting()
    paint(viewer, binding, 2, THIRD + THIRD // 2)
    try:
        qtbot.waitUntil(
            lambda: (
                dock.controller.layers.layer is not None and (result(dock) == 2).any()
            ),
            timeout=SOON,
        )
        assert (result(dock) == 0).any()
        assert dock.controller.last is None
    finally:
        session.retrieval.encoder.go_on.set()
    qtbot.waitUntil(lambda: (result(dock) == 2).all(), timeout=SOON)
    qtbot.waitUntil(lambda: not dock.workspace.jobs.busy, timeout=SOON)


def test_another_image_under_the_same_labels_is_not_labelled(make_napari_viewer, qtbot):
    from tests.viewer.strokes.test_live import paint

    viewer, session, binding, dock = begin(make_napari_viewer, qtbot, layers_of()[0])
    paint_three(viewer, binding, qtbot, dock)
    before = result(dock).copy()
    binding.image.data = layers_of()[0][::-1].copy()
    painted = int((session.strokes.plane() > 0).sum())
    dock.workspace.say("")
    paint(viewer, binding, 1, 2 * THIRD + 8)
    refused = lambda: "are not those that were taken" in dock.workspace.message  # noqa: E731
    qtbot.waitUntil(refused, timeout=SOON)
    assert (result(dock) == before).all()
    assert int((session.strokes.plane() > 0).sum()) > painted  # the paint is not lost
    qtbot.mouseClick(dock.whole.button, Qt.MouseButton.LeftButton)
    assert not dock.controller.whole.running
