"""A process that is killed at random moments loses nothing that it had reported."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sesami.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

SCAN = np.arange(3 * 64 * 80, dtype=np.uint16).reshape(3, 64, 80)

# Writes steps, undoes, saves, and reports each as soon as the call has returned. It
# forks, so that the interpreter starts once and not for every kill.
WORKER = """
import os, signal, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import test_crash as t
from napari_sesami.session import Session

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    folder, first, ticking = line.strip().split("|")
    if os.fork() == 0:
        if ticking == "die":
            t.die_while_saving(folder, int(first))
        session = Session(t.SCAN, folder)
        # a record that the disk refused is told, and is not what is looked for here
        session.document.events.trouble.connect(t.complain)
        if int(ticking):
            session.document.project.autosave_every = 0.02
            session.document.project.start_autosave(0.01)
        os.write(1, b"pid %d\\n" % os.getpid())
        for n in range(int(first), 10**9):
            t.step(session, n)
            os.write(1, b"%d\\n" % n)
"""


def complain(text: str) -> None:
    os.write(1, f"trouble: {text}\n".encode())


def step(session: Session, n: int) -> None:
    """Do the n-th thing; what that is depends on n alone."""
    rng = np.random.default_rng(n)
    kind, plane = n % 7, int(rng.integers(3))
    y, x = (int(v) for v in rng.integers(0, 50, 2))
    if kind in (0, 1, 2):
        session.paint(rng.integers(0, 3, (14, 20)), plane, at=(y, x))
    elif kind == 3:
        mask = np.zeros((64, 80), bool)
        mask[y : y + 9, x : x + 9] = True
        session.commit(mask, 1 + n % 2, plane)
    elif kind == 4:
        session.undo()
    elif kind == 5:
        session.history.redo() if n % 2 else session.paint(
            np.eye(64, 80, n % 30, int), plane
        )
    else:
        session.save()


def begun(session: Session) -> Session:
    session.classes.add("oxide")
    session.classes.add("void")
    return session


def picture(session: Session) -> dict[str, object]:
    """All that has to survive, in a form that can be compared."""
    work = session.document.work
    found: dict[str, object] = {
        name: np.array(layer.array).tobytes() for name, layer in work.layers.items()
    }
    found["states"] = str({k: o.to_dict() for k, o in session.objects.items()})
    found["classes"] = str(session.classes.to_dict())
    return found


def differing(found: dict[str, object], told: dict[str, object]) -> list[str]:
    """Say which parts of two pictures differ."""
    return [name for name in told if found[name] != told[name]]


class Truth:
    """The same steps in memory, never killed."""

    def __init__(self) -> None:
        self.session, self.steps = begun(Session(SCAN)), 0

    def after(self, last: int) -> dict[str, object]:
        while self.steps <= last:
            if self.steps % 7 != 6:
                step(self.session, self.steps)
            self.steps += 1
        return picture(self.session)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place in memory if there is one: these tests are about order, not the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        yield Path(home) / "crash.sesami"


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, os.path.dirname(__file__)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    yield process
    process.kill()
    process.communicate()


def die_while_saving(folder: str, calls: int) -> None:
    """Save, and be killed at the n-th time that the disk is spoken to."""
    os.write(1, b"%d\n" % os.getpid())
    session = Session(SCAN, folder)
    edit(session, calls)
    left = calls

    def deadly(name: str) -> None:
        real = getattr(os, name)

        def call(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                if name == "write" and len(args[1]) > 1:  # type: ignore[arg-type]
                    real(args[0], args[1][: len(args[1]) // 2])  # type: ignore[index,arg-type]
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(os, name, call)

    for name in ("open", "write", "fsync", "replace", "unlink"):
        deadly(name)
    session.save()
    left = 1000  # beyond here nothing may kill
    os.write(1, b"saved\n")
    os._exit(0)


def edit(session: Session, n: int) -> None:
    """Change something in every layer, differently for every n."""
    plane = np.zeros((64, 80), int)
    plane[n : n + 3, n:70] = 1
    session.paint(plane, n % 3)
    session.commit(np.roll(plane, 9) > 0, 1 + n % 2, (n + 1) % 3)
    session.strokes.write(plane, (n + 2) % 3)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_killed_at_every_step_of_a_save(
    worker: subprocess.Popen[bytes], folder: Path
) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    truth = begun(Session(SCAN))
    begun(Session(SCAN, folder)).close()
    calls, died = 0, 0
    while True:
        worker.stdin.write(f"{folder}|{calls}|die\n".encode())
        pid = int(worker.stdout.readline())
        while _alive(pid):
            select.select([worker.stdout], [], [], 0.05)
        saved = bool(select.select([worker.stdout], [], [], 0)[0])
        edit(truth, calls)
        with Session(SCAN, folder) as session:
            lost = differing(picture(session), picture(truth))
            assert not lost, f"killed at call {calls}"
        if saved:
            break
        died += 1
        calls += 1
    assert died > 15


def kill_once(
    worker: subprocess.Popen[bytes], folder: Path, first: int, seed: int
) -> int:
    """Let it work for a random while, kill it, and give the last step it reported."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    ticking = seed % 2
    worker.stdin.write(f"{folder}|{first}|{ticking}\n".encode())
    pid, last = 0, first - 1
    deadline = None
    wait = random.Random(seed).uniform(0.0, 0.25)
    while True:
        line = worker.stdout.readline()
        if line.startswith(b"pid"):
            pid, deadline = int(line.split()[1]), time.monotonic() + wait
        else:
            last = int(line)
        if deadline is not None and time.monotonic() > deadline:
            break
    os.kill(pid, signal.SIGKILL)
    return drain(worker, pid, last)


