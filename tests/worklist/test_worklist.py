"""A folder of scans as work: states, time, proposals, and what they were worth."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest
import tifffile
from tests.fakes.grey_model import GreyModel
from tests.fakes.texture import Texture

from napari_sesami import Session
from napari_sesami.project import Project, ProjectError
from napari_sesami.session import SessionError
from napari_sesami.worklist import IDLE, WorkList, WorklistEngine
from napari_sesami.worklist.proposals import (
    classes_to_sharpen,
    disjoint,
    regions_of,
)

SHAPE = (96, 128)


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.t = 100.0

    def __call__(self) -> float:
        return self.t


def truth(shift: int = 0) -> np.ndarray:
    """Two grey blocks (1) and a bright layer (2) on dark ground."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[12 + shift : 36 + shift, 16:56] = 1
    labels[12 + shift : 36 + shift, 76:108] = 1
    labels[64:80] = 2
    return labels


def picture(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 3, labels.shape)
    return (np.array([20, 120, 220])[labels] + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Scans 1, 2, 3 and 10, alike but for where the blocks are."""
    home = tmp_path / "wafers"
    home.mkdir()
    for i, number in enumerate((1, 2, 3, 10)):
        tifffile.imwrite(home / f"scan {number}.tif", picture(truth(4 * i), i))
    return home


def engine_of(tmp_path, folder, now=None):
    return WorklistEngine(
        tmp_path / "wafers.sesami",
        folder,
        model=GreyModel(tile=128),
        token_encoder=Texture(),
        now=now or Clock(),
    )


@pytest.fixture
def engine(tmp_path, folder):
    with engine_of(tmp_path, folder) as made:
        yield made


def label_by_hand(engine, shift=0):
    session = engine.open()
    for name in ("block", "layer"):
        if name not in session.classes:
            session.classes.add(name)
    labels = truth(shift)
    for block in (np.s_[:, :66], np.s_[:, 66:]):
        mask = np.zeros(SHAPE, bool)
        mask[block] = labels[block] == 1
        session.commit(mask, "block")
    session.commit(labels == 2, "layer")
    return session


# --- the list


def test_the_list_counts_as_people_do_and_opens_the_next(engine):
    assert [i.name for i in engine.worklist] == [
        "scan 1.tif",
        "scan 2.tif",
        "scan 3.tif",
        "scan 10.tif",
    ]
    assert engine.open().scan.path.name == "scan 1.tif"
    assert engine.worklist.step(1).name == "scan 2.tif"
    assert engine.worklist.step(-1) is None


def test_a_restart_brings_states_times_and_proposals_back(tmp_path, folder):
    clock = Clock()
    with engine_of(tmp_path, folder, clock) as engine:
        label_by_hand(engine)
        clock.t += 12
        engine.finish()
        engine.open()
        engine.propose().reject(0)
        clock.t += 5
    with engine_of(tmp_path, None) as engine:
        states = [i.state for i in engine.worklist]
        assert states == ["accepted", "corrected", "new", "new"]
        assert engine.worklist[0].seconds == 12
        assert engine.worklist[1].seconds == 5
        engine.open("scan 2.tif")
        assert engine.review.status(0) == "rejected"
        assert set(engine.review.statuses()[1:]) == {"waiting"}


def test_a_long_pause_counts_as_a_short_one(tmp_path, folder):
    clock = Clock()
    with engine_of(tmp_path, folder, clock) as engine:
        engine.open()
        clock.t += 10
        engine.worklist.beat()
        clock.t += 3600  # lunch
        engine.worklist.beat()
        assert engine.item.seconds == 10 + IDLE


def test_what_was_measured_outlives_a_kill(tmp_path, folder):
    clock = Clock()
    engine = engine_of(tmp_path, folder, clock)
    engine.open()
    for _ in range(4):
        clock.t += 4
        engine.worklist.beat()
    on_disk = json.loads(engine.worklist.path.read_text())
    assert on_disk["items"][0]["seconds"] >= 12  # at most the last few are lost
    engine.close()


def test_a_damaged_list_is_read_from_the_one_before(tmp_path, folder):
    with engine_of(tmp_path, folder) as engine:
        engine.worklist.set_state("scan 2.tif", "accepted")
        engine.worklist.set_state("scan 3.tif", "corrected")
        engine.worklist.path.write_text('{"items": [')
    with engine_of(tmp_path, None) as engine:
        assert engine.worklist["scan 2.tif"].state == "accepted"


def test_a_list_of_a_newer_version_is_refused_in_a_sentence(tmp_path, folder):
    with engine_of(tmp_path, folder) as engine:
        path = engine.worklist.path
    data = {**json.loads(path.read_text()), "version": 9}
    path.write_text(json.dumps(data))
    with pytest.raises(ProjectError, match="newer napari-sesami"):
        engine_of(tmp_path, folder)


def test_a_project_without_a_list_asks_for_a_folder(tmp_path):
    with (
        Project.create(tmp_path / "p.sesami") as project,
        pytest.raises(ProjectError, match="give the folder"),
    ):
        WorkList(project)


# --- files come and go


def test_new_and_vanished_files_are_told(engine, folder):
    tifffile.imwrite(folder / "scan 11.tif", picture(truth()))
    (folder / "scan 3.tif").unlink()
    news = engine.worklist.refresh()
    assert "scan 11.tif is new." in news
    assert any(n.startswith("scan 3.tif is gone") for n in news)
    assert "scan 3.tif" not in [i.name for i in engine.worklist]


def test_a_vanished_scan_with_work_stays_and_comes_back(engine, folder):
    label_by_hand(engine)
    engine.leave()
    kept = (folder / "scan 1.tif").read_bytes()
    (folder / "scan 1.tif").unlink()
    assert "labels are kept" in engine.worklist.refresh()[0]
    assert engine.worklist.step(open_only=True).name == "scan 2.tif"
    (folder / "scan 1.tif").write_bytes(kept)
    engine.worklist.refresh()
    assert engine.open("scan 1.tif").labels.any()


def test_a_renamed_scan_keeps_its_work(engine, folder):
    label_by_hand(engine)
    engine.finish()
    engine.leave()
    (folder / "scan 1.tif").rename(folder / "wafer 7.tif")
    assert engine.worklist.refresh() == ["scan 1.tif is called wafer 7.tif now."]
    assert engine.worklist["wafer 7.tif"].state == "accepted"


def test_a_scan_renamed_and_touched_is_known_by_its_pixels(engine, folder):
    label_by_hand(engine)
    engine.leave()
    moved = (folder / "scan 1.tif").rename(folder / "wafer 7.tif")
    os.utime(moved, (1, 1))
    engine.worklist.refresh()
    session = engine.open("wafer 7.tif")
    assert session.labels.any()
    assert engine.item.state == "corrected"
    assert "scan 1.tif" not in [i.name for i in engine.worklist]


def test_a_copy_of_a_scan_is_pointed_out(engine, folder):
    engine.open("scan 1.tif")
    (folder / "copy.tif").write_bytes((folder / "scan 1.tif").read_bytes())
    engine.worklist.refresh()
    with pytest.raises(ProjectError, match="same pixels as scan 1"):
        engine.open("copy.tif")
    assert not engine.worklist["copy.tif"].usable


def test_an_unreadable_scan_is_skipped_until_it_is_mended(engine, folder):
    good = (folder / "scan 1.tif").read_bytes()
    (folder / "scan 1.tif").write_bytes(b"no tiff at all")
    engine.worklist.refresh()
    with pytest.raises(ValueError, match=r"scan 1\.tif"):
        engine.open()
    assert engine.open().scan.path.name == "scan 2.tif"
    (folder / "scan 1.tif").write_bytes(good)
    engine.worklist.refresh()
    assert engine.open("scan 1.tif").scan.plane_shape == SHAPE


def test_a_scan_whose_pixels_were_replaced_is_named(engine, folder):
    engine.open("scan 1.tif")
    engine.leave()
    tifffile.imwrite(folder / "scan 1.tif", picture(truth(9), 77))
    engine.worklist.refresh()
    with pytest.raises(ProjectError, match="other pixels"):
        engine.open("scan 1.tif")


def test_a_folder_that_is_away_is_a_sentence(engine, folder, tmp_path):
    folder.rename(tmp_path / "elsewhere")
    assert "is it there" in engine.worklist.refresh()[0]


# --- proposals


def test_without_a_labelled_scan_nothing_is_proposed(engine):
    engine.open()
    with pytest.raises(SessionError, match="label the first one by hand"):
        engine.propose()


def test_one_labelled_scan_is_enough_to_propose_the_next(engine):
    label_by_hand(engine)
    engine.finish()
    engine.open()
    review = engine.propose()
    assert engine.item.state == "proposed"
    assert len(review) == 3
    assert sorted(p.class_id for p in review.proposed) == [1, 1, 2]
    review.accept_rest()
    labels = engine.session.document.labels.plane()
    assert (labels == truth(4)).mean() > 0.97
    record = engine.finish()
    assert record["accepted"] == 3
    assert record["agreement"] > 0.99


def ready(engine):
    """A scan with three proposals."""
    label_by_hand(engine)
    engine.finish()
    engine.open()
    return engine.propose()


def test_each_proposal_is_accepted_corrected_or_rejected_and_counted(engine):
    review = ready(engine)
    block = next(i for i, p in enumerate(review.proposed) if p.class_id == 2)
    others = [i for i in range(3) if i != block]
    review.accept(others[0])
    half = np.zeros(SHAPE, bool)
    half[64:72] = True
    review.correct(block, half)
    review.reject(others[1])
    assert [review.status(i) for i in (others[0], block, others[1])] == [
        "accepted",
        "corrected",
        "rejected",
    ]
    record = engine.finish()
    counts = [record[k] for k in ("accepted", "corrected", "rejected", "waiting")]
    assert counts == [1, 1, 1, 0]
    assert 0.7 < record["iou"] < 0.8  # whole, and half
    assert engine.item.state == "accepted"


def test_undo_makes_a_proposal_wait_again(engine):
    review = ready(engine)
    review.accept(0)
    engine.session.undo()
    assert review.status(0) == "waiting"
    engine.session.history.redo()
    assert review.status(0) == "accepted"
    review.reject(0)
    assert review.status(0) == "rejected"
    assert not review.session.objects
    engine.session.undo()
    assert review.status(0) == "accepted"


def test_accepting_the_rest_is_one_step_and_leaves_out_the_unsure(engine):
    review = ready(engine)
    assert review.accept_rest(least=2.0) == 0
    assert review.accept_rest() == 3
    engine.session.undo()
    assert len(review.waiting) == 3


def test_another_class_counts_as_a_correction(engine):
    review = ready(engine)
    other = 3 - review.proposed[0].class_id
    review.accept(0, other)
    assert review.status(0) == "corrected"


def test_changing_an_accepted_scan_asks_to_accept_it_again(engine):
    session = label_by_hand(engine)
    engine.finish()
    session.objects.remove(next(iter(session.objects)))
    assert engine.item.state == "corrected"
    assert engine.sources() == []


def test_nothing_is_proposed_on_pixels_that_have_a_label(engine):
    label_by_hand(engine)
    engine.finish()
    session = engine.open()
    session.commit(truth(4) == 2, "layer")
    review = engine.propose()
    assert {p.class_id for p in review.proposed} == {1}


def test_an_empty_scan_cannot_be_finished(engine):
    engine.open()
    with pytest.raises(SessionError, match="Nothing is labelled"):
        engine.finish()


def test_proposing_can_be_cancelled(engine):
    from napari_sesami.common.cancel import Cancelled

    label_by_hand(engine)
    engine.finish()
    engine.open()
    with pytest.raises(Cancelled):
        engine.propose(cancelled=lambda: True)
    assert engine.review is None
    assert engine.item.state == "new"


def test_damaged_proposals_are_named(engine, tmp_path):
    ready(engine)
    engine.leave()
    path = next((tmp_path / "wafers.sesami" / "queries").glob("proposals-*.json"))
    path.write_text("{")
    session = engine.open("scan 2.tif")
    assert engine.review is None
    assert "propose again" in engine.notice
    assert session.scan.plane_shape == SHAPE


def test_proposals_of_other_magnification_are_read_at_the_same_scale(tmp_path):
    from napari_sesami.scan import Scan
    from napari_sesami.worklist.teacher import LabelledScan, Teacher

    fine = np.repeat(np.repeat(truth(), 2, 0), 2, 1)
    source = Scan.from_array(picture(fine), pixel_size=1.0, units="nm", name="fine")
    target = Scan.from_array(picture(truth(4)), pixel_size=2.0, units="nm", name="low")
    unknown = Scan.from_array(picture(truth()), name="unknown")
    teacher = Teacher()
    sources = [LabelledScan(source, {0: fine}), LabelledScan(unknown, {0: truth()})]
    found = teacher.retriever(target, Texture(), sources, 2).segment(0).labels
    assert (np.where(found > 2, 0, found) == truth(4)).mean() > 0.95
    assert len(teacher.skipped) == 1
    assert "unknown is left out" in teacher.skipped[0]


def test_proposals_never_overlap_and_small_ones_come_first():
    labels = truth()
    regions = regions_of(labels, 0)
    large = regions_of(np.ones(SHAPE, np.uint8), 0)
    kept = disjoint([*large, *regions], np.ones(SHAPE, bool))
    total = np.zeros(SHAPE, int)
    for p in kept:
        y0, x0, y1, x1 = p.bbox
        total[y0:y1, x0:x1] += p.mask
    assert total.max() == 1
    assert len(kept) == 4


def test_masks_are_sharpened_only_for_classes_that_gain_by_it():
    from napari_sesami.prompt import Predictor
    from napari_sesami.retrieve import Labelled
    from napari_sesami.scan import Scan

    said = truth()
    said[16:26, 30:44] = 0  # a bite out of a block, which the model fills
    said[18:30, 84:96] = 0
    votes = np.eye(3, dtype=np.float32)[said]
    found = classes_to_sharpen(
        Predictor(GreyModel(tile=128)),
        Scan.from_array(picture(truth())),
        0,
        Labelled(said, votes[..., 1:], np.zeros(SHAPE, np.float32)),
        truth(),
    )
    assert found == {1}


# --- what it brought


def test_times_compare_by_hand_with_proposals(tmp_path, folder):
    clock = Clock()
    with engine_of(tmp_path, folder, clock) as engine:
        for seconds, shift in ((28, 0), (20, 4)):
            label_by_hand(engine, shift)
            clock.t += seconds
            engine.finish()
        assert "24 s each" in engine.worklist.times().sentence
        engine.open()
        engine.propose().accept_rest()
        clock.t += 6
        engine.finish()
        times = engine.worklist.times()
        assert times.by_hand == 24
        assert times.lately == 6
        assert times.saving == 0.75
        assert "75 % less" in times.sentence
        path = engine.worklist.to_csv(tmp_path / "times.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [float(r["seconds"]) for r in rows] == [28, 20, 6, 0]
    assert [r["by_hand"] for r in rows[:3]] == ["yes", "yes", "no"]
    assert rows[2]["accepted"] == "3"


def test_rounds_tell_one_model_from_the_next(tmp_path, folder):
    with engine_of(tmp_path, folder) as engine:
        label_by_hand(engine)
        engine.finish()
        for key in ("grey-1", "grey-2"):
            engine.open()
            engine.session.prompts.predictor.model.key = key
            review = engine.propose()
            if key == "grey-1":
                review.reject(0)
            review.accept_rest()
            engine.finish()
        first, second = engine.rounds()
    assert (first.model, second.model) == ("grey-1", "grey-2")
    assert (first.rejected, second.rejected) == (1, 0)
    assert second.agreement > first.agreement


# --- superpixels


def test_a_superpixel_becomes_a_class_in_one_step():
    session = Session(picture(truth()))
    session.classes.add("block")
    pieces = session.retrieval.superpixels.cut(scale=12)
    box = session.retrieval.superpixels.assign((20, 30), "block", scale=12)
    assert (session.document.labels.plane() == (pieces == pieces[20, 30])).all()
    assert box is not None
    assert session.retrieval.superpixels.cut(scale=12) is pieces
    assert session.undo() == "superpixels block"
    assert not session.labels.any()


def test_a_drag_over_superpixels_is_one_step_and_zero_erases():
    session = Session(picture(truth()))
    session.classes.add("block")
    line = np.stack([np.full(60, 22), np.arange(20, 80)], 1)
    session.retrieval.superpixels.assign(line, 1, scale=12)
    covered = session.document.labels.plane()[22, 20:80]
    assert covered.all()
    session.retrieval.superpixels.assign((22, 25), 0, scale=12)
    assert session.document.labels.plane()[22, 25] == 0
    session.undo()
    session.undo()
    assert not session.labels.any()


def test_superpixels_refuse_what_makes_no_sense():
    session = Session(picture(truth()))
    session.classes.add("block")
    with pytest.raises(SessionError, match="4 to 128 pixels"):
        session.retrieval.superpixels.cut(scale=2)
    with pytest.raises(SessionError, match="one point"):
        session.retrieval.superpixels.assign(["a", "b"], 1)
    assert session.retrieval.superpixels.assign((-5, 900), 1) is None


# --- the command line


def test_the_command_prints_states_and_times(tmp_path, folder, capsys):
    from napari_sesami.cli import main

    clock = Clock()
    with engine_of(tmp_path, folder, clock) as engine:
        label_by_hand(engine)
        clock.t += 12
        engine.finish()
    table = tmp_path / "table.csv"
    assert main(["worklist", str(folder), "--csv", str(table)]) == 0
    said = capsys.readouterr().out
    assert "1 of 4 accepted" in said
    assert "12 s each" in said
    assert table.read_text().count("\n") == 5
    assert main(["worklist", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
