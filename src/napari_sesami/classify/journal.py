"""Labels and the class book, with every change written down so that it can be undone.

The file only grows, a line for each change; what a crash cut off at its end is left
out, and the rest is lived through again when the folder is opened.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from napari_sesami.classify.defect import DefectClass  # noqa: TC001 pydantic
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.common.checked import DamagedFile, checked
from napari_sesami.common.disk import write_all
from napari_sesami.common.inside import inside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NAME = "labels.jsonl"
MOST_BYTES = 2**29
Given = tuple[str, str]
"""Name of the class, and who gave it."""


class LabelStep(BaseModel):
    """One change: what was and what is, of labels and of the class book."""

    model_config = ConfigDict(extra="forbid", strict=True)
    do: Literal["do", "undo", "redo"]
    words: str = ""
    labels: dict[str, tuple[Given | None, Given | None]] = {}
    book: tuple[list[DefectClass], list[DefectClass]] | None = None


class LabelBook:
    """Who called which defect what, and the classes there are.

    Parameters
    ----------
    given
        Labels that came with the lot.
    classes
        The class book that came with it.
    folder
        Where changes are kept; None keeps them in memory.

    Raises
    ------
    ClassifyError
        The file of the folder is damaged before its end.
    """

    def __init__(
        self,
        given: Mapping[str, Given],
        classes: Sequence[DefectClass],
        folder: Path | None = None,
    ) -> None:
        self.given: dict[str, Given] = dict(given)
        self.classes: list[DefectClass] = list(classes)
        self._done: list[LabelStep] = []
        self._undone: list[LabelStep] = []
        self.path: Path | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.path = inside(folder, NAME)
            self._read(self.path)

    def change(
        self,
        words: str,
        labels: Mapping[str, Given | None],
        book: Sequence[DefectClass] | None = None,
    ) -> None:
        """Give labels (None takes one away) and a new class book, as one step."""
        moved = {
            name: (self.given.get(name), after)
            for name, after in labels.items()
            if self.given.get(name) != after
        }
        pages = None
        if book is not None and list(book) != self.classes:
            pages = (self.classes, list(book))
        if not moved and pages is None:
            return
        step = LabelStep(do="do", words=words, labels=moved, book=pages)
        self._live(step)
        self._write(step)

    def undo(self) -> str | None:
        """Take the last change back; gives its words, None if there is none."""
        if not self._done:
            return None
        words = self._done[-1].words
        step = LabelStep(do="undo")
        self._live(step)
        self._write(step)
        return words

    def redo(self) -> str | None:
        """Do again what was taken back last."""
        if not self._undone:
            return None
        words = self._undone[-1].words
        step = LabelStep(do="redo")
        self._live(step)
        self._write(step)
        return words

    @property
    def can_undo(self) -> str | None:
        """Words of what `undo` would take back."""
        return self._done[-1].words if self._done else None

    @property
    def can_redo(self) -> str | None:
        """Words of what `redo` would do again."""
        return self._undone[-1].words if self._undone else None

    def _live(self, step: LabelStep) -> None:
        """Carry a step out."""
        if step.do == "do":
            self._apply(step, 1)
            self._done.append(step)
            self._undone.clear()
        elif step.do == "undo" and self._done:
            self._apply(self._done[-1], 0)
            self._undone.append(self._done.pop())
        elif step.do == "redo" and self._undone:
            self._apply(self._undone[-1], 1)
            self._done.append(self._undone.pop())

    def _apply(self, step: LabelStep, side: int) -> None:
        for name, states in step.labels.items():
            state = states[side]
            if state is None:
                self.given.pop(name, None)
            else:
                self.given[name] = state
        if step.book is not None:
            self.classes = list(step.book[side])

    def _write(self, step: LabelStep) -> None:
        if self.path is None:
            return
        data = step.model_dump(exclude_defaults=True)
        data["do"] = step.do
        if step.book is not None:
            data["book"] = [[asdict(c) for c in side] for side in step.book]
        line = json.dumps(data, ensure_ascii=False).encode() + b"\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        fd = os.open(self.path, flags, 0o666)
        try:
            write_all(fd, line)
            os.fsync(fd)
        finally:
            os.close(fd)

    def _read(self, path: Path) -> None:
        """Live through the file; a line that a crash cut off is taken away."""
        if not path.exists():
            return
        if path.stat().st_size > MOST_BYTES:
            raise ClassifyError(f"{path} is larger than labels can be; it is not ours.")
        data = path.read_bytes()
        whole, _, torn = data.rpartition(b"\n")
        for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
            try:
                self._live(checked(LabelStep, line, f"Line {number} of {path}"))
            except DamagedFile as error:
                raise ClassifyError(
                    f"{error} Take that line away, or begin with another folder."
                ) from error
        if torn:
            with path.open("rb+") as file:
                file.truncate(len(data) - len(torn))