def drain(worker: subprocess.Popen[bytes], pid: int, last: int) -> int:
    """Wait until the process is dead and take what it still had reported."""
    assert worker.stdout is not None
    os.set_blocking(worker.stdout.fileno(), False)
    text = b""
    try:
        while (chunk := worker.stdout.read(1 << 16)) or _alive(pid):
            text += chunk or b""
        text += worker.stdout.read(1 << 16) or b""
    finally:
        os.set_blocking(worker.stdout.fileno(), True)
    lines = text.split(b"\n")
    return max([last, *(int(line) for line in lines if line)])


def _alive(pid: int) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def survive(worker: subprocess.Popen[bytes], folder: Path, kills: int) -> None:
    truth, done = Truth(), 0
    copy = folder.with_suffix(".killed")
    begun(Session(SCAN, folder)).close()
    for seed in range(kills):
        first = truth.steps
        last = kill_once(worker, folder, first, seed)
        done += last + 1 - first
        shutil.copytree(folder, copy)
        with Session(SCAN, folder) as session:
            found = picture(session)
        lost = differing(found, truth.after(last))
        if lost:
            # the step that was under way may be whole, although it was not reported
            too = differing(found, truth.after(last + 1))
            if too:
                kept = tempfile.mkdtemp(prefix="killed-")
                shutil.copytree(copy, kept, dirs_exist_ok=True)
                pytest.fail(
                    f"kill {seed} from step {first} to {last}: {lost} differ, and "
                    f"{too} from step {last + 1}; what lay on the disk is in {kept}"
                )
        shutil.rmtree(copy)
        # a new round, in which no undo reaches back behind the kill
        truth.steps = 7 * (truth.steps // 7 + 1)
    assert done >= kills, "it hardly got to work between the kills"


@pytest.mark.skipif(sys.platform != "linux", reason="forks and reads /proc")
def test_killed_at_random_moments(worker: subprocess.Popen[bytes], folder: Path):
    survive(worker, folder, 24)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks and reads /proc")
def test_killed_at_many_random_moments(
    worker: subprocess.Popen[bytes], folder: Path
) -> None:
    survive(worker, folder, 300)
