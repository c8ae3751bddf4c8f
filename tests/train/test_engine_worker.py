"""Real workers in processes of their own, and what becomes of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
from tests.fakes.engine_help import (
    STEPS,
    begin,
    config,
    events,
    losses,
    result,
    until,
    work,
)

from napari_sesami.cli import main, train
from napari_sesami.scan import open_scan
from napari_sesami.session import Session
from napari_sesami.train import Run, RunConfig, Runs, read_set, start_run
from napari_sesami.train.run import dry

SUPERVISOR = """
import sys
from tests.fakes.engine_help import config
from pathlib import Path
from napari_sesami.train import start_run
run = start_run(config("", "nap = 0.05\\nexamples = 9"), Path(sys.argv[1]))
run.wait()
"""


def test_killed_and_short_of_memory_a_run_ends_as_if_undisturbed(
    tmp_path: Path,
) -> None:
    """The worker steps down by itself, is killed, and is resumed: one result."""
    run = start_run(config("", "most = 2\nnap = 0.1"), tmp_path / "r")
    until(lambda: run.status.step >= 3)
    assert run.monitor.process is not None
    os.kill(run.monitor.process.pid, signal.SIGKILL)
    status = run.wait(30)
    assert status.state == "crashed"
    assert "killed from outside" in status.sentence
    assert status.sentence.endswith("it can be resumed from step 1.")
    run.resume()
    assert run.wait(120).state == "finished", run.log_tail()
    assert [e["micro_batch"] for e in run.events if e["event"] == "oom"] == [2]
    assert [e["step"] for e in run.events if e["event"] == "started"] == [0, 0, 1]
    assert run.facts["windows"] == [], "a worker loads no windows"
    assert run.facts["pid"] != os.getpid()
    steps, values = run.curve()
    assert steps == list(range(1, STEPS + 1))

    quiet = begin(tmp_path / "quiet", "micro_batch = 2")
    work(quiet)
    assert result(run.folder) == result(quiet)
    assert values == list(losses(quiet).values())
    assert Run(run.folder).status.state == "finished"


@pytest.mark.slow
def test_two_processes_step_down_together(tmp_path: Path) -> None:
    run = start_run(config("processes = 2", "most = 1\nplain = true"), tmp_path / "r")
    assert run.wait(200).state == "finished", run.log_tail()
    assert [e["micro_batch"] for e in run.events if e["event"] == "oom"] == [1]
    quiet = begin(tmp_path / "quiet", "", "plain = true")
    work(quiet)
    assert run.curve()[1] == pytest.approx(list(losses(quiet).values()), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_in_one_of_two_processes_ends_the_run(
    tmp_path: Path, rank: int
) -> None:
    run = start_run(config("processes = 2", f"stumble = {rank}"), tmp_path / "r")
    status = run.wait(200)
    assert status.state == "failed"
    assert "ZeroDivisionError" in status.sentence
    assert len([e for e in run.events if e["event"] == "ended"]) == 1
    assert "ZeroDivisionError" in "\n".join(run.log_tail(200))


def test_a_worker_whose_supervisor_is_killed_keeps_all_and_ends(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(folder)])
    until(lambda: (folder / "lock").exists())
    run = Run(folder)  # as a second program would see it
    until(lambda: run.status.step >= 2)
    assert run.status.state == "running"
    run.pause()  # by a file, since stdin is not ours
    until(lambda: run.status.state == "paused")
    step = run.status.step
    supervisor.kill()
    supervisor.wait()
    status = run.wait(60)
    assert status.state == "cancelled"
    assert status.sentence == (
        "The program that started the run is gone; the run can be resumed from step "
        f"{step}."
    )
    assert not run.alive
    reason = [e["reason"] for e in run.events if e["event"] == "ended"]
    assert reason == ["orphan"]
    quiet = begin(tmp_path / "quiet", "", "nap = 0.0\nexamples = 9")
    work(quiet, **{f"at{step}": "stop"})
    name = f"checkpoints/step-{step:06d}/weights.safetensors"
    assert (folder / name).read_bytes() == (quiet.path / name).read_bytes()


def test_the_command_line_trains_detached_shows_and_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = tmp_path / "my.toml"
    toml.write_text(config("checkpoint_minutes = 60", "nap = 0.2").to_toml(), "utf-8")
    data = tmp_path / "labels"
    data.mkdir()
    (data / "a.txt").write_text("x")
    folder = tmp_path / "runs" / "one"
    command = ["train", str(toml), "-o", str(folder), "--data", str(data)]
    assert main([*command, "--detach"]) == 0
    assert (folder / "data" / "a.txt").read_text() == "x"
    until(lambda: (folder / "checkpoints" / "step-000001").exists())
    assert main(command) == 1
    assert "already holds a run" in capsys.readouterr().err
    assert main(["runs", "list", str(folder.parent)]) == 0
    assert re.search(r"one +running +\d+/12", capsys.readouterr().out)
    assert main(["runs", "stop", str(folder)]) == 0
    assert "Stopped as asked; the run can be resumed from" in capsys.readouterr().out
    assert main(["runs", "show", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "cancelled" in out and "before: score" in out and "nap = 0.2" in out
    assert main(["runs", "stop", str(folder)]) == 1
    assert "is not running; there is nothing to stop" in capsys.readouterr().err


def test_a_worker_started_by_hand_obeys_no_order_to_an_earlier_one(
    tmp_path: Path,
) -> None:
    folder = begin(tmp_path / "r")
    folder.order("stop")
    folder.write_status({"state": "cancelled"})
    Run(folder.path).detach()
    until(lambda: events(folder, "ended"))
    assert events(folder, "ended")[0]["reason"] == "finished"


def test_the_command_line_trains_to_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = tmp_path / "my.toml"
    toml.write_text(config().to_toml(), "utf-8")
    assert main(["train", str(toml)]) == 0
    out = capsys.readouterr().out
    assert "All 12 steps are done." in out
    (run,) = Runs(Path(os.environ["SESAMI_HOME"]) / "runs").list()
    assert main(["runs", "show", run.folder.name]) == 0
    assert "finished" in capsys.readouterr().out
    assert main(["runs", "resume", run.folder.name]) == 1
    assert "is finished; start a new run" in capsys.readouterr().err


def test_mistakes_on_the_command_line_are_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = tmp_path / "my.toml"
    toml.write_text(config().to_toml().replace("steps", "stpes"), "utf-8")
    assert main(["train", str(toml)]) == 1
    assert "my.toml, [run]: there is no key “stpes”; did" in capsys.readouterr().err
    assert main(["runs", "show", "nothing"]) == 1
    assert "is no run folder" in capsys.readouterr().err


def test_a_trial_finds_how_much_fits_and_leaves_no_trace(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r", "", "most = 2")
    before = sorted(folder.path.rglob("*"))
    assert dry.trial(folder, None) == {"smaller": 2}
    facts = dry.trial(folder, 2)
    assert (facts["micro_batch"], facts["device"]) == (2, "cpu")
    assert facts["seconds_per_step"] > 0
    assert facts["memory_bytes"] > 1e7
    assert sorted(folder.path.rglob("*")) == before
    assert not events(folder, "step")


def test_the_command_line_learns_from_a_project(tmp_path: Path) -> None:
    from tests.fakes.sesami_help import draw

    project = tmp_path / "p.sesami"
    for seed in range(3):
        image, truth = draw(seed)
        path = tmp_path / f"scan{seed}.tif"
        tifffile.imwrite(path, image)
        with Session(open_scan(path), project) as session:
            if not seed:
                session.classes.add("disc")
                session.classes.add("bar")
            for k, name in ((1, "disc"), (2, "bar")):
                session.commit(truth == k, name)
            session.save()
    (tmp_path / "scan0.tif").rename(tmp_path / "gone.tif")
    made = RunConfig("sesami")
    train._labelled(project, made, None)  # from the scans that are still there
    (tmp_path / "gone.tif").rename(tmp_path / "scan0.tif")
    collect = train._labelled(project, made, None)
    collect(tmp_path / "data")
    found = read_set(tmp_path / "data")
    assert len({p.scan for p in found.pictures}) == 3
    assert set(found.classes.values()) == {"disc", "bar"}
