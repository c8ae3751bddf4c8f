"""The page of defect classes works without a window: labels, answers, lists, files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.fakes.defects import KINDS, lot_of, write_klarf
from tests.fakes.headless import Headless
from tests.fakes.texture import Texture

from napari_sesami.classify import ClassifyError, open_lot
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


def test_numbers_definitions_and_splits_are_steps_of_undo(headless, controller):
    classifier = taken(headless, controller)
    controller.define("speck", 7, "a bright round thing")
    assert classifier.classes[0].number == 7
    controller.pick([0, 1, 3])
    with pytest.raises(ViewerError, match="pick those"):
        controller.split("two classes are picked")
    controller.pick([0, 3])
    controller.split("dust")
    assert classifier.labels["d3"][0] == "dust" and "2 defects" in (
        headless.workspace.message
    )
    controller.undo()
    controller.undo()
    assert (
        classifier.labels["d3"][0] == "speck" and classifier.classes[0].number is None
    )


def test_objects_of_the_scan_become_a_lot(headless, controller):
    session = headless.workspace.session
    with pytest.raises(ViewerError, match="No object of this scan"):
        controller.open_objects(encoder=Texture())
    for k, name in enumerate(("void", "metal")):
        mask = np.zeros((32, 32), bool)
        mask[4 + 14 * k : 10 + 14 * k, 5:12] = True
        session.objects.commit(mask, name)
    controller.open_objects(encoder=Texture())
    headless.wait(lambda: controller.ready and controller.decisions is not None)
    lot = controller.lot
    assert [d.label for d in lot.defects] == ["void", "metal"]
    assert lot.defects[0].high.box == (-17, -16, 31, 32)
    assert lot.defects[0].low.box[2] - lot.defects[0].low.box[0] == 168
    assert controller.matrix.names == ("void", "metal")


def test_on_a_read_only_share_labels_stay_in_memory(
    headless, controller, tmp_path, monkeypatch
):
    path = write_klarf(tmp_path / "lot.001", [7, 9, 0])
    mkdir = type(tmp_path).mkdir

    def refused(self, *args, **options):
        if self.name.endswith(".labels"):
            raise PermissionError(30, "Read-only file system", str(self))
        mkdir(self, *args, **options)

    monkeypatch.setattr(type(tmp_path), "mkdir", refused)
    controller.open_lot(path, encoder=Texture())
    assert "cannot be kept beside it" in headless.workspace.message
    headless.wait(lambda: controller.ready)
    controller.pick([2])
    controller.label("clean")
    assert controller.sorting.labels["3"] == ("clean", "person")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lot.001", "review.tif"]


def test_another_encoder_reads_the_lot_again_and_labels_stay(headless, controller):
    classifier = taken(headless, controller)
    other = Texture()
    other.name = "other"
    before = classifier.labels
    classifier.use_encoder(other)
    controller.use_encoder("lite0")
    assert not controller.ready and controller.encoder == "lite0"
    headless.wait(lambda: controller.ready and controller.matrix is not None)
    assert classifier.labels == before and classifier.features.encoder == "lite0"
    with pytest.raises(ClassifyError, match="needs 20 labels a class"):
        classifier.train()


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
