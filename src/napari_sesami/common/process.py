"""Processes that may have died: who they were, whether they live, how to end them."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import psutil

_NICE = 10


def mark(pid: int) -> str | None:
    """Tell when a process started, since ids are given again; None if it is dead.

    On Linux it is counted from the start of the machine, so that a clock that is
    set does not change it.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if stat[0] in "ZX" else f"{_boot()}:{stat[19]}"
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.1f}"
    except psutil.Error:
        return None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def who(pid: int) -> dict[str, Any]:
    """Describe a process of this machine so that :func:`lives` knows it again."""
    return {"pid": pid, "started": mark(pid), "host": socket.gethostname()}


def me() -> dict[str, Any]:
    """Describe this process."""
    return who(os.getpid())


def here(owner: dict[str, Any]) -> bool:
    """Whether a process that `who` described is one of this machine."""
    return owner.get("host") == socket.gethostname()


def lives(owner: dict[str, Any]) -> bool:
    """Whether a process of this machine that `who` described still runs.

    Locks of older versions do not say when it started.
    """
    pid = owner.get("pid")
    if not (isinstance(pid, int) and here(owner)):
        return False
    now = mark(pid)
    return now is not None and owner.get("started", now) == now


def end_tree(owner: dict[str, Any], *, hard: bool) -> None:
    """End a process and all that it started; `hard` gives them no time to object."""
    if not lives(owner):
        return
    try:
        top = psutil.Process(owner["pid"])
        family = [top, *top.children(recursive=True)] if hard else [top]
    except psutil.Error:
        return
    for process in family:
        try:
            process.kill() if hard else process.terminate()
        except psutil.NoSuchProcess:
            continue


def step_back() -> None:
    """Give this process a low priority, so that windows stay quick beside it."""
    if os.name == "posix":
        os.nice(max(0, _NICE - os.nice(0)))
    else:
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)


def cores() -> int:
    """How many processor cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
