"""The run folder: where everything of a run lies, and who works in it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from napari_sesami.common import process
from napari_sesami.common.checked import DamagedFile, read_checked
from napari_sesami.common.disk import write_all, write_atomic
from napari_sesami.common.inside import no_links
from napari_sesami.train.config import FILE, RunConfig
from napari_sesami.train.errors import TrainError
from napari_sesami.train.run.events import plain
from napari_sesami.train.run.state import State

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
_NAMES = (
    "data", "events.jsonl", "status.json", "ladder.json", "checkpoints", "pictures",
    "adapter", "worker.log", "commands", "trouble", "lock", "version", FILE,
)  # fmt: skip
_SILENT = 60.0
"""Seconds after which a worker on another machine counts as dead."""


class RunFolder:
    """Names in a run folder, its config, its heartbeat and its lock."""

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path, self.config = path, config
        self.data = path / "data"
        self.events = path / "events.jsonl"
        self.status_file = path / "status.json"
        self.fallback = path / "ladder.json"
        self.checkpoints = path / "checkpoints"
        self.pictures = path / "pictures"
        self.adapter = path / "adapter"
        self.log = path / "worker.log"
        self.commands = path / "commands"
        self.trouble = path / "trouble"
        self._lock = path / "lock"

    @classmethod
    def create(cls, path: Path, config: RunConfig) -> RunFolder:
        """Begin a run in a new or empty folder."""
        path = path.expanduser().resolve()
        path.mkdir(parents=True, exist_ok=True)
        try:
            (path / "version").open("x").close()
        except FileExistsError:
            raise TrainError(
                f"{path} already holds a run; resume that one, or choose another "
                "folder."
            ) from None
        (path / "data").mkdir(exist_ok=True)
        write_atomic(path / FILE, config.to_toml().encode())
        write_atomic(path / "version", f"{VERSION}\n".encode())
        return cls(path, config)

    @classmethod
    def open(cls, path: Path, *, run: bool = False) -> RunFolder:
        """Open the folder of a run; only to `run` it is a foreign recipe imported."""
        path = path.expanduser().resolve()
        if not (path / FILE).is_file():
            raise TrainError(
                f"{path} is no run folder, since it has no {FILE}; choose the folder "
                "of a run."
            )
        no_links(path, *_NAMES)
        _check_version(path)
        return cls(path, RunConfig.from_toml(path / FILE, run=run))

    def exists(self) -> bool:
        """Whether nobody has deleted it."""
        return (self.path / FILE).is_file()

    def status(self) -> dict[str, Any]:
        """What the worker last said of itself; empty if there is nothing readable."""
        return _read(self.status_file)

    def write_status(self, status: dict[str, Any]) -> None:
        """Replace status.json in one step."""
        write_atomic(self.status_file, json.dumps(status, default=plain).encode())

    def log_tail(self, n: int) -> list[str]:
        """Last lines of what the worker printed."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 400 * n))
                return file.read().decode(errors="replace").splitlines()[-n:]
        except OSError:
            return []

    def owner(self) -> dict[str, Any] | None:
        """The process that works in this folder, if it lives."""
        owner = _read(self._lock)
        if not owner:
            return None
        if process.here(owner):
            return owner if process.lives(owner) else None
        return owner if self._fresh() else None

    def acquire(self) -> None:
        """Take the folder for this process, or say who has it."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        for _ in range(50):
            try:
                fd = os.open(self._lock, flags, 0o666)
            except FileExistsError:
                self._make_room()
                continue
            try:
                write_all(fd, json.dumps(process.me()).encode())
            finally:
                os.close(fd)
            return
        raise TrainError(f"{self.path} cannot be locked; try again.")

    def release(self) -> None:
        """Give the folder back."""
        if _read(self._lock) == process.me():
            self._lock.unlink(missing_ok=True)

    def order(self, command: str) -> None:
        """Leave an order for the worker; it reads them in turn."""
        with self.commands.open("a") as file:
            file.write(f"{command}\n")

    def forget_orders(self) -> None:
        """Remove orders that an earlier worker got."""
        self.commands.unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Remove the lock of a dead process, or refuse for a living one."""
        if not _read(self._lock):
            time.sleep(0.02)  # being written just now, or left half by a dead one
            if _read(self._lock):
                return
        owner = self.owner()
        if owner is not None and owner != process.me():
            raise TrainError(
                f"The run in {self.path} is already at work in process "
                f"{owner.get('pid')} on {owner.get('host')}; wait for it, or stop it "
                "there."
            )
        with contextlib.suppress(FileNotFoundError):
            self._lock.unlink()

    def _fresh(self) -> bool:
        """Whether a far worker gave a sign lately, by the clock of the disk itself."""
        probe = self.path / f".clock.{os.getpid()}.tmp"
        try:
            probe.touch()
            now = probe.stat().st_mtime
            probe.unlink()
            beat = max(
                file.stat().st_mtime
                for file in (self.status_file, self._lock)
                if file.exists()
            )
        except (OSError, ValueError):
            return True  # cannot tell: better refuse than have two
        return now - beat < _SILENT


def _check_version(path: Path) -> None:
    try:
        text = (path / "version").read_bytes()[:20].decode("ascii").strip()
    except (OSError, ValueError):
        text = ""
    number = int(text) if text.isdecimal() else 0
    if number > VERSION:
        raise TrainError(
            f"{path} was made by a newer napari-sesami (run folder version {number}, "
            f"this one knows up to {VERSION}); update napari-sesami to open it."
        )


class _StatusRow(TypedDict, total=False):
    """What status.json and the lock may hold; of other keys nothing is asked."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    state: State
    sentence: str
    step: int
    by: dict[str, Any] | None
    pid: int
    host: str


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(read_checked(path, _StatusRow, most=1 << 24))
    except (OSError, DamagedFile):
        return {}
