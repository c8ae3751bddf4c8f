"""Every strategy keeps the rules; each does what its name says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sesami.suggest import (
    STRATEGIES,
    Candidates,
    PlaneMaps,
    State,
    SuggestError,
    gather,
    patches,
)

SIDE, SIZE, CLASSES = 96, 16, 4


def pool(planes=3, seed=0) -> Candidates:
    rng = np.random.default_rng(seed)

    def maps():
        for z in range(planes):
            p = rng.dirichlet([8, 2, 1, 0.05], (SIDE, SIDE)).astype(np.float32)
            novelty = rng.random((SIDE, SIDE)).astype(np.float32) / 2
            tokens = rng.normal(size=(SIDE // 4, SIDE // 4, 6)).astype(np.float32)
            tokens /= np.linalg.norm(tokens, axis=-1, keepdims=True)
            yield PlaneMaps(
                z,
                patches((SIDE, SIDE), SIZE),
                p,
                novelty,
                tokens,
                disagreement=rng.random((SIDE, SIDE)).astype(np.float32),
            )

    return gather(maps(), "patch", step=1)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_rules_hold_for_every_strategy(name):
    table, strategy = pool(), STRATEGIES[name]
    state = State(np.array([100.0, 50, 5, 0]), apart=1, round=1)
    rows, scores = strategy.choose(table, 7, state, 3)
    assert len(rows) == len(scores) == 7 == len(set(rows.tolist()))
    assert np.isfinite(scores).all()
    assert rows.tolist() == strategy.choose(table, 7, state, 3).rows.tolist()
    for i in rows:
        near = [j for j in rows if abs(int(table.plane[i]) - table.plane[j]) <= 1]
        same = [j for j in near if table.bbox[i].tolist() == table.bbox[j].tolist()]
        assert same == [i]
    assert len(strategy.choose(table, 0, state)[0]) == 0
    every = strategy.choose(table, 10**6, State(np.ones(4)))
    assert len(every.rows) == len(table)
    nothing = table.take(np.zeros(len(table), bool))
    assert len(strategy.choose(nothing, 5, state).rows) == 0
    with pytest.raises(SuggestError, match="budget of -1"):
        strategy.choose(table, -1)


@pytest.mark.parametrize("name", STRATEGIES)
def test_places_that_were_asked_are_not_asked_again_while_others_are_left(name):
    table = pool(1)
    taken = [(0, tuple(int(k) for k in box)) for box in table.bbox[:-2]]
    rows = STRATEGIES[name].choose(table, 5, State(np.ones(4), taken=taken)).rows
    assert sorted(rows.tolist()) == [len(table) - 2, len(table) - 1]


@pytest.mark.parametrize("name", STRATEGIES)
def test_before_there_are_maps(name):
    tokens = np.eye(6, dtype=np.float32)[np.newaxis].repeat(6, 0)
    table = gather([PlaneMaps(0, patches((96, 96), 16), tokens=tokens)], "patch")
    if STRATEGIES[name].needs_maps:
        with pytest.raises(SuggestError, match="no probabilities yet"):
            STRATEGIES[name].choose(table, 3)
    else:
        assert len(STRATEGIES[name].choose(table, 3).rows) == 3


def test_coreset_takes_one_of_each_kind_before_a_second():
    tokens = np.eye(6, dtype=np.float32)[np.newaxis].repeat(6, 0)
    table = gather([PlaneMaps(0, patches((96, 96), 16), tokens=tokens)], "patch")
    rows = STRATEGIES["coreset"].choose(table, 6).rows
    assert sorted(table.tokens[rows].argmax(1)) == [0, 1, 2, 3, 4, 5]
    known = State(tokens=np.eye(6, dtype=np.float32)[:5])
    first = STRATEGIES["coreset"].choose(table, 1, known).rows[0]
    assert table.tokens[first].argmax() == 5
    bare = gather([PlaneMaps(0, patches((96, 96), 16))], "patch")
    with pytest.raises(SuggestError, match="compares tokens"):
        STRATEGIES["coreset"].choose(bare, 1)


def flat(p, planes=1, **more) -> Candidates:
    regions = patches(p.shape[:2], SIZE)
    return gather(
        [PlaneMaps(z, regions, p, **more) for z in range(planes)], "patch", step=1
    )


def background() -> np.ndarray:
    return np.tile(np.array([0.94, 0.05, 0.01], np.float32), (SIDE, SIDE, 1))


def test_the_rare_void_in_doubt_is_asked_before_common_doubt():
    p = background()
    p[0:16] = [0.5, 0.5, 0]  # a whole row of regions, common and level
    p[50:54, 50:54] = [0.5, 0, 0.5]  # a few pixels of the rare class
    table = flat(p)
    void = [48, 48, 64, 64]
    last = State(np.array([1000.0, 900, 3]), round=9)
    rare = STRATEGIES["rare"].choose(table, 3, last).rows
    assert void in table.bbox[rare].tolist()
    plain = STRATEGIES["entropy"].choose(table, 3, last).rows
    assert void not in table.bbox[plain].tolist()


def test_what_no_class_claims_is_found_by_novelty_and_only_once():
    p = background()
    novelty = np.zeros((SIDE, SIDE), np.float32)
    tokens = np.zeros((24, 24, 3), np.float32)
    tokens[..., 0] = 1
    for y, x, kind in ((8, 8, 1), (40, 40, 1), (72, 72, 2)):
        novelty[y - 2 : y + 2, x - 2 : x + 2] = 0.9 - 0.01 * kind
        tokens[y // 4 - 1 : y // 4 + 1, x // 4 - 1 : x // 4 + 1] = np.eye(3)[kind]
    table = flat(p, novelty=novelty, tokens=tokens)
    rows = STRATEGIES["rare"].choose(table, 3, State(np.array([9.0, 9, 9]))).rows
    found = table.bbox[rows].tolist()
    assert [64, 64, 80, 80] in found
    assert ([0, 0, 16, 16] in found) != ([32, 32, 48, 48] in found)


def test_the_published_weight_is_used_on_the_class_of_the_region():
    p = background()
    p[0:16, 0:16] = [0.45, 0.55, 0]  # one region that looks like class 2
    p[0:16, 32:48] = [0.55, 0.45, 0]  # as doubtful, and looks like the common class
    rows = STRATEGIES["bvsb"].choose(flat(p), 2).rows
    assert flat(p).looks_like[rows].tolist() == [2, 1]
    assert STRATEGIES["bvsb"].kind == "superpixel"


def test_foreground_is_drawn_more_often_than_by_plain_lot():
    p = background()
    p[:16] = [0.1, 0.9, 0]  # a sixth of the regions
    table = flat(p, planes=4)

    def share(name: str) -> float:
        hits = [
            (table.looks_like[STRATEGIES[name].choose(table, 6, None, s).rows] == 2)
            for s in range(30)
        ]
        return float(np.mean(hits))

    assert share("random") < 0.3 < 0.6 < share("foreground")


def test_random_draws_only_from_the_fair_part_of_a_thinned_table():
    table = pool(2)
    drawn = np.arange(len(table)) < 10
    thinned = replace(table, drawn=drawn)
    rows = STRATEGIES["random"].choose(thinned, 50, None, 1).rows
    assert sorted(rows.tolist()) == list(range(10))


def test_the_first_few_of_a_list_have_some_of_each_reason():
    table = pool()
    state = State(np.array([100.0, 50, 5, 0]))
    rows = STRATEGIES["rare"].choose(table, 20, state).rows
    novel = np.argsort(-table.novel)[:13]
    first = np.isin(rows[:6], novel)
    assert 0 < first.sum() < 6


def test_clasp_asks_every_class_and_calms_down():
    p = background()
    p[:16, :16] = [0.05, 0.95, 0]
    p[80:, 80:] = [0.05, 0.05, 0.9]
    table = flat(p)

    def choose(round_: int, seed: int) -> list[int]:
        state = State(round=round_, rounds=5)
        return STRATEGIES["clasp"].choose(table, 6, state, seed).rows.tolist()

    assert {1, 2, 3} >= set(table.looks_like[choose(4, 0)]) >= {2, 3}
    late = {tuple(sorted(choose(4, s))[:2]) for s in range(5)}
    early = {tuple(sorted(choose(0, s))[:2]) for s in range(5)}
    assert len(late) <= len(early)


def test_disagreement_asks_where_answers_contradict_each_other_not_where_all_doubt():
    p = np.full((SIDE, SIDE, 2), 0.5, np.float32)
    p[:, : SIDE // 2] = [0.9, 0.1]
    differ = np.zeros((SIDE, SIDE), np.float32)
    differ[4:12, 4:12] = 0.8
    maps = PlaneMaps(0, patches((SIDE, SIDE), SIZE), p, disagreement=differ)
    table = gather([maps], "patch", step=1)
    rows = STRATEGIES["bald"].choose(table, 1, State(np.ones(2))).rows
    assert table.bbox[rows[0]].tolist() == [0, 0, SIZE, SIZE]
    asked = STRATEGIES["entropy"].choose(table, 1, State(np.ones(2))).rows
    assert table.bbox[asked[0]][1] >= SIDE // 2


def test_disagreement_of_one_answer_is_refused_in_a_sentence():
    p = np.full((SIDE, SIDE, 2), 0.5, np.float32)
    table = gather([PlaneMaps(0, patches((SIDE, SIDE), SIZE), p)], "patch")
    with pytest.raises(SuggestError, match="several answers"):
        STRATEGIES["bald"].choose(table, 1)
