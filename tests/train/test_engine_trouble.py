"""Memory, numbers, disks, clocks and damaged files: nothing lost, a sentence each."""

from __future__ import annotations

import errno
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.fakes.engine_help import STEPS, begin, config, events, losses, result, work

from napari_sesami.common import process
from napari_sesami.train import TrainError
from napari_sesami.train.engine import checkpoints
from napari_sesami.train.run.events import EventLog, read_events
from napari_sesami.train.run.folder import VERSION, RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = begin(tmp_path_factory.mktemp("trouble") / "whole")
    work(folder)
    return folder


# ------------------------------------------------------------------- memory and numbers
def test_too_little_memory_halves_the_portions_and_nothing_else(tmp_path: Path) -> None:
    easy, hard = begin(tmp_path / "easy", "", "plain = true"), None
    work(easy)
    hard = begin(tmp_path / "hard", "", "plain = true\nmost = 1")
    assert work(hard).reason == "finished"
    assert [e["micro_batch"] for e in events(hard, "oom")] == [2, 1]
    assert "4 examples at a time" in events(hard, "oom")[0]["sentence"]
    assert list(losses(hard).values()) == pytest.approx(
        list(losses(easy).values()), rel=1e-5
    )


def test_memory_that_holds_not_even_one_example_ends_the_run(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r", "micro_batch = 1", "most = -1")
    ending = work(folder)
    assert ending.reason == "oom"
    assert "not even hold one example" in ending.sentence


def test_a_loss_that_is_no_number_goes_back_once_with_half_the_rate(
    tmp_path: Path, whole: RunFolder
) -> None:
    folder = begin(tmp_path / "r", "", "poison = 6")
    assert work(folder, at4="checkpoint").reason == "finished"
    (event,) = events(folder, "nan")
    assert (event["step"], event["back_to"], event["rate_scale"]) == (6, 4, 0.5)
    rates = {e["step"]: e["rate"] for e in events(folder, "step")}
    before = {e["step"]: e["rate"] for e in events(whole, "step")}
    assert rates[4] == before[4]
    assert rates[9] == before[9] / 2
    assert losses(folder)[5] == losses(whole)[5], "same weights, same examples"
    assert len(losses(folder)) == STEPS


def test_a_loss_that_stays_no_number_ends_the_run(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r", "", "poison = 6\nalways = true")
    ending = work(folder)
    assert ending.reason == "nan"
    assert ending.sentence.startswith("The loss is no number at step 1 again; look for")


def test_a_recipe_that_trains_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="leaves nothing to train"):
        work(begin(tmp_path / "r", recipe="Idle"))


def test_no_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="nothing to learn from; label something"):
        work(begin(tmp_path / "r", "", "examples = 0"))


# --------------------------------------------------------------------------- full disks
@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Let the system refuse to write more than so many bytes into a file."""
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)


def test_a_full_disk_stops_no_training(tmp_path: Path, whole: RunFolder) -> None:
    folder = begin(tmp_path / "r")
    with small_disk(1500):
        ending = work(folder, at5="stop")
    assert ending.reason == "cancelled"
    assert ending.sentence.endswith("from step 0.")
    assert not list(folder.checkpoints.iterdir()), "nothing is left half-written"
    assert all("t" in e for e in read_events(folder.events)[0])
    work(folder)
    assert result(folder) == result(whole)


def test_full_then_free(
    tmp_path: Path, whole: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last checkpoint and the result wait until there is space."""
    folder, real, tries = begin(tmp_path / "r"), checkpoints.write_all, 0

    def full_for_a_while(fd: int, data: bytes) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd, data)

    monkeypatch.setattr(checkpoints, "write_all", full_for_a_while)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert work(folder).reason == "finished"
    sentences = [e["sentence"] for e in events(folder, "note")]
    assert "is full; the run goes on in memory and tries again" in sentences[0]
    assert "what was learnt is still in memory: free some space" in sentences[1]
    assert sentences[2] == "Step 12 could be written to the disk again."
    assert result(folder) == result(whole)


def test_events_that_a_full_disk_refused_come_later(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.emit("step", step=1)
    with small_disk(60):
        log.emit("step", step=2)
        log.emit("step", step=3)
    assert [e["step"] for e in read_events(log.path)[0]] == [1]
    log.close()
    assert [e["step"] for e in read_events(log.path)[0]] == [1, 2, 3]


# ------------------------------------------------------------------------ damaged files
def stopped(path: Path) -> RunFolder:
    """A run with checkpoints of steps 5 and 7."""
    folder = begin(path)
    work(folder, at5="stop")
    work(folder, at7="stop")
    return folder


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "optimiser.pt", "complete.json"]
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, whole: RunFolder, name: str
) -> None:
    folder = stopped(tmp_path / "r")
    path = folder.checkpoints / "step-000007" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)
    assert work(folder).reason == "finished"
    (note,) = events(folder, "note")
    assert note["sentence"] == (
        "The checkpoint of step 7 is damaged; that of step 5 is taken instead."
    )
    assert result(folder) == result(whole)


