"""The judge is learnt from questions; its arrays say what the trees said."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.lab.judge.learn import as_arrays, grow, reliability
from napari_sesami.lab.judge.questions import Asked, Asker, load, objects, save, scene
from napari_sesami.models import Nano
from napari_sesami.prompt import Predictor
from napari_sesami.prompt.pool.features import NAMES


def made_up(count: int) -> list[Asked]:
    rng, out = np.random.default_rng(0), []
    for i in range(count):
        numbers = rng.normal(0.5, 0.4, (20, len(NAMES))).astype(np.float32)
        numbers[rng.random(numbers.shape) < 0.1] = np.nan
        true = np.clip(np.nan_to_num(numbers[:, 3], nan=0.2), 0, 1)
        cut = rng.random(20) < 0.1
        out.append(
            Asked(f"f{i % 3}", "click", "thin", 1, numbers, true, cut, np.ones(20, int))
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
