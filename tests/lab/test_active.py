"""Cycles against a truth: the same start for all, budgets kept, results repeatable."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile
import torch

from napari_sesami.cli import main
from napari_sesami.lab.active import Plan, Study, judge_fully, run_active
from napari_sesami.scan import Scan
from napari_sesami.session import SessionError
from napari_sesami.suggest import STRATEGIES

SIDE = 64


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small products lose more by threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def volume() -> tuple[np.ndarray, np.ndarray]:
    """Eight planes: stripes on ground, and on three planes a small bright void."""
    rng = np.random.default_rng(0)
    truth = np.ones((8, SIDE, SIDE), np.uint8)
    truth[:, :, 20:36] = 2
    for z, y in ((2, 40), (3, 8), (6, 24)):
        truth[z, y : y + 6, 48:54] = 3
    grey = np.array([0, 70, 130, 220])[truth] + rng.normal(0, 6, truth.shape)
    return grey.clip(0, 255).astype(np.uint8), truth


@pytest.fixture(scope="module")
def study(volume) -> Study:
    image, truth = volume
    return Study(Scan.from_array(image), truth, test=[6, 7])


@pytest.fixture(scope="module")
def start(study):
    return run_active(study, plan("random", budgets=(0.05,)))[0]


def plan(strategy="rare", **more) -> Plan:
    more = {"budgets": (0.05, 0.12, 0.25), "size": 16, **more}
    return Plan(strategy, **more)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_keeps_its_budget_and_starts_alike(study, start, strategy):
    cycles = run_active(study, plan(strategy))
    regions = {c.regions for c in cycles}
    assert len(cycles) == 3 and len(regions) == 3
    for cycle, budget in zip(cycles, (0.05, 0.12, 0.25), strict=True):
        assert cycle.share == pytest.approx(budget, abs=0.035)
        assert 0 <= cycle.miou <= 1 and set(cycle.iou) == {1, 2, 3}
        counted = sum(cycle.labelled.values()) / study.pool_cells
        assert counted == pytest.approx(cycle.share)
    assert cycles[0].clicks < cycles[-1].clicks
    assert cycles[0] == start


def test_the_same_seed_gives_the_same_cycles(study):
    few = {"budgets": (0.05, 0.12)}
    assert run_active(study, plan(**few)) == run_active(study, plan(**few))
    assert run_active(study, plan(**few)) != run_active(study, plan(seed=1, **few))


def test_the_rare_void_is_found_before_chance_finds_it(study):
    def voids(strategy: str) -> float:
        few = [plan(strategy, seed=s, budgets=(0.05, 0.12)) for s in range(3)]
        return float(np.mean([run_active(study, p)[1].labelled[3] for p in few]))

    assert voids("rare") > voids("random")


def test_with_all_labels_the_head_learns_the_classes(study):
    full = judge_fully(study)
    assert full.miou > 0.8 and full.share == 1
    assert study.rarest == 3


def test_votes_of_the_bank_can_be_the_learner(study):
    cycles = run_active(study, plan(learner="retrieve"))
    assert cycles[-1].miou > 0.4
    assert cycles[-1].iou[1] > 0.7


def test_a_cycle_may_go_on_from_the_last_one(study):
    fresh = run_active(study, plan("random"))
    carried = run_active(study, plan("random", restart=False))
    assert fresh[0] == carried[0]
    assert fresh[-1].labelled == carried[-1].labelled
    assert carried[-1].miou > 0.5


def test_carrying_on_keeps_the_last_weights(study):
    labels = {0: study.truth_cells(0)}
    outcomes = []
    for restart in (True, False):
        learner = study.learner("head", restart)
        learner.fit(labels, 1)
        once = learner.maps(1, False)[0]
        learner.fit(labels, 1)
        outcomes.append(np.array_equal(once, learner.maps(1, False)[0]))
    assert outcomes == [True, False]


def test_all_labelled_ends_in_peace(study):
    cycles = run_active(study, plan("entropy", budgets=(0.5, 1.0, 1.0)))
    assert cycles[1].share == pytest.approx(1)
    assert cycles[2].regions == cycles[1].regions


def test_one_class_is_no_trouble(volume):
    image, truth = volume
    study = Study(Scan.from_array(image), np.ones_like(truth), test=[7])
    for name in ("rare", "clasp", "bvsb", "foreground"):
        cycles = run_active(study, plan(name, budgets=(0.05, 0.1)))
        assert cycles[-1].miou == 1


def test_a_cancelled_run_stops(study):
    from napari_sesami.common.cancel import Cancelled

    with pytest.raises(Cancelled):
        run_active(study, plan(), cancelled=lambda: True)
    seen = []
    run_active(study, plan(), progress=lambda done, all_: seen.append((done, all_)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_start_planes_bound_the_start(volume):
    image, truth = volume
    study = Study(Scan.from_array(image), truth, test=[7], start=[0, 1])
    first = run_active(study, plan("random", budgets=(0.05,)))[0]
    assert first.labelled[3] == 0  # the first two planes hold no void


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"test": [9]}, "test planes 9 to 9"),
        ({"test": range(8)}, "one to learn from"),
        ({"test": []}, "one to judge"),
    ],
)
def test_planes_that_cannot_be_are_one_sentence(volume, wrong, said):
    image, truth = volume
    with pytest.raises(SessionError, match=said):
        Study(Scan.from_array(image), truth, **wrong)


def test_truth_that_does_not_fit_is_one_sentence(volume):
    image, truth = volume
    scan = Scan.from_array(image)
    with pytest.raises(SessionError, match="same pixels"):
        Study(scan, truth[:5], test=[0])
    with pytest.raises(SessionError, match="whole numbers"):
        Study(scan, truth.astype(float), test=[0])
    with pytest.raises(SessionError, match="no class"):
        Study(scan, truth * 0, test=[0])
    with pytest.raises(SessionError, match="picture of labels"):
        Study(scan, truth * 80, test=[0])


def test_a_plan_that_cannot_be_is_one_sentence(study):
    with pytest.raises(SessionError, match="no strategy 'best'"):
        run_active(study, Plan("best"))
    with pytest.raises(SessionError, match="shares of the pool"):
        run_active(study, Plan(budgets=(0.1, 1.5)))
    with pytest.raises(SessionError, match='"head" or "retrieve"'):
        run_active(study, Plan(learner="forest"))


def test_the_command_line_writes_a_table(volume, tmp_path, capsys):
    image, truth = volume
    tifffile.imwrite(tmp_path / "scan.tif", image, photometric="minisblack")
    tifffile.imwrite(tmp_path / "truth.tif", truth, photometric="minisblack")
    words = ["active", tmp_path / "scan.tif", "--truth", tmp_path / "truth.tif"]
    words += ["--strategy", "rare,random", "--budget", "0.2", "--start", "0.05"]
    words += ["--cycles", "1", "--seeds", "2", "--size", "16", "-o", tmp_path / "out"]
    assert main([str(w) for w in words]) == 0
    assert "mIoU" in capsys.readouterr().out
    with open(tmp_path / "out" / "active.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 2 * 2
    assert {r["strategy"] for r in rows} == {"rare", "random"}
    assert all(0 <= float(r["miou"]) <= 1 for r in rows)
    whole = json.loads((tmp_path / "out" / "active.json").read_text())
    assert whole["options"]["size"] == 16 and len(whole["cycles"]) == 8


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--strategy", "best"], "no strategy 'best'"),
        (["--budget", "2"], "--budget is a share"),
        (["--start", "0.5"], "is more than --budget"),
        (["--kind", "voxel"], "--kind is patch"),
        (["--cycles", "0"], "--cycles must be"),
    ],
)
def test_wrong_options_are_one_sentence(volume, tmp_path, capsys, wrong, said):
    words = ["active", "none.tif", "--truth", "none.tif", "-o", str(tmp_path)]
    assert main([*words, *wrong]) == 1
    assert said in capsys.readouterr().err
