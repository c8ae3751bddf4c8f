"""A run that was interrupted anywhere equals one that was not, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.fakes.engine_help import STEPS, begin, events, losses, result, work

from napari_sesami.train.engine.sampling import chunks, locate
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.run.launch import environment


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = begin(tmp_path_factory.mktemp("exact") / "whole")
    assert work(folder).reason == "finished"
    return folder


def test_a_finished_run_has_learnt_and_left_everything(whole: RunFolder) -> None:
    assert list(losses(whole)) == list(range(1, STEPS + 1))
    metrics = {e["when"]: e["metrics"]["score"] for e in events(whole, "metrics")}
    assert metrics["after"] > metrics["before"]
    assert result(whole)
    assert (whole.path / events(whole, "picture")[-1]["path"]).is_file()
    status = whole.status()
    assert (status["step"], status["facts"]["adapter"]) == (STEPS, "adapter.json")
    kept = sorted(p.name for p in whole.checkpoints.glob("step-*"))
    assert kept == ["step-000001", "step-000012"]


def test_stopping_in_the_middle_of_epochs_changes_no_bit(
    whole: RunFolder, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "broken")
    for at in (4, 7):  # batches 5 and 8 begin within an epoch of 10 examples
        ending = work(folder, **{f"at{at}": "stop"})
        assert ending.reason == "cancelled"
        assert ending.sentence.endswith(f"can be resumed from step {at}.")
    assert work(folder).reason == "finished"
    assert losses(folder) == losses(whole)
    assert result(folder) == result(whole)


def test_a_recipe_may_end_a_run_early(tmp_path: Path) -> None:
    folder = begin(tmp_path / "short", tiny="enough = 5")
    ending = work(folder)
    assert (ending.reason, ending.sentence) == (
        "finished",
        "It had enough after 5 steps.",
    )
    assert list(losses(folder)) == [1, 2, 3, 4, 5]
    assert events(folder, "metrics")[-1]["step"] == 5
    assert result(folder)


def test_a_recipe_may_stop_a_run_to_be_resumed(
    whole: RunFolder, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "rested", tiny="rest = 5")
    ending = work(folder)
    assert ending.reason == "cancelled"
    assert ending.sentence.endswith("can be resumed from step 5.")
    assert work(folder).reason == "finished"
    assert result(folder) == result(whole)


def test_measuring_in_between_changes_no_bit(whole: RunFolder, tmp_path: Path) -> None:
    folder = begin(tmp_path / "watched", "evaluate_every = 2\npicture_every = 3")
    assert work(folder, at5="evaluate", at6="checkpoint").reason == "finished"
    assert result(folder) == result(whole)
    during = [e["step"] for e in events(folder, "metrics") if e["when"] == "during"]
    assert during == [2, 4, 5, 6, 8, 10]
    assert {e["step"] for e in events(folder, "picture")} == {3, 6, 9, 12}
    best = json.loads((folder.checkpoints / "best.json").read_text())
    scores = {e["step"]: e["metrics"]["score"] for e in events(folder, "metrics")[1:]}
    assert best == {
        "step": max(scores, key=scores.__getitem__),
        "score": max(scores.values()),
    }
    assert (folder.checkpoints / f"step-{best['step']:06d}").is_dir()


def test_the_weights_that_were_measured_best_can_be_taken(tmp_path: Path) -> None:
    folder = begin(tmp_path / "best", 'evaluate_every = 2\ntake = "best"')
    work(folder)
    best = json.loads((folder.checkpoints / "best.json").read_text())
    after = events(folder, "metrics")[-1]
    assert after["when"] == "after"
    assert after["metrics"]["score"] == best["score"]
    note = f"The weights of step {best['step']} were measured best and are kept."
    assert [e["sentence"] for e in events(folder, "note")] == [note]


def test_examples_drawn_by_other_processes_are_the_same(
    whole: RunFolder, tmp_path: Path
) -> None:
    folder = begin(tmp_path / "workers", "workers = 1")
    assert work(folder).reason == "finished"
    assert result(folder) == result(whole)


def test_small_portions_make_the_same_updates(tmp_path: Path) -> None:
    found = []
    for micro in (4, 3, 1):
        folder = begin(tmp_path / str(micro), f"micro_batch = {micro}", "plain = true")
        work(folder)
        found.append(list(losses(folder).values()))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-5)


def test_another_seed_is_another_run(whole: RunFolder, tmp_path: Path) -> None:
    folder = begin(tmp_path / "other", "seed = 1")
    work(folder)
    assert losses(folder) != losses(whole)


def test_every_epoch_sees_every_example_once() -> None:
    seen = [
        locate(3, 10, p) for step in range(10) for c in chunks(step, 4, 3) for p in c
    ]
    for epoch in range(4):
        assert sorted(i for e, i in seen if e == epoch) == list(range(10))
    assert [i for e, i in seen if e == 0] != [i for e, i in seen if e == 1]


def test_processes_share_a_batch_without_overlap() -> None:
    parts = [p for rank in range(3) for c in chunks(5, 8, 2, rank, 3) for p in c]
    assert sorted(parts) == list(range(40, 48))


def test_two_processes_stop_together_and_resume_exactly(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "fakes" / "two_ranks.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", str(script), str(tmp_path)]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=250,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    whole, broken = (RunFolder.open(tmp_path / n) for n in ("whole", "broken"))
    assert events(broken, "started")[0]["processes"] == 2
    again = events(broken, "started")[1]["step"]
    assert 7 <= again < STEPS and 4 * again % 7 > 0, "stopped within an epoch"
    assert losses(whole) == losses(broken)
    assert len(losses(whole)) == STEPS
    assert result(whole) == result(broken)
