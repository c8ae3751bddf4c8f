"""The page of defect classes works without a window: labels, answers, lists, files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.fakes.defects import KINDS, lot_of, write_klarf
from tests.fakes.headless import Headless
from tests.fakes.texture import Texture

from napari_sesami.classify import open_lot
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.classify.controller import ClassifyController


@pytest.fixture
def headless(qapp):
    made = Headless(np.zeros((32, 32), np.uint8))
    yield made
    made.close()


@pytest.fixture
def controller(headless):
    return headless.workspace.get(ClassifyController)


def taken(headless, controller, lot=None):
    """Work on a lot of 36, half of it labelled."""
    lot = lot or lot_of(6, 2, labelled=False)
    classifier = lot.classifier(encoder=Texture())
    controller.take(classifier)
    headless.wait(lambda: controller.ready and controller.decisions is not None)
    for k, kind in enumerate(KINDS):
        controller.pick(range(k, 18, 3))
        controller.label(kind)
    headless.wait(lambda: controller.matrix is not None)
    headless.wait(lambda: controller.matrix.counts.sum() == 18)
    return classifier


def test_without_a_lot_every_verb_says_what_to_do(controller):
    for verb in (
        lambda: controller.label_number(1),
        controller.undo,
        lambda: controller.lot,
    ):
        with pytest.raises(ViewerError, match="No lot is open"):
            verb()
    assert controller.shown == []


def test_labels_answer_move_lists_and_can_be_undone(headless, controller):
    classifier = taken(headless, controller)
    controller.set_purity(0.7)
    headless.wait(lambda: controller.decisions.purity == 0.7)
    assert controller.decisions.by_machine > 5
    controller.show("unknown")
    assert len(controller.shown) == controller.decisions.for_people
    controller.show("labelled")
    assert controller.shown == list(range(18))
    controller.show("class:speck", "speck")
    said = controller.decisions.classes
    assert controller.shown and all(said[k] == "speck" for k in controller.shown)
    truth = controller.matrix.names.index("speck")
    controller.show_cell(truth, truth)
    assert all(k % 3 == 0 for k in controller.shown)
    controller.show("queue")
    assert controller.saved + len(controller.control) == controller.decisions.by_machine
    controller.pick([20])
    controller.label_number(2)
    assert classifier.labels["d20"] == ("scratch", "person")
    controller.undo()
    assert "d20" not in classifier.labels and "Taken back" in headless.workspace.message
    controller.redo()
    controller.label_number(0)
    assert "d20" not in classifier.labels
    with pytest.raises(ViewerError, match="no class 9"):
        controller.label_number(9)


def test_the_gallery_is_sorted_as_asked(headless, controller):
    taken(headless, controller)
    controller.show("all")
    controller.sort("confidence")
    sure = controller.decisions.confidence[controller.shown]
    assert (np.diff(sure) >= 0).all()
    controller.sort("novelty")
    assert (np.diff(controller.decisions.novelty[controller.shown]) <= 0).all()
    controller.pick([])
    with pytest.raises(ViewerError, match="Pick one"):
        controller.sort("likeness")
    controller.pick([7])
    controller.sort("likeness")
    assert controller.shown[0] == 7


def test_renaming_to_a_name_that_is_there_merges(headless, controller):
    classifier = taken(headless, controller)
    controller.rename("scratch", "speck")
    assert [c.name for c in classifier.classes] == ["speck", "clean"]
    controller.undo()
    assert [c.name for c in classifier.classes] == list(KINDS)


def test_a_klarf_is_opened_sorted_and_written_back(headless, controller, tmp_path):
    path = write_klarf(tmp_path / "lot.001", [0] * 12)
    controller.open_lot(path, encoder=Texture())
    headless.wait(lambda: controller.ready and controller.decisions is not None)
    controller.pick([0, 3])
    controller.label("speck")
    controller.pick([1, 4])
    controller.label("Neu")
    headless.wait(lambda: controller.matrix is not None)
    assert (tmp_path / "lot.001.labels" / "labels.jsonl").exists()
    controller.save_results(tmp_path / "out")
    again = open_lot(tmp_path / "out" / "lot.001")
    assert [again.defects[k].label for k in (0, 1, 3, 4)] == ["speck", "Neu"] * 2
    data = json.loads((tmp_path / "out" / "defects.json").read_text("utf-8"))
    assert len(data["defects"]) == 12 and (tmp_path / "out" / "report.html").exists()
    controller.save_model(tmp_path / "m.model")
    assert (tmp_path / "m.model").stat().st_size > 1000
