"""The judge is learnt from questions; its arrays say what the trees said."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.lab.judge.learn import as_arrays, grow, preferences, reliability
from napari_sesami.lab.judge.questions import (
    AskedPrompt,
    Asker,
    load,
    objects,
    save,
    scene,
    size_class,
)
from napari_sesami.models import Nano
from napari_sesami.prompt import NAMES, PLAIN, Predictor


def made_up(count: int) -> list[AskedPrompt]:
    rng, out = np.random.default_rng(0), []
    for i in range(count):
        numbers = rng.normal(0.5, 0.4, (20, len(NAMES))).astype(np.float32)
        numbers[rng.random(numbers.shape) < 0.1] = np.nan
        true = np.clip(np.nan_to_num(numbers[:, 3], nan=0.2), 0, 1)
        cut = rng.random(20) < 0.1
        out.append(
            AskedPrompt(
                f"f{i % 3}", "click", "thin", 1, numbers, true, cut, np.ones(20, int)
            )
        )
    return out


def test_arrays_say_what_the_trees_said():
    questions = made_up(60)
    trees = grow(questions, max_iter=30)
    x = np.concatenate([q.numbers for q in questions])
    said = trees.predict(x)
    arrays = as_arrays(trees, said, np.concatenate([q.overlap for q in questions]))
    np.testing.assert_allclose(arrays.predict(x), said, atol=1e-5)
    unseen = np.random.default_rng(5).normal(0.5, 1, (300, len(NAMES))).astype("f4")
    np.testing.assert_allclose(arrays.predict(unseen), trees.predict(unseen), atol=1e-5)


def test_questions_survive_a_file(tmp_path):
    questions = made_up(3)
    save(questions, tmp_path / "q.npz")
    for a, b in zip(questions, load([tmp_path / "q.npz"]), strict=True):
        np.testing.assert_array_equal(a.numbers, b.numbers)
        np.testing.assert_array_equal(a.cut, b.cut)
        assert (a.family, a.number) == (b.family, b.number)


def test_reliability_of_an_honest_and_of_a_boastful_score():
    rng = np.random.default_rng(0)
    said = rng.random(4000)
    true = np.clip(said + rng.normal(0, 0.05, 4000), 0, 1)
    related, error, rows = reliability(said, true)
    assert related > 0.95 and error < 0.02 and len(rows) == 10
    assert reliability(said, np.clip(true - 0.2, 0, 1))[1] == pytest.approx(
        0.18, abs=0.04
    )


@pytest.mark.slow
def test_an_object_is_asked_about_with_all_candidates():
    scan, regions = scene("gaa_across", 6)
    rng = np.random.default_rng(0)
    (truth,) = objects(regions, rng, 1)
    asker = Asker(Predictor(Nano.bundled(), plain=True), rng)
    asked = list(asker.questions(scan, truth, "gaa_across"))
    assert [q.number for q in asked if q.kind == "click"][:2] == [1, 2]
    for q in asked:
        assert q.numbers.shape == (len(q.overlap), len(NAMES))
        assert (q.overlap >= 0).all() and (q.overlap <= 1).all()


def test_large_and_thin_objects_take_turns():
    regions = np.zeros((400, 400), int)
    regions[:200, :200] = 1
    regions[:200, 210:390] = 2
    for k in range(6):
        regions[210 + 30 * k : 213 + 30 * k, :60] = 3 + k
        regions[210 + 30 * k : 235 + 30 * k, 100:140] = 20 + k
    chosen = objects(regions, np.random.default_rng(0), 6, balanced=True)
    assert sorted(size_class(c) for c in chosen) == sorted(
        2 * ["thin", "middle", "large"]
    )


def test_the_plain_answer_is_preferred_as_far_as_it_costs_nothing():
    rng, questions, said, early = np.random.default_rng(2), [], [], {}
    for i in range(300):
        size = ("thin", "middle", "large")[i % 3]
        numbers = np.zeros((2, len(NAMES)), np.float32)
        numbers[0, NAMES.index("source")] = PLAIN
        # the other is better where objects are large, else a little worse
        plain = rng.uniform(0.4, 0.8)
        other = plain + (0.2 if size == "large" else -0.02)
        true = np.array([plain, other], np.float32)
        guess = true + rng.normal(0, 0.03, 2).astype(np.float32)
        kind = "click" if i % 2 else "box"
        questions.append(
            AskedPrompt("f", kind, size, 1, numbers, true, np.zeros(2, bool), [1, 1])
        )
        said.append(guess)
        if size != "large":
            early[i] = float(guess[0])
    lean, sure = preferences(questions, said, early, lambda line: None)
    for kind in (0, 2):
        assert 0.03 < lean[kind] < 0.2
        assert sure[kind] < 0.5  # it is as good: nobody else need be asked
    assert lean[1] == 9 and sure[1] == 9  # never asked about: stays as it is
