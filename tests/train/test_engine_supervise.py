"""Runs seen from outside, with small programs that speak as a worker does."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.fakes.engine_help import begin, config, events, until

from napari_sesami.common import process
from napari_sesami.train import Run, Runs, Status, TrainError, start_run
from napari_sesami.train.run import monitor
from napari_sesami.train.run.folder import VERSION, RunFolder
from napari_sesami.train.run.launch import REFUSED
from napari_sesami.train.run.orders import Control

if TYPE_CHECKING:
    from pathlib import Path

TALK = """
import json, os, pathlib, signal, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
told = (folder / "events.jsonl").open("a")
def say(event, **facts):
    print(json.dumps({"t": 1.0, "event": event, **facts}), file=told, flush=True)
def hear():
    hear.n += 1
    while True:
        try:
            return (folder / "commands").read_text().splitlines()[hear.n]
        except (OSError, IndexError):
            time.sleep(0.02)
hear.n = -1
"""
GOOD = """
say("started", step=0)
say("metrics", step=0, when="before", metrics={"score": 0.1})
print("no JSON at all", '{"half": ', sep="\\n", file=told, flush=True)
for step in range(1, 4):
    say("step", step=step, loss=1 / step, seconds=0.5)
say("beat", n=1)
say("picture", step=3, path="pictures/step-000003/a.png")
say("metrics", step=3, when="after", metrics={"score": 0.9})
say("ended", reason="finished", sentence="All done.", facts={"adapter": "a"})
"""
OBEDIENT = """
say("started", step=0)
while command := hear():
    if command == "pause":
        say("paused", step=2)
    if command == "resume":
        say("resumed", step=2)
    if command == "stop":
        say("checkpoint", step=2)
        say("ended", reason="cancelled", sentence="Stopped.", facts={})
        break
