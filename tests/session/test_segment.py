"""The ways of a session, classes that overlap, data bars, and what follows."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.fakes.texture import Texture, stripes
from tests.retrieve.test_overlap import DIE, EPOXY, WIRE, iou, scene

from napari_sesami.scan import Scan, load_coco
from napari_sesami.session import Session, SessionError
from napari_sesami.session.cleanup import without_specks

NAMES = ("oxide", "nitride", "void")


def session_of(pixels: np.ndarray, names=NAMES, **given) -> Session:
    scan = replace(Scan.from_array(pixels, pixel_size=2.0, units="nm"), **given)
    made = Session(scan)
    made.retrieval.encoder = Texture()
    for name in names:
        made.classes.add(name)
    return made


@pytest.fixture
def session() -> Session:
    grey, _ = stripes()
    made = session_of(np.stack([grey, grey[::-1]]))
    for i, y in enumerate((10, 60, 100)):
        stroke = np.zeros((130, 118), np.uint8)
        stroke[y, 20:60] = stroke[y + 8, 50:100] = i + 1
        made.paint(stroke, plane=0)
    return made


@pytest.mark.parametrize("method", ["ours", "distance", "attention", "histogram"])
def test_every_way_labels_every_plane(session, method):
    found = session.segment(planes=[0, 1], method=method, zoom=1.0)
    truth = stripes()[1]
    assert found.method == method and found.multi is None
    assert found.votes.shape == (2, 130, 118, 3)
    assert (found.labels[0] == truth).mean() > 0.9
    assert (found.labels[1] == truth[::-1]).mean() > 0.9


def test_an_unknown_way_is_said_before_anything_is_computed(session):
    with pytest.raises(ValueError, match="method is one of ours, distance, attention"):
        session.segment(planes=0, method="magic")
    assert session.retrieval.encoder.calls == 0


def test_a_cancelled_segmentation_stops(session):
    from napari_sesami.common.cancel import Cancelled

    with pytest.raises(Cancelled):
        session.segment(planes=0, method="distance", zoom=1.0, cancelled=lambda: True)


# --- classes that overlap


def wires() -> Session:
    """Wires painted over longer strokes of die and epoxy."""
    made = session_of(scene()[0], ("die", "epoxy", "wire"))
    made.strokes.overlap = True
    for class_id, x in ((DIE, 10), (DIE, 34), (EPOXY, 76), (EPOXY, 100)):
        for rows in (slice(8, 11), slice(44, 50), slice(80, 83)):
            stroke = np.zeros((96, 128), np.uint8)
            stroke[rows, x : x + 16] = class_id
            made.paint(stroke)
    for x in (10, 34, 76, 100):
        stroke = np.zeros((96, 128), np.uint8)
        stroke[44:50, x : x + 16] = WIRE
        made.paint(stroke)
    return made


def test_painting_over_a_stroke_keeps_both_classes():
    session = wires()
    assert set(np.unique(session.strokes.plane()[44:50])) == {0, WIRE}
    found = session.segment(zoom=1.0)
    truth = scene()[1]
    assert found.multi.shape == (1, 96, 128, 3) and found.multi.dtype == bool
    assert found.thresholds.shape == (3,)
    scores = [iou(found.multi[0, ..., c], truth[..., c]) for c in range(3)]
    assert min(scores) > 0.85
    assert session.segment(zoom=1.0, multi=False).multi is None


def test_undo_brings_back_what_was_alone():
    session = wires()
    strokes, below = session.strokes.plane().copy(), below_of(session).copy()
    session.undo()
    assert (session.strokes.plane()[44:50, 100:116] == EPOXY).all()
    assert not below_of(session)[44:50, 100:116].any()
    session.history.redo()
    assert (session.strokes.plane() == strokes).all()
    assert (below_of(session) == below).all()


def below_of(session: Session) -> np.ndarray:
    return session.document.work.layers["below"].read(0)


def test_without_overlap_a_later_stroke_replaces_the_earlier_one():
    session = wires()
    session.strokes.overlap = False
    stroke = np.zeros((96, 128), np.uint8)
    stroke[44:50, 10:26] = DIE
    session.paint(stroke)
    assert not below_of(session)[44:50, 10:26].any()
    assert below_of(session)[44:50, 34:50].all()


def test_erasing_takes_both_and_removing_a_class_brings_the_lower_one_up():
    session = wires()
    gone = np.zeros((96, 128), bool)
    gone[44:50, 10:26] = True
    session.strokes.erase(gone)
    assert not session.strokes.plane()[gone].any() and not below_of(session)[gone].any()
    session.classes.remove("wire")
    assert (session.strokes.plane()[44:50, 34:50] == DIE).all()
    assert not below_of(session).any()
    session.undo()
    assert (session.strokes.plane()[44:50, 34:50] == WIRE).all()


def test_what_lies_below_survives_saving(tmp_path):
    session = wires()
    below = below_of(session).copy()
    session.save(tmp_path / "wires.sesami")
    session.close()
    with Session(session.scan, project=tmp_path / "wires.sesami") as again:
        assert (below_of(again) == below).all()
        assert again.strokes.overlap


def test_overlapping_classes_are_saved_as_coco_and_as_channels(tmp_path):
    import zarr

    session = wires()
    found = session.segment(zoom=1.0)
    masks, images, classes = load_coco(
        session.retrieval.save_overlapping(found, tmp_path / "wires.json")
    )
    assert [c.name for c in classes] == ["die", "epoxy", "wire"] and len(images) == 1
    for mask in masks:
        full = np.zeros((96, 128), bool)
        y, x = mask.origin
        h, w = mask.mask.shape
        full[y : y + h, x : x + w] = mask.mask
        assert (full == found.multi[0, ..., mask.class_id - 1]).all()
    path = session.retrieval.save_overlapping(found, tmp_path / "wires.ome.zarr")
    group = zarr.open_group(path, mode="r")
    labels = np.asarray(group["labels/classes/0"])
    assert labels.shape == (3, 96, 128)
    for c in range(3):
        assert (labels[c] == (c + 1) * found.multi[0, ..., c]).all()
    axes = group["labels/classes"].attrs["multiscales"][0]["axes"]
    assert [axis["name"] for axis in axes] == ["c", "y", "x"]
    told = json.dumps(group["labels/classes"].attrs.asdict())
    assert "epoxy" in told


def test_classes_that_do_not_overlap_are_not_saved_so(session, tmp_path):
    found = session.segment(planes=0, zoom=1.0)
    with pytest.raises(SessionError, match="segment with multi=True"):
        session.retrieval.save_overlapping(found, tmp_path / "a.json")
    one_of_two = session.segment(planes=[0, 1], zoom=1.0, multi=True)
    one_of_two = replace(one_of_two, planes=(0, 1))
    path = session.retrieval.save_overlapping(one_of_two, tmp_path / "both.zarr")
    assert path.is_dir()
    with pytest.raises(ValueError, match="as COCO"):
        session.retrieval.save_overlapping(one_of_two, tmp_path / "both.tif")


# --- data bars


def with_bar() -> Session:
    grey, _ = stripes()
    ignore = np.zeros(grey.shape, bool)
    ignore[110:] = True
    return session_of(grey, ignore=ignore)


def test_strokes_on_a_data_bar_teach_nothing():
    session = with_bar()
    stroke = np.zeros((130, 118), np.uint8)
    stroke[115:120, 20:60] = 3
    session.paint(stroke)
    with pytest.raises(SessionError, match="All strokes lie on the data bar"):
        session.segment(zoom=1.0)
    for i, y in enumerate((10, 60)):
        stroke = np.zeros((130, 118), np.uint8)
        stroke[y, 20:60] = i + 1
        session.paint(stroke)
    found = session.segment(zoom=1.0)
    assert not found.labels[0, 110:].any()
    assert set(np.unique(found.labels[0, :110])) == {1, 2}
    assert all(
        (r.patches != 3).all() for _, r in session.retrieval.learner.retriever(1.0).bank
    )


def test_a_bank_holds_nothing_of_a_data_bar(tmp_path):
    from napari_sesami.retrieve import load_bank

    session = with_bar()
    stroke = np.zeros((130, 118), np.uint8)
    stroke[100:125, 20:60] = 3
    session.paint(stroke)
    rows = load_bank(session.retrieval.export_bank(tmp_path / "a.bank", zoom=1.0)).rows
    bottom = rows.where[:, 1] == rows.where[:, 1].max()
    assert (rows.where[:, 1] * 4 < 110).all()
    labelled = rows.patches[bottom] != 255
    assert not labelled[:, 110 - 4 * (110 // 4) :].any()


# --- accepting and banks


def test_accepting_many_planes_is_one_step(session):
    found = session.segment(planes=[0, 1], zoom=1.0)
    mine = np.zeros((130, 118), np.uint8)
    mine[:5] = 3
    session.document.labels.write(mine, plane=1)
    assert session.retrieval.accept(found) == 2
    assert (session.document.labels.plane(1)[:5] == 3).all()
    assert (session.document.labels.plane(1)[5:] == found.labels[1, 5:]).all()
    session.undo()
    assert not session.document.labels.plane(0).any()
    assert (session.document.labels.plane(1) == mine).all()
    session.retrieval.accept(found, overwrite=True)
    assert (session.document.labels.plane(1) == found.labels[1]).all()


def test_accepting_can_be_cancelled_and_what_is_done_stays(session):
    labels = np.ones((2, 130, 118), np.uint8)
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > 1

    assert session.retrieval.accept(labels, cancelled=cancelled) == 1
    assert (
        session.document.labels.plane(0).all()
        and not session.document.labels.plane(1).any()
    )
    with pytest.raises(SessionError, match="1 planes of labels were given for 2"):
        session.retrieval.accept(labels[:1])


def test_groups_of_one_key_are_one_step(session):
    for plane in (0, 1):
        with session.history.group("accept", key=7):
            session.document.labels.accept(np.ones((130, 118), np.uint8), plane)
    session.undo()
    assert (
        not session.document.labels.plane(0).any()
        and not session.document.labels.plane(1).any()
    )


def test_two_banks_become_one(session, tmp_path):
    first = session.retrieval.export_bank(tmp_path / "a.bank", zoom=1.0)
    other = session_of(stripes()[0][::-1].copy(), ("void", "metal"))
    stroke = np.zeros((130, 118), np.uint8)
    stroke[10, 20:60], stroke[100, 20:60] = 1, 2
    other.paint(stroke)
    second = other.retrieval.export_bank(tmp_path / "b.bank", zoom=1.0)
    path, n = session.retrieval.combine_banks([first, second], tmp_path / "both.bank")
    from napari_sesami.retrieve import load_bank

    both = load_bank(path)
    assert [c.name for c in both.card.classes] == [*NAMES, "metal"]
    assert n == len(load_bank(first).rows) + len(load_bank(second).rows)
    with pytest.raises(SessionError, match="two banks or more"):
        session.retrieval.combine_banks([first], tmp_path / "one.bank")


# --- cleaning up


def test_specks_go_to_what_is_around_unless_the_votes_are_sure():
    labels = np.ones((40, 40), np.uint8)
    labels[:, 20:] = 2
    labels[5:7, 5:7] = 2
    labels[30:38, 30:38] = 1
    out, n = without_specks(labels, 16)
    assert n == 1 and (out[5:7, 5:7] == 1).all() and (out[30:38, 30:38] == 1).all()
    votes = np.full((40, 40, 2), 0.5, np.float32)
    votes[5:7, 5:7] = (0.05, 0.95)
    assert without_specks(labels, 16, votes)[1] == 0
    masked = labels.copy()
    masked[:3] = 0
    assert not without_specks(masked, 16)[0][:3].any()


def test_cleaning_takes_the_outline_of_objects_that_the_model_sees():
    rng = np.random.default_rng(0)
    yy, xx = np.indices((128, 128))
    truth = np.ones((128, 128), np.uint8)
    for cy, cx in ((40, 40), (84, 90)):
        truth[(yy - cy) ** 2 + (xx - cx) ** 2 < 18**2] = 2
    grey = np.where(truth == 2, 0.8, 0.25) + 0.02 * rng.normal(size=truth.shape)
    session = session_of((grey * 1000).clip(0).astype(np.uint16), ("matrix", "void"))
    session.paint(np.where((yy == 10) & (xx > 20), 1, 0).astype(np.uint8))
    session.paint(np.where((abs(yy - 40) < 3) & (abs(xx - 40) < 9), 2, 0))
    found = session.segment(zoom=1.0)
    rough = truth.copy()  # the truth with a frayed border, and undecided votes
    border = (truth != np.roll(truth, 2, 0)) | (truth != np.roll(truth, 2, 1))
    rough[border] = rng.integers(1, 3, int(border.sum()))
    votes = np.full_like(found.votes, 0.5)
    found = replace(found, labels=rough[None], votes=votes)
    cleaned, told = session.retrieval.clean(found, score=0.6, agree=0.6)
    assert told[0].asked >= 2 and told[0].redrawn >= 2
    before, after = ((a == truth).mean() for a in (rough, cleaned.labels[0]))
    assert after > before
    assert (found.labels[0] == rough).all()  # nothing was changed in place
    _, told = session.retrieval.clean(found, score=1.01)
    assert told[0].redrawn == 0


def test_cleaning_can_be_cancelled(session):
    from napari_sesami.common.cancel import Cancelled

    found = session.segment(planes=0, zoom=1.0)
    with pytest.raises(Cancelled):
        session.retrieval.clean(found, cancelled=lambda: True)


# --- while a plane is being read


def test_a_preview_is_the_quick_answer_where_tokens_are_known(session):
    store = session.retrieval.learner.token_store(1.0)
    seen = []

    def partly(tokens, known):
        labels = session.retrieval.preview(0, tokens, known)
        seen.append((labels, known.copy()))

    assert (
        session.retrieval.preview(
            0, np.zeros((33, 30, 5), np.float32), np.zeros((33, 30), bool)
        )
        is None
    )
    store.plane(0, near=(0, 0), partly=partly)
    assert len(seen) == len(store._plan((130, 118))) - 1
    full = session.retrieval.learner.retriever(1.0, tune=False).quick(0)
    labels, known = seen[-1]
    inner = known.repeat(4, 0).repeat(4, 1)[:130, :118]
    assert 0 < inner.mean() < 1 and not labels[~inner].any()
    assert (labels[inner] == full[inner]).mean() > 0.9
    assert seen[0][1].sum() < known.sum()
