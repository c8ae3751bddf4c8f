"""Sorting a lot: from the first label to files, undo, and the same bits everywhere."""

from __future__ import annotations

import json
import time
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.fakes.defects import KINDS, draw, lot_of, write_klarf
from tests.fakes.texture import Texture

import napari_sesami as sesami
from napari_sesami.classify import (
    ClassifyError,
    FeatureCache,
    LotFeatures,
    classify_lot,
    contradictions,
    drift,
    drift_sentence,
    features_of,
    load_model,
    report_html,
    review_queue,
    similar,
    suspects,
)
from napari_sesami.classify.pooling import beside_length, pooled_alone, pooled_beside


@pytest.fixture(scope="module")
def lot():
    return lot_of(10, 2, labelled=False)


@pytest.fixture(scope="module")
def features(lot):
    return features_of(lot.defects, Texture())


@pytest.fixture
def classifier(lot, features):
    c = lot.classifier(encoder=Texture())
    c.use(features)
    return c


def truth(lot):
    return [KINDS[k % len(KINDS)] for k in range(len(lot))]


def label_all(classifier, each=20):
    for kind in KINDS:
        ids = [
            d.id
            for d, t in zip(classifier.lot.defects, truth(classifier.lot), strict=True)
            if t == kind
        ]
        classifier.label(ids[:each], kind)


def test_ten_lines_are_a_sorted_lot(tmp_path):
    write_klarf(tmp_path / "lot.001", [0] * 45)
    lot = sesami.open_lot(tmp_path / "lot.001")
    c = lot.classifier(encoder=Texture())
    for kind, name in enumerate(("speck", "Kratzer ß", "clean")):
        c.label([str(1 + kind + 3 * k) for k in range(10)], name)
    d = c.decide(purity=0.8)
    lot.save_klarf(tmp_path / "out.001", d, {"clean": 3})
    again = sesami.open_lot(tmp_path / "out.001")
    right = sum(
        name == ("speck", "Kratzer ß", "class 3")[k % 3]
        for k, name in enumerate(x.label for x in again.defects)
    )
    assert right >= 40 and d.by_machine >= 10


def test_before_a_second_class_everything_is_unknown(classifier):
    assert set(classifier.decide(0.9).reasons) == {"no labels"}
    classifier.label("d0", "speck")
    d = classifier.decide(0.9)
    assert (
        d.classes[0] == "speck" and d.by[0] == "person" and d.for_people == len(d) - 1
    )
    with pytest.raises(ClassifyError, match="two classes"):
        classifier.matrix()
    with pytest.raises(ClassifyError, match="two classes"):
        classifier.save("model")


def test_a_second_label_gives_answers_for_all(classifier, lot):
    classifier.label("d0", "speck")
    classifier.label("d1", "scratch")
    classifier.label("d2", "clean")  # one example of each
    table, _ = classifier.answers
    said = [classifier.model.classes[k] for k in table.argmax(1)]
    assert np.mean([a == b for a, b in zip(said, truth(lot), strict=True)]) > 0.7
    assert classifier.decide(0.9).by_machine == 0  # nothing promised by three labels


def test_a_wish_moves_the_shares_and_is_held(classifier, lot):
    label_all(classifier, 8)
    loose, strict = classifier.decide(0.6), classifier.decide(0.999)
    assert loose.by_machine > strict.by_machine
    machine = [k for k, who in enumerate(loose.by) if who == "machine"]
    right = [loose.classes[k] == truth(lot)[k] for k in machine]
    assert len(right) > 10 and np.mean(right) >= 0.8
    assert "unknown" in loose.sentence
    with pytest.raises(ClassifyError, match=r"between 0 and 1"):
        classifier.decide(95)


def test_something_new_is_unknown(lot, features):
    c = lot.classifier(encoder=Texture())
    strange = {v: x.copy() for v, x in features.views.items()}
    strange["high"][5] += 40 * strange["high"].std(0)
    c.use(LotFeatures(strange, {}, features.encoder, features.key))
    label_all(c, 15)
    c.label("d5", None)
    d = c.decide(0.6)
    assert d.reasons[5] == "novel" and d.classes[5] is None and d.novelty[5] > 1


