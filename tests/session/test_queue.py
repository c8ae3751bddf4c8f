"""The queue asks about regions, is answered, undone, and survives a restart."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.fakes.texture import Texture, stripes

from napari_sesami.project import ClassError
from napari_sesami.scan import Scan
from napari_sesami.session import SCORES, Session, SessionError, core
from napari_sesami.suggest import SuggestError


def scan_of(planes: int = 2) -> Scan:
    grey, _ = stripes()
    grey[100:124, 80:104] = np.where(np.indices((24, 24)).sum(0) % 2, 1000, 0)
    return Scan.from_array(np.stack([np.roll(grey, 9 * i, 1) for i in range(planes)]))


def ready(session: Session, strokes: int = 3) -> Session:
    session.retrieval.encoder = Texture()
    for name in ("oxide", "nitride", "void"):
        if name not in session.classes:
            session.classes.add(name)
    for i, y in enumerate((10, 60, 90)[:strokes]):
        stroke = np.zeros((130, 118), np.uint8)
        stroke[y, 10:50] = i + 1
        session.paint(stroke, plane=0)
    session.queue.ask_for(zoom=1.0, n=8)
    return session


@pytest.fixture
def session() -> Session:
    return ready(Session(scan_of()))


def region(session: Session, query) -> np.ndarray:
    y0, x0, y1, x1 = query.bbox
    return session.strokes.plane(query.plane)[y0:y1, x0:x1][core(query)]


def test_the_queue_is_ranked_and_says_why(session):
    session.queue.ask_for(strategy="margin")
    scores = [e.query.score for e in session.queue.refresh()]
    assert scores == sorted(scores, reverse=True)
    session.queue.ask_for(strategy="rare")
    entries = session.queue.refresh()
    assert 0 < len(entries) <= 8
    assert len({e.id for e in entries}) == len(entries)
    first = session.queue.reason(entries[0])
    assert "margin 0." in first or "margin 1." in first
    assert any(name in first for name in session.classes.names)
    assert any("unlike all strokes" in session.queue.reason(e) for e in entries)


def test_a_reason_names_the_rare_class_that_it_may_be(session):
    votes = np.zeros((130, 118, 3), np.float32)
    votes[..., 0] = 1
    votes[40:60, 40:60] = (0.55, 0.0, 0.45)  # never the likeliest, but perhaps
    votes[80:90, 80:90] = (0.1, 0.1, 0.8)
    session.queue.source = lambda plane: (votes, None)
    session.queue.ask_for(planes=(1,), n=20)
    reasons = {e.center: session.queue.reason(e) for e in session.queue.refresh()}
    words = " | ".join(reasons.values())
    assert "looks like oxide · perhaps rare void" in words
    assert "rare class void" in words
    assert "rare oxide" not in words and "rare class oxide" not in words


def test_accepting_paints_the_region_and_undo_asks_again(session):
    queue = session.queue
    first = queue.refresh()[0]
    answer = queue.accept(first.id, seconds=1.5)
    assert (answer.how, answer.class_id) == ("accepted", first.query.class_id)
    assert (region(session, first.query) == first.query.class_id).all()
    assert first.id not in {e.id for e in queue.open}
    assert queue.spent == (1.0, 1.5)
    assert session.undo().startswith("query accepted as")
    assert queue.open[0].id == first.id
    assert queue.spent == (0.0, 0.0)
    assert (region(session, first.query) == 0).all()
    session.history.redo()
    assert [a.entry.id for a in queue.answers] == [first.id]


def test_an_answer_leaves_what_was_painted_before(session):
    first = session.queue.refresh()[0]
    y, x = np.round(first.center).astype(int)
    mine = np.zeros((130, 118), np.uint8)
    mine[y, x] = 2
    session.paint(mine, first.query.plane)
    session.queue.change(first.id, "void")
    assert session.strokes.plane(first.query.plane)[y, x] == 2
    assert (region(session, first.query) == 3).sum() > 10


def test_the_rim_of_a_region_is_not_painted(session):
    first = next(e for e in session.queue.refresh() if e.query.mask.sum() > 60)
    before = int((session.strokes.plane(first.query.plane) > 0).sum())
    session.queue.change(first.id, "void")
    painted = int((session.strokes.plane(first.query.plane) > 0).sum()) - before
    assert painted == core(first.query).sum() < first.query.mask.sum()


def test_a_skipped_query_is_not_asked_again_until_undone(session):
    queue = session.queue
    first = queue.refresh()[0]
    queue.skip(first.id)
    assert first.query.bbox not in {
        e.query.bbox for e in queue.refresh() if e.query.plane == first.query.plane
    }
    session.undo()
    assert queue.open[0].id == first.id


def test_painting_counts_strokes_in_the_region_only(session):
    queue = session.queue
    first = queue.refresh()[0]
    with pytest.raises(SessionError, match="Nothing is painted in this region"):
        queue.painted(first.id)
    y, x = np.round(first.center).astype(int)
    mine = np.zeros((130, 118), np.uint8)
    mine[y, x] = 1
    session.paint(mine, first.query.plane)
    assert queue.painted(first.id).clicks == 1


def test_ranking_anew_keeps_numbers_and_leaves_answers_out(session):
    queue = session.queue
    first, *rest = queue.refresh()
    queue.skip(first.id)
    before = {(e.query.plane, e.query.bbox): e.id for e in rest}
    after = queue.refresh()
    assert first.id not in {e.id for e in after}
    places = {(e.query.plane, e.query.bbox): e.id for e in after}
    same = set(places) & set(before)
    assert same
    assert all(before[place] == places[place] for place in same)
    new = [id_ for place, id_ in places.items() if place not in before]
    assert not set(new) & {first.id, *before.values()}


@pytest.mark.parametrize("kind", ["superpixel", "patch", "slice"])
def test_every_kind_of_region_can_be_accepted_and_taken_back(session, kind):
    queue = session.queue
    queue.ask_for(kind=kind)
    first = queue.refresh()[0]
    assert first.query.kind == kind
    queue.accept(first.id)
    layer = session.labels if kind == "slice" else session.strokes
    y0, x0, y1, x1 = first.query.bbox
    crop = np.asarray(layer)[first.query.plane, y0:y1, x0:x1]
    assert (crop[core(first.query)] > 0).all()
    session.undo()
    assert first.id in {e.id for e in queue.open}


def test_masks_of_the_prompt_model_become_objects_and_strokes(session):
    from tests.fakes.grey_model import GreyModel

    session.prompts.model = GreyModel(tile=128)
    queue = session.queue
    queue.ask_for(kind="mask", planes=(1,))
    first = queue.refresh()[0]
    assert first.query.kind == "mask"
    queue.change(first.id, "void")
    assert len(session.objects) == 1
    assert (region(session, first.query) == 3).all()
    session.undo()
    assert not session.objects and (region(session, first.query) == 0).all()
    assert queue.open[0].id == first.id


def test_a_small_answer_leaves_the_larger_region_to_ask(session):
    queue = session.queue
    queue.ask_for(kind="patch", planes=(1,))
    queue.skip(queue.refresh()[0].id)
    queue.ask_for(kind="slice")
    first = queue.refresh()[0]
    queue.skip(first.id)
    queue.ask_for(kind="superpixel")
    with pytest.raises(SessionError, match="Every region was asked about"):
        queue.refresh()


def test_a_slice_has_no_single_class(session):
    session.queue.ask_for(kind="slice")
    first = session.queue.refresh()[0]
    with pytest.raises(SessionError, match="more than one class"):
        session.queue.change(first.id, "void")


@pytest.mark.parametrize("stratified", [False, True])
def test_every_strategy_ranks(session, stratified):
    queue = session.queue
    for strategy in queue.strategies:
        queue.ask_for(strategy=strategy, stratified=stratified)
        entries = queue.refresh()
        assert entries, strategy
        assert all(queue.reason(e) for e in entries)


def test_the_budget_is_spent_by_clicks_and_by_seconds(session):
    queue = session.queue
    queue.spend(clicks=4, seconds=20)
    entries = queue.refresh()
    queue.accept(entries[0].id, seconds=15)
    assert queue.progress == pytest.approx(0.75)
    queue.spend(seconds=0)
    assert queue.progress == pytest.approx(0.25)
    with pytest.raises(SessionError, match="cannot be negative"):
        queue.spend(clicks=-1)


# --- on disk


def test_queue_and_answers_survive_a_restart_without_saving(tmp_path):
    folder = tmp_path / "a.sesami"
    first = ready(Session(scan_of(), project=folder))
    first.queue.ask_for(kind="patch", stratified=True)
    first.queue.spend(clicks=30)
    entries = first.queue.refresh()
    first.queue.change(entries[0].id, "void", seconds=3)
    first.queue.skip(entries[1].id)
    kept = [(e.id, e.query.bbox, first.queue.reason(e)) for e in first.queue.open]
    spent, wish = first.queue.spent, first.queue.settings
    first.close()
    again = Session(scan_of(), project=folder)
    queue = again.queue
    assert [(e.id, e.query.bbox, queue.reason(e)) for e in queue.open] == kept
    assert (queue.spent, queue.settings, queue.budget.clicks) == (spent, wish, 30)
    assert again.undo() == "query skipped"
    assert queue.open[0].id == entries[1].id
    again.close()


def test_answers_are_in_the_save_and_a_new_number_is_given_after_it(tmp_path):
    session = ready(Session(scan_of()))
    entries = session.queue.refresh()
    session.queue.accept(entries[0].id)
    session.save(tmp_path / "b.sesami")
    session.close()
    again = ready(Session(scan_of(), project=tmp_path / "b.sesami"), strokes=0)
    assert [a.entry.id for a in again.queue.answers] == [entries[0].id]
    assert [e.id for e in again.queue.open] == [e.id for e in entries[1:]]
    assert again.undo() is None
    assert entries[0].id not in {e.id for e in again.queue.refresh()}
    again.close()


def test_the_queue_of_another_scan_is_not_mixed_in(tmp_path):
    folder = tmp_path / "c.sesami"
    one = ready(Session(scan_of(), project=folder))
    one.queue.refresh()
    other = Session(
        Scan.from_array(np.asarray(scan_of().data)[:, ::-1].copy()),
        one.document.project,
    )
    assert other.queue.open == [] and other.queue.answers == []
    assert one.queue.open
    one.close()


def test_a_damaged_queue_is_said_and_begins_anew(tmp_path):
    folder = tmp_path / "d.sesami"
    session = ready(Session(scan_of(), project=folder))
    session.queue.refresh()
    session.close()
    file = next((folder / "queries").glob("*.json"))
    values = json.loads(file.read_text())
    del values["open"][0]["bbox"]
    file.write_text(json.dumps(values))
    again = Session(scan_of(), project=folder)
    assert "damaged" in again.queue.trouble
    assert again.queue.open == []
    again.close()
    file.write_text("{")
    again = Session(scan_of(), project=folder)
    assert "cannot be read" in again.queue.trouble
    again.close()


# --- bad input


def test_nothing_painted_is_said():
    session = ready(Session(scan_of()), strokes=0)
    with pytest.raises(SessionError, match="Nothing is painted yet"):
        session.queue.refresh()


def test_one_class_is_said():
    session = ready(Session(scan_of()), strokes=1)
    with pytest.raises(SessionError, match="one class only"):
        session.queue.refresh()


def test_everything_labelled_is_said(session):
    session.document.labels.write(np.ones((130, 118), np.uint8), 0)
    session.document.labels.write(np.ones((130, 118), np.uint8), 1)
    with pytest.raises(SessionError, match="Everything here is labelled"):
        session.queue.refresh()


def test_a_class_deleted_while_queued_is_asked_again(session):
    queue = session.queue
    entries = queue.refresh()
    entry = entries[0]
    session.classes.remove(entry.query.class_id)
    assert "its class was deleted" in queue.reason(entry)
    with pytest.raises(SessionError, match="was deleted: give it another"):
        queue.accept(entry.id)
    left = session.classes.ids[0]
    queue.change(entry.id, left)
    assert (region(session, entry.query) == left).all()
    assert all(e.query.class_id in session.classes for e in queue.refresh())


@pytest.mark.parametrize(
    ("shape", "value", "says"),
    [
        ((130, 100, 3), 0.3, "was given for a plane of"),
        ((130, 118, 3), np.nan, "not numbers"),
        ((130, 118, 1), 1.0, "one class only"),
    ],
)
def test_maps_that_do_not_fit_are_said(session, shape, value, says):
    session.queue.source = lambda plane: (np.full(shape, value, np.float32), None)
    with pytest.raises((SuggestError, SessionError), match=says):
        session.queue.refresh()


def test_maps_of_a_model_are_ranked_like_those_of_strokes(session):
    votes = np.zeros((130, 118, 3), np.float32)
    votes[..., 0] = 1
    votes[40:80, 30:70] = 1 / 3
    session.queue.source = lambda plane: (votes, None)
    session.queue.ask_for(planes=(1,), strategy="margin")
    for entry in session.queue.refresh()[:3]:
        y, x = entry.center
        assert entry.query.plane == 1 and 30 <= y < 90 and 20 <= x < 80


@pytest.mark.parametrize("wrong", [{"kind": "voxel"}, {"strategy": "luck"}])
def test_an_unknown_wish_is_said(session, wrong):
    with pytest.raises(SessionError, match=r"voxel|luck"):
        session.queue.ask_for(**wrong)


def test_a_number_that_is_not_queued_is_said(session):
    with pytest.raises(SessionError, match="Query 99 is not in the queue"):
        session.queue.skip(99)
    entry = session.queue.refresh()[0]
    with pytest.raises(ClassError, match="no class with"):
        session.queue.change(entry.id, 77)


# --- heat maps


def test_every_score_is_a_map_of_its_own(session):
    maps = session.queue.score_maps(0, SCORES, zoom=1.0)
    assert tuple(maps) == SCORES
    for name, found in maps.items():
        assert found.shape == (130, 118) and found.dtype == np.float32, name
        assert 0 <= found.min() and found.max() <= 1, name
        assert found.max() > found.min(), name
    odd, plain = np.s_[104:120, 84:100], np.s_[92:98, 20:60]
    assert maps["novelty"][odd].mean() > 3 * maps["novelty"][plain].mean()
    border, middle = np.s_[38:42, 10:60], np.s_[16:24, 10:60]
    for name in ("entropy", "margin", "bvsb", "impurity"):
        assert maps[name][border].max() > maps[name][middle].mean()
    with pytest.raises(SessionError, match="A score is one of"):
        session.queue.score_maps(0, ("luck",))


def test_only_regions_and_counts_are_remembered_of_many_planes():
    session = ready(Session(scan_of(5)))
    ranking = session.queue.ranking()
    for plane in ranking.planes:
        ranking.take(plane)
    assert len(ranking.finish()) == 8
    held = sum(r.nbytes for r in session.queue.pool._regions.values())
    assert held <= 5 * 130 * 118 * 4
    assert not any(
        isinstance(v, np.ndarray) and v.ndim > 2 for v in vars(ranking).values()
    )


# --- control


def test_slices_by_lot_judge_and_never_teach():
    session = ready(Session(scan_of(6)))
    queue = session.queue
    queue.ask_for(n=10)
    planes = set(queue.control_planes)
    assert len(planes) == 1
    for _ in range(14):
        entry = queue.refresh()[0]
        assert entry.query.plane not in planes
        queue.change(
            entry.id, 1 + (entry.query.bbox[0] > 40) + (entry.query.bbox[0] > 80)
        )
    assert "can be told after 5 more controls" in queue.saved()
    for _ in range(7):
        entry = next(e for e in queue.refresh() if e.control)
        assert entry.query.plane in planes
        assert "at random" in queue.reason(entry)
        with pytest.raises(SessionError, match="must not teach"):
            queue.painted(entry.id)
        row = entry.center[0]
        queue.change(entry.id, 1 + int(row >= 40) + int(row >= 80))
    assert not planes & set(session.strokes.planes)
    judging = queue.judging()
    for step in judging.steps:
        judging.take(step)
    assert {p.chosen for p in judging.points} == {True, False}
    assert all(0 <= p.accuracy <= 1 for p in judging.points)
    words = queue.verdict(judging)[0]
    assert "random" in words or "too little" in words


def test_an_image_of_one_plane_has_nothing_to_spare():
    session = ready(Session(Scan.from_array(stripes()[0])))
    assert session.queue.control_planes == []
    session.queue.refresh()
    assert "can be told in a volume" in session.queue.saved()