"""
DEAF = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(99)"])
say("started", step=5)
say("note", sentence=str(child.pid))
time.sleep(99)
"""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Programs that take the place of the next workers; the last one stays."""
    programs: list[str] = []

    def launch(folder: RunFolder) -> subprocess.Popen[bytes]:
        program = programs.pop(0) if len(programs) > 1 else programs[0]
        with folder.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-S", "-c", TALK + program, str(folder.path)],
                stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip

    monkeypatch.setattr(monitor, "launch", launch)
    return programs


def test_what_a_run_tells_adds_up(worker: list[str], tmp_path: Path) -> None:
    worker.append(GOOD)
    run = start_run(config(), tmp_path / "r")
    heard: list[tuple[Status, threading.Thread]] = []
    run.changed.connect(lambda s: heard.append((s, threading.current_thread())))
    status = run.wait(30)
    assert (status.state, status.step, status.steps) == ("finished", 3, 12)
    assert status.sentence == "All done."
    assert run.curve() == ([1, 2, 3], [1.0, 0.5, pytest.approx(1 / 3)])
    assert run.curve("nothing") == ([], [])
    assert (run.before, run.metrics) == ({"score": 0.1}, {"score": 0.9})
    assert run.facts == {"adapter": "a"}
    assert run.pictures == [run.folder / "pictures/step-000003/a.png"]
    assert not run.alive
    until(lambda: heard and heard[-1][0].state == "finished")
    assert all(thread is not threading.main_thread() for _, thread in heard)


def test_a_listener_that_fails_harms_no_run(
    worker: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker.append(OBEDIENT)
    run = start_run(config(), tmp_path / "r")
    run.changed.connect(lambda _: 1 / 0)
    until(lambda: run.status.state == "running")
    run.stop()
    assert run.wait(30).state == "cancelled"
    assert "A listener of the run r failed" in caplog.text


def test_orders_reach_the_worker(worker: list[str], tmp_path: Path) -> None:
    worker.append(OBEDIENT)
    run = start_run(config(), tmp_path / "r")
    run.pause()
    until(lambda: run.status.state == "paused")
    run.go_on()
    until(lambda: run.status.state == "running")
    with pytest.raises(TrainError, match="r is still running; there is nothing to"):
        run.resume()
    run.cancel()
    assert run.wait(30).sentence == "Stopped."
    worker[:] = [GOOD]
    run.resume()
    assert run.wait(30).state == "finished"
    with pytest.raises(TrainError, match="r is finished; start a new run"):
        run.resume()


def test_a_run_that_does_not_answer_is_ended_with_its_children(
    worker: list[str], tmp_path: Path
) -> None:
    worker.append(DEAF)
    run = start_run(config(), tmp_path / "r")
    until(lambda: run.status.sentence)
    child = psutil.Process(int(run.status.sentence))
    run.monitor.patience = (0.05, 0.05)
    run.stop()
    status = run.wait(30)
    assert status.state == "cancelled"
    assert status.sentence == (
        "The run did not answer and was ended by force; it can be resumed from step 5."
    )
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        ("sys.exit(3)", "ended without a word (exit code 3)"),
        ("os.abort()", "crashed (SIGABRT), and its log may say why"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "maybe because the machine ran out of",
        ),
        ("os.kill(os.getpid(), signal.SIGTERM)", "The run was ended from outside"),
    ],
)
def test_a_crash_is_a_sentence(
    worker: list[str], tmp_path: Path, last: str, sentence: str
) -> None:
    worker.append(f"say('started', step=0); say('checkpoint', step=7); {last}")
    run = start_run(config(), tmp_path / "r")
    status = run.wait(30)
    assert status.state == "crashed"
    assert sentence in status.sentence
    assert status.sentence.endswith("it can be resumed from step 7.")
    again = Run(run.folder)
    assert again.status.state == "crashed"
    assert again.wait(0).over


def test_silence_is_told(
    worker: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.append("say('started', step=0); hear()")
    run = start_run(config(), tmp_path / "r")
    until(lambda: run.status.state == "running")
    assert run.responding
    monkeypatch.setattr(monitor, "_SILENCE", 0.0)
    assert not run.responding
    assert run.status.sentence.startswith("No sign of life for")
    run.stop()
    run.wait(30)
    assert run.responding, "nothing is expected of a run that is over"


def test_a_worker_that_cannot_be_started_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    run = start_run(config(), tmp_path / "r")
    assert run.status.state == "failed"
    assert "could not be started" in run.status.sentence


def test_the_log_shows_its_end(worker: list[str], tmp_path: Path) -> None:
    worker.append("[print(i, file=sys.stderr) for i in range(100)]")
    run = start_run(config(), tmp_path / "r")
    run.wait(30)
    assert run.log_tail(3) == ["97", "98", "99"]


def test_a_full_disk_is_told_when_a_worker_cannot_write(
    worker: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.append("say('started', step=0); hear()")
    run = start_run(config(), tmp_path / "r")
    until(lambda: run.status.state == "running")
    monkeypatch.setattr(monitor, "_SILENCE", 0.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert run.status.sentence == (
        f"The disk with {run.folder} is full; free some space, and the run tells "
        "again how it stands."
    )
    run.stop()
    run.wait(30)


def test_an_order_that_cannot_be_written_is_told_and_a_stop_comes_anyway(
    worker: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: RunFolder, command: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    worker.append(OBEDIENT)
    run = start_run(config(), tmp_path / "r")
    until(lambda: run.status.state == "running")
    monkeypatch.setattr(RunFolder, "order", full)
    with pytest.raises(TrainError, match=r"“pause” could not be written .* free some"):
        run.pause()
    run.stop()  # the system asks, and at once
    assert run.wait(20).state == "cancelled"


def test_why_a_worker_cannot_begin_is_told(worker: list[str], tmp_path: Path) -> None:
    worker.append(f"print('No such recipe.', file=sys.stderr); sys.exit({REFUSED})")
    status = start_run(config(), tmp_path / "r").wait(30)
    assert (status.state, status.sentence) == ("failed", "No such recipe.")


def test_orders_wait_for_a_worker_that_is_starting(tmp_path: Path) -> None:
    folder, control = begin(tmp_path / "r"), Control()
    folder.order("pause")
    folder.order("stop")
    control.watch(folder, lambda: None)
    until(lambda: control.stop)
    control.close()
    assert (control.stop, control.paused) == ("cancelled", True)


def test_orders_to_an_earlier_worker_are_forgotten(
    worker: list[str], tmp_path: Path
) -> None:
    worker += [OBEDIENT, GOOD]
    run = start_run(config(), tmp_path / "r")
    run.stop()
    assert run.wait(30).state == "cancelled"
    run.resume()
    assert run.wait(30).state == "finished"
    assert not (run.folder / "commands").exists()


# ---------------------------------------------------------------------------- many runs
def test_runs_of_one_device_go_one_after_the_other(
    worker: list[str], tmp_path: Path
) -> None:
    worker.append(OBEDIENT)
    runs = Runs(tmp_path)
    first, second, third = (runs.start(config()) for _ in range(3))
    elsewhere = runs.start(
        config().__class__("tests.fakes.tiny_recipe:Tiny", device="cuda:7")
    )
    assert [r.status.state for r in (second, third)] == ["queued", "queued"]
    until(lambda: first.status.state == elsewhere.status.state == "running")
    assert set(runs.list()) == {first, second, third, elsewhere}
    third.stop()
    assert third.status.state == "cancelled"
    assert second.status.state == "queued"
    first.stop()
    until(lambda: second.status.state == "running")
    assert third.status.state == "cancelled"
    third.resume()
    assert third.status.state == "queued"
    for run in (second, elsewhere):
        run.stop()
    until(lambda: third.status.state == "running")
    third.stop()
    assert third.wait(30).state == "cancelled"


def test_a_run_waits_for_another(worker: list[str], tmp_path: Path) -> None:
    worker += [OBEDIENT, GOOD]
    first = start_run(config(), tmp_path / "a")
    second = start_run(config(), tmp_path / "b", wait_for=first)
    assert second.status.state == "queued"
    first.stop()
    assert second.wait(30).state == "finished"
    third = start_run(config(), tmp_path / "c", wait_for=first)
    assert third.wait(30).state == "finished"


def test_a_run_that_is_forgotten_leaves_nothing(
    worker: list[str], tmp_path: Path
) -> None:
    worker.append(OBEDIENT)
    runs = Runs(tmp_path)
    run = runs.start(config())
    waiting = runs.start(config())
    with pytest.raises(TrainError, match="is still running; stop it first"):
        runs.forget(run)
    runs.forget(waiting)
    run.stop()
    run.wait(30)
    runs.forget(run)
    assert runs.list() == []
    assert not list(tmp_path.iterdir())


def test_folders_that_cannot_be_opened_are_named(
    worker: list[str], tmp_path: Path
) -> None:
    worker.append(GOOD)
    runs = Runs(tmp_path)
    newer, misspelt = begin(tmp_path / "newer"), begin(tmp_path / "misspelt")
    (newer.path / "version").write_text(str(VERSION + 1))
    (misspelt.path / "run.toml").write_text('[run]\nrecipe = "sesam"\n')
    good = runs.start(config())
    good.wait(30)
    assert runs.list() == [good]
    assert "newer napari-sesami" in runs.unreadable[newer.path]
    assert "did you mean “sesami”?" in runs.unreadable[misspelt.path]


def test_data_that_cannot_be_collected_leave_no_folder(tmp_path: Path) -> None:
    def nothing(to: Path) -> None:
        assert to.is_dir()
        raise TrainError("There are no labels; paint some first.")

    runs = Runs(tmp_path)
    with pytest.raises(TrainError, match="no labels"):
        runs.start(config(), nothing)
    assert not list(tmp_path.iterdir())


def test_a_run_that_somebody_else_resumes_is_followed_again(
    worker: list[str], tmp_path: Path
) -> None:
    worker.append(OBEDIENT)
    runs = Runs(tmp_path)
    run = runs.start(config())
    run.stop()
    assert run.wait(30).over
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        lock = RunFolder.open(run.folder).path / "lock"
        lock.write_text(json.dumps(process.who(other.pid)))
        assert runs.list() == [run]
        assert run.status.state == "starting"
    finally:
        other.kill()
        other.communicate()
    assert run.wait(30).over


# ------------------------------------------------------------ after our own crash
def test_a_run_that_was_cut_off_is_found_again(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r")
    lines = [
        {"t": 1.0, "event": "started", "step": 0},
        {"t": 2.0, "event": "checkpoint", "step": 40},
        {"t": 3.0, "event": "step", "step": 43, "loss": 0.5, "seconds": 1.0},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    folder.events.write_text(text + '{"t": 4.0, "ev')
    folder.write_status({"state": "running", "step": 43})
    (folder.path / "lock").write_text(json.dumps(process.me() | {"pid": 2**22 + 1}))
    run = Run(folder.path)
    assert run.status.state == "crashed"
    assert run.status.sentence == (
        "The run was cut off; it can be resumed from step 40."
    )
    assert run.curve() == ([43], [0.5])


def test_a_queue_that_ended_with_its_program_is_told(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r")
    gone = process.me() | {"started": "long ago"}
    folder.write_status({"state": "queued", "by": gone})
    status = Run(folder.path).status
    assert status.state == "crashed"
    assert "waited in the queue when the program ended" in status.sentence


def test_a_queue_of_another_living_program_is_respected(
    worker: list[str], tmp_path: Path
) -> None:
    worker += [OBEDIENT, GOOD]
    ours, theirs = Runs(tmp_path), Runs(tmp_path)
    first, second = ours.start(config()), ours.start(config())
    seen = next(r for r in theirs.list() if r.folder == second.folder)
    assert not seen.status.over
    first.stop()
    assert second.wait(30).state == "finished"
    assert seen.wait(30).state == "finished"


def test_a_living_worker_of_somebody_else_is_followed(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r")
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (folder.path / "lock").write_text(json.dumps(process.who(other.pid)))
        run = Run(folder.path)
        with folder.events.open("a") as file:
            file.write('{"t": 1.0, "event": "started", "step": 0}\n{"t": 2.0, "eve')
            file.flush()
            until(lambda: run.status.state == "running")
            file.write('nt": "step", "step": 3, "loss": 1.0}\n')
        until(lambda: run.status.step == 3)
        run.pause()
        run.monitor.patience = (0.05, 5.0)
        assert folder.commands.read_text() == "pause\n"
        run.stop()  # it hears nothing, so the system asks it
        assert run.wait(30).state == "cancelled"
        assert other.wait(30) == -signal.SIGTERM
    finally:
        other.kill()
        other.communicate()
    assert events(folder, "step")


def test_time_left_is_told(worker: list[str], tmp_path: Path) -> None:
    worker.append("say('started', step=0); say('step', step=2, seconds=3.0); hear()")
    run = start_run(config(), tmp_path / "r")
    until(lambda: run.status.step == 2)
    assert run.status.eta_seconds == pytest.approx(30)
    assert run.status.updated <= time.time()
    run.stop()
    run.wait(30)


def test_looking_at_runs_loads_no_torch(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r")
    look = (
        "import sys; from napari_sesami.train import Runs, RunConfig, start_run\n"
        "from napari_sesami.train import worker\n"
        "RunConfig('sesami'), Runs(sys.argv[1]).list()\n"
        "print(sorted({'torch', 'qtpy', 'napari'} & set(sys.modules)))"
    )
    text = (folder.path / "run.toml").read_text()
    text = text.replace("tests.fakes.tiny_recipe:Tiny", "sesami").partition("[tiny]")[0]
    (folder.path / "run.toml").write_text(text)
    command = [sys.executable, "-c", look, str(tmp_path)]
    assert subprocess.check_output(command, text=True).strip() == "[]"