def test_every_change_can_be_undone_and_is_kept(lot, features, tmp_path):
    c = lot.classifier(tmp_path / "work", encoder=Texture())
    c.use(features)
    label_all(c)
    before = c.labels
    c.define("scratch", 12, "a long dark line")
    c.merge(["speck", "scratch"], "dirt")
    assert {n for n, _ in c.labels.values()} == {"dirt", "clean"}
    c.rename("dirt", "Schmutz")
    c.label("d0", None)
    for _ in range(3):
        assert c.undo()
    assert c.labels == before and c.classes[1].definition == "a long dark line"
    c.redo()
    again = lot.classifier(tmp_path / "work", encoder=Texture())
    assert again.labels == c.labels and again.classes == c.classes
    assert again.undo().startswith("merge") and again.labels == before
    with pytest.raises(ClassifyError, match="already"):
        again.rename("speck", "clean")
    path = tmp_path / "work" / "labels.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"do": "do", "lab')  # a crash cut a line off
    torn = lot.classifier(tmp_path / "work", encoder=Texture())
    assert torn.labels == before and path.read_bytes() == whole
    path.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(ClassifyError, match="Line 1"):
        lot.classifier(tmp_path / "work", encoder=Texture())


def test_a_class_is_split_by_hand_or_where_it_falls_apart(classifier):
    label_all(classifier, 10)
    classifier.merge(["speck", "scratch"], "dirt")
    before = classifier.labels
    moved = classifier.split("dirt", "other")
    kinds = {int(i[1:]) % 3 for i in moved}
    assert len(moved) == 10 and len(kinds) == 1  # one of the two that were merged
    assert [c.name for c in classifier.classes] == ["dirt", "other", "clean"]
    assert {classifier.labels[i][0] for i in moved} == {"other"}
    assert "split dirt" in classifier.undo() and classifier.labels == before
    assert classifier.split("dirt", "new", ["d0", "d2", "d3"]) == ["d0", "d3"]
    with pytest.raises(ClassifyError, match="a class 'new' already"):
        classifier.split("dirt", "new", ["d1"])
    with pytest.raises(ClassifyError, match="not all of them"):
        classifier.split("dirt", "none", [])


def test_a_lot_unlike_the_labels_is_said(classifier, lot, features):
    label_all(classifier, 10)
    found = drift(classifier)
    assert drift_sentence(found.values()) == ""
    strange = {v: x.copy() for v, x in features.views.items()}
    strange["high"][30:] += 40 * strange["high"].std(0)
    classifier.use(LotFeatures(strange, {}, features.encoder, features.key))
    for k in range(30, 60):
        classifier.label(f"d{k}", None)
    found = drift(classifier)
    assert found["lot 1"].is_new and found["lot 1"].novel >= 28
    assert not found["lot 0"].is_new
    assert "In lot 1, 3" in drift_sentence(found.values())


def test_a_model_decides_another_lot_the_same_bits(classifier, lot, features, tmp_path):
    label_all(classifier)
    path = classifier.save(tmp_path / "m.sesami")
    here = classifier.decide(0.7)
    there = classify_lot(lot, path, 0.7, encoder=Texture(), cache=FeatureCache())
    assert (there.confidence == here.confidence).all()
    assert (there.novelty == here.novelty).all() and there.suggested == here.suggested
    cached = classify_lot(lot, path, 0.7, encoder=Texture(), cache=FeatureCache())
    assert (cached.confidence == here.confidence).all()
    _, card = load_model(path)
    assert card.classes == list(KINDS) and card.lots == ["lot 0", "lot 1"]
    other = Texture()
    other.key = "another"
    with pytest.raises(ClassifyError, match="other weights"):
        classify_lot(lot, path, 0.7, encoder=other)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(60):
        bad = data.copy()
        for at in rng.integers(0, len(bad), 8):
            bad[at] = rng.integers(256)
        path.write_bytes(bad[: rng.integers(100, len(bad))])
        with pytest.raises(ClassifyError):
            load_model(path)


def test_the_cache_saves_work_and_survives_damage(lot, tmp_path):
    encoder, path = Texture(), tmp_path / "f.sqlite"
    one = features_of(lot.defects, encoder, cache=FeatureCache(path))
    calls = encoder.calls
    two = features_of(lot.defects, encoder, cache=FeatureCache(path))
    assert encoder.calls == calls and two.computed == 0 < one.computed
    for view, numbers in one.views.items():
        assert (numbers == two.views[view]).all()
    path.write_bytes(b"not a database" * 100)
    assert (
        features_of(lot.defects, encoder, cache=FeatureCache(path)).computed
        == one.computed
    )


def test_wrong_labels_are_suspects_and_twins_contradict(classifier, lot, features):
    label_all(classifier)
    classifier.label("d3", "scratch")  # it is a speck
    found = suspects(classifier)
    assert found[0].id == "d3" and found[0].said == "speck"
    near = similar(classifier, "d0", 5)
    assert len(near) == 5 and near == sorted(near, key=lambda item: item[1])
    copied = {v: x.copy() for v, x in features.views.items()}
    for numbers in copied.values():
        numbers[1] = numbers[0]
    classifier.use(LotFeatures(copied, {}, features.encoder, features.key))
    assert ("d0", "d1") in contradictions(classifier)
    assert set(drift(classifier)) == {"lot 0", "lot 1"}


