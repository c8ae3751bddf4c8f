from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from napari_sesami.project import Project, ProjectLocked
from napari_sesami.project import lock as lock_module
from napari_sesami.project.lock import Lock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from napari_sesami.project import Project
project = Project.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that has the project open."""
    Project.create(tmp_path / "p.sesami").close()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "p.sesami")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


def test_two_writing_processes_are_refused_and_told_who(tmp_path: Path, holder) -> None:
    with pytest.raises(ProjectLocked, match=f"process {holder.pid} on"):
        Project.open(tmp_path / "p.sesami")


def test_reading_is_allowed_meanwhile(tmp_path: Path, holder) -> None:
    project = Project.open(tmp_path / "p.sesami", read_only=True)
    assert project.read_only
    project.close()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path, holder) -> None:
    holder.kill()
    holder.wait()
    with Project.open(tmp_path / "p.sesami") as project:
        assert not project.read_only
        owner = json.loads((project.path / "lock").read_text())
        assert owner["pid"] == os.getpid()


def test_a_stale_lock_file_of_a_dead_process_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on disks whose system knows no locks, where only the file speaks."""
    monkeypatch.setattr(lock_module, "_lock", lambda fd: None)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path = tmp_path / "lock"
    path.write_text(json.dumps({"pid": dead.pid, "host": socket.gethostname()}))
    Lock(path).release()


def test_where_the_system_knows_no_locks_the_file_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder
) -> None:
    monkeypatch.setattr(lock_module, "_lock", lambda fd: None)
    with pytest.raises(ProjectLocked, match=str(holder.pid)):
        Lock(tmp_path / "p.sesami" / "lock")


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        lock = Lock(tmp_path / "lock")
        with pytest.raises(ProjectLocked):
            Lock(tmp_path / "lock")
        lock.release()