def test_with_all_checkpoints_damaged_the_run_begins_anew(
    tmp_path: Path, whole: RunFolder
) -> None:
    folder = stopped(tmp_path / "r")
    for path in folder.checkpoints.glob("step-*/weights.safetensors"):
        path.write_bytes(b"")
    work(folder)
    assert events(folder, "note")[-1]["sentence"].endswith("the run begins anew.")
    assert result(folder) == result(whole)


def test_a_killed_write_of_a_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    folder = stopped(tmp_path / "r")
    draft = folder.checkpoints / ".step-000009.tmp"
    draft.mkdir()
    (draft / "weights.safetensors").write_bytes(b"half")
    assert checkpoints.Checkpoints(folder.checkpoints).steps() == [7, 5]


def test_other_base_weights_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.fakes import tiny_recipe

    folder = stopped(tmp_path / "r")
    prepare = tiny_recipe.Tiny.prepare

    def other(self: tiny_recipe.Tiny, device: object) -> object:
        net = prepare(self, device)
        self.frozen.weight.data += 1
        return net

    monkeypatch.setattr(tiny_recipe.Tiny, "prepare", other)
    with pytest.raises(TrainError, match="that the run began from have changed since"):
        work(folder)


def test_half_a_line_of_a_killed_worker_spoils_no_other(tmp_path: Path) -> None:
    folder = stopped(tmp_path / "r")
    whole_lines = len(read_events(folder.events)[0])
    with folder.events.open("ab") as file:
        file.write(b'{"t": 1.0, "event": "st')
    events_now, offset = read_events(folder.events)
    assert len(events_now) == whole_lines
    log = EventLog(folder.events)
    log.emit("note", sentence="after it")
    log.close()
    (last,), _ = read_events(folder.events, offset)
    assert last["sentence"] == "after it"
    assert len(read_events(folder.events)[0]) == whole_lines + 1


@pytest.mark.parametrize("text", ["", "[]", '{"state": "run'])
def test_a_damaged_status_is_no_trouble(tmp_path: Path, text: str) -> None:
    folder = stopped(tmp_path / "r")
    folder.status_file.write_text(text)
    assert folder.status() == {}
    assert work(folder).reason == "finished"


# ------------------------------------------------------------- clocks, locks, versions
def test_a_clock_that_jumps_disturbs_nothing(
    tmp_path: Path, whole: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begin(tmp_path / "r")
    jumps = itertools.cycle([0.0, 4e9, 1.0, 2e9])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    work(folder)
    assert result(folder) == result(whole)
    assert [e["step"] for e in events(folder, "checkpoint")] == [1, STEPS]
    assert 0 < events(folder, "step")[-1]["spent"] < 100


def test_a_folder_that_holds_a_run_takes_no_second_one(tmp_path: Path) -> None:
    begin(tmp_path / "r")
    with pytest.raises(TrainError, match="already holds a run; resume that one, or"):
        RunFolder.create(tmp_path / "r", config())


def test_only_one_process_works_in_a_folder(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r")
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner = process.who(other.pid)
        (folder.path / "lock").write_text(json.dumps(owner))
        assert folder.owner() == owner
        with pytest.raises(TrainError, match=f"already at work in process {other.pid}"):
            folder.acquire()
    finally:
        other.communicate()
    assert folder.owner() is None
    folder.acquire()
    assert folder.owner() == process.me()
    folder.release()
    assert folder.owner() is None


def test_a_process_id_that_was_given_again_is_somebody_else(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r")
    impostor = process.me() | {"started": "long ago"}
    (folder.path / "lock").write_text(json.dumps(impostor))
    assert folder.owner() is None
    folder.acquire()
    assert folder.owner() == process.me()


def test_a_worker_on_another_machine_counts_while_it_beats(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r")
    (folder.path / "lock").write_text(
        json.dumps({"pid": 1, "host": "far", "started": "x"})
    )
    assert folder.owner() is not None
    with pytest.raises(TrainError, match="in process 1 on far; wait for it"):
        folder.acquire()
    os.utime(folder.path / "lock", (0, 0))
    assert folder.owner() is None
    folder.acquire()


def test_a_lock_left_empty_by_a_killed_process_gives_way(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r")
    (folder.path / "lock").touch()
    folder.acquire()
    assert folder.owner() == process.me()


def test_a_folder_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    folder = begin(tmp_path / "r")
    (folder.path / "version").write_text(f"{VERSION + 1}\n")
    with pytest.raises(
        TrainError, match=r"a newer napari-sesami .* update napari-sesami"
    ):
        RunFolder.open(folder.path)


def test_what_is_no_run_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(
        TrainError, match=r"is no run folder, since it has no run\.toml"
    ):
        RunFolder.open(tmp_path)