def test_the_matrix_judges_by_lots_and_its_cells_name_defects(classifier):
    label_all(classifier)
    matrix = classifier.matrix()
    assert matrix.counts.sum() == 60 and matrix.right > 45
    k = matrix.names.index("speck")
    assert len(matrix.cell(k, k)) == matrix.accuracy(k)[0]
    strict = classifier.matrix(0.999)
    assert strict.decided < 60 and strict.counts[:, -1].sum() == 60 - strict.decided


def test_the_queue_asks_for_the_unknown_and_a_control_share(classifier):
    label_all(classifier, 8)
    d = classifier.decide(0.6)
    queue = review_queue(classifier, d, 40, control=0.3)
    assert len(set(queue.ids)) == len(queue.ids) <= 40
    at = {name: k for k, name in enumerate(d.ids)}
    assert queue.control and all(d.by[at[i]] == "machine" for i in queue.control)
    asked = [i for i in queue.ids if i not in queue.control]
    assert all(d.classes[at[i]] is None for i in asked)
    assert queue.saved + len(queue.control) == d.by_machine
    assert queue == review_queue(classifier, d, 40, control=0.3)


def test_table_json_and_report_hold_what_was_decided(classifier, lot, tmp_path):
    label_all(classifier, 8)
    lot.defects[1].lot = "=1+1"  # a formula for a spreadsheet
    d = classifier.decide(0.6)
    text = lot.save_csv(tmp_path / "d.csv", d).read_text("utf-8-sig")
    assert len(text.splitlines()) == len(lot) + 1 and "'=1+1" in text
    assert text.count("'") == 1  # nothing else was taken for a formula
    data = json.loads(lot.save_json(tmp_path / "d.json", d).read_text())
    assert [x["class"] for x in data["defects"]] == d.classes
    html = report_html(lot, d, classifier.matrix(0.6))
    parser = HTMLParser()
    parser.feed(html)
    assert "<script" not in html and "src='data:image/png" in html
    assert "http" not in html and "Confusion of held-out labels" in html
    lot.defects[1].lot = "lot 0"


def test_a_label_is_answered_at_once_among_ten_thousand():
    rng = np.random.default_rng(0)
    n, kinds = 10_000, 8
    big = lot_of(1, 1, labelled=False)
    from napari_sesami.classify import Defect, Lot

    big = Lot([Defect(str(k), lot=f"lot {k % 5}") for k in range(n)])
    of = rng.integers(kinds, size=n)
    dim = beside_length(64)
    views = {
        v: (rng.normal(0, 1, (kinds, dim))[of] + rng.normal(0, 2, (n, dim))).astype(
            "f4"
        )
        for v in ("high", "low", "difference")
    }
    c = big.classifier(encoder=Texture())
    c.use(LotFeatures(views, {}, "x", "x"))
    for k in range(kinds):
        c.label([str(i) for i in np.flatnonzero(of == k)[:25]], f"class {k}")
    c.decide(0.9)
    took = []
    for k in range(200, 203):
        began = time.process_time()
        c.label(str(k), f"class {of[k]}")
        d = c.decide(0.9)
        took.append(time.process_time() - began)
    right = [d.suggested[k] == f"class {of[k]}" for k in range(n)]
    assert np.mean(right) > 0.9
    assert min(took) < 1.0, took  # 0.1 s is the aim; see docs/defects.md


def test_pooling_sees_a_speck_that_the_mean_does_not():
    def vector(kind, seed, good=False):
        import torch

        grey = torch.from_numpy(draw(kind, seed, good=good) / 255.0).float()
        return Texture().encode(grey[None, None], normalise=True)[0].numpy()

    clean, speck = vector("clean", 1), vector("speck", 1)
    alone = [pooled_alone(t) for t in (clean, vector("clean", 2), speck)]
    assert np.isfinite(alone).all()
    shape = slice(8 * 5, None)
    apart = [np.abs(a[shape] - alone[0][shape]).sum() for a in alone[1:]]
    assert apart[1] > 3 * apart[0]
    same, other = (
        pooled_beside(t, vector("speck", 1, good=True)) for t in (clean, speck)
    )
    assert len(other) == beside_length(5) and other[-15] > same[-15]
    small = pooled_beside(speck[:, :9, :7], speck)
    assert np.isfinite(small).all()
