"""Checkpoints: whole or not there, checked when read, the last two and the best."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from napari_sesami.common.checked import read_checked
from napari_sesami.common.disk import (
    FORBIDDEN,
    FULL,
    sync_folder,
    write_all,
    write_atomic,
)
from napari_sesami.common.errors import SesamiError
from napari_sesami.common.inside import FileName, inside
from napari_sesami.train.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEEP = 2
_NAME = re.compile(r"step-(\d{6,})")
_SEAL = "complete.json"

Parts = dict[str, bytes]


class _Sealed(TypedDict):
    """The list of a checkpoint's files."""

    files: dict[FileName, dict[str, Any]]


class _BestRow(TypedDict):
    """Which checkpoint is the best, and how good."""

    step: int
    score: float


class Damaged(TrainError):
    """A checkpoint is not what was written."""


class Checkpoints:
    """The folder `checkpoints` of a run.

    A checkpoint is a folder of a few files and a list of their hashes. It is written
    beside its place, brought to the disk and then renamed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, the newest first."""
        if not self.folder.is_dir():
            return []
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def save(self, step: int, parts: Parts) -> None:
        """Write one; an `OSError` leaves those that were there before."""
        self.folder.mkdir(exist_ok=True)
        draft = self.folder / f".step-{step:06d}.tmp"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            for name, data in parts.items():
                _write(draft / name, data)
            seal = {name: _hash(data) for name, data in parts.items()}
            _write(draft / _SEAL, json.dumps({"step": step, "files": seal}).encode())
            sync_folder(draft)
            goal = self._path(step)
            shutil.rmtree(goal, ignore_errors=True)
            draft.rename(goal)
            sync_folder(self.folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        self._prune()

    def load(self, step: int) -> Parts:
        """Read one and check it."""
        path = self._path(step)
        try:
            seal = read_checked(inside(path, _SEAL), _Sealed, most=1 << 24)
            parts = {name: inside(path, name).read_bytes() for name in seal["files"]}
            whole = all(_hash(parts[name]) == seal["files"][name] for name in parts)
        except (OSError, SesamiError):
            whole = False
        if not whole:
            raise Damaged(f"The checkpoint of step {step} is damaged.")
        return parts

    def newest(self, say: Callable[[str], None]) -> tuple[int, Parts] | None:
        """Read the newest whole one; `say` a sentence for each that is damaged."""
        steps = self.steps()
        for step, before in zip_longest(steps, steps[1:]):
            try:
                return step, self.load(step)
            except Damaged as error:
                instead = (
                    "the run begins anew" if before is None
                    else f"that of step {before} is taken instead"
                )  # fmt: skip
                say(f"{str(error)[:-1]}; {instead}.")
        return None

    def best(self) -> tuple[int, float] | None:
        """Step and score of the best one, if there was a score."""
        try:
            best = read_checked(inside(self.folder, "best.json"), _BestRow)
            return best["step"], best["score"]
        except (OSError, SesamiError):
            return None

    def mark_best(self, step: int, score: float) -> None:
        """Remember that the checkpoint of `step` is the best so far."""
        text = json.dumps({"step": step, "score": score})
        write_atomic(self.folder / "best.json", text.encode())
        self._prune()

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}"

    def _prune(self) -> None:
        best = self.best()
        keep = set(self.steps()[:KEEP]) | ({best[0]} if best else set())
        for step in set(self.steps()) - keep:
            shutil.rmtree(self._path(step), ignore_errors=True)


def why_not(error: OSError, path: Path) -> str:
    """Say why a run could not write, and that nothing is lost by it."""
    if error.errno in FULL:
        reason, advice = f"The disk with {path} is full", "free some space"
    elif error.errno in FORBIDDEN:
        reason, advice = f"{path} is read-only", "ask for write access"
    else:
        reason = f"{path} could not be written ({error.strerror or error})"
        advice = "check the disk"
    return f"{reason}; the run goes on in memory and tries again: {advice}."


def _write(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags, 0o666)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def _hash(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
